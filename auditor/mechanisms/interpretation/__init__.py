"""Interpretation: what features stand for, in words that are put to the test."""
