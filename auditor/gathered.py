"""What all the chunks of a finished run gave, read from its ledger once."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from auditor.answering.rows import ASKED, DRIFT, SystemAnswer, SystemAnswers, SystemQuestions
from auditor.chunk_rows import SHARED, UNSHARED, Asked, ChunkAnswers, OwnResult, Questions, TextRow
from auditor.ledger import ChunkState, Ledger
from auditor.packing import Packing
from auditor.records import Case, Decision


@dataclass
class Gathered:
    """Cases and what was decided of them, by whichever way they were asked; the work of tests on internals.

    Attributes
    ----------
    cases, decisions, applications
        Cases by id in order, the decision of each, and the applications behind them by id.
    packing, seconds
        How prompts were packed, and how long all chunks took.
    results, silent
        By test: the rows of its work, or why there was nothing to look into.
    answers, texts
        Of a system that was asked, and of weights that decisions were read from as text.
    """

    cases: list[Case] = field(default_factory=list)
    decisions: dict[str, Decision] = field(default_factory=dict)
    applications: dict[str, Asked] = field(default_factory=dict)
    packing: Packing = field(default_factory=Packing)
    seconds: float = 0.0
    results: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    silent: dict[str, str] = field(default_factory=dict)
    answers: list[SystemAnswer] = field(default_factory=list)
    texts: list[TextRow] = field(default_factory=list)


def gather(ledger: Ledger) -> Gathered:
    """Read every chunk of a run that is done."""
    found = Gathered()
    for state in ledger.states():
        result = json.loads(ledger.result(state.index))
        if state.kind in (SHARED, UNSHARED):
            _scored(found, _payload(ledger, state), result)
        elif state.kind in (ASKED, DRIFT):
            _asked(found, _payload(ledger, state), result, first=state.kind == ASKED)
        else:
            _looked(found, state.kind, result)
    found.cases.sort(key=lambda case: case.id)
    found.texts.sort(key=lambda text: text.case_id)
    return found


def _payload(ledger: Ledger, state: ChunkState) -> Any:
    return json.loads(ledger.payload(state.index))


def _scored(found: Gathered, payload: Any, result: Any) -> None:
    questions, scored = Questions.read(payload), ChunkAnswers.read(result)
    found.cases += questions.cases
    found.applications.update({each.id: each for each in questions.applications})
    found.decisions.update({each.case_id: each for each in scored.decisions})
    found.texts += scored.texts
    found.packing = scored.packing
    found.seconds += scored.seconds


def _asked(found: Gathered, payload: Any, result: Any, *, first: bool) -> None:
    questions, heard = SystemQuestions.read(payload), SystemAnswers.read(result)
    found.answers += heard.answers
    found.cases += questions.cases if first else ()
    found.applications.update({each.id: each for each in questions.applications})
    found.decisions.update({each.case_id: each.decision for each in heard.answers if not each.moment})
    found.seconds += heard.seconds


def _looked(found: Gathered, test: str, result: Any) -> None:
    own = OwnResult.read(result)
    found.seconds += own.seconds
    if own.work is not None:
        found.results.setdefault(test, []).append(own.work)
    elif own.not_tested is not None:
        found.silent.setdefault(test, own.not_tested)
