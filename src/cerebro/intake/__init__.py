"""How telemetry gets in: the doors senders speak to, the observer of this machine, and what they may send."""
