"""Tests on internals, one file a method."""
