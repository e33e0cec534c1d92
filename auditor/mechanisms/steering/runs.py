"""One attribute's steering: directions from half of the applications, put into the last token of the other half.

Only the last token is changed, so only it is computed again: every prompt's keys and values up to there are computed
once, and all doses and draws are rows of one batch behind them. A model without structure is computed whole.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from auditor.exceptions import Interrupted
from auditor.language_models.decoder import Decoder
from auditor.language_models.kv_cache import Past
from auditor.language_models.residual_view import ResidualView
from auditor.language_models.sites import RESIDUAL
from auditor.language_models.targets import Target
from auditor.mechanisms._shared.concepts import Placed
from auditor.mechanisms._shared.float_rows import Numbers, numbers_of, table_of
from auditor.mechanisms._shared.randomisation import relabel, relabellings
from auditor.mechanisms._shared.residual_streams import POSITIONS_AT_ONCE, Streams, answers_of, open_rows, read_answers
from auditor.mechanisms._shared.scales import probability
from auditor.mechanisms._shared.scrubbing import design_of
from auditor.mechanisms.steering.result import WAYS, ByWay, Drawn, Point, TablesByWay, Way
from auditor.testing.context import FloatArray

ArrayByWay = Mapping[Way, FloatArray]


class Steerer:
    """Steers the prompts of some applications.

    Parameters
    ----------
    decoder
        The model.
    sets
        By application, a prompt for every group.
    target
        Where margins are read.
    depths, doses
        Layers as shares of the depth, and multiples of the distance between the groups.
    seed
        Of the draws.
    should_stop
        Asked between applications.
    labels
        Whose label every prompt bears, [applications, groups]; its own group's by default. A study of null copies
        gives labels without a meaning.
    """

    def __init__(
        self,
        decoder: Decoder | ResidualView,
        sets: Sequence[Sequence[Placed]],
        *,
        target: Target,
        depths: Sequence[float],
        doses: Sequence[float],
        seed: int,
        should_stop: Callable[[], bool] = lambda: False,
        labels: np.ndarray[Any, np.dtype[np.intp]] | None = None,
    ) -> None:
        self.decoder, self.target, self.doses, self.seed = decoder, target, tuple(doses), seed
        self.should_stop = should_stop
        self.draw = 1
        groups = len(sets[0])
        order = np.tile(np.arange(groups), (len(sets), 1)) if labels is None else labels
        # Prompt g of an application is the one that bears label g.
        self.sets = [[row[int(place)] for place in np.argsort(mine)] for row, mine in zip(sets, order, strict=True)]
        count = decoder.layers
        self.layers = sorted({min(max(1, round(depth * count)), count - 1) for depth in depths})
        self.middle = self.layers[len(self.layers) // 2]
        self.design = design_of(applications=len(sets), groups=groups)
        self.steered = self.design.measured
        self.fitted = tuple(number for number in range(len(sets)) if number not in self.steered)
        streams = open_rows(decoder, self.sets, should_stop=should_stop)
        held: dict[int, Tensor] = {}

        def look(layer: int) -> None:
            held[layer] = streams.gather(0)[1][0].view(len(sets), groups, -1)

        margins, masses = streams.through(target, layers=self.layers, visit=look, draws=1)
        self.clean: FloatArray = margins.numpy().reshape(len(sets), groups)
        self.mass = float(masses.mean())
        self.states = held
        self.streams = streams
        self.dtype = streams.streams[0].dtype

    def possible(self) -> int:
        """Relabellings there are for two groups."""
        return relabellings(applications=len(self.fitted), groups=2)

    def curve(self, pair: tuple[int, int], *, draws: int) -> Iterator[Point]:
        """Every source, target and dose for a group against the reference, with ``draws`` permutations at most.

        Draws go where a layer's direction is put back into that layer; elsewhere only the true direction does.
        """
        relabelled = relabel(
            applications=len(self.fitted), groups=2, count=min(draws, self.possible()), seed=self._seed(*pair)
        )
        # Whether a draw exchanges an application's two prompts.
        signs = np.concatenate([np.ones((1, len(self.fitted))), 1.0 - 2.0 * relabelled[:, :, 0]])
        jobs: list[tuple[int, int, Tensor]] = []
        for to in self.layers:
            lengths = torch.linalg.vector_norm(self._apart(to, pair, signs)[0])
            for source in self.layers:
                apart = self._apart(source, pair, signs if source == to else signs[:1])
                # A dose of 1 is as long as the groups are apart at the target, whatever the source; a draw keeps the
                # length that its labels give it.
                size = torch.linalg.vector_norm(apart[0])
                ways = apart * torch.where(size > 0, lengths / torch.where(size > 0, size, 1.0), 0.0)
                if source == to:
                    ways = torch.cat([ways, self._random(ways, len(relabelled), (*pair, to))])
                jobs.append((source, to, torch.stack([dose * ways for dose in self.doses])))
        # Margins and masses by job and way, [steered, doses, draws].
        found: dict[tuple[int, Way], list[tuple[FloatArray, FloatArray]]] = {}
        for number in self.steered:
            if self.should_stop():
                raise Interrupted("stopped between two applications; nothing of this chunk is kept")
            for way, column, sign in zip(WAYS, reversed(pair), (1.0, -1.0), strict=True):
                past = self._past(number, column)
                for job, (_, to, moves) in enumerate(jobs):
                    read = self._margins(number, column, to, sign * moves.flatten(0, 1), past)
                    found.setdefault((job, way), []).append(read)
        for job, (source, to, moves) in enumerate(jobs):
            tables = {
                way: [np.stack(part).reshape(-1, *moves.shape[:2]) for part in zip(*found[job, way], strict=True)]
                for way in WAYS
            }
            yield from self._points(pair, source, to, tables, moves[:, 0])

    def exchanged(self) -> Steerer:
        """The same with the halves exchanged, at the declared layer and dose alone, with draws of its own."""
        other = copy.copy(self)
        other.design = design_of(applications=len(self.sets), groups=len(self.sets[0]), swap=True)
        other.steered, other.fitted = other.design.measured, self.steered
        other.layers, other.doses, other.draw = [self.middle], (min(self.doses),), 2
        return other

    def _apart(self, layer: int, pair: tuple[int, int], signs: FloatArray) -> Tensor:
        """Difference of class means by draw, [draws, width], the true labels' first."""
        table = self.states[layer][list(self.fitted)]
        weights = torch.as_tensor(signs / len(self.fitted), dtype=table.dtype).to(table.device)
        apart: Tensor = weights @ (table[:, pair[0]] - table[:, pair[1]])
        return apart

    def _seed(self, *of: int) -> tuple[int, ...]:
        """Of the first draw that of the plan; of a further one its number too."""
        return (self.seed, *of) if self.draw == 1 else (self.seed, *of, self.draw)

    def _random(self, ways: Tensor, draws: int, seed: Sequence[int]) -> Tensor:
        """Directions drawn at random, as long as the first of ``ways``."""
        drawn = np.random.default_rng(self._seed(*seed)).standard_normal((draws, ways.shape[1]))
        random = torch.as_tensor(drawn, dtype=ways.dtype).to(ways.device)
        longs: Tensor = random * (
            torch.linalg.vector_norm(ways[0]) / torch.linalg.vector_norm(random, dim=1, keepdim=True)
        )
        return longs

    def _points(
        self, pair: tuple[int, int], source: int, to: int, tables: Mapping[Way, list[FloatArray]], moves: Tensor
    ) -> Iterator[Point]:
        rows = list(self.steered)
        before: ArrayByWay = {"towards": self.clean[rows, pair[1]], "away": self.clean[rows, pair[0]]}
        for place, dose in enumerate(self.doses):
            margins: ArrayByWay = {way: tables[way][0][:, place] for way in WAYS}
            short, movement = self._reach(pair, to, moves[place], dose=dose)
            declared = (source, to, dose) == (self.middle, self.middle, min(self.doses))
            yield Point(
                group=pair[0],
                source=source,
                target=to,
                dose=dose,
                margins=ByWay(towards=numbers_of(margins["towards"][:, 0]), away=numbers_of(margins["away"][:, 0])),
                mass=float(np.mean([tables[way][1][:, place, 0] for way in WAYS])),
                drawn=_drawn(margins, before),
                chances=_drawn(margins, before, scale=probability),
                declared=_declared(margins) if declared else None,
                short=short,
                movement=movement,
            )

    def _reach(self, pair: tuple[int, int], to: int, move: Tensor, *, dose: float) -> tuple[float, float]:
        """How far a move falls short of the distance between the groups where it was not fitted; and its size.

        A direction that does not hold on other applications, or that rounding swallows, changes nothing the model
        reads: that margins stay is then no sign that nothing can be done with the attribute.
        """
        table = self.states[to][list(self.steered)]
        apart = (table[:, pair[0]] - table[:, pair[1]]).mean(0)

        def taken(states: Tensor, by: Tensor) -> Tensor:
            rounded = states.to(self.dtype)
            return ((states + by).to(self.dtype).double() - rounded.double()).mean(0)

        moved = (taken(table[:, pair[1]], move) - taken(table[:, pair[0]], -move)) / 2
        size = float(apart.double() @ apart.double())
        rows = table.flatten(0, 1).double()
        spread = float((rows - rows.mean(0)).square().sum(1).mean().sqrt())
        reach = float(moved @ apart.double()) / (dose * size) if size > 0 else 0.0
        return max(0.0, 1.0 - reach), float(moved.norm()) / spread if spread > 0 else 0.0

    def _margins(
        self, number: int, column: int, to: int, moves: Tensor, past: Past | None
    ) -> tuple[FloatArray, FloatArray]:
        """Margins and masses of one prompt with every move added to its last token before layer ``to``."""
        tokens = self.sets[number][column].tokens
        rows = self.states[to][number, column][None] + moves
        size = max(1, POSITIONS_AT_ONCE // len(tokens))
        parts = [self._read(tokens, to, rows[first : first + size], past) for first in range(0, len(rows), size)]
        margins, masses = (np.concatenate([part[place] for part in parts]) for place in (0, 1))
        return margins, masses

    def _read(self, tokens: Sequence[int], to: int, rows: Tensor, past: Past | None) -> tuple[FloatArray, FloatArray]:
        device = self.decoder.model.device
        if isinstance(self.decoder, Decoder):
            stream = rows[:, None].to(dtype=self.dtype, device=device)
            final = self.decoder.run_from(to, stream, past=past).final[:, 0]
            margins, masses = read_answers(self.decoder, final, self.target)
        else:

            def change(states: Tensor) -> Tensor:
                changed = states.clone()
                changed[:, -1] = rows.to(dtype=states.dtype, device=states.device)
                return changed

            whole = torch.tensor([tokens]).to(device).repeat(len(rows), 1)
            run = self.decoder.run(whole, edits={(RESIDUAL, to): change})
            margins, masses = answers_of(run.final[:, -1], self.target)
        return np.asarray(margins.numpy()), np.asarray(masses.numpy())

    def _past(self, number: int, column: int) -> Past | None:
        """Keys and values of a prompt before its last token; ``None`` where the model is computed whole."""
        if not isinstance(self.streams, Streams):
            return None
        group = self.streams.groups[number]
        before = group.tokens[column : column + 1, : group.lasts[column] - group.start]
        if not before.shape[1]:
            return group.past
        return self.streams.decoder.run(before, past=group.past, keep_past=True).past


def _drawn(
    margins: ArrayByWay, before: ArrayByWay, *, scale: Callable[[FloatArray], FloatArray] = lambda values: values
) -> Drawn:
    """Mean changes by every draw.

    Parameters
    ----------
    margins
        By way, [steered, 1 + draws of permuted labels + as many random ones], the true direction first.
    before
        By way, the same applications' untouched margins.
    scale
        What is read in place of the margin.
    """
    controls: dict[str, Numbers] = {}
    random: dict[str, Numbers] = {}
    for way in WAYS:
        changes = (scale(margins[way]) - scale(before[way])[:, None]).mean(axis=0)
        cut = 1 + (len(changes) - 1) // 2
        controls[way], random[way] = numbers_of(changes[1:cut]), numbers_of(changes[cut:])
    return Drawn(controls=ByWay(**controls), random=ByWay(**random))


def _declared(margins: ArrayByWay) -> TablesByWay:
    """The margins of every draw, [draws, steered]."""
    return TablesByWay(towards=table_of(margins["towards"][:, 1:].T), away=table_of(margins["away"][:, 1:].T))
