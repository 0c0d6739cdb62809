"""Verdicts on cells: the decision, the culprit, known deviations."""
