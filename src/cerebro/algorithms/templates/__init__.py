"""Templates of log lines: what lines have in common, found online, without rules for any one system."""
