"""How the text of weights is read in a run: what the plan asks for, or that they give log-odds."""

from __future__ import annotations

from auditor.answering.reading import TEXT_TOKENS, check_words, grammar_of
from auditor.exceptions import PlanError
from auditor.plan import Plan
from auditor.plan_reading import CHOICE, IN_WORDS
from auditor.run_record import HowGenerated, HowRead


def read_as(readout: str) -> HowRead:
    """Which grammar a text is read by: that of the readout, the whole text being the answer."""
    return HowRead(readout=readout)


def how_generated(plan: Plan, *, where: str) -> HowGenerated | None:
    """Settle how texts are generated and read; ``None`` for log-odds, where nothing is generated.

    Parameters
    ----------
    plan
        The design.
    where
        Name of the plan, for errors.

    Raises
    ------
    PlanError
        If weights cannot be read as the plan wants it. Nothing is left out in silence.
    """
    wanted = plan.reading
    if wanted.form != "text":
        raise PlanError(f"{where}: reading.form", f"{wanted.form!r}: weights are held to no form", "'text'")
    if wanted.readout not in IN_WORDS:
        for key, given in (("temperature", wanted.temperature), ("replicates", wanted.replicates - 1)):
            if given:
                what = "log-odds are read off the weights, nothing is sampled"
                raise PlanError(f"{where}: reading.{key}", what, "none, or readout = 'choice'")
        if wanted.stop:
            what = "log-odds are read off the weights, nothing is generated"
            raise PlanError(f"{where}: reading.stop", what, "none, or readout = 'choice'")
        return None
    how = read_as(wanted.readout)
    check_words(plan, how, where=where)
    if wanted.readout == CHOICE:
        try:
            grammar_of(plan, how)
        except ValueError as error:
            expected = str(error).removeprefix("expected ")
            raise PlanError(f"{where}: prompt.answers", "cannot be told apart in a text", expected) from None
    return HowGenerated(
        readout=wanted.readout,
        temperature=wanted.temperature,
        seed=plan.cases.seed if wanted.seed is None else wanted.seed,
        max_tokens=wanted.max_tokens or TEXT_TOKENS,
        stop=wanted.stop,
        # Greedy texts of one prompt are one text, however often it is asked.
        replicates=wanted.replicates if wanted.temperature else 1,
    )
