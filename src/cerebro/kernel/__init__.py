"""The ports, their drivers, and everything that knows an operating system."""
