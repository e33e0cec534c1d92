"""What an audit of a system would ask for: requests, tokens, money and minutes, before anything is sent.

Prompts are rendered from a handful of applications and counted up; what a token and an answer come to was measured when
the system was probed, and prices are those that administrators listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from auditor.answering.fields import field_clusters
from auditor.answering.reading import SERVICE, answers_alike, how_read
from auditor.applications import Application, Applications
from auditor.counterfactuals import Cluster, make_clusters
from auditor.model_manifest import ModelManifest, SystemIdentity
from auditor.plan import Plan
from auditor.run_record import HowRead
from auditor.systems.drift import DRIFT_CASES, Moment
from auditor.systems.prices import MILLION, CostEstimate, MeasuredUse, Prices, estimate, money_words
from auditor.systems.service_listing import ListedService
from compliance.models import LanguageModelVersion
from compliance.registry.system_tables import SystemTable, read_table
from compliance.registry.systems import find_listed

FIELDS = "fields"


@dataclass(frozen=True, kw_only=True)
class AskedEstimate:
    """What asking comes to: ``questions`` about cases, each by one request, or several of a service.

    ``notes`` says what of it would cross a cap, and what could not be counted; ``over`` which of them is expected
    to be crossed.
    """

    questions: int
    cost: CostEstimate
    currency: str
    notes: tuple[str, ...] = ()
    over: tuple[str, ...] = ()

    @property
    def tokens(self) -> int:
        """Of prompts and answers."""
        return self.cost.prompt_tokens + self.cost.answer_tokens

    @property
    def money(self) -> str:
        """What it is expected to cost; empty without prices."""
        return "" if self.cost.money is None else money_words(self.cost.money, self.currency)

    @property
    def most_money(self) -> str:
        """What it would cost if every answer were as long as it may be; empty without prices."""
        return "" if self.cost.most_money is None else money_words(self.cost.most_money, self.currency)


def listed_table(model: LanguageModelVersion) -> SystemTable:
    """How the system of a version is listed now.

    Raises
    ------
    ModelError
        If it is not listed any more.
    """
    return read_table(find_listed(model.source, team_id=model.language_model.team_id).text)


def asked_estimate(
    plan: Plan,
    manifest: ModelManifest,
    identity: SystemIdentity,
    table: SystemTable,
    clusters: Sequence[Cluster],
    *,
    chosen: int,
    where: str,
) -> AskedEstimate:
    """Count up what a run asks.

    Parameters
    ----------
    plan, manifest, identity
        What is asked, and the system as it was probed.
    table
        How it is listed: prices, pace and caps.
    clusters, chosen
        The applications that were rendered, and how many the plan chooses.
    where
        Name of the plan, for errors.

    Raises
    ------
    InputError
        If the system cannot be asked or read as the plan wants it.
    """
    how = how_read(plan, identity, deterministic=answers_alike(manifest), where=where)
    listed = table.listed
    prices = Prices() if listed.prices is None else listed.prices.prices()
    sample = [_length(case.prompt, plan, how) for cluster in clusters for case in cluster.cases]
    mean = round(sum(sample) / len(sample)) if sample else 0
    again = min(plan.noise.reask, chosen) + len(Moment) * min(DRIFT_CASES, chosen)
    questions = round(len(sample) * chosen / max(len(clusters), 1)) * how.replicates + again
    use = manifest.imported.checks.get("use")
    cost = estimate(
        [mean] * (questions * _steps(table)),
        max_tokens=0 if how.scored else how.max_tokens,
        replicates=1,
        prices=prices,
        measured=None if use is None else MeasuredUse(**use),
        concurrency=listed.concurrency,
        a_second=listed.requests_a_second,
    )
    notes = tuple(_notes(cost, table, plan))
    over = tuple(_over(cost, table, plan))
    return AskedEstimate(questions=questions, cost=cost, currency=prices.currency, notes=notes, over=over)


def clusters_for(
    plan: Plan, identity: SystemIdentity, data: Applications, records: Sequence[Application], *, where: str
) -> list[Cluster]:
    """What is asked about these applications: prompts of a language model, fields of a service.

    Raises
    ------
    InputError
        If plan, system and data do not fit together.
    """
    if identity.kind == SERVICE:
        return field_clusters(plan, data, records, fields=identity.asked["fields"], where=where)
    return make_clusters(plan, data, records, chat=None, where=where)


def _steps(table: SystemTable) -> int:
    """Requests that one question takes at least."""
    return len(table.listed.steps) if isinstance(table.listed, ListedService) else 1


def _length(prompt: str, plan: Plan, how: HowRead) -> int:
    """Characters that one request sends: where whole answers are scored, the prompt before each of them."""
    answers = (*plan.prompt.answers.favourable, *plan.prompt.answers.adverse)
    system = len(plan.prompt.system) if plan.prompt.form == "chat" else 0
    if how.form == FIELDS:
        return 0  # nobody counts tokens of a service
    if not how.scored:
        return len(prompt) + system
    return sum(len(prompt) + system + len(answer) for answer in answers)


def _caps(table: SystemTable, plan: Plan) -> tuple[int | None, int | None]:
    """The lowest caps of the listing and of the plan: requests, and money in millionths."""
    listed = table.listed
    requests = [cap for cap in (listed.most_requests, plan.limits.requests) if cap is not None]
    money = [round(cap * MILLION) for cap in (listed.most_money, plan.limits.money) if cap is not None]
    return min(requests, default=None), min(money, default=None)


def _over(cost: CostEstimate, table: SystemTable, plan: Plan) -> list[str]:
    """The caps that are expected to be crossed; one that may be, if every answer is as long as it can be, is a note."""
    requests, money = _caps(table, plan)
    over = []
    if requests is not None and cost.requests > requests:
        over.append(
            _("about {about} requests; expected at most the cap of {most}").format(
                about=f"{cost.requests:,}", most=f"{requests:,}"
            )
        )
    if money is not None and cost.money is not None and cost.money > money:
        currency = _currency(table)
        about, most = money_words(cost.money, currency), money_words(money, currency)
        over.append(_("about {about}; expected at most the cap of {most}").format(about=about, most=most))
    return over


def _notes(cost: CostEstimate, table: SystemTable, plan: Plan) -> list[str]:
    listed, notes = table.listed, []
    requests, money = _caps(table, plan)
    if requests is not None and cost.requests > requests:
        notes.append(_("more than the cap of {most} requests: it will pause there").format(most=f"{requests:,}"))
    if money is not None and cost.most_money is not None and cost.most_money > money:
        notes.append(
            _("may reach the cap of {most}: it will pause there").format(most=money_words(money, _currency(table)))
        )
    if isinstance(listed, ListedService):
        if any(step.until is not None for step in listed.steps):
            notes.append(_("a step that waits is counted once, and is asked until it is ready"))
    elif not cost.measured:
        notes.append(_("tokens by four characters each: the probe's answers counted none"))
    return notes


def _currency(table: SystemTable) -> str:
    return table.listed.prices.currency if table.listed.prices else ""
