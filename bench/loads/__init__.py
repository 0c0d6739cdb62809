"""The loads: each puts a server, or a client, to work for a while and measures it."""

from __future__ import annotations
