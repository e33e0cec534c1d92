"""The stream between blocks of a model of any family, through hooks: what tests need that ask for no structure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from auditor.exceptions import ScoringError
from auditor.language_models.positions import forget_lengths
from auditor.language_models.sites import RESIDUAL

if TYPE_CHECKING:
    from auditor.language_models.kv_cache import Past
    from auditor.language_models.targets import Target

#: Tokens of the prompt by which is seen whether hooks reach the stream.
PROBED = 12


@dataclass(frozen=True)
class HookedRun:
    """What a run gives: logits, of all positions or of one a row, and the captured stream by site."""

    final: Float[Tensor, "batch *n vocabulary"]
    states: Mapping[tuple[str, int], Tensor]
    start: int = 0


class ResidualView:
    """Capture and change the stream before each block; whole prompts only, no heads, no MLPs, no shared prefix.

    Attributes
    ----------
    reason
        Why the model has no fuller view.
    layers, width
        Number of blocks, width of the stream.
    """

    structured = False
    heads = None

    def __init__(self, model: Any, *, reason: str) -> None:
        self.model = model
        self.reason = reason
        config = model.config.get_text_config()
        count = int(config.num_hidden_layers)
        lists = _lists(model, count)
        if len(lists) > 1:
            # A tower that reads pictures can be as deep as the text's.
            lists = _lists(model.get_decoder(), count)
        if len(lists) != 1:
            raise ScoringError(f"the blocks of {type(model).__name__} cannot be told apart from its other parts")
        self.blocks = lists[0]
        self.layers = count
        self.width = int(config.hidden_size)

    def run(
        self,
        tokens: Int[Tensor, "batch n"],
        *,
        capture: Collection[tuple[str, int]] = (),
        edits: Mapping[tuple[str, int], Callable[[Tensor], Tensor]] | None = None,
        last: Sequence[int] | Tensor | None = None,
    ) -> HookedRun:
        """Run whole prompts; sites are ``(RESIDUAL, layer)``, layer ``layers`` for the stream after the last block.

        With ``last``, one position of every row, ``final`` is [batch, vocabulary] there, and the head, which is most of
        a small model, reads no other.
        """
        changes = dict(edits or {})
        states: dict[tuple[str, int], Tensor] = {}
        for node, layer in [*capture, *changes]:
            if node != RESIDUAL or not 0 <= layer <= self.layers:
                raise ScoringError(f"the site {node} of layer {layer} needs the structure of the model: {self.reason}")

        def visit(layer: int, value: Tensor) -> Tensor:
            site = (RESIDUAL, layer)
            if site in changes:
                value = changes[site](value)
            if site in capture:
                # A block may add to its input in place.
                states[site] = value.clone()
            return value

        def before(layer: int) -> Callable[..., Any]:
            def hook(_: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
                if arguments:
                    return (visit(layer, arguments[0]), *arguments[1:]), named
                return arguments, {**named, "hidden_states": visit(layer, named["hidden_states"])}

            return hook

        def after(_: Any, __: Any, output: Any) -> Any:
            if isinstance(output, tuple):
                return (visit(self.layers, output[0]), *output[1:])
            return visit(self.layers, output)

        handles = [
            block.register_forward_pre_hook(before(layer), with_kwargs=True) for layer, block in enumerate(self.blocks)
        ]
        handles.append(self.blocks[-1].register_forward_hook(after))
        rows = torch.arange(len(tokens), device=self.model.device)
        ends = None if last is None else torch.as_tensor(last, device=self.model.device)
        head = self.model.get_output_embeddings()
        if ends is not None and head is not None:

            def only(_: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
                if not arguments or arguments[0].shape[:2] != tokens.shape:
                    return arguments
                return (arguments[0][rows, ends][:, None], *arguments[1:])

            handles.append(head.register_forward_pre_hook(only))
        forget_lengths(self.model)
        try:
            logits = self.model(input_ids=tokens.to(self.model.device), use_cache=False).logits
        finally:
            for handle in handles:
                handle.remove()
        for site in capture:
            if site not in states or states[site].shape[:2] != tokens.shape:
                raise ScoringError(
                    f"the stream at layer {site[1]} of {type(self.model).__name__} was seen in part only"
                )
        if ends is not None:
            # A head that is no module of its own reads every position.
            logits = logits[:, 0] if logits.shape[1] == 1 else logits[rows, ends]
        return HookedRun(logits, states)

    def prefix(self, tokens: Int[Tensor, "1 n"]) -> None:
        """Nothing: what a family carries over from a prefix is not known, so prompts run whole."""

    def stream(
        self, tokens: Int[Tensor, "batch n"], *, layer: int, past: Past | None = None
    ) -> Float[Tensor, "batch n width"]:
        """The stream before block ``layer``, see ``StreamView``."""
        _whole(past)
        site = (RESIDUAL, layer)
        return self.run(tokens, capture=[site], last=[0] * len(tokens)).states[site]

    def untouched(self, tokens: Int[Tensor, "batch n"]) -> Float[Tensor, "batch n vocabulary"]:
        """Logits of whole prompts, see ``StreamView``."""
        return self.run(tokens).final

    def carry_on(
        self,
        layer: int,
        stream: Float[Tensor, "batch n width"],
        *,
        tokens: Int[Tensor, "batch n"],
        past: Past | None = None,
        last: Sequence[int] | Tensor | None = None,
    ) -> Float[Tensor, "batch *n vocabulary"]:
        """Logits with the stream put in as it passes, see ``StreamView``."""
        _whole(past)

        def put(states: Tensor) -> Tensor:
            if states.shape != stream.shape:
                raise ScoringError(
                    f"a stream of shape {list(states.shape)} was read where one of shape {list(stream.shape)} is put in"
                )
            # A copy: a block may add to its input in place, and none may write into what is differentiated.
            return stream.to(states).clone()

        return self.run(tokens, edits={(RESIDUAL, layer): put}, last=last).final

    def logits(self, states: Float[Tensor, "*rows vocabulary"], tokens: Sequence[int] | None = None) -> Tensor:
        """Logits of what `carry_on` gave: they are that already."""
        return states if tokens is None else states[..., list(tokens)]

    def margin_of(self, states: Float[Tensor, "*rows vocabulary"], target: Target) -> Float[Tensor, "*rows"]:
        """The margin of logits, in nats."""
        favourable = torch.logsumexp(states[..., list(target.favourable)], -1)
        return favourable - torch.logsumexp(states[..., list(target.adverse)], -1)

    def margins(self, run: HookedRun, target: Target, *, last: Sequence[int] | Tensor | None = None) -> Tensor:
        """The margin of every row, in nats (see ``Decoder.margins``)."""
        rows = torch.arange(run.final.shape[0], device=run.final.device)
        index = torch.full_like(rows, run.final.shape[1] - 1) if last is None else torch.as_tensor(last)
        return self.margin_of(run.final[rows, index], target)


def unseen_stream(model: Any) -> str | None:
    """Why the stream between blocks cannot be read and changed through hooks; ``None`` where it can.

    Some models carry several copies of a stream (Gemma 3n), one without a batch, or have no list of blocks. What is
    read of such a model, or written into it, would be something else than what the tests on internals speak of.
    """
    size = min(PROBED, int(model.config.get_text_config().vocab_size))
    tokens = torch.arange(size, device=model.device)[None]
    try:
        view = ResidualView(model, reason="")
        sites = [(RESIDUAL, layer) for layer in range(view.layers + 1)]
        with torch.inference_mode():
            plain = view.run(tokens, capture=sites)
            for site in (sites[0], sites[view.layers // 2], sites[-1]):
                if plain.states[site].shape != (1, size, view.width):
                    return f"the stream at layer {site[1]} of {type(model).__name__} is not {view.width} wide"
                moved = view.run(tokens, edits={site: torch.zeros_like})
                if torch.equal(moved.final, plain.final):
                    return f"what is changed at layer {site[1]} of {type(model).__name__} does not reach its answers"
    except ScoringError as error:
        return str(error)
    except (TypeError, ValueError, RuntimeError, IndexError, KeyError, AttributeError) as error:
        # Any model may be handed in; what it raises on an unusual call is its answer.
        return f"the stream of {type(model).__name__} cannot be read: {error}"[:300]
    return None


def _whole(past: Past | None) -> None:
    if past is not None:
        raise ScoringError("prompts run whole here; expected no keys and values of a prefix")


def _lists(model: nn.Module, count: int) -> list[nn.ModuleList]:
    """Lists of ``count`` modules that stand in no other list: experts or norms of a block can be as many as blocks."""
    found = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    inner = {id(each) for module in found for each in module.modules() if each is not module}
    return [module for module in found if len(module) == count and id(module) not in inner]
