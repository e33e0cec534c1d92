"""Reading decision data."""
