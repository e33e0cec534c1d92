"""A system that answers, in rows of two: what is asked, what the probe showed, how its answers are read."""

from __future__ import annotations

from auditor.answering.reading import FIELDS
from auditor.model_manifest import SystemIdentity
from auditor.plan_reading import LOG_ODDS
from auditor.run_record import HowRead, RunRecord
from reports import numbers
from reports.blocks import Cell, Literal

FORMS = {
    "record": "Sent as it stands, without a chat template.",
    "chat": "Sent through the chat template of the model's tokeniser.",
}
ENDPOINT = "endpoint:"
READOUTS = {
    "log_odds": "log-odds of the favourable against the adverse answer",
    "choice": "the choice that the text of the answer makes",
    "amount": "the amount that the text of the answer is",
    "reasons": "the reasons against the application that the text of the answer gives",
}


def system_rows(system: SystemIdentity, how: HowRead | None) -> list[tuple[str, Cell]]:
    """What names the system, and how it was read in a run."""
    asked = system.asked
    rows: list[tuple[str, Cell]] = [("Kind", f"{system.kind}: a system that answers; its inside was not seen")]
    for label, key in (("Address", "url"), ("Dialect", "dialect"), ("Model asked for", "model")):
        if asked.get(key):
            rows.append((label, Literal(str(asked[key]))))
    if how is not None and how.form == FIELDS:
        fields = ", ".join(str(name) for name in asked.get("fields", ()))
        return [*rows, ("Fields it is handed", Literal(fields)), *_reading(how)]
    rows += [
        ("Model named by its answers", Literal(system.model) if system.model else "none, or several"),
        ("Fingerprint", Literal(system.fingerprint) if system.fingerprint else "none, or several"),
        ("Log-probabilities", _log_probabilities(system)),
        ("Thinks before it answers", "yes; that part is kept and not read" if system.thinks else "not in the probe"),
    ]
    return rows if how is None else [*rows, *_reading(how)]


def _log_probabilities(system: SystemIdentity) -> str:
    if system.log_probabilities == "likeliest tokens":
        return f"of the {system.top} likeliest tokens"
    return f"of {system.log_probabilities}" if system.log_probabilities != "none" else "none"


def is_handed_fields(run: RunRecord) -> bool:
    """Whether a service was asked, which takes no prompt."""
    return run.reading is not None and run.reading.form == FIELDS


def describing_endpoints(run: RunRecord) -> list[str]:
    """The endpoints that the plan has describe features, or try descriptions of them."""
    settings = run.settings.get("interpretation", {})
    named = [settings.get(role) for role in ("describer", "scorer")]
    return list(dict.fromkeys(source for source in named if isinstance(source, str) and source.startswith(ENDPOINT)))


def again_words(run: RunRecord) -> str:
    """How a prompt is asked once more."""
    return "each prompt alone" if run.reading is None else "by another request"


def unusable_words(run: RunRecord, *, floor: float) -> str:
    """Which answers decide nothing."""
    little = f"less than {numbers.exact(floor)} probability on all answers together" if floor else ""
    if run.reading is None:
        if not floor:
            return "none: the plan's floor is 0, so every answer is read however little probability it has"
        return f"{little}; kept, counted, not favourable"
    scored = f"; {little}" if floor and run.reading.readout == LOG_ODDS else ""
    return f"refused, or not read by the rules of the readout{scored}; kept, counted, not favourable"


def seen_before_words(run: RunRecord, *, select: str) -> str:
    """What is known of applications that were seen in training."""
    if select != "unseen":
        return "not excluded: the plan takes every application"
    if run.reading is None:
        return "only applications outside the model's training record"
    return "only applications outside the reserved split; what the system was trained on is not known"


def sent_words(run: RunRecord, *, form: str) -> str:
    """How a prompt is sent."""
    if run.reading is None:
        return FORMS[form]
    beside = " beside the system prompt" if form == "chat" else ""
    return f"Sent as it stands{beside}; what the server puts around it is its own."


def _reading(how: HowRead) -> list[tuple[str, Cell]]:
    alike = {True: "yes", False: "no", None: "not known"}[how.deterministic]
    return [
        *_as_read(how),
        ("Identical questions got identical answers", alike),
        *([("Every case is asked", f"{how.replicates:,} times")] if how.replicates > 1 else []),
    ]


def _as_read(how: HowRead) -> list[tuple[str, Cell]]:
    if how.form == FIELDS:
        return [("Read", "the choice that it returns, by the path and the words of its listing")]
    source = "whole answers, scored" if how.scored else "the likeliest tokens of its answer"
    words = READOUTS.get(how.readout, how.readout)
    read = f"{words}, from {source}" if how.readout == "log_odds" else words
    sampled = "nothing is generated" if how.scored else f"temperature {_said(how.temperature)}, seed {_said(how.seed)}"
    length = "" if how.scored else f", at most {how.max_tokens:,} tokens an answer"
    return [("Read", read), ("Decoding", f"{sampled}{length}")]


def _said(value: float | int | None) -> str:
    return "not sent" if value is None else f"{value:,g}" if isinstance(value, float) else str(value)
