"""The agent that watches telemetry: metrics in, findings within a noise budget out."""
