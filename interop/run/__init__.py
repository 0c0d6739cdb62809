"""Where a scenario runs: plan, plugin, cell, pool, lanes."""
