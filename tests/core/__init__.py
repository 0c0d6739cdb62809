"""Tests of the names of zaptools 0.5."""
