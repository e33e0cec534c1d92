"""Pages on which officers register models and data sets."""
