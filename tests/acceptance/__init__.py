"""Tests that drive the commands as a person or a pipeline does."""
