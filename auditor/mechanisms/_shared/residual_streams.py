"""All prompts of some applications, moved through the model together, one layer at a time, in several draws at once.

What erases a concept at one layer is fitted on states from which it was erased at the layers before; so every prompt
has to stand at the same layer. The part an application's prompts share is computed once and stays as it is. Draws are
copies of all prompts, each with changes of its own: rows of one batch. A model whose blocks can be hooked but not run
one by one goes through in whole prompts, and the changes are made on the way (`HookedStreams`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from auditor.exceptions import Interrupted
from auditor.language_models.activations import pad, shared_length
from auditor.language_models.decoder import Decoder
from auditor.language_models.kv_cache import Past
from auditor.language_models.precision import in_double
from auditor.language_models.residual_view import ResidualView
from auditor.language_models.sites import RESIDUAL
from auditor.language_models.targets import Target
from auditor.mechanisms._shared.concepts import Placed

#: Positions, the shared ones counted for every row, in one forward pass of several draws.
POSITIONS_AT_ONCE = 32_768
#: Rows of logits over the whole vocabulary at once.
ROWS_AT_ONCE = 128
Visit = Callable[[int], None]
"""What is done before a layer: it looks at states with `gather` and changes them with `scatter`."""


@dataclass(frozen=True)
class Group:
    """The prompts of one application from ``start`` on, and the keys and values before."""

    tokens: Tensor
    past: Past | None
    start: int
    lasts: tuple[int, ...]
    firsts: tuple[int, ...]
    ends: tuple[int, ...]


class Rows(ABC):
    """What erasure needs of prompts that stand at the same layer.

    Attributes
    ----------
    groups
        The prompts of every application.
    rows
        Prompts, in order.
    draws
        Copies of all prompts that are moved together.
    streams
        The stream of every application: [draws · prompts, n, width], draw by draw.
    """

    decoder: Decoder | ResidualView
    groups: list[Group]
    rows: int
    draws: int
    streams: list[Tensor]

    @property
    def layers(self) -> int:
        """Blocks of the model."""
        return self.decoder.layers

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return torch.device(self.decoder.model.device)

    @abstractmethod
    def at_once(self) -> int:
        """Draws that fit into one forward pass."""

    @abstractmethod
    def through(
        self, target: Target, *, layers: Collection[int], visit: Visit, draws: int, read: Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Move all prompts through the model, with changes on the way.

        Parameters
        ----------
        target
            Where margins are read.
        layers
            Layers before which ``visit`` is called.
        visit
            What is done there; told the layer.
        draws
            Copies of all prompts.
        read
            Applications whose margins are wanted; all by default. The others stop at the last of ``layers``.

        Returns
        -------
        tuple
            Margins in nats and the probability on the answers' first tokens, [draws, rows of ``read``].
        """

    def reach(self, *, after: bool = False) -> int:
        """Positions counted back from the last that any prompt has at (or ``after``) its field."""
        return max(
            last - start + 1 for group in self.groups for last, start in zip(*self._ends_of(group, after), strict=True)
        )

    def gather(self, back: int, *, after: bool = False) -> tuple[list[int], Tensor]:
        """Rows that have a position ``back`` before their last at (or ``after``) the field, and their states there.

        The states are float64, [draws, those rows, width], on the model's device where that knows float64.
        """
        rows, states = [], []
        for group, stream in zip(self._places(back, after), self.streams, strict=True):
            if group:
                index, positions = self._indices(group)
                states.append(self._apart(stream)[:, index, positions])
                rows += [row for row, _, _ in group]
        return rows, in_double(torch.cat(states, dim=1))

    def scatter(self, back: int, states: Tensor, *, after: bool = False) -> None:
        """Put states back where `gather` took them."""
        first = 0
        for group, stream in zip(self._places(back, after), self.streams, strict=True):
            if group:
                index, positions = self._indices(group)
                values = states[:, first : first + len(group)].to(dtype=stream.dtype, device=stream.device)
                self._apart(stream)[:, index, positions] = values
                first += len(group)

    def _apart(self, stream: Tensor) -> Tensor:
        return stream.view(self.draws, -1, *stream.shape[1:])

    def _indices(self, group: Sequence[tuple[int, int, int]]) -> tuple[Tensor, Tensor]:
        index = torch.tensor([(row, position) for _, row, position in group]).to(self.device)
        return index[:, 0], index[:, 1]

    @staticmethod
    def _ends_of(group: Group, after: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The last position of every prompt, and the first that is looked at: a field at the end has none after it."""
        if not after:
            return group.lasts, group.firsts
        return group.lasts, tuple(min(end + 1, last) for end, last in zip(group.ends, group.lasts, strict=True))

    def _places(self, back: int, after: bool) -> list[list[tuple[int, int, int]]]:
        """By application (row, prompt of the application, position in its stream) of those that reach that far back."""
        places = []
        row = 0
        for group in self.groups:
            mine = []
            for index, (last, first) in enumerate(zip(*self._ends_of(group, after), strict=True)):
                if last - back >= first:
                    mine.append((row, index, last - back - group.start))
                row += 1
            places.append(mine)
        return places


class Streams(Rows):
    """The stream of every prompt, at one layer; every prompt goes from block to block.

    Parameters
    ----------
    decoder
        The model, with structure.
    groups
        The prompts of every application, placed; their common part before the first token of the field is shared.
    should_stop
        Asked between applications.
    """

    decoder: Decoder

    def __init__(
        self, decoder: Decoder, groups: Sequence[Sequence[Placed]], *, should_stop: Callable[[], bool] = lambda: False
    ) -> None:
        self.decoder = decoder
        self.should_stop = should_stop
        self.groups = [self._group(placed) for placed in groups]
        self.rows = sum(len(group.lasts) for group in self.groups)
        self.draws = 1
        self.streams = []
        self._kept: dict[int, list[Tensor]] = {}

    def at_once(self) -> int:
        """As many as keep the longest application within ``POSITIONS_AT_ONCE``."""
        most = max(len(group.lasts) * (group.start + group.tokens.shape[1]) for group in self.groups)
        return max(1, POSITIONS_AT_ONCE // most)

    def begin(self, layer: int = 0, *, draws: int = 1) -> int:
        """Go to the embedding, or to the last layer up to ``layer`` where the streams were kept; say which."""
        self.draws = draws
        start = max((kept for kept in self._kept if kept <= layer), default=0)
        if start in self._kept:
            whole = self._kept[start]
        else:
            whole = [self.decoder.embed(group.tokens, start=group.start) for group in self.groups]
        self.streams = [stream.repeat(draws, 1, 1) for stream in whole]
        return start

    def keep(self, layer: int) -> None:
        """Keep the streams as they stand before ``layer``, for `begin`."""
        if self.draws != 1:
            raise ValueError(f"streams are kept as the model makes them, not in {self.draws} draws")
        self._kept[layer] = [stream.clone() for stream in self.streams]

    def advance(self, layer: int, *, stop: int | None = None, only: Collection[int] | None = None) -> None:
        """Go through one block, or through all before ``stop``; ``only`` some applications move."""
        moved = []
        for number, (group, stream) in enumerate(zip(self.groups, self.streams, strict=True)):
            if only is not None and number not in only:
                moved.append(stream)
                continue
            if self.should_stop():
                raise Interrupted("stopped between two applications; nothing of this chunk is kept")
            moved.append(self.decoder.run_from(layer, stream, past=group.past, stop=stop or layer + 1).final)
        self.streams = moved

    def through(
        self, target: Target, *, layers: Collection[int], visit: Visit, draws: int, read: Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Block by block, from the last layer that was kept."""
        start = self.begin(min(layers, default=0), draws=draws)
        end = max(layers, default=start)
        stop = start
        for layer in sorted(layers):
            if layer > stop:
                self.advance(stop, stop=layer)
            visit(layer)
            stop = layer
        if self.layers > end:
            self.advance(end, stop=self.layers, only=read)
        return self.margins(target, read=read)

    def margins(self, target: Target, *, read: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
        """Margin of every row in nats, and the probability on the answers' first tokens; after the last block.

        Both are float64 on the CPU, [draws, rows of the applications in ``read``].
        """
        wanted = range(len(self.groups)) if read is None else read
        final = torch.cat(
            [
                self._apart(self.streams[number])[
                    :,
                    torch.arange(len(group.lasts), device=self.device),
                    torch.tensor(group.lasts).to(self.device) - group.start,
                ]
                for number in wanted
                for group in (self.groups[number],)
            ],
            dim=1,
        )
        flat = final.flatten(0, 1)
        margins, masses = read_answers(self.decoder, flat, target)
        return margins.view(final.shape[:2]), masses.view(final.shape[:2])

    def _group(self, placed: Sequence[Placed]) -> Group:
        if self.should_stop():
            raise Interrupted("stopped between two applications; nothing of this chunk is kept")
        sequences = [each.tokens for each in placed]
        start = min(shared_length(sequences) if len(placed) > 1 else len(sequences[0]), *(e.first for e in placed))
        tokens = pad(sequences).to(self.decoder.model.device)
        past = self.decoder.run(tokens[:1, :start], keep_past=True).past if start else None
        lasts, firsts = tuple(each.last for each in placed), tuple(each.first for each in placed)
        return Group(tokens[:, start:], past, start, lasts, firsts, tuple(each.end for each in placed))


class HookedStreams(Rows):
    """Prompts of a model without structure: all of them whole, in one forward pass, changed as they pass a block."""

    decoder: ResidualView

    def __init__(
        self,
        decoder: ResidualView,
        groups: Sequence[Sequence[Placed]],
        *,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.decoder = decoder
        self.should_stop = should_stop
        self.tokens = pad([each.tokens for placed in groups for each in placed]).to(decoder.model.device)
        self.groups = [_whole(placed) for placed in groups]
        self.rows = len(self.tokens)
        self.draws = 1
        self.streams = []

    def at_once(self) -> int:
        """As many as keep all prompts within ``POSITIONS_AT_ONCE``."""
        return max(1, POSITIONS_AT_ONCE // self.tokens.numel())

    def through(
        self, target: Target, *, layers: Collection[int], visit: Visit, draws: int, read: Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """In one forward pass."""
        if self.should_stop():
            raise Interrupted("stopped between two forward passes; nothing of this chunk is kept")
        self.draws = draws
        sizes = [len(group.lasts) for group in self.groups]

        def edit(layer: int) -> Callable[[Tensor], Tensor]:
            def change(states: Tensor) -> Tensor:
                parts = states.view(draws, self.rows, *states.shape[1:]).split(sizes, dim=1)  # type: ignore[no-untyped-call]
                self.streams = [part.reshape(-1, *states.shape[1:]).clone() for part in parts]
                visit(layer)
                return torch.cat([self._apart(stream) for stream in self.streams], dim=1).view_as(states)

            return change

        run = self.decoder.run(
            self.tokens.repeat(draws, 1), edits={(RESIDUAL, layer): edit(layer) for layer in sorted(layers)}
        )
        wanted = set(range(len(self.groups)) if read is None else read)
        owners = [number for number, size in enumerate(sizes) for _ in range(size)]
        lasts = [last for group in self.groups for last in group.lasts]
        rows = torch.tensor([row for row, owner in enumerate(owners) if owner in wanted]).to(self.device)
        ends = torch.tensor([last for last, owner in zip(lasts, owners, strict=True) if owner in wanted])
        logits = run.final.view(draws, self.rows, *run.final.shape[1:])[:, rows, ends.to(self.device)]
        margins, masses = answers_of(logits.flatten(0, 1), target)
        return margins.view(draws, -1), masses.view(draws, -1)


def open_rows(
    decoder: Decoder | ResidualView, groups: Sequence[Sequence[Placed]], *, should_stop: Callable[[], bool]
) -> Streams | HookedStreams:
    """Prompts to be moved through a model, block by block where it has structure."""
    if isinstance(decoder, Decoder):
        return Streams(decoder, groups, should_stop=should_stop)
    return HookedStreams(decoder, groups, should_stop=should_stop)


def read_answers(decoder: Decoder, final: Tensor, target: Target) -> tuple[Tensor, Tensor]:
    """Margins in nats and the probability on the answers, float64 on the CPU, of states after the last block."""
    margins, masses = [], []
    for start in range(0, len(final), ROWS_AT_ONCE):
        part = final[start : start + ROWS_AT_ONCE]
        margins.append(in_double(decoder.margin_of(part, target)).cpu())
        masses.append(answers_of(decoder.logits(part), target)[1])
    return torch.cat(margins), torch.cat(masses)


def answers_of(logits: Tensor, target: Target) -> tuple[Tensor, Tensor]:
    """Margins in nats and the probability on the answers, float64 on the CPU, of logits [rows, vocabulary]."""
    tokens = list(target.favourable + target.adverse)
    cut = len(target.favourable)
    # Only what is said of the answers leaves the device.
    answers = in_double(logits).log_softmax(-1)[:, tokens].cpu()
    return answers[:, :cut].logsumexp(-1) - answers[:, cut:].logsumexp(-1), answers.logsumexp(-1).exp()


def _whole(placed: Sequence[Placed]) -> Group:
    """An application of which nothing is shared."""
    nothing = torch.empty(0, dtype=torch.long)
    lasts, firsts = tuple(each.last for each in placed), tuple(each.first for each in placed)
    return Group(nothing, None, 0, lasts, firsts, tuple(each.end for each in placed))
