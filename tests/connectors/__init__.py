"""Tests of the connectors, each on its framework's real server."""
