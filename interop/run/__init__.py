"""Where a scenario runs: plan, plugin, cell, pool, lanes."""

from __future__ import annotations

import sys

from ..places import CACHE_DIR, CHECKOUT

if CHECKOUT is None:
    # pytest keeps the compiled forms of what it rewrites, the plugin and the scenarios, beside
    # them: in a package that is none to write to.
    sys.pycache_prefix = str(CACHE_DIR / "compiled")
