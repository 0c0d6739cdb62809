"""Judges a client program that is not under control: `python -m interop check-client`."""
