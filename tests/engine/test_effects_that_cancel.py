"""An effect that takes from some and gives to others is no absence of one, however near 0 the net effect is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from auditor.behaviour.counterfactual import _readability
from auditor.behaviour.pair_measures import Contrast
from auditor.behaviour.turned import turned_both_ways
from auditor.plan import Plan
from auditor.records import Conclusion, Measurement
from auditor.testing.context import Context
from benchmarks.simulated_audits import World, audit, context_of, draw, filed_codes, seeded_plan, the_plan, versions
from benchmarks.simulation_shapes import ONE, normal

QUIET = (Conclusion.EQUIVALENT_WITHIN_MARGIN, Conclusion.NO_EVIDENCE)
STILL = World(worth=normal(1.0, 1.0), noise=normal(0.0, 0.0))


def said(measurements: tuple[Measurement, ...], metric: str) -> Measurement:
    return next(
        item for item in measurements if (item.metric, *item.subject.values()) == (metric, *ONE) and item.conclusion
    )


def pairs_alone(seed: int) -> Plan:
    """The plan with its counterfactual pairs alone: nothing else bears on what is asked here."""
    plan = seeded_plan(seed)
    return plan.model_copy(update={"tests": plan.tests.model_copy(update={"run": ("counterfactual",)})})


def contrast_of(context: Context, field: str, group: str) -> Contrast:
    attribute = next(item for item in context.plan.attributes if item.field == field)
    pairs = context.pairs(f"{field}={attribute.reference}", f"{field}={group}")
    return Contrast(context, attribute, group, pairs)


def test_as_many_lose_as_gain_and_no_cut_off_reads_quiet() -> None:
    world = replace(STILL, flips={ONE: (0.02, 0.02)})
    done = audit(context_of(draw(world, 1500, 3), plan=pairs_alone(3))).measurements
    own = said(done, "cf_net_effect")
    assert abs(own.estimate or 0.0) < 0.01
    assert own.conclusion is Conclusion.INCONCLUSIVE
    assert "decisions turn both ways" in str(own.conclusion_reason)
    assert "with an irrelevant field changed 0% do" in str(own.conclusion_reason)
    assert said(done, "cf_net_effect_matched").conclusion not in QUIET
    assert said(done, "cf_range_effect").conclusion not in QUIET


def test_black_women_lose_what_black_men_gain() -> None:
    drawn = draw(STILL, 1500, [19, 0])
    codes, groups = filed_codes(1500), {item.field: item.groups for item in the_plan().attributes}
    women = codes["sex"] == groups["sex"].index("female")
    black = codes["race"] == groups["race"].index("Black")
    row, shift = versions().index(ONE), np.where(women, -0.30, 0.13)
    drawn.margins[row] += shift
    for number, (name, _) in enumerate(versions()):
        if name != "race":
            drawn.margins[number] += shift * black
    drawn.margins[row, black] = drawn.margins[0, black]
    yes = drawn.margins >= 0
    reference = versions().index(("race", "White"))
    lost = yes[row, women].mean() - yes[reference, women].mean()
    assert lost < -0.05  # what nobody may call equivalent
    done = audit(context_of(drawn, plan=pairs_alone(0))).measurements
    for metric in ("cf_net_effect", "cf_net_effect_matched", "cf_range_effect"):
        assert said(done, metric).conclusion not in QUIET, metric


def test_readable_answers_that_change_sides_are_no_equal_readability() -> None:
    drawn = draw(STILL, 600, 5)
    place, race = np.random.default_rng(5).random(600), filed_codes(600)["race"]
    groups = next(item.groups for item in the_plan().attributes if item.field == "race")
    lost = {"White": (0.0, 0.03), "Black": (0.03, 0.06), "Hispanic": (0.0, 0.0)}
    for number, (name, value) in enumerate(versions()):
        shown = [value] * 600 if name == "race" else [groups[code] for code in race]
        drawn.readable[number] = [
            not lost[group][0] <= at < lost[group][1] for group, at in zip(shown, place, strict=True)
        ]
    context = context_of(drawn, plan=seeded_plan(5))
    contrast = contrast_of(context, *ONE)
    assert _readability(contrast).evidence is not None
    assert "both ways" in " ".join(_readability(contrast).evidence.absence_barriers)  # type: ignore[union-attr]


@pytest.mark.parametrize("seed", range(5))
def test_noise_that_the_placebo_shows_too_is_no_such_effect(seed: int) -> None:
    context = context_of(draw(replace(STILL, noise=normal(0.0, 0.5)), 600, [41, seed]), plan=seeded_plan(seed))
    for attribute, group in context.contrasts():
        contrast = contrast_of(context, attribute.field, group)
        assert (contrast.pairs.control.favourable != contrast.pairs.protected.favourable).mean() > 0.02
        assert turned_both_ways(contrast, [lambda side: side.favourable]) == ()


def test_decisions_that_cancel_are_a_finding_of_their_own() -> None:
    world = replace(STILL, flips={ONE: (0.03, 0.03)})
    done = audit(context_of(draw(world, 1500, 3), plan=seeded_plan(3)))
    turned = said(done.measurements, "cf_excess_flip")
    assert turned.conclusion is Conclusion.DIFFERENCE_FOUND
    mine = [item for item in done.findings if turned.id in item.measurements]
    assert [item.title for item in mine] == [
        "Race changed from White to Black: decisions turn both ways at the model's own cut-off"
    ]
    lost, gained = turned.counts["b"], turned.counts["c"]
    assert f"{lost} of 1,500 applications lose approval and {gained} gain it" in mine[0].condition
    others = [item for item in done.measurements if item.metric == "cf_excess_flip" and item.id != turned.id]
    assert others
    assert not {item.conclusion for item in others} & {Conclusion.DIFFERENCE_FOUND}


@pytest.mark.parametrize("seed", range(5))
def test_noise_that_the_placebo_shows_too_is_no_finding(seed: int) -> None:
    done = audit(context_of(draw(replace(STILL, noise=normal(0.0, 0.5)), 600, [43, seed]), plan=seeded_plan(seed)))
    assert not [item.title for item in done.findings if "both ways" in item.title]


def test_scores_that_move_up_and_down_are_no_mean_shift_of_nothing() -> None:
    drawn = draw(STILL, 1500, 9)
    row = versions().index(ONE)
    drawn.margins[row] += np.where(np.arange(1500) % 2 == 0, 0.3, -0.3)
    done = audit(context_of(drawn, plan=pairs_alone(9))).measurements
    shift = said(done, "cf_mean_shift_sd")
    assert abs(shift.estimate or 1.0) < 0.05
    assert shift.conclusion is Conclusion.INCONCLUSIVE
    assert "scores move by" in str(shift.conclusion_reason)
    assert "both ways" in str(shift.conclusion_reason)
    other = next(item for item in done if item.metric == "cf_mean_shift_sd" and "Hispanic" in item.id)
    assert "both ways" not in str(other.conclusion_reason)


def test_a_few_decisions_that_cancel_are_a_small_finding_and_no_clean_page() -> None:
    """Twenty lose and twenty gain of 3,000: within the margin, and all of it from race."""
    drawn = draw(STILL, 3000, 17)
    shown = versions().index(ONE)
    races = next(item.groups for item in the_plan().attributes if item.field == "race")
    filed_black = filed_codes(3000)["race"] == races.index("Black")
    yes = np.flatnonzero((drawn.margins[0] > 0) & ~filed_black)[:20]
    no = np.flatnonzero((drawn.margins[0] < 0) & ~filed_black)[:20]
    drawn.margins[shown, [*yes, *no]] *= -1
    done = audit(context_of(drawn, plan=seeded_plan(17)))
    assert said(done.measurements, "cf_net_effect").conclusion in QUIET
    turned = said(done.measurements, "cf_excess_flip")
    assert turned.conclusion is Conclusion.DIFFERENCE_BELOW_THRESHOLD
    mine = [item for item in done.findings if turned.id in item.measurements]
    assert [item.title for item in mine] == [
        "Race changed from White to Black: a few decisions turn both ways at the model's own cut-off"
    ]
    assert "20 of 3,000 applications lose approval and 20 gain it, so that the net change shows none of it" in (
        mine[0].condition
    )
    assert "Small, and real." in mine[0].effect
