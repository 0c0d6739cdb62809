"""Bytes: tap, frames, rules, diff."""
