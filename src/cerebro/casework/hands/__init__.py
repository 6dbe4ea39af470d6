"""Hands: what is done about a case, as transactions that are shown, bounded, verified and undone."""
