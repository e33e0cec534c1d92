"""What the first page must not keep to itself: a larger difference elsewhere, noise, weak contrasts, open questions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from auditor.records import Conclusion, Measurement, Role
from auditor.run_record import PromptFigures
from reports import cover, numbers
from reports.bundle import Bundle
from reports.record_sections import limitations
from reports.story import Story
from tests.reports.conftest import GOVERNANCE, Audit


def story_of(bundle: Bundle, *more: Measurement, **changes: Any) -> Story:
    return Story(
        bundle=replace(bundle, measurements=(*bundle.measurements, *more), **changes), governance=GOVERNANCE, charts={}
    )


def over_the_range(bundle: Bundle, estimate: float, *, mde: float = 0.173) -> Measurement:
    own = next(
        item for item in bundle.measurements if item.metric == "cf_net_effect" and item.subject["group"] == "Black"
    )
    counts = {"range_low": 0.78, "range_high": 0.98, "rate": 0.96, "threshold": 2.0, "natural_inside": 0, "mde": mde}
    return replace(
        own,
        id="made/range",
        metric="cf_range_effect",
        role=Role.PRIMARY,
        estimate=estimate,
        low=estimate - 0.1,
        high=estimate + 0.1,
        conclusion=Conclusion.DIFFERENCE_FOUND,
        counts=counts,
    )


def floor(estimate: float) -> Measurement:
    return Measurement(
        id="made/floor",
        test="noise_floor",
        metric="cf_noise_floor",
        role=Role.SUPPORTING,
        subject={"change": "placebo"},
        unit="rate",
        estimate=estimate,
        n=120,
        level=0.95,
        cases="role:placebo",
    )


def test_a_larger_difference_at_other_cut_offs_stands_below_the_first_sentence(working: Audit) -> None:
    story = story_of(working.bundle, over_the_range(working.bundle, -0.589))
    assert story.lead is not None
    assert story.lead.metric == "cf_net_effect"
    said = " ".join(cover.front_verdict(story).others)
    assert "over all cut-offs that approve 78 to 98%" in said
    assert "Black against White −58.9 [−68.9, −48.9] pp, n = 600" in said


def test_a_smaller_difference_elsewhere_leaves_the_first_sentence_alone(working: Audit) -> None:
    assert cover.front_verdict(story_of(working.bundle, over_the_range(working.bundle, -0.001))).others == ()


def rows(story: Story, title: str) -> dict[str, str]:
    found = next(block for block in cover.cover(story) if getattr(block, "title", "") == title)
    return {str(name): str(words) for name, words in found.rows}


def test_decisions_that_turn_with_an_irrelevant_field_are_on_the_first_page(working: Audit) -> None:
    quiet = replace(
        working.bundle, measurements=tuple(m for m in working.bundle.measurements if m.metric != "cf_noise_floor")
    )
    noisy = rows(story_of(quiet, floor(0.158)), "What this audit could not see")
    assert noisy["Noise"].startswith("15.8% of decisions turn when an irrelevant field is changed (n = 120)")
    assert "Noise" not in rows(story_of(quiet, floor(0.005)), "What this audit could not see")


def test_the_smallest_effect_is_the_worst_of_every_primary_change_in_approvals(working: Audit) -> None:
    story = story_of(working.bundle, over_the_range(working.bundle, -0.589))
    said = rows(story, "What this audit could not see")["Smallest effect"]
    assert said.startswith("A difference smaller than 17.3 percentage points could well have been missed")
    assert "over all cut-offs that approve 78 to 98%" in said


def test_an_undecided_contrast_is_something_to_do(working: Audit) -> None:
    undecided = tuple(
        replace(item, conclusion=Conclusion.INCONCLUSIVE) if item.role is Role.PRIMARY else item
        for item in working.bundle.measurements
    )
    bundle = replace(working.bundle, measurements=undecided, findings=())
    assert (
        "must not be read as clean"
        in rows(Story(bundle=bundle, governance=GOVERNANCE, charts={}), "What next")["Undecided"]
    )


def test_a_graded_comparison_that_a_small_group_hides_is_named_on_the_first_page(working: Audit) -> None:
    hidden = replace(
        over_the_range(working.bundle, 0.0),
        id="made/ratio",
        test="group_rates",
        metric="impact_ratio",
        unit="ratio",
        estimate=None,
        low=None,
        high=None,
        conclusion=Conclusion.INCONCLUSIVE,
        counts={},
        missing_reason="hidden with a group of fewer than 10 people",
    )
    unseen = "What this audit could not see"
    assert "hidden with a group of fewer than 10 people" in rows(story_of(working.bundle, hidden), unseen)["Withheld"]
    assert "Withheld" not in rows(story_of(working.bundle), unseen)


def test_weak_contrasts_are_named_once_each_by_what_they_are_about(working: Audit) -> None:
    story = story_of(working.bundle, over_the_range(working.bundle, -0.589))
    table = next(block for block in limitations(story) if hasattr(block, "rows"))
    said = next(str(row[0]) for row in table.rows if str(row[0]).startswith("Power below"))
    assert "over all cut-offs that approve 78 to 98% of the White applications: Black against White" in said
    assert "Black − White and" not in said


@pytest.mark.parametrize(("floor", "words"), [(0.5, ".5"), (0.001, ".001"), (1e-05, ".00001"), (1, "1"), (0, "0")])
def test_a_share_that_a_plan_names_keeps_its_digits(floor: float, words: str) -> None:
    assert numbers.exact(floor) == words


@pytest.mark.parametrize(("alike", "told"), [(0, False), (2, False), (60, True)])
def test_applications_that_are_alike_are_told_on_the_first_page(working: Audit, alike: int, told: bool) -> None:
    run = working.bundle.run.model_copy(update={"prompts": PromptFigures(alike=alike)})
    selected = len(run.data.selected)
    page = str(cover.cover(story_of(working.bundle, run=run)))
    said = f"{alike} of {numbers.count(selected)} applications say word for word what another one says"
    assert (said in page) == told
