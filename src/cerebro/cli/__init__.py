"""You type; it prints."""
