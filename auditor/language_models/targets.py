"""The tokens that a view reads the margin from."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.language_models.answers import Question
from auditor.language_models.not_applicable import NotApplicable


@dataclass(frozen=True)
class Target:
    """The tokens the margin is read from, at the last position of the prompt.

    ``margin = logsumexp(favourable logits) − logsumexp(adverse logits)`` in nats. ``exact`` is false where an answer
    has several tokens: the margin of their first tokens stands in for the margin of whole answers, and ``note`` says
    so.
    """

    favourable: tuple[int, ...]
    adverse: tuple[int, ...]
    exact: bool = True
    note: str = ""

    @property
    def single(self) -> bool:
        """One spelling a side: the margin is linear in the normed state."""
        return len(self.favourable) == len(self.adverse) == 1


def target_of(question: Question) -> Target | NotApplicable:
    """The target of a question, or the reason why no single position tells its answers apart."""
    favourable = tuple(dict.fromkeys(answer[0] for answer in question.favourable))
    adverse = tuple(dict.fromkeys(answer[0] for answer in question.adverse))
    if set(favourable) & set(adverse):
        return NotApplicable(
            "a favourable and an adverse answer begin with the same token, so no single position tells them apart"
        )
    if all(len(answer) == 1 for answer in question.favourable + question.adverse):
        return Target(favourable, adverse)
    return Target(favourable, adverse, False, "answers have several tokens; the margin of their first tokens is read")
