"""Features stand in the report with their words, how well the words hold, and the reason where there are none."""

from __future__ import annotations

from typing import Any

from auditor.records import Measurement, Role
from reports.feature_words import AT_MOST, blocks_of, features_in_words, features_table, sentences


def row(metric: str, subject: dict[str, str], estimate: float | None = None, **more: Any) -> Measurement:
    return Measurement(
        id=f"interpretation/{metric}/{sorted(subject.items())}",
        test="interpretation",
        metric=metric,
        role=Role.SUPPORTING,
        subject=subject,
        unit="rate",
        estimate=estimate,
        **more,
        level=0.95,
    )


def described(feature: int, words: str, detection: float, fuzzing: float, **subject: str) -> list[Measurement]:
    where = {"layer": "15", "feature": str(feature), **subject}
    return [
        row("feature_detection", where, detection, low=detection - 0.1, high=detection, conclusion_reason=words),
        row("feature_fuzzing", where, fuzzing, conclusion_reason=words),
    ]


BLACK = described(12, "Active on “Black”", 0.97, 0.991)
SILENT = [
    row("feature_detection", {"layer": "15", "feature": "40"}, missing_reason="too few activations"),
    row("feature_fuzzing", {"layer": "15", "feature": "40"}, missing_reason="too few activations"),
]
FOREIGN = Measurement(
    id="sparse",
    test="sparse_features",
    metric="sparse_feature_effect",
    role=Role.SUPPORTING,
    subject={"layer": "15", "feature": "12", "group": "Black"},
    unit="logit",
    estimate=-0.4,
    level=0.95,
)
OVERLAP = row("superposition_interference", {"attribute": "race"}, 0.2, conclusion_reason="The directions overlap.")


def test_a_feature_stands_with_its_words_and_both_scores() -> None:
    table = features_table(BLACK, [*BLACK, *SILENT])

    assert table is not None
    assert table.rows == (("12, layer 15", "Active on “Black”", "97.0% [87.0, 97.0]", "99.1%"),)


def test_a_feature_without_words_says_why() -> None:
    (found,) = features_in_words(SILENT)

    assert found.words == "No description: too few activations"


def test_a_feature_that_another_test_reports_is_explained_there() -> None:
    table = features_table([FOREIGN], [FOREIGN, *BLACK, *SILENT])

    assert table is not None
    assert [cells[0] for cells in table.rows] == ["12, layer 15"]


def test_the_words_of_a_model_stand_beside_those_of_the_rules() -> None:
    table = features_table(BLACK, [*BLACK, *described(12, "The marked words are race", 0.6, 0.7, describer="local:x")])

    assert table is not None
    assert [cells[0] for cells in table.rows] == ["12, layer 15", "12, layer 15, by local:x"]


def test_nothing_is_said_where_no_feature_was_described() -> None:
    assert features_table([FOREIGN], [FOREIGN]) is None
    assert sentences(BLACK) is None
    assert blocks_of([FOREIGN], [FOREIGN]) == []


def test_a_sentence_stands_beside_what_it_speaks_of() -> None:
    pairs = sentences([OVERLAP, *BLACK])

    assert pairs is not None
    assert pairs.rows == (("Attribute race", "The directions overlap."),)


def test_a_long_list_says_how_many_are_left_out() -> None:
    rows = [item for number in range(AT_MOST + 3) for item in described(number, "Active on “x”", 0.9, 0.9)]
    table = features_table(rows, rows)

    assert table is not None
    assert len(table.rows) == AT_MOST
    assert table.note.endswith("3 more stand in result.json.")
