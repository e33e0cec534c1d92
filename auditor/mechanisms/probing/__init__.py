"""Probing: whether an attribute can be read from the states, where, and how selectively."""
