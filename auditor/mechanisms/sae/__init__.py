"""Sparse autoencoders: trained on states, measured, saved and loaded."""
