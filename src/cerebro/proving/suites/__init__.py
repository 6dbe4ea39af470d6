"""Suites of drills as TOML: which kinds, how often, how long."""
