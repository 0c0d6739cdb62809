"""Reports made from `interop.reports.results.Results`, for people and for other tools."""
