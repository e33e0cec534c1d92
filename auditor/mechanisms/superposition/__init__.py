"""Superposition: how far features share directions."""
