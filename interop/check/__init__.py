"""Judges one server that already runs, from outside: `python -m interop check`."""
