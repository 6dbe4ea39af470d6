"""Playbooks: what may be done about which cause, as data that people write, read and sign off."""
