"""Where the fields of a prompt stand, token by token; and other words put in so that every token stays in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from auditor.language_models.answers import encode
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.prompts import token_span

LAST = "last token"
AFTER = "after the fields"


@dataclass(frozen=True, slots=True)
class Layout:
    """A prompt as tokens, and the half-open token span of every field, in the order of the prompt."""

    text: str
    tokens: tuple[int, ...]
    spans: Mapping[str, tuple[int, int]]

    @property
    def last(self) -> int:
        """The position the decision is read at."""
        return len(self.tokens) - 1

    @property
    def fields(self) -> list[str]:
        """The fields that end before the last token; what has no value has no tokens, and hiding it hides nothing."""
        return [name for name, (_, stop) in self.spans.items() if stop <= self.last]

    def end(self, field: str) -> int:
        """The last token of a field's value."""
        first, stop = self.spans[field]
        return max(first, stop - 1)

    def alike(self, other: Layout) -> bool:
        """Whether every field stands at the same tokens."""
        return len(self.tokens) == len(other.tokens) and dict(self.spans) == dict(other.spans)


def lay_out(context: ComputeContext, variants: Sequence[Mapping[str, str]]) -> list[Layout]:
    """Render and tokenise, each prompt whole."""
    rendered = [context.render(words) for words in variants]
    chat = context.plan.prompt.form == "chat"
    layouts = []
    for item, encoding in zip(
        rendered, encode(context.loaded.tokenizer, [one.text for one in rendered], chat=chat), strict=True
    ):
        ordered = sorted(item.spans, key=lambda name: item.spans[name])
        spans = {name: token_span(encoding.offsets, item.spans[name]) for name in ordered}
        layouts.append(Layout(item.text, encoding.ids, spans))
    return layouts


def twin(
    context: ComputeContext, words: Mapping[str, str], other: Mapping[str, str]
) -> tuple[Layout, Layout, dict[str, str], tuple[str, ...]]:
    """An application, and the same application with the words of another wherever every token keeps its place.

    Returns
    -------
    tuple
        The two layouts, the words of the second, and the fields that were changed.
    """
    differing = [name for name in words if other.get(name, words[name]) != words[name]]
    first, *single = lay_out(context, [words, *({**words, name: other[name]} for name in differing)])
    fitting = [name for name, layout in zip(differing, single, strict=True) if first.alike(layout)]
    # Fields that fit alone may not fit together where their tokens meet; then the later ones stay as filed.
    while fitting:
        mixed = {**words, **{name: other[name] for name in fitting}}
        second = lay_out(context, [mixed])[0]
        if first.alike(second):
            return first, second, mixed, tuple(fitting)
        fitting = fitting[:-1]
    return first, first, dict(words), ()


def regions(layout: Layout, *, parts: int) -> dict[str, list[int]]:
    """All positions from the first field to the last token: ``parts`` runs of fields, what follows them, the last.

    A run begins with its first field's value and ends before the next run's, so its text and labels are in it.
    """
    names = [name for name in layout.spans if layout.spans[name][0] < layout.last]
    count = min(parts, len(names))
    chosen = [names[len(names) * number // count] for number in range(count)]
    ends = max((layout.spans[name][1] for name in names), default=layout.last)
    starts = [layout.spans[name][0] for name in chosen]
    edges = [*starts, min(ends, layout.last), layout.last]
    labels = [*(f"from {name}" for name in chosen), AFTER]
    found = {label: list(range(first, stop)) for label, (first, stop) in zip(labels, pairwise(edges), strict=True)}
    return {label: places for label, places in found.items() if places} | {LAST: [layout.last]}
