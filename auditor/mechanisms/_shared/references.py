"""What a field is compared with."""

TYPICAL = "typical"
"""The field's typical word over the applications of the run."""
