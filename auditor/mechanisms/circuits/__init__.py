"""Circuits: the edges that carry a difference, and how much of it they carry alone."""
