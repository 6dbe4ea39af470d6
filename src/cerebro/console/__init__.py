"""The web console: static files that speak the public API and nothing else."""
