"""The rules by number: read, checked against the scenarios, and written as ``docs/spec/``."""
