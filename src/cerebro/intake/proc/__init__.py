"""What Linux says of itself under /proc: text in, readings out."""
