"""Whether tokens are those of the final answer: of nothing before it, and of nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.systems.asking import TokenStep
from auditor.systems.log_probabilities import implausible


def steps_of(steps: Sequence[TokenStep], *, written: str, final: str) -> tuple[tuple[TokenStep, ...] | None, str]:
    """The tokens, or why they say nothing of the answer.

    Parameters
    ----------
    steps
        As the server gave them; at least one.
    written
        The whole text of the answer as the server gave it.
    final
        What of it is the final answer. Where it is not all of it, the first tokens are those of a thinking part, and
        what else could have stood at their places is no answer.
    """
    if why := implausible(steps):
        return None, why
    if final.strip() != written.strip():
        return None, "its tokens are those of a thinking part too"
    joined = "".join(step.text for step in steps)
    if joined == written:  # also where a completion begins with nothing but a new line
        return tuple(steps), ""
    joined = joined.strip()
    # Servers may show their end mark as a last token, or take white space off the text; nothing else may differ. Tokens
    # without any text of an answer are those of a thinking part that the server took away.
    if not final.strip() or not joined.startswith(final.strip()):
        return None, "its tokens are not those of its text"
    return tuple(steps), ""
