"""What `python -m interop run --watch` watches: files, and whether they changed."""
