"""Tests on outputs, one file a test."""

#: Their names, for whoever must tell them from tests with work of their own without loading either.
