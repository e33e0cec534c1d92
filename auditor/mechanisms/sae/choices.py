"""Which features to look at, what to compare them with, and what taking them out adds to the states.

Everything here is fitted on the applications that choose. A feature's share of the difference of two groups' margins is
Σ over positions of (f of the group − f of the reference) · (W · mean gradient on the line between the two states);
coordinates of the stream and principal components are ranked by the same rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import t as student
from torch import Tensor

from auditor.language_models.precision import in_double
from auditor.mechanisms.sae.dictionary import Dictionary
from auditor.mechanisms.sae.windows import FeatureWindow
from auditor.statistics.multiplicity import benjamini_hochberg
from auditor.testing.context import FloatArray

FEATURES, RANDOM, COORDINATES, COMPONENTS, MEANS = (
    "features",
    "random features",
    "coordinates",
    "principal components",
    "mean difference",
)
STEER = "steer "
PCA_ROWS = 2048
NEAREST = 4
"""Random features are drawn from so many times as many as are needed, the nearest in frequency and norm."""


@dataclass
class Seen:
    """Sums over the applications that choose.

    Attributes
    ----------
    states
        By application: [groups, depth, width].
    there
        By application: [groups, depth].
    activations, active
        Sums of activations [groups, depth, latents], and on how many positions each latent acts [groups, latents].
    feature_scores
        Shares of the difference to the reference, summed: [groups, latents].
    slopes
        Mean gradients between the reference and each group, by application: [groups, depth, width].
    """

    reference: int
    states: list[Tensor] = field(default_factory=list)
    there: list[Tensor] = field(default_factory=list)
    slopes: list[Tensor] = field(default_factory=list)
    activations: Tensor = field(default_factory=lambda: torch.zeros(()))
    active: Tensor = field(default_factory=lambda: torch.zeros(()))
    feature_scores: Tensor = field(default_factory=lambda: torch.zeros(()))

    def add(self, window: FeatureWindow, activations: Tensor, slopes: Tensor, decoder: Tensor) -> None:
        """Take up one application."""
        self.states.append(window.states)
        self.there.append(window.there)
        self.slopes.append(slopes)
        self.activations = self.activations + in_double(activations)
        self.active = self.active + in_double((activations > 0).sum(1))
        along = (slopes.flatten(0, 1).to(decoder) @ decoder.t()).reshape(activations.shape)
        change = activations - activations[self.reference]
        self.feature_scores = self.feature_scores + in_double((change * along).sum(1))

    def mean_states(self, groups: Sequence[int]) -> Float[Tensor, "depth width"]:
        """Mean state at every position, over the prompts of some groups that have it; 0 where none has."""
        states, there = (torch.stack(each)[:, list(groups)] for each in (self.states, self.there))
        return in_double(states).sum((0, 1)) / in_double(there).sum((0, 1)).clamp(min=1)[:, None]


@dataclass(frozen=True)
class Chosen:
    """What is taken out, or put in, for one contrast: ``pair`` is (group, reference), by number.

    ``centre`` [depth, width] is the mean state of both groups, ``apart`` their difference.
    """

    pair: tuple[int, int]
    features: list[int]
    random: list[list[int]]
    coordinates: Float[Tensor, "count width"]
    components: Float[Tensor, "count width"]
    centre: Float[Tensor, "depth width"]
    apart: Float[Tensor, "depth width"]

    def changes(
        self,
        states: Float[Tensor, "groups depth width"],
        activations: Float[Tensor, "groups depth latents"],
        dictionary: Dictionary,
    ) -> Iterator[tuple[str, int, Float[Tensor, "depth width"]]]:
        """Name, group, and what is added to that group's states: every name for the reference, then for the group.

        Taking out: features to 0, directions to the mean of both groups. Steering: features to what they are in the
        other group's prompt of the same application; the mean difference of the groups.
        """
        rows = dictionary.autoencoder.decoder.to(activations)
        group, reference = self.pair
        for number, other, sign in ((reference, group, 1.0), (group, reference, -1.0)):
            rise = activations[other] - activations[number]
            mine, away = activations[number], states[number] - self.centre.to(states)
            for each in self.features:
                yield f"feature {each}", number, -mine[:, [each]] * rows[each]
            yield FEATURES, number, -mine[:, self.features] @ rows[self.features]
            for name, basis in ((COORDINATES, self.coordinates), (COMPONENTS, self.components)):
                yield name, number, -(away @ basis.t().to(away)) @ basis.to(away)
            unit = torch.nn.functional.normalize(self.apart, dim=1).to(away)
            yield MEANS, number, -(away * unit).sum(1, keepdim=True) * unit
            yield STEER + FEATURES, number, rise[:, self.features] @ rows[self.features]
            yield STEER + MEANS, number, sign * self.apart.to(mine)

    def controls(
        self, activations: Float[Tensor, "groups depth latents"], dictionary: Dictionary, draws: range
    ) -> Iterator[tuple[str, int, Float[Tensor, "depth width"]]]:
        """The same with drawn features in place of the chosen ones, moving the states as far.

        Taken out in both groups; put in, by as much as the chosen ones rise, in the reference's prompt alone.
        """
        rows = dictionary.autoencoder.decoder.to(activations)
        group, reference = self.pair
        rise = (activations[group] - activations[reference])[:, self.features]
        put = rise @ rows[self.features]
        taken = {number: activations[number][:, self.features] @ rows[self.features] for number in self.pair}
        for draw in draws:
            drawn = self.random[draw]
            for number in (reference, group):
                mine = activations[number][:, drawn] @ rows[drawn]
                yield f"{RANDOM} {draw + 1}", number, -_as_long(mine, taken[number])
            other = rise[:, : len(drawn)] @ rows[drawn]
            yield f"{STEER}{RANDOM} {draw + 1}", reference, _as_long(other, put)


def _as_long(change: Tensor, wanted: Tensor) -> Tensor:
    """A change at the length of another, all positions together; one of no length stays."""
    own = change.norm()
    return change * (wanted.norm() / own) if float(own) > 0 else change


def choose(seen: Seen, dictionary: Dictionary, *, pair: tuple[int, int], count: int, draws: int, seed: int) -> Chosen:
    """Choose up to ``count`` features of one contrast, and as many of every baseline.

    Parameters
    ----------
    seen
        The applications that choose.
    dictionary
        The features.
    pair
        Group and reference.
    count, draws
        Features, and draws of random ones.
    seed
        Of the draws.
    """
    group, reference = pair
    generator = torch.Generator().manual_seed((seed * 1009 + group) % 2**31)
    scores = seen.feature_scores[group].abs()
    features = _largest(scores, count)
    both_have = torch.stack(seen.there)[:, list(pair)].any(0).all(0)[:, None]
    apart = (seen.mean_states([group]) - seen.mean_states([reference])) * both_have
    everything = in_double(torch.cat([states[there] for states, there in zip(seen.states, seen.there, strict=True)]))
    step = -(-len(everything) // PCA_ROWS)
    part = everything[::step]
    components = torch.linalg.svd(part - part.mean(0), full_matrices=False).Vh
    random = [_matched(seen, dictionary, pair, features, generator) for _ in range(draws if features else 0)]
    size = max(1, len(features))
    return Chosen(
        pair=pair,
        features=features,
        random=random,
        coordinates=_ranked(seen, pair, None, size),
        components=_ranked(seen, pair, components, size),
        centre=seen.mean_states(pair),
        apart=apart,
    )


@dataclass(frozen=True)
class Activity:
    """A feature's change of activity by application, and the shares of applications it acts in."""

    feature: int
    change: tuple[float, ...]
    acting: float
    acting_reference: float


