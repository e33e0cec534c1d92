"""Audit statistics: pure functions over arrays, no knowledge of plans, models or reports."""
