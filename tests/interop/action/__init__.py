"""Tests of the GitHub action."""
