"""What the page of a system says of its table, in words."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from auditor.exceptions import ModelError
from auditor.systems.listing import Listed, ListedEndpoint, Rates
from auditor.systems.service_listing import ListedService
from compliance.models import SystemListing
from compliance.registry.system_tables import SystemTable, read_table


@dataclass(frozen=True, kw_only=True)
class Said:
    """One line of a page: what, and how it is."""

    label: str
    words: str


@dataclass(frozen=True, kw_only=True)
class SystemFacts:
    """What a table says, for people. ``problem`` is the line why this version of the software cannot read it."""

    what: tuple[Said, ...] = ()
    goes_out: tuple[Said, ...] = ()
    conduct: tuple[Said, ...] = ()
    prices: tuple[Said, ...] = ()
    problem: str = ""


def facts_of(listing: SystemListing) -> SystemFacts:
    """What the table of a listing says."""
    try:
        found = read_table(listing.text)
    except ModelError as error:
        return SystemFacts(problem=str(error))
    return SystemFacts(
        what=tuple(_what(found)),
        goes_out=tuple(_goes_out(found.listed)),
        conduct=tuple(_conduct(found.listed)),
        prices=tuple(_prices(found.listed.prices)),
    )


def _what(found: SystemTable) -> list[Said]:
    listed = found.listed
    if isinstance(listed, ListedEndpoint):
        said = [
            Said(label=_("Kind"), words=_("language model behind an address")),
            Said(label=_("Dialect"), words=listed.dialect),
            Said(label=_("Model"), words=listed.model),
        ]
        if listed.extra:
            said.append(Said(label=_("Fields put over those of the dialect"), words=", ".join(sorted(listed.extra))))
        if listed.without:
            said.append(Said(label=_("Fields left out"), words=", ".join(listed.without)))
        return said
    return [Said(label=_("Kind"), words=_("decision service")), *_service(listed)]


def _service(listed: ListedService) -> list[Said]:
    steps = "; ".join(f"{step.method} {step.path or '/'}" for step in listed.steps)
    read = [name for name in ("choice", "amount", "reasons") if getattr(listed.read, name) is not None]
    return [
        Said(label=_("Steps"), words=steps),
        Said(
            label=_("Fields of an application that go out"),
            words=", ".join(sorted(listed.fields())) or pgettext("quantity", "none"),
        ),
        Said(label=_("Made-up application that registering hands in"), words=_example(listed)),
        Said(label=_("Read from its answer"), words=", ".join(read)),
    ]


def _example(listed: ListedService) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(listed.example.items())) or pgettext(
        "quantity", "none"
    )


def _goes_out(listed: Listed) -> list[Said]:
    said = [
        Said(label=_("Address"), words=listed.url),
        Said(label=_("Private ranges it may lie in"), words=", ".join(listed.networks) or pgettext("quantity", "none")),
        Said(label=_("Headers"), words=", ".join(sorted(listed.headers)) or _("those of the dialect")),
    ]
    if listed.oauth is not None:
        said.append(
            Said(
                label=_("Token address"),
                words=_("{address}, as {client}").format(address=listed.oauth.token_url, client=listed.oauth.client_id),
            )
        )
    said.append(Said(label=_("Key goes into"), words=_header(listed)))
    if listed.authority_file:
        said.append(Said(label=_("Authority that alone is trusted"), words=listed.authority_file))
    if listed.certificate_file:
        said.append(Said(label=_("Certificate shown to it"), words=listed.certificate_file))
    return said


def _header(listed: Listed) -> str:
    if listed.oauth is not None:
        return _("Authorization, as a token fetched by client credentials")
    return listed.key_header or _("the header of the dialect")


def _conduct(listed: Listed) -> list[Said]:
    money = _("no cap")
    if listed.most_money is not None and listed.prices is not None:
        money = f"{listed.prices.currency} {listed.most_money:,.2f}"
    return [
        Said(
            label=_("Most requests of one audit"),
            words=_("no cap") if listed.most_requests is None else f"{listed.most_requests:,}",
        ),
        Said(label=_("Most money of one audit"), words=money),
        Said(label=_("Requests at a time"), words=f"{listed.concurrency}"),
        Said(
            label=_("Requests a second"),
            words=_("as it answers") if listed.requests_a_second is None else f"{listed.requests_a_second:g}",
        ),
        Said(label=_("Seconds for one answer"), words=f"{listed.seconds:g}"),
        Said(label=_("Tries of one request"), words=f"{listed.tries}"),
        Said(label=_("Longest wait before the audit pauses"), words=f"{listed.longest_wait:g} s"),
    ]


def _prices(rates: Rates | None) -> list[Said]:
    if rates is None:
        return []
    return [
        Said(label=_("Per million tokens of prompts"), words=f"{rates.currency} {rates.prompt:g}"),
        Said(label=_("Per million tokens of answers"), words=f"{rates.currency} {rates.answer:g}"),
        Said(label=_("Per request"), words=f"{rates.currency} {rates.request:g}"),
    ]
