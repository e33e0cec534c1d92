"""How the answers of a system are read in a run: what the plan asks for, with what the system showed that it can do."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from auditor.exceptions import PlanError
from auditor.model_manifest import ModelManifest, SystemIdentity
from auditor.plan import Plan
from auditor.plan_reading import AMOUNT, AUTO, CHOICE, IN_WORDS, LOG_ODDS, REASONS, Reading
from auditor.readouts.amount import AmountGrammar
from auditor.readouts.choice import ChoiceGrammar, fold
from auditor.readouts.log_odds import margin_of_tokens, spellings
from auditor.readouts.reasons import ReasonGrammar
from auditor.run_record import HowRead
from auditor.systems.abilities import LogProbabilities
from auditor.systems.asking import AnswerForm
from auditor.systems.dialects import DIALECTS

TEXT_TOKENS, FORM_TOKENS = 16, 64
"""The longest answer where the plan says nothing: in words, and in a form."""
LARGEST_SEED = 2**31
SERVICE = "service"
FIELDS = "fields"
"""The form of what a service is handed."""


def takes_fields(system: SystemIdentity | None) -> bool:
    """Whether a system is handed fields, and no prompt."""
    return system is not None and system.kind == SERVICE


def how_read(plan: Plan, system: SystemIdentity, *, deterministic: bool | None, where: str) -> HowRead:
    """Settle how answers are asked for and read.

    Parameters
    ----------
    plan
        The design.
    system
        What it is put to, as it was probed.
    deterministic
        Whether the probe's identical questions got identical answers; ``None``: not known.
    where
        Name of the plan, for errors.

    Raises
    ------
    PlanError
        If the system cannot be asked or read as the plan wants it. Nothing is left out in silence.
    """
    if takes_fields(system):
        return _of_service(plan, system, deterministic=deterministic, where=where)
    wanted = plan.reading
    cannot = DIALECTS[str(system.asked["dialect"])].cannot
    readout = _readout(plan, system, where=where)
    scored = readout == LOG_ODDS and system.log_probabilities == LogProbabilities.WHOLE
    _check_prompt(plan, cannot, dialect=str(system.asked["dialect"]), where=where)
    _check_form(plan, system, readout, where=where)
    if wanted.seed is not None and "seed" in cannot:
        raise PlanError(f"{where}: reading.seed", "the dialect has no words for it", "no seed")
    if wanted.stop:
        raise PlanError(f"{where}: reading.stop", "is not sent to a system", "no text to stop at")
    if scored and wanted.temperature:
        raise PlanError(f"{where}: reading.temperature", "whole answers are scored, nothing is sampled", "0.0")
    seed = plan.cases.seed % LARGEST_SEED if wanted.seed is None else wanted.seed
    longest = wanted.max_tokens or (TEXT_TOKENS if wanted.form == "text" else FORM_TOKENS)
    _check_answers(plan, readout, scored=scored, where=where)
    return HowRead(
        readout=readout,
        scored=scored,
        form=wanted.form,
        temperature=None if scored or "temperature" in cannot else wanted.temperature,
        seed=None if scored or "seed" in cannot else seed,
        max_tokens=longest,
        top=min(wanted.top, system.top) if readout == LOG_ODDS and not scored else 0,
        deterministic=deterministic,
        replicates=1 if scored or (deterministic and not wanted.temperature) else wanted.replicates,
    )


def _of_service(plan: Plan, system: SystemIdentity, *, deterministic: bool | None, where: str) -> HowRead:
    """A service is handed fields and returns decisions: how, its listing says and the plan does not."""
    wanted = CHOICE if plan.reading.readout in (AUTO, LOG_ODDS) else plan.reading.readout
    if wanted not in system.readouts:
        what = f"the service returns no {'reason' if wanted == REASONS else wanted}"
        raise PlanError(f"{where}: run.model", what, f"a path for {wanted} in the listing")
    default = Reading()
    for key in ("form", "temperature", "seed", "max_tokens", "top", "stop"):
        if getattr(plan.reading, key) != getattr(default, key):
            raise PlanError(f"{where}: reading.{key}", "is a key for language models", "it left out for a service")
    if plan.reading.readout == LOG_ODDS:
        raise PlanError(f"{where}: reading.readout", "a service gives no log-probabilities", f"{AUTO!r} or {CHOICE!r}")
    return HowRead(
        readout=wanted,
        form=FIELDS,
        max_tokens=0,
        deterministic=deterministic,
        replicates=1 if deterministic else plan.reading.replicates,
    )


def answers_alike(manifest: ModelManifest) -> bool | None:
    """Whether the probe's identical questions got identical answers; ``None`` where fewer than two were asked."""
    alike, asked = (manifest.imported.checks.get(name) for name in ("alike", "asked"))
    return alike == asked if asked and asked > 1 else None


def grammar_of(plan: Plan, how: HowRead) -> ChoiceGrammar:
    """What a readable choice looks like: the plan's answers, each once, without the white space around them.

    Raises
    ------
    ValueError
        If an answer stands on both sides.
    """
    answers = plan.prompt.answers
    return ChoiceGrammar(
        favourable=_labels(answers.favourable),
        adverse=_labels(answers.adverse),
        form="labels" if how.form == "text" else how.form,  # type: ignore[arg-type]  # the plan has checked it
    )


