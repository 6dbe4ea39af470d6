"""From what was measured around a case to its likely causes."""
