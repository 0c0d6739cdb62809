"""The commands of ``python -m interop``, a module each."""
