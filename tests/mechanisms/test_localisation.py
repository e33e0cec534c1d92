"""A localisation that another corruption, metric or half contradicts is inconclusive; the extremes stand beside it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from auditor.mechanisms._shared.localisation import Moved, agree, put_back, put_in, repeated
from auditor.mechanisms._shared.pair_rows import Repeats
from auditor.mechanisms._shared.pairs import halfway, run_pair
from auditor.mechanisms._shared.patches import residual_effects
from auditor.mechanisms._shared.specifications import CHANCES, DENOISING, HALFWAY, NOISING
from auditor.mechanisms.attribution_patching import method as attribution_patching
from auditor.mechanisms.attribution_patching.result import Effects
from auditor.mechanisms.components import method as components
from auditor.mechanisms.patching import method as patching
from auditor.records import Conclusion
from tests.mechanisms.computing import compute_context, conclude, payload

PLAN = SimpleNamespace(thresholds=SimpleNamespace(alpha=0.05, bootstrap=2000), cases=SimpleNamespace(seed=1))
CONTEXT: Any = SimpleNamespace(plan=PLAN)


def gaps(count: int = 30) -> np.ndarray:
    return np.random.default_rng(0).normal(1.0, 0.3, count)


def carried(own: np.ndarray, *shares: float) -> dict[str, Moved]:
    """A node that carries so much by each corruption, with a little noise."""
    noise = np.random.default_rng(1).normal(0, 0.02, (4, len(own)))
    one, other, both = shares
    return {
        NOISING: put_in(one * own + noise[0]),
        DENOISING: put_back(-other * own + noise[1]),
        HALFWAY: Moved(both * own / 2 + noise[2], -both * own / 2 + noise[3]),
    }


def test_a_node_that_carries_the_same_share_in_every_way_is_stable() -> None:
    own = gaps()
    found = agree(CONTEXT, carried(own, 0.4, 0.5, 0.45), own, base=np.zeros(len(own)))

    assert (found.stable, found.said, found.agree) == (True, 9, 9)
    assert found.lowest.estimate == pytest.approx(0.4, abs=0.05)
    assert found.highest.estimate == pytest.approx(0.5, abs=0.05)
    about = repeated(CONTEXT, carried(own, 0.4, 0.5, 0.45), own, base=np.zeros(len(own)))
    assert about.unstable is None
    assert about.words.startswith("9 of 9 specifications agree, from 0.")


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ((0.8, 0.0, 0.7), "with the reference's state put in 0 of 3"),
        ((0.8, 0.7, 0.0), "with the mean of both states in both prompts 0 of 3"),
    ],
)
def test_a_node_that_one_corruption_finds_and_another_does_not_is_inconclusive(
    shares: tuple[float, float, float], words: str
) -> None:
    """One of two copies, say: put in, it moves the margin; taken back, the other one keeps it."""
    own = gaps()
    about = repeated(CONTEXT, carried(own, *shares), own, base=np.zeros(len(own)))

    assert about.unstable.startswith("only 6 of 9 specifications agree, and at least 75% must (")
    assert words in about.unstable
    assert about.counts["specifications_highest"] == pytest.approx(0.8, abs=0.05)


def test_a_node_that_works_the_other_way_in_the_other_direction_is_inconclusive() -> None:
    own = gaps()
    about = repeated(CONTEXT, carried(own, 0.8, -0.3, 0.4), own)
    assert "find the opposite" in about.unstable


def test_a_share_of_the_margin_that_is_none_of_the_probability_is_inconclusive() -> None:
    """Half of the applications decide; of the others, sure of their answer, the node carries what nobody acts on."""
    count = 40
    own, sure = np.ones(count), np.arange(count) % 2 == 0
    base = np.where(sure, 12.0, -0.5)
    noise = np.random.default_rng(2).normal(0, 0.05, count)
    effects = np.where(sure, 0.9, 0.0) + noise
    moved = {
        NOISING: put_in(effects),
        DENOISING: put_back(-effects),
        HALFWAY: Moved(effects / 2, -effects / 2),
    }
    found = agree(CONTEXT, moved, own, base=base)

    assert found.apart[CHANCES] == (3, 0)
    assert (found.agree, found.said, found.conclusion) == (6, 9, Conclusion.INCONCLUSIVE)


def test_both_halves_of_the_applications_repeat_it_where_each_is_large_enough() -> None:
    own = gaps(48)
    half = {NOISING: put_in(np.where(np.arange(48) % 2 == 0, 0.8 * own, 0.0))}
    found = agree(CONTEXT, half, own)

    assert [item.specification.seed for item in (found.lowest, found.highest)] == [2, 1]
    assert (found.said, found.agree) == (4, 3)
    assert agree(CONTEXT, {NOISING: put_in(0.8 * gaps(47))}, gaps(47)).asked == 2


def test_few_applications_are_not_compared_and_say_so() -> None:
    own = gaps(4)
    found = agree(CONTEXT, carried(own, 0.4, 0.5, 0.45), own)
    assert found.stable is None
    assert "4 applications, 24 needed" in found.reason
    words = repeated(CONTEXT, carried(own, 0.4, 0.5, 0.45), own).words
    assert words.startswith("6 specifications were asked, and too few gave an answer to compare, from 0.")


def test_the_mean_of_all_states_in_both_prompts_leaves_no_difference() -> None:
    """And so carries all of it, as all states of the other prompt do either way round."""
    settings = patching.Settings()
    result = patching.compute(compute_context(settings), payload(*["Black", "Asian"] * 12))
    seen = compute_context(settings)
    decoder = seen.decoder()
    from auditor.language_models.targets import target_of
    from auditor.mechanisms._shared.pairs import read_pair

    prompts = payload("Black").pairs[0]
    pair = read_pair(seen, prompts)
    runs = run_pair(decoder, target_of(seen.questions([prompts.prompts[0]])[0]), pair)
    everything = [list(range(pair.first, len(pair.base)))]
    one, other = (residual_effects(each, everything)[0] for each in halfway(runs))

    assert one - other == pytest.approx(np.full(decoder.layers + 1, runs.gap), abs=1e-5)
    assert all(
        set(pair.again.halfway[0].stream) == set(pair.effects.stream) == {"field", "between", "last"}
        for pair in result.pairs
    )


def test_few_pairs_are_patched_in_no_other_way() -> None:
    result = patching.compute(compute_context(patching.Settings()), payload("Black", "Asian"))
    assert [pair.again for pair in result.pairs] == [None, None]
    rows = [row for row in conclude(patching, [result]) if row.metric == "patch_mlp"]
    assert {row.counts["specifications_asked"] for row in rows} == {3}
    assert {row.counts["specifications"] for row in rows} == {0}


def test_every_localisation_of_patching_and_components_is_repeated() -> None:
    for module, metrics in ((patching, ("patch_stream", "patch_mlp")), (components, ("direct_share", "lens_share"))):
        result = module.compute(compute_context(module.Settings()), payload(*["Black", "Asian"] * 26))
        rows = [row for row in conclude(module, [result]) if row.metric in metrics]
        assert {row.metric for row in rows} == set(metrics)
        for row in rows:
            assert row.counts["specifications_asked"] >= 2
            assert "specifications" in row.method


def test_unstable_nodes_are_measured_and_not_concluded() -> None:
    settings = attribution_patching.Settings(top=2, sample=0.2)
    result = attribution_patching.compute(compute_context(settings), payload(*["Black", "Asian"] * 26))
    assert all(len(pair.again.turned.exact) == 2 for pair in result.pairs)
    rng = np.random.default_rng(0)
    pairs = []
    for pair in result.pairs:
        exact = pair.gap * (0.4 + rng.normal(0, 0.05, len(pair.effects.exact)))
        first, second = exact[:2]
        again = Repeats(
            turned=Effects(exact=(first, -second)),
            halfway=(Effects(exact=(first / 2, second / 2)), Effects(exact=(-first / 2, -second / 2))),
        )
        pairs.append(pair.model_copy(update={"effects": Effects(exact=exact), "again": again}))
    changed = result.model_copy(update={"pairs": tuple(pairs)})
    nodes = [row for row in conclude(attribution_patching, [changed]) if row.metric == "patch_node"]
    assert [row.conclusion for row in nodes] == [Conclusion.INCONCLUSIVE, None]
    assert "find the opposite" in str(nodes[0].conclusion_reason)
    assert "9 of 9 specifications agree" in nodes[1].method
    assert all(row.estimate is not None and row.low < row.estimate < row.high for row in nodes)
    assert not any("illustration" in row.method for row in nodes)
