"""Where a verdict is made: judge, culprit, deviations."""
