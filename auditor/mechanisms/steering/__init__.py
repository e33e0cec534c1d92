"""Steering: whether an attribute's direction could move decisions."""
