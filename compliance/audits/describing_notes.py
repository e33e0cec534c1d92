"""What endpoints that describe features would be asked in an audit of weights, as the estimate of it says."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _

from auditor.answering.describing import DescribingCost, describing_costs
from auditor.plan import Plan
from auditor.systems.listing import Listed
from auditor.systems.prices import MILLION, money_words
from compliance.registry.system_tables import read_table
from compliance.registry.systems import find_listed
from reports import numbers


def describing_notes(plan: Plan, *, team_id: int | None, characters: int, where: str) -> list[str]:
    """A line for each endpoint: the most it is asked, what that comes to, and the caps it may reach; none without any.

    Parameters
    ----------
    plan, where
        The design, and its name for errors.
    team_id
        Whose systems may be asked.
    characters
        Of a prompt.

    Raises
    ------
    InputError
        If the settings of the plan are none.
    """

    def listed(source: str) -> Listed:
        return read_table(find_listed(source, team_id=team_id).text).listed

    costs = describing_costs(plan, characters=characters, listed=listed, where=where)
    return [line for one in costs for line in _lines(one, plan)]


def _lines(one: DescribingCost, plan: Plan) -> Iterator[str]:
    if one.listed is None:
        yield _("no features are described by {source}: {why}").format(source=one.source, why=one.trouble)
        return
    cost = one.cost
    tokens = cost.prompt_tokens + cost.answer_tokens
    money = _("no prices are listed")
    if cost.most_money is not None:
        money = _("at most {money}").format(money=money_words(cost.most_money, one.currency))
    line = _("to describe features {source} is asked at most {requests} requests, about {tokens} tokens; {money}")
    yield line.format(
        source=one.source, requests=numbers.count(cost.requests), tokens=numbers.count(tokens), money=money
    )
    yield from _caps(one, one.listed, plan)


def _caps(one: DescribingCost, listed: Listed, plan: Plan) -> Iterator[str]:
    requests = min((cap for cap in (listed.most_requests, plan.limits.requests) if cap is not None), default=None)
    if requests is not None and one.cost.requests > requests:
        line = _("more than the cap of {most} requests: {source} is asked no further then, and the audit goes on")
        yield line.format(most=numbers.count(requests), source=one.source)
    money = min((cap for cap in (listed.most_money, plan.limits.money) if cap is not None), default=None)
    if money is not None and one.cost.most_money is not None and one.cost.most_money > money * MILLION:
        line = _("may reach the cap of {most}: {source} is asked no further then, and the audit goes on")
        yield line.format(most=money_words(round(money * MILLION), one.currency), source=one.source)
