"""What features respond to, in words, beside how well the words hold; and sentences that go with a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditor.mechanisms.interpretation.card import FEATURE_DETECTION, FEATURE_FUZZING
from auditor.records import Measurement
from reports import numbers, wording
from reports.blocks import Block, Pairs, Table

READING = (
    "Detection: how well the words tell, on other applications, where the feature is active and where not; 50% is "
    "worth nothing. Tokens: how well they point at the right words there."
)
AT_MOST = 24


@dataclass(frozen=True)
class FeatureWords:
    """A feature of a layer, its words, and how well they hold; ``describer`` is empty where rules made them."""

    layer: str
    feature: str
    describer: str
    detection: Measurement
    fuzzing: Measurement | None

    @property
    def words(self) -> str:
        """What it responds to, or why nobody can say."""
        return self.detection.conclusion_reason or f"No description: {self.detection.missing_reason}"


def features_in_words(measurements: Sequence[Measurement]) -> list[FeatureWords]:
    """Every feature that was described or could not be, in the order it was reported."""
    found: dict[tuple[str, str, str], dict[str, Measurement]] = {}
    for item in measurements:
        if item.metric in (FEATURE_DETECTION, FEATURE_FUZZING):
            key = item.subject["layer"], item.subject["feature"], item.subject.get("describer", "")
            found.setdefault(key, {})[item.metric] = item
    return [
        FeatureWords(*key, both[FEATURE_DETECTION], both.get(FEATURE_FUZZING))
        for key, both in found.items()
        if FEATURE_DETECTION in both
    ]


def features_table(rows: Sequence[Measurement], everything: Sequence[Measurement]) -> Table | None:
    """The words of the features that some rows speak of; ``None`` where none of them has any."""
    spoken = {(item.subject.get("layer"), item.subject.get("feature")) for item in rows}
    chosen = [item for item in features_in_words(everything) if (item.layer, item.feature) in spoken]
    if not chosen:
        return None
    left = len(chosen) - AT_MOST
    return Table(
        title="What the features respond to",
        head=("Feature", "In words", "Detection", "Tokens"),
        rows=tuple(
            (
                f"{item.feature}, layer {item.layer}" + (f", by {item.describer}" if item.describer else ""),
                item.words,
                _score(item.detection),
                _score(item.fuzzing) if item.fuzzing else numbers.DASH,
            )
            for item in chosen[:AT_MOST]
        ),
        align="llrr",
        weights=(0.16, 0.52, 0.18, 0.14),
        note=" ".join([READING, *([f"{left} more stand in result.json."] if left > 0 else [])]),
        of=tuple(item.detection for item in chosen[:AT_MOST]),
        unfolded=True,
    )


def sentences(rows: Sequence[Measurement]) -> Pairs | None:
    """What numbers mean, in sentences, where they bring one and it is no conclusion; ``None`` where none does."""
    said = [
        (sentence_of(item), wording.with_p_values(item.conclusion_reason))
        for item in rows
        if item.conclusion_reason and item.conclusion is None and "feature" not in item.subject
    ]
    return Pairs(rows=tuple(said), title="In words") if said else None


def sentence_of(item: Measurement) -> str:
    """What a sentence speaks of."""
    return wording.sentence_case(wording.subject(item))


def blocks_of(rows: Sequence[Measurement], everything: Sequence[Measurement]) -> list[Block]:
    """Sentences and feature tables of one test's rows."""
    return [block for block in (sentences(rows), features_table(rows, everything)) if block is not None]


def _score(item: Measurement) -> str:
    if item.estimate is None:
        return numbers.DASH
    return (
        f"{numbers.estimate(item)} {numbers.interval(item)}"
        if item.metric == FEATURE_DETECTION
        else numbers.estimate(item)
    )
