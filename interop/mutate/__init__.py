"""Mutants made by machine: one small change of the library at a time, and what catches it."""
