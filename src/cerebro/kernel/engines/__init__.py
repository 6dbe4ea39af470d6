"""The three engines as child processes: what they need before they start, and how they are started."""
