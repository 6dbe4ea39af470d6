"""The map of what needs what: discovered from telemetry, drawn by hand, kept with its past."""
