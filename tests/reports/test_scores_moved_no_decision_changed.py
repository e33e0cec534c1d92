"""Where scores moved and no decision changed, verdict, findings and tables say both; so does one version of another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from auditor.comparison import compare_versions
from auditor.finding_words import condition_of
from auditor.records import Conclusion, Measurement, Role
from reports import cover
from reports.blocks import Text
from reports.result_sections import results_secondary
from reports.story import Story
from reports.unmoved import unmoved_sentence, versions_sentence
from tests.engine.test_comparison import PLAN, answers
from tests.reports.conftest import GOVERNANCE, Audit
from tests.reports.test_sentences import net

SAID = "Scores moved, no decision changed at the model's own cut-off: Black against White "
MARGINS = np.random.default_rng(5).normal(0.3, 1.0, 400)
MARGINS = MARGINS[np.abs(MARGINS) > 0.05]
EVERY = f"{len(MARGINS):,}"


def shift(**values) -> Measurement:
    given = {
        "id": "s", "metric": "cf_mean_shift_sd", "unit": "sd", "role": Role.EXPLORATORY, "estimate": -0.21,
        "low": -0.25, "high": -0.17, "n": 600, "counts": {"fell": 600, "rose": 0},
        "conclusion": Conclusion.DIFFERENCE_FOUND,
    }  # fmt: skip
    return net(**{**given, **values})


def still(**values) -> Measurement:
    given = {
        "estimate": 0.0, "low": -0.004, "high": 0.004, "n": 600, "counts": {"b": 0, "c": 0, "mde": 0.017},
        "conclusion": Conclusion.EQUIVALENT_WITHIN_MARGIN,
    }  # fmt: skip
    return net(**{**given, **values})


def story_of(working: Audit, *measurements: Measurement) -> Story:
    bundle = replace(working.bundle, measurements=measurements, findings=())
    return Story(bundle=bundle, governance=GOVERNANCE, charts={})


def test_the_sentence_names_the_contrast_with_its_size() -> None:
    assert unmoved_sentence([still(), shift()]) == f"{SAID}−0.21 [−0.25, −0.17] SD of scores, 600 pairs."


@pytest.mark.parametrize(
    "measurements",
    [
        [still(counts={"b": 1, "c": 0}), shift()],
        [still(counts={"b": 1, "c": 1}), shift()],
        [still(counts={}), shift()],
        [still(estimate=None), shift()],
        [still(subject={"field": "race", "group": "Hispanic"}), shift()],
        [still(), shift(conclusion=Conclusion.NO_EVIDENCE)],
        [shift()],
    ],
)
def test_it_is_said_only_where_both_are_known(measurements: list[Measurement]) -> None:
    assert unmoved_sentence(measurements) is None


def test_the_verdict_says_it_first_where_no_difference_in_approvals_was_found(working: Audit) -> None:
    for read in (cover.verdict, cover.front_verdict, cover.cover_verdict):
        said = read(story_of(working, still(), shift()))
        assert said.sentence.startswith(SAID)
        assert "the difference in approvals at the model's own cut-off lay within" in said.sentence
        assert not any(line.startswith(SAID) for line in said.others)


def test_beside_a_difference_that_was_found_it_stands_below(working: Audit) -> None:
    other = {"field": "race", "group": "Hispanic"}
    story = story_of(working, net(id="h", subject=other), still(), shift())
    for read in (cover.verdict, cover.cover_verdict):
        said = read(story)
        assert said.sentence.startswith("When only race changed from White to Hispanic")
        assert sum(line.startswith(SAID) for line in said.others) == 1


def test_the_table_of_scores_has_it_below(working: Audit) -> None:
    def notes(*measurements: Measurement) -> list[str]:
        blocks = results_secondary(story_of(working, *measurements))
        return [block.words for block in blocks if isinstance(block, Text) and block.words.startswith(SAID)]

    assert len(notes(still(), shift())) == 1
    assert notes(still(counts={"b": 2, "c": 0}), shift()) == []


def test_the_finding_says_it() -> None:
    said = condition_of(shift(), [shift()], [still(), shift()])
    assert said.startswith(
        "With race changed from White to Black, the score behind the decision moves towards denial. Scores moved, no "
        "decision changed: at the model's own cut-off all 600 applications are decided as before. The score moves by "
    )
    flipped = condition_of(shift(), [shift()], [still(counts={"b": 3, "c": 0}), shift()])
    assert "no decision changed" not in flipped
    assert "that decisions change is not claimed" in flipped


def turned(many: int) -> list:
    """The answers, of which the first ``many`` applications have the opposite."""
    return [
        *(item for item in answers(-MARGINS, 0.0) if int(item.cluster) < many),
        *(item for item in answers(MARGINS, 0.0) if int(item.cluster) >= many),
    ]


def said_of(later: list) -> str | None:
    return versions_sentence(compare_versions(plan=PLAN, earlier=answers(MARGINS, 0.0), later=later))


def test_a_version_that_turns_every_decision_or_nearly_every_one_says_so_first() -> None:
    lost = int((MARGINS >= 0).sum())
    assert said_of(turned(len(MARGINS))) == (
        f"The later version turns every decision: all {EVERY} applications as filed go the other way; "
        f"{lost} lose approval, {len(MARGINS) - lost} gain it."
    )
    many = len(MARGINS) - 12
    assert str(said_of(turned(many))).startswith(
        f"The later version turns nearly every decision: {many} of {EVERY} applications as filed go the other way; "
    )
    assert str(said_of(turned(12))).startswith(f"The later version decides 12 of {EVERY} applications as filed the ")


def test_a_version_that_moves_scores_and_turns_no_decision_says_both() -> None:
    assert (
        said_of(answers(MARGINS, 0.0))
        == f"No decision changed: all {EVERY} applications as filed are decided as before."
    )
    said = str(said_of(answers(MARGINS * 1.4, 0.0)))
    assert said.startswith(
        f"Scores moved, no decision changed: all {EVERY} applications as filed are decided as before, and the score "
        "moved by +0."
    )


def test_runs_without_a_common_application_say_nothing() -> None:
    assert versions_sentence(compare_versions(plan=PLAN, earlier=answers(MARGINS, 0.0), later=[])) is None