def amount_grammar_of(plan: Plan, how: HowRead) -> AmountGrammar:
    """What a readable amount looks like.

    Raises
    ------
    ValueError
        If the plan does not say.
    """
    wanted = plan.reading.amount
    if wanted is None:
        raise ValueError("expected [reading.amount], since an amount is read")
    return AmountGrammar(
        unit=wanted.unit,
        marks=wanted.marks,
        marked=wanted.marked,
        decimal=wanted.decimal,
        thousands=wanted.thousands,
        least=Decimal(str(wanted.least)),
        most=Decimal(str(wanted.most)),
        key="" if how.form == "text" else AMOUNT,
    )


def reason_grammar_of(plan: Plan, how: HowRead) -> ReasonGrammar:
    """What readable reasons look like.

    Raises
    ------
    ValueError
        If the plan does not say.
    """
    wanted = plan.reading.reasons
    if wanted is None:
        raise ValueError("expected [reading.reasons], since reasons are read")
    return ReasonGrammar(
        codes=wanted.codes, none=wanted.none, most=wanted.most, key="" if how.form == "text" else REASONS
    )


def answer_form_of(plan: Plan, how: HowRead) -> AnswerForm | None:
    """What the system is told about the form of its answer; ``None`` where the prompt has to tell."""
    if how.readout == CHOICE:
        return grammar_of(plan, how).answer_form()
    if how.readout not in IN_WORDS or how.form == "text":
        return None
    codes = list(reason_grammar_of(plan, how).codes) if how.readout == REASONS else []
    kinds: dict[str, Any] = {
        AMOUNT: {"type": "number"},
        REASONS: {"type": "array", "items": {"type": "string", "enum": codes}},
    }
    schema = {
        "type": "object",
        "properties": {how.readout: kinds[how.readout]},
        "required": [how.readout],
        "additionalProperties": False,
    }
    return AnswerForm(kind=how.form, name="decision", schema=schema)  # type: ignore[arg-type]  # the plan has checked it


def check_words(plan: Plan, how: HowRead, *, where: str) -> None:
    """Refuse a plan that does not say what a readable answer of its readout looks like."""
    try:
        if how.readout == AMOUNT:
            amount_grammar_of(plan, how)
        elif how.readout == REASONS:
            reason_grammar_of(plan, how)
    except ValueError as error:
        expected = str(error).removeprefix("expected ")
        raise PlanError(f"{where}: reading.readout", f"{how.readout!r} has no form to be read by", expected) from None


def sides(plan: Plan, how: HowRead) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The spellings of both answers whose probabilities are summed: the plan's, or any that tokens may show."""
    answers = plan.prompt.answers
    if how.scored:
        return answers.favourable, answers.adverse
    return spellings(answers.favourable, loose=True), spellings(answers.adverse, loose=True)


def _labels(answers: tuple[str, ...]) -> tuple[str, ...]:
    return tuple({fold(answer): answer.strip() for answer in reversed(answers)}.values())[::-1]


def _readout(plan: Plan, system: SystemIdentity, *, where: str) -> str:
    wanted = plan.reading.readout
    if wanted == AUTO:
        return LOG_ODDS if LOG_ODDS in system.readouts and plan.reading.form == "text" else CHOICE
    if wanted not in system.readouts:
        raise PlanError(
            f"{where}: reading.readout",
            f"{wanted!r} cannot be read: the probe found no log-probabilities",
            " or ".join(repr(name) for name in (AUTO, CHOICE)),
        )
    return wanted


def _check_prompt(plan: Plan, cannot: frozenset[str], *, dialect: str, where: str) -> None:
    if plan.prompt.form == "chat" and "system" in cannot:
        what = f"'chat': {dialect} continues a text as it stands"
        raise PlanError(f"{where}: prompt.form", what, "'record', or an endpoint that takes messages")


def _check_form(plan: Plan, system: SystemIdentity, readout: str, *, where: str) -> None:
    form = plan.reading.form
    if form == "text":
        return
    if readout not in IN_WORDS:
        raise PlanError(f"{where}: reading.form", f"{form!r} is read in words, not as log-odds", "'text'")
    if not getattr(system, form):
        raise PlanError(f"{where}: reading.form", f"{form!r} was not honoured when it was probed", "'text'")


def _check_answers(plan: Plan, readout: str, *, scored: bool, where: str) -> None:
    how = HowRead(readout=readout, scored=scored, form=plan.reading.form)
    check_words(plan, how, where=where)
    if readout in (AMOUNT, REASONS):
        return
    try:
        if readout == CHOICE or not scored:
            grammar_of(plan, how)
        if readout == LOG_ODDS and not scored:
            up, down = sides(plan, how)
            margin_of_tokens([], favourable=up, adverse=down)
    except ValueError as error:
        expected = str(error).removeprefix("expected ")
        raise PlanError(f"{where}: prompt.answers", "cannot be told apart in a text", expected) from None
