"""Sparse features: whether features of a dictionary carry a difference, put in and taken out."""
