"""How far two ways of computing the same margin may lie apart. Needs no torch."""

TOLERANCE = 1e-4
"""Largest difference in nats between packed and one-by-one log-probabilities (fp32) that still counts as exact."""
