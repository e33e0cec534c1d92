"""Families of tests that are adjusted together, and why a number is missing of a readout that has none."""

from __future__ import annotations

# Families are adjusted apart: gaps between different applicants are nearly always real and would lend the others their
# significance (docs/statistics.md).
PRIMARY_FAMILY = "primary"
READABILITY_FAMILY = "readability"
RANGE_FAMILY = "cut-off range"
MATCHED_FAMILY = "matched operating point"
SHIFT_FAMILY = "margin shift"
EXPLORATORY_FAMILY = "exploratory"
SAME_APPLICANTS_FAMILY = f"{EXPLORATORY_FAMILY}: same applicants"
TURNED_FAMILY = f"{EXPLORATORY_FAMILY}: decisions turned"
REFUSED_FAMILY = f"{EXPLORATORY_FAMILY}: refusals"
AMOUNTS_FAMILY = f"{EXPLORATORY_FAMILY}: amounts"
REASONS_FAMILY = f"{EXPLORATORY_FAMILY}: reasons"
FILED_FAMILY = f"{EXPLORATORY_FAMILY}: as filed"

NO_MARGINS = "not every answer has a margin"
"""Why a number that is read from margins is missing: then cut-offs do not bear on the readout."""
SOME_MARGINS = "some answers have a margin and some have none"
BOUNDS_ALONE = "answers give bounds of a margin and no number"
"""The same where cut-offs bear on the readout and could not be drawn: a difference may be hidden behind them."""

NO_PROBABILITY = "not every answer has a probability"


def inside_family(test: str) -> str:
    """The family of the declared contrasts of one test on internals, adjusted by Holm."""
    return f"inside: {test}"
