"""What both views into a model offer of the stream between blocks: read it, and carry on from a changed one.

>>> view = read_decoder(model)                                                       # doctest: +SKIP
>>> past = view.prefix(tokens[:1, :90])                                              # None: nothing can be shared
>>> start = past.length if past is not None else 0
>>> stream = view.stream(tokens[:, start:], layer=12, past=past)                     # [batch, n, width]
>>> read = view.carry_on(12, stream + change, tokens=tokens[:, start:], past=past, last=ends)
>>> view.margin_of(read, target)                                                     # [batch], nats

``Decoder`` runs the blocks behind the layer and no other, behind keys and values that are shared. ``ResidualView`` runs
whole prompts and puts the stream in where it passes: dearer, and open to every family whose blocks can be hooked. Both
can be differentiated with respect to the stream they carry on from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from jaxtyping import Float, Int
from torch import Tensor

if TYPE_CHECKING:
    from auditor.language_models.kv_cache import Past
    from auditor.language_models.targets import Target


class StreamView(Protocol):
    """The stream before a block, and the model behind it.

    Attributes
    ----------
    model, layers, width
        The model, its number of blocks, the width of the stream.
    """

    model: Any
    layers: int
    width: int

    def prefix(self, tokens: Int[Tensor, "1 n"]) -> Past | None:
        """What prompts that begin with ``tokens`` share; ``None`` where every prompt runs whole."""

    def stream(
        self, tokens: Int[Tensor, "batch n"], *, layer: int, past: Past | None = None
    ) -> Float[Tensor, "batch n width"]:
        """The stream before block ``layer`` at the positions after ``past``."""

    def untouched(self, tokens: Int[Tensor, "batch n"]) -> Float[Tensor, "batch n read"]:
        """What the model makes of whole prompts into which nothing is put; to be read like what `carry_on` gives."""

    def carry_on(
        self,
        layer: int,
        stream: Float[Tensor, "batch n width"],
        *,
        tokens: Int[Tensor, "batch n"],
        past: Past | None = None,
        last: Sequence[int] | Tensor | None = None,
    ) -> Float[Tensor, "batch *n read"]:
        """What the model makes of ``stream`` in place of its own before block ``layer``.

        Parameters
        ----------
        layer, stream
            The stream, at the positions after ``past``.
        tokens
            The tokens it is the stream of.
        past
            From :meth:`prefix`.
        last
            One position of every row, counted in ``stream``, that is wanted alone; all positions by default.

        Returns
        -------
        Tensor
            To be read by :meth:`logits` and :meth:`margin_of` of the same view, and by nothing else.
        """

    def logits(self, states: Float[Tensor, "*rows read"], tokens: Sequence[int] | None = None) -> Tensor:
        """Logits [*rows, tokens] of what :meth:`carry_on` gave; all tokens by default."""

    def margin_of(self, states: Float[Tensor, "*rows read"], target: Target) -> Float[Tensor, "*rows"]:
        """The margin of what :meth:`carry_on` gave, in nats."""
