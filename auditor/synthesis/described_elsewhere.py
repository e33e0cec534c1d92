"""Descriptions of the features that other tests report, where the plan asks for interpretation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.mechanisms.interpretation.card import CARD
from auditor.mechanisms.interpretation.measure import feature_rows
from auditor.mechanisms.interpretation.result import Interpreted, Result
from auditor.records import Measurement
from auditor.testing.context import Context
from auditor.testing.rows import read_row


def described_elsewhere(measurements: Sequence[Measurement], *, context: Context) -> tuple[Measurement, ...]:
    """A row for each feature that another test names and that interpretation did not report by itself.

    Parameters
    ----------
    measurements
        Concluded ones, of every test.
    context
        The run, for what interpretation's own chunks computed; nothing is added where it was not asked for.
    """
    level = 1 - context.plan.thresholds.alpha
    added: list[Measurement] = []
    for result in _interpreted(context):
        by_latent = result.by_latent
        wanted = {
            int(item.subject["feature"]): None
            for item in measurements
            if item.subject.get("layer") == str(result.layer) and item.subject.get("feature", "").isdigit()
        }
        for latent in wanted:
            if latent not in result.reported:
                added += feature_rows(
                    by_latent.get(latent), layer=result.layer, latent=latent, test=CARD.name, level=level
                )
    return tuple(added)


def _interpreted(context: Context) -> Iterator[Interpreted]:
    """What interpretation's chunks found; nothing of those that had no dictionary."""
    for row in context.results.get(CARD.name, ()):
        result = read_row(Result, row, what=f"result of {CARD.name}")
        if isinstance(result, Interpreted):
            yield result