@dataclass(frozen=True)
class Differences:
    """How many features act at all, how many differ between the groups, and the chosen ones one by one."""

    tested: int
    differing: int
    chosen: tuple[Activity, ...]


def differences(activity: FloatArray, chosen: Chosen, *, q: float) -> Differences:
    """Which features' activity differs between the two groups, by paired t tests of all features that act at all.

    Parameters
    ----------
    activity
        Activations summed over positions, [applications, groups, latents].
    chosen
        The contrast and the features that are reported.
    q
        False discovery rate (Benjamini and Hochberg over all that act).
    """
    group, reference = chosen.pair
    change = activity[:, group] - activity[:, reference]
    acting = (activity[:, [group, reference]] > 0).any(axis=(0, 1))
    n = len(change)
    rounding = 1e-5 * float(activity.max(initial=0.0))
    moved = change[:, acting]
    moved = moved[:, np.abs(moved).max(axis=0, initial=0.0) > rounding]
    p_values = np.ones(int(acting.sum()))
    if n > 1 and moved.size:
        means, errors = moved.mean(axis=0), moved.std(axis=0, ddof=1) / np.sqrt(n)
        ratio = np.divide(np.abs(means), errors, out=np.full_like(means, np.inf), where=errors > 0)
        p_values[: len(ratio)] = 2 * student.sf(ratio, n - 1)
    adjusted = benjamini_hochberg(p_values.tolist())
    return Differences(
        tested=int(acting.sum()),
        differing=sum(value is not None and value <= q for value in adjusted),
        chosen=tuple(
            Activity(
                feature=each,
                change=tuple(change[:, each].tolist()),
                acting=float((activity[:, group, each] > 0).mean()),
                acting_reference=float((activity[:, reference, each] > 0).mean()),
            )
            for each in chosen.features
        ),
    )


