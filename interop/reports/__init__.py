"""What is made from `interop.results.Results` for people and for other tools to read."""
