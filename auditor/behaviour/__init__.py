"""Tests on outputs, one file a test."""