def _ranked(seen: Seen, pair: tuple[int, int], basis: Tensor | None, count: int) -> Float[Tensor, "count width"]:
    """The directions of ``basis`` (``None``: the coordinates) with most of the margin's difference to first order."""
    group, reference = pair

    def along(states: Tensor) -> Tensor:
        return in_double(states) if basis is None else in_double(states) @ basis.t()

    changes = [along(states[group] - states[reference]) for states in seen.states]
    slopes = [along(each[group]) for each in seen.slopes]
    total = sum((change * slope).sum(0) for change, slope in zip(changes, slopes, strict=True))
    best = _largest(torch.as_tensor(total).abs(), count)
    if basis is not None:
        return basis[best]
    return torch.nn.functional.one_hot(torch.tensor(best, dtype=torch.int64), seen.states[0].shape[-1]).double()


def _largest(scores: Tensor, count: int) -> list[int]:
    """The largest scores above 0, largest first; ties by number, so that the choice is the same everywhere."""
    order = torch.sort(scores, descending=True, stable=True).indices[:count]
    return [int(each) for each in order if scores[each] > 0]


def _matched(
    seen: Seen, dictionary: Dictionary, pair: tuple[int, int], features: list[int], generator: torch.Generator
) -> list[int]:
    """For every chosen feature another that acts about as often and as strongly in these prompts."""
    active = seen.active[list(pair)].sum(0)
    norms = in_double(dictionary.autoencoder.decoder.norm(dim=1))
    strength = seen.activations[list(pair)].sum((0, 1)) * norms / active.clamp(min=1)
    free = active > 0
    free[features] = False
    found: list[int] = []
    for each in features:
        candidates = free.nonzero()[:, 0]
        if not len(candidates):
            break
        apart = (active[candidates] / active[each]).log().abs() + (strength[candidates] / strength[each]).log().abs()
        near = candidates[torch.sort(apart, stable=True).indices[:NEAREST]]
        drawn = int(near[int(torch.randint(len(near), (1,), generator=generator))])
        free[drawn] = False
        found.append(drawn)
    return found
