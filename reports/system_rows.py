"""A system that answers, in rows of two: what is asked, what the probe showed, how its answers are read."""

from __future__ import annotations

from auditor.model_manifest import SystemIdentity
from auditor.run_record import HowRead
from reports.blocks import Cell, Literal

READOUTS = {
    "log_odds": "log-odds of the favourable against the adverse answer",
    "choice": "the choice that the text of the answer makes",
}


def system_rows(system: SystemIdentity, how: HowRead | None) -> list[tuple[str, Cell]]:
    """What names the system, and how it was read in a run."""
    asked = system.asked
    rows: list[tuple[str, Cell]] = [("Kind", f"{system.kind}: a system that answers; its inside was not seen")]
    for label, key in (("Address", "url"), ("Dialect", "dialect"), ("Model asked for", "model")):
        if asked.get(key):
            rows.append((label, Literal(str(asked[key]))))
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


def _reading(how: HowRead) -> list[tuple[str, Cell]]:
    source = "whole answers, scored" if how.scored else "the likeliest tokens of its answer"
    words = READOUTS.get(how.readout, how.readout)
    read = f"{words}, from {source}" if how.readout == "log_odds" else words
    sampled = "nothing is generated" if how.scored else f"temperature {_said(how.temperature)}, seed {_said(how.seed)}"
    length = "" if how.scored else f", at most {how.max_tokens:,} tokens an answer"
    alike = {True: "yes", False: "no", None: "not known"}[how.deterministic]
    return [
        ("Read", read),
        ("Decoding", f"{sampled}{length}"),
        ("Identical questions got identical answers", alike),
        *([("Every case is asked", f"{how.replicates:,} times")] if how.replicates > 1 else []),
    ]


def _said(value: float | int | None) -> str:
    return "not sent" if value is None else f"{value:,g}" if isinstance(value, float) else str(value)
