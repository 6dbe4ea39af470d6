"""The machine's own logs, line by line: from the systemd journal, or from a syslog file."""
