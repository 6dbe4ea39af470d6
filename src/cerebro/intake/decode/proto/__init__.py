"""Messages compiled from public wire formats."""
