"""Last token: how much of a group's difference in margin its residual stream holds where the decision is read.

A test on internals in one module. Pages and reports load it for its card, in processes that have no torch: what needs
torch is imported where a chunk is computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field
from scipy.stats import t as student

from auditor import Measurement, Role
from auditor.plan_section import Section
from auditor.records import Check

# The contract of a test, and of the rows of one on internals.
from auditor.testing.card import Card, Metric
from auditor.testing.chunks import ChunkSpec, PlanContext
from auditor.testing.context import Context
from auditor.testing.factory import made
from auditor.testing.rows import Row
from auditor.testing.unadjusted import UnadjustedMeasurement

if TYPE_CHECKING:
    from auditor.mechanisms._shared.compute import ComputeContext

METRIC = "last_token_moved"
FEWEST = 24

CARD = Card(
    name="last_token",
    purpose="How much of a group's difference in margin stands in the residual stream of the last token.",
    method=(
        "Interchange intervention: the reference's prompt runs with the group's residual stream put in before one "
        "block, at the last token alone. Mean over applications of what the margin moves by, with Student's interval."
    ),
    worrying="It moves by most of the difference: by that block the group has reached the place decisions are read.",
    limitations="One block and one position; what other tokens hold and pass on later is not seen.",
    needs_internals=True,
    question="where",
    label="Last token",
    metrics=(Metric(METRIC, "Margin moved by the last token's residual stream", "logit"),),
    references=("Vig et al. (2020), Investigating gender bias in language models using causal mediation analysis",),
)


class Settings(Section):
    """``applications`` that are read, and the block, as a share of the model's ``depth``."""

    applications: Annotated[int, Field(ge=1)] = 48
    depth: Annotated[float, Field(ge=0, lt=1)] = 0.5


class Payload(Row):
    """One attribute, and the words of some applications by field."""

    field: str
    groups: tuple[str, ...]
    reference: str
    words: tuple[dict[str, str], ...]


class Pair(Row):
    """One application as the reference and as the group, in nats.

    Attributes
    ----------
    group
        The group.
    gap
        Its margin minus the reference's.
    moved
        By how much the reference's margin moves with the group's stream put in.
    itself
        The same with the reference's own stream put in: 0, up to rounding.
    """

    group: str
    gap: float
    moved: float
    itself: float


class Moved(Row):
    """What was found before block ``layer``; ``rounding`` may move a margin by so many nats."""

    part: Literal["moved"] = "moved"
    field: str
    reference: str
    layer: int
    rounding: float
    pairs: tuple[Pair, ...]


class NotMoved(Row):
    """Why no margin can be read from one position."""

    part: Literal["not moved"] = "not moved"
    field: str
    groups: tuple[str, ...]
    reference: str
    reason: str


Result = Annotated[Moved | NotMoved, Field(discriminator="part")]


def plan_chunks(asked: PlanContext) -> Iterable[ChunkSpec]:
    """One chunk an attribute."""
    clusters = asked.clusters[: asked.settings.applications]
    for attribute in asked.plan.attributes:
        words = ({name: asked.words[each.application.id][name] for name in asked.fields} for each in clusters)
        payload = Payload(
            field=attribute.field, groups=attribute.groups, reference=attribute.reference, words=tuple(words)
        )
        prompts = len(clusters) * len(attribute.groups)
        tokens = 3 * prompts * asked.count_tokens(clusters[0].cases[0].prompt)
        yield ChunkSpec(prompts=prompts, tokens=tokens, payload=payload)


def compute(context: ComputeContext, payload: Payload) -> Moved | NotMoved:
    """Every application as the reference and as each group; the same numbers whenever it is asked."""
    import torch

    from auditor.exceptions import Interrupted
    from auditor.language_models.answers import encode
    from auditor.language_models.not_applicable import NotApplicable
    from auditor.language_models.targets import target_of

    field, reference = payload.field, payload.reference
    first = context.render({**payload.words[0], field: reference}).text
    target = target_of(context.questions([first])[0])
    if isinstance(target, NotApplicable):
        return NotMoved(field=field, groups=payload.groups, reference=reference, reason=target.reason)
    view = context.decoder()
    layer = min(round(context.settings.depth * view.layers), view.layers - 1)

    def read(words: dict[str, str], group: str) -> tuple[Any, Any, float]:
        """Tokens, the stream before the block, and the margin, of one prompt."""
        text = context.render({**words, field: group}).text
        ids = encode(context.loaded.tokenizer, [text], chat=context.plan.prompt.form == "chat")[0].ids
        tokens = torch.tensor([ids]).to(view.model.device)
        return tokens, view.stream(tokens, layer=layer), float(view.margin_of(view.untouched(tokens)[:, -1], target))

    pairs = []
    with torch.inference_mode():
        for words in payload.words:
            if context.should_stop():
                raise Interrupted("stopped between two applications; nothing of this chunk is kept")
            tokens, stream, margin = read(words, reference)

            def with_last(last: Any, tokens: Any = tokens, stream: Any = stream) -> float:
                """The reference's margin with a stream put in at its last token."""
                changed = torch.cat([stream[:, :-1], last], dim=1)
                return float(view.margin_of(view.carry_on(layer, changed, tokens=tokens)[:, -1], target))

            itself = with_last(stream[:, -1:]) - margin
            for group in payload.groups:
                if group != reference:
                    _, other, there = read(words, group)
                    moved = with_last(other[:, -1:]) - margin
                    pairs.append(Pair(group=group, gap=there - margin, moved=moved, itself=itself))
    rounding = context.noise(first).bound
    return Moved(field=field, reference=reference, layer=layer, rounding=rounding, pairs=tuple(pairs))


def measure(context: Context, results: Sequence[Moved | NotMoved]) -> Iterable[UnadjustedMeasurement]:
    """One measurement a contrast. Descriptive: it has no p-value, joins no family and concludes nothing."""
    level = 1 - context.plan.thresholds.alpha
    for result in results:
        if isinstance(result, NotMoved):
            for group in result.groups:
                if group != result.reference:
                    yield UnadjustedMeasurement(_measurement(result, group, level, missing_reason=result.reason))
            continue
        for group in dict.fromkeys(pair.group for pair in result.pairs):
            yield UnadjustedMeasurement(_moved(result, group, level))


def _moved(result: Moved, group: str, level: float) -> Measurement:
    pairs = [pair for pair in result.pairs if pair.group == group]
    moved = np.array([pair.moved for pair in pairs])
    n, mean = len(moved), float(moved.mean())
    low, high = None, None
    if n >= FEWEST:
        half = float(student.ppf((1 + level) / 2, n - 1) * moved.std(ddof=1) / np.sqrt(n))
        low, high = mean - half, mean + half
    furthest = max(abs(pair.itself) for pair in pairs)
    check = Check("its own stream put in changes nothing", furthest <= result.rounding, furthest, result.rounding)
    return _measurement(
        result,
        group,
        level,
        estimate=mean,
        low=low,
        high=high,
        n=n,
        counts={"gap": float(np.mean([pair.gap for pair in pairs])), "layer": result.layer},
        checks=(check,),
    )


def _measurement(result: Moved | NotMoved, group: str, level: float, **values: Any) -> Measurement:
    return made(
        test=CARD.name,
        metric=METRIC,
        role=Role.SUPPORTING,
        subject={"field": result.field, "group": group},
        unit="logit",
        reference=result.reference,
        level=level,
        cases="role:actual",
        method="mean of paired changes, nats",
        **values,
    )
