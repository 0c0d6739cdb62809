"""Toolchains that prepare peers: environments, Dart, Go, Node, images."""
