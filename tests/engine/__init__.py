"""Tests of the engine: prompts to findings."""
