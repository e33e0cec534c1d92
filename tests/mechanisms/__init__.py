"""Tests on internals."""
