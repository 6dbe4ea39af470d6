"""A small real shop of many processes on loopback, made to be broken and mended while it runs."""
