"""What a frozen run will ask for, before anything is sent: requests, tokens, money, minutes, and the caps that hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

from auditor.answering.describing import describing_costs
from auditor.answering.reading import FIELDS
from auditor.answering.rows import SystemQuestions
from auditor.chunk_rows import SHARED, Questions
from auditor.language_models.stored import StoredModel
from auditor.ledger import Chunk
from auditor.plan import Plan
from auditor.run_record import HowRead, RunRecord
from auditor.systems.listing import Listed
from auditor.systems.prices import MILLION, CostEstimate, MeasuredUse, Prices, estimate, money_words

NO_PRICE = "no price is listed"


def cost_lines(run: RunRecord, chunks: Sequence[Chunk], *, model: StoredModel, listed: Listed) -> list[str]:
    """The estimate in a line, and the caps in another; none for weights."""
    if run.reading is None:
        return []
    cost = run_cost(run, chunks, model=model, listed=listed)
    currency = listed.prices.currency if listed.prices is not None else ""
    parts = [f"{cost.requests:,} {'applications handed in' if run.reading.form == FIELDS else 'requests'}"]
    if run.reading.form != FIELDS:
        tokens = f"about {cost.prompt_tokens:,} tokens of prompts and {cost.answer_tokens:,} of answers"
        parts.append(tokens if cost.measured else f"{tokens} (by four characters each)")
    if cost.money is not None and cost.most_money is not None:
        parts.append(f"{money_words(cost.money, currency)}, at most {money_words(cost.most_money, currency)}")
    else:
        parts.append(NO_PRICE)
    if cost.minutes is not None:
        parts.append(f"about {max(cost.minutes, 0.1):,.1f} minutes")
    return [f"To be asked of {run.model.source}: {'; '.join(parts)}", *_caps(run.plan, listed, currency)]


def describing_lines(
    run: RunRecord, chunks: Sequence[Chunk], *, listed: Callable[[str], Listed], where: str
) -> list[str]:
    """The same for the endpoints that a run on weights has describe features: the most there can be of it.

    Parameters
    ----------
    run, chunks
        As frozen.
    listed
        How a source is listed; raises ``ModelError`` where it is not.
    where
        Name of the plan, for errors.
    """
    lines = []
    for one in describing_costs(run.plan, characters=_longest_prompt(chunks), listed=listed, where=where):
        if one.listed is None:
            lines.append(f"No features are described by {one.source}: {one.trouble}")
            continue
        cost = one.cost
        money = NO_PRICE if cost.most_money is None else f"at most about {money_words(cost.most_money, one.currency)}"
        tokens = f"about {cost.prompt_tokens:,} tokens of prompts and {cost.answer_tokens:,} of answers"
        head = f"To be asked of {one.source}, to describe features: at most {cost.requests:,} requests"
        lines += [f"{head}; {tokens} (by four characters each); {money}"]
        lines += _caps(run.plan, one.listed, one.currency)
    return lines


def _longest_prompt(chunks: Iterable[Chunk]) -> int:
    """Characters."""
    asking = (Questions.read(json.loads(chunk.payload)) for chunk in chunks if chunk.kind == SHARED)
    return max((len(case.prompt) for questions in asking for case in questions.cases), default=0)


def run_cost(run: RunRecord, chunks: Sequence[Chunk], *, model: StoredModel, listed: Listed) -> CostEstimate:
    """What the chunks come to, by what the probe measured and the prices that are listed."""
    how = run.reading or HowRead(readout="")
    use = model.manifest.imported.checks.get("use")
    return estimate(
        list(lengths_of(chunks, run.plan, how)),
        max_tokens=0 if how.scored else how.max_tokens,
        replicates=1,  # each is a case of its own
        prices=Prices() if listed.prices is None else listed.prices.prices(),
        measured=None if use is None else MeasuredUse(**use),
        concurrency=listed.concurrency,
        a_second=listed.requests_a_second,
    )


def lengths_of(chunks: Iterable[Chunk], plan: Plan, how: HowRead) -> Iterable[int]:
    """Characters that each request sends: where whole answers are scored, the prompt before each of them."""
    system = len(plan.prompt.system) if plan.prompt.form == "chat" else 0
    answers = (*plan.prompt.answers.favourable, *plan.prompt.answers.adverse)
    for chunk in chunks:
        for case in SystemQuestions.read(json.loads(chunk.payload)).cases:
            one = len(case.prompt) + system
            yield sum(one + len(answer) for answer in answers) if how.scored else one


def _caps(plan: Plan, listed: Listed, currency: str) -> list[str]:
    requests = min((cap for cap in (listed.most_requests, plan.limits.requests) if cap is not None), default=None)
    money = min((cap for cap in (listed.most_money, plan.limits.money) if cap is not None), default=None)
    parts = [] if requests is None else [f"{requests:,} requests"]
    parts += [] if money is None else [money_words(round(money * MILLION), currency)]
    return [f"It stops at {' and at '.join(parts)}, with everything kept"] if parts else []
