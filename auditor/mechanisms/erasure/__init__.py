"""Erasure: whether a decision goes through what can be read of an attribute (LEACE)."""
