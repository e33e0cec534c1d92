"""Tests on decisions already taken, one file a test; what they share is how a row is drafted (`drafts`)."""
