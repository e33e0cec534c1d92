"""What the endpoints that describe features come to, before a run on weights starts. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from auditor.exceptions import ModelError
from auditor.mechanisms.interpretation.card import CARD, Settings
from auditor.mechanisms.interpretation.questions import most_asked
from auditor.plan import Plan, check_section
from auditor.systems.listing import Listed
from auditor.systems.prices import CostEstimate, Prices, estimate


@dataclass(frozen=True, kw_only=True)
class DescribingCost:
    """The most that one endpoint is asked and what that comes to; ``trouble`` says why it will not be asked at all."""

    source: str
    cost: CostEstimate
    listed: Listed | None
    trouble: str = ""

    @property
    def currency(self) -> str:
        """In which its prices are listed; empty without prices."""
        return self.listed.prices.currency if self.listed is not None and self.listed.prices is not None else ""


def describing_costs(
    plan: Plan, *, characters: int, listed: Callable[[str], Listed], where: str
) -> Iterator[DescribingCost]:
    """What each endpoint that describes or tries descriptions is asked at most.

    Parameters
    ----------
    plan
        The design; without interpretation by endpoints there are none.
    characters
        Of a prompt of the run.
    listed
        How a source is listed; raises ``ModelError`` where it is not.
    where
        Name of the plan, for errors.

    Raises
    ------
    PlanError
        If the settings of interpretation are none.
    """
    if CARD.name not in plan.tests.run:
        return
    settings = check_section(Settings, plan.settings.get(CARD.name, {}), where=f"{where}: settings.{CARD.name}")
    for most in most_asked(settings, characters=characters):
        found, trouble = None, ""
        try:
            found = listed(most.source)
        except ModelError as error:
            trouble = str(error)
        cost = estimate(
            [most.characters] * most.requests,
            max_tokens=most.tokens,
            replicates=1,
            prices=Prices() if found is None or found.prices is None else found.prices.prices(),
            measured=None,  # it is not probed
            concurrency=1 if found is None else found.concurrency,
        )
        yield DescribingCost(source=most.source, cost=cost, listed=found, trouble=trouble)
