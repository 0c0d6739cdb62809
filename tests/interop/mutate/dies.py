"""A program that prints something and then ends with an exception."""

from __future__ import annotations

import sys

sys.stdout.write("READY\n")
raise RuntimeError
