"""Decisions already taken, as columns: one row an application, no Python object a row."""
