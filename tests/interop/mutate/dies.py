"""A program that prints its limit of processor time and then ends with an exception."""

from __future__ import annotations

import resource
import sys

sys.stdout.write(f"READY {resource.getrlimit(resource.RLIMIT_CPU)[0]}\n")
raise RuntimeError
