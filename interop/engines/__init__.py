"""Where peers run: `local` starts processes, `docker` containers, `compose` finds services."""
