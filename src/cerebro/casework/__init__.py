"""Findings become cases here, and nowhere else: correlation, the life of a case, silences, notifications."""
