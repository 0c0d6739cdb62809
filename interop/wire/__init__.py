"""Bytes: the tap, its log, frames, the rules for messages, differences between texts."""
