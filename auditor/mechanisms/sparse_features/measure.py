"""Measurements from sparse features: how good the dictionary is, which features differ, and what moves decisions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from auditor.mechanisms.sae.rows import NoDictionary
from auditor.mechanisms.sparse_features.contrast_measures import contrast_measures
from auditor.mechanisms.sparse_features.quality_measures import quality_measures
from auditor.mechanisms.sparse_features.result import Contrasts, DictionaryFound, NotContrasted
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement


def measures(
    context: Context, results: Sequence[DictionaryFound | NoDictionary | Contrasts | NotContrasted], *, test: str
) -> Iterable[UnadjustedMeasurement]:
    """All measurements of the dictionary and of all attributes."""
    attributes = [result for result in results if isinstance(result, Contrasts | NotContrasted)]
    # The declared contrasts of the run, whether or not they can be tested.
    contrasts = sum(len(result.groups) - 1 for result in attributes)
    for result in results:
        if isinstance(result, Contrasts | NotContrasted):
            yield from contrast_measures(context, result, test=test, contrasts=contrasts)
        else:
            yield from quality_measures(context, result, test=test)
