"""Measuring what an endpoint can do, before the first case: by asking it, never by believing a list.

The questions are made up and hold nothing of an applicant. They go through the store like all others, on an occasion of
their own, so a resumed run reads what was measured before and measures nothing anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.readouts.choice import ChoiceGrammar, read_choice
from auditor.readouts.reading import ReadAs
from auditor.systems.abilities import Abilities, LogProbabilities, Readout
from auditor.systems.asking import Request, Response
from auditor.systems.dialect import Dialect
from auditor.systems.exceptions import Rejected

OCCASION = "probe"
REPEATS = 5
TOP = 20
#: Words that no prompt suggests: a server that ignores the form answers anything but these.
_FORM = {"favourable": ("tangerine",), "adverse": ("cobalt",)}
_PROMPT = "Say which of two colours a ripe fruit has, in one word."
_PLAIN = "An applicant earns 5,000 a month and owes 1,000 a month. Approve or deny? Answer with one word.\nDecision:"

Ask = Callable[[Sequence[Request]], Sequence[Response]]


@dataclass(frozen=True)
class _Trial:
    """One question that may be beyond a server: its answers, or why there are none."""

    answers: Sequence[Response]
    why: str = ""


def probe(ask: Ask, dialect: Dialect, *, top: int = TOP, repeats: int = REPEATS) -> Abilities:
    """Measure abilities.

    Parameters
    ----------
    ask
        Of the system.
    dialect
        What it has no words for is not tried.
    top
        How many of the likeliest tokens are asked for.
    repeats
        How often the same question is asked.

    Raises
    ------
    SystemStopped
        If it does not answer a plain question.
    """
    alike = ask(plain(dialect, repeats=repeats))
    lacking: dict[str, str] = {}
    whole = _whole(ask, dialect, lacking)
    shown = _top(ask, dialect, top, lacking)
    schema = _form(ask, dialect, "json_schema", lacking)
    tool = _form(ask, dialect, "tool", lacking)
    kind = LogProbabilities.WHOLE if whole else LogProbabilities.TOP if shown else LogProbabilities.NONE
    readouts = {Readout.CHOICE, Readout.AMOUNT, Readout.REASONS}
    said = Counter((answer.text, answer.tool, answer.finish) for answer in alike)
    return Abilities(
        readouts=frozenset(readouts | ({Readout.LOG_ODDS} if kind is not LogProbabilities.NONE else set())),
        log_probabilities=kind,
        top=shown,
        asked=len(alike),
        alike=said.most_common(1)[0][1],
        json_schema=schema,
        tool=tool,
        thinks=any(answer.thinking for answer in alike),
        model=_only(answer.model for answer in alike),
        fingerprint=_only(answer.fingerprint for answer in alike),
        lacking=lacking,
    )


def _only(names: Iterable[str]) -> str:
    """The one name that all answers gave; a system that names several from one question to the next names none."""
    found = set(names)
    return found.pop() if len(found) == 1 else ""


def plain(dialect: Dialect, *, repeats: int = REPEATS) -> list[Request]:
    """The question that is asked again and again; its answers also show how long answers are and take."""
    seed = None if "seed" in dialect.cannot else 0
    return [_request(dialect, _PLAIN, seed=seed, replicate=index) for index in range(repeats)]


def _request(dialect: Dialect, prompt: str, **more: Any) -> Request:
    """A question greedy as far as the dialect has a word for it."""
    temperature = None if "temperature" in dialect.cannot else 0.0
    return Request(prompt=prompt, temperature=temperature, occasion=OCCASION, **more)


def _whole(ask: Ask, dialect: Dialect, lacking: dict[str, str]) -> bool:
    trial = _try(ask, dialect, "continuations", _request(dialect, _PLAIN, continuations=(" no", " yes")))
    trouble = trial.why or next((score.trouble for score in trial.answers[0].scored if score.trouble), "")
    if not trouble and trial.answers[0].scored[0] == trial.answers[0].scored[1]:
        trouble = "two answers got one log-probability"
    if trouble:
        lacking["log-probabilities of whole answers"] = trouble
    return not trouble


def _top(ask: Ask, dialect: Dialect, top: int, lacking: dict[str, str]) -> int:
    """How many of the likeliest tokens come back, plausible ones."""
    trial = _try(ask, dialect, "top", _request(dialect, _PLAIN, top=top))
    shown = 0
    trouble = trial.why
    if not trouble:
        steps = trial.answers[0].steps
        trouble = trial.answers[0].trouble
        if steps is not None:
            shown = min((len(step.likeliest) for step in steps), default=0)
            trouble = "" if shown else "no list of likeliest tokens came back"
    if trouble:
        lacking["log-probabilities of likeliest tokens"] = trouble
    elif shown < top:
        lacking[f"{top} likeliest tokens"] = f"{shown} came back"
    return shown


def _form(ask: Ask, dialect: Dialect, kind: str, lacking: dict[str, str]) -> bool | None:
    """Whether a form is honoured: the answer must be one of two words that nothing in the prompt suggests."""
    grammar = ChoiceGrammar(**_FORM, form=kind)  # type: ignore[arg-type]
    request = _request(dialect, _PROMPT, max_tokens=64, form=grammar.answer_form())
    trial = _try(ask, dialect, "form", request)
    if trial.why:
        lacking[kind] = trial.why
        return None if "form" in dialect.cannot else False
    reading = read_choice(trial.answers[0], grammar)
    if reading.read is not ReadAs.VALUE:
        lacking[kind] = f"it was asked for and not honoured ({reading.reason})"
    return reading.read is ReadAs.VALUE


def _try(ask: Ask, dialect: Dialect, field: str, request: Request) -> _Trial:
    if field in dialect.cannot:
        return _Trial((), f"the dialect {dialect.name} has no words for it")
    try:
        return _Trial(ask([request]))
    except Rejected as refusal:
        return _Trial((), f"it {refusal.what}")
