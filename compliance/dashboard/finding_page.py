"""What the page of a finding shows: what was seen, what it is now, what I can do about it, and who else can."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from auditor.records import Measurement
from compliance.access.roles import PERMISSIONS, Role
from compliance.actions.findings import WRITE, Way
from compliance.dashboard.event_lines import FIELDS
from compliance.dashboard.model_page import version_words
from compliance.dashboard.records import measurement
from compliance.dates import iso_day_said
from compliance.governance.finding_states import FindingState
from compliance.governance.finding_trends import FindingTrend
from compliance.models import FindingRecord, LanguageModelVersion, Membership, Sighting
from compliance.sentences import in_sentence
from reports import sentences

NAMED = 3
"""How many holders of a role are named beside what they can do."""


@dataclass(frozen=True, kw_only=True)
class SightingLine:
    """One audit that saw it, with the number that leads the finding there."""

    sighting: Sighting
    version: str
    measurement: Measurement | None
    change: str


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What can be done by others, or not yet: the verb, why not, and who can."""

    verb: str
    to: FindingState
    why: str
    who: str


def sighting_lines(record: FindingRecord) -> list[SightingLine]:
    """The audits that saw it, newest first, each against the one before in numbers."""
    rows = record.sightings.select_related("audit__model", "finding", "measurement")
    # Of one audit the gravest first: it is what the page tells of.
    found = list(rows.defer("audit__run_json", "audit__model__manifest").order_by("-audit__serial", "pk"))
    lines = []
    for place, row in enumerate(found):
        now = measurement(row.measurement) if row.measurement else None
        before = next((item for item in found[place + 1 :] if item.audit_id != row.audit_id), None)
        lines.append(
            SightingLine(sighting=row, version=version_words(row.audit), measurement=now, change=_change(row, before))
        )
    return lines


def _change(row: Sighting, before: Sighting | None) -> str:
    words = str(FindingTrend(row.trend).label)
    if row.reopened:
        words = _("{change}; opened again").format(change=words)
    if before is None or before.measurement is None or row.measurement is None:
        return words
    if before.measurement.key != row.measurement.key:
        return _("{change}: led by another measurement").format(change=words)
    earlier, later = (sentences.shown(measurement(item)) for item in (before.measurement, row.measurement))
    line = _("{change}: {earlier} in {audit}, now {later}")
    return line.format(change=words, earlier=earlier, audit=before.audit.number, later=later)


def waiting_of(ways: Sequence[Way], record: FindingRecord) -> list[Waiting]:
    """Ways that are not open to this person now: what stands against each, and who goes it."""
    closed = [way for way in ways if not way.allowed or way.refusal]
    names = _names(record) if closed else {}
    return [
        Waiting(
            verb=str(way.transition.verb),
            to=way.transition.target,
            # Who does not hold the role is told nothing of themselves: the way may be open to whoever is named.
            why=way.refusal if way.allowed else way.refusal_to_anybody,
            who=_who(way.transition.role, names),
        )
        for way in closed
        if way.transition.role is not None
    ]


def who_comments() -> str:
    """The roles that may comment, in words."""
    return ", ".join(in_sentence(role.label) for role in Role if WRITE in PERMISSIONS[role])


def other_versions(record: FindingRecord) -> Any:
    """The versions of its model on which it can be retested, newest first."""
    versions = LanguageModelVersion.objects.filter(language_model=record.language_model_id)
    return versions.filter(pk__gt=record.opened_in.model_id).defer("manifest")


def _names(record: FindingRecord) -> dict[Role, list[str]]:
    found: dict[Role, list[str]] = {}
    rows = Membership.objects.filter(team=record.team_id, user__is_active=True).order_by("user__username")
    for role, name in rows.values_list("role", "user__username"):
        found.setdefault(Role(role), []).append(name)
    return found


def _who(role: Role | None, names: dict[Role, list[str]]) -> str:
    if role is None:
        return _("the system")
    members = names.get(role, [])
    if members:
        return f"{role.label}: {_named(members)}"
    return _("{role}: nobody in the team yet").format(role=role.label)


def _named(members: Sequence[str]) -> str:
    """A few of them by name; of more the others are counted."""
    if len(members) <= NAMED + 1:
        return ", ".join(members)
    left = len(members) - NAMED
    return ngettext("{names} and {count} other", "{names} and {count} others", left).format(
        names=", ".join(members[:NAMED]), count=left
    )


def apart(record: FindingRecord, sent: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Where an answer that was refused differs from what is saved: name of the box, what is saved, what was sent."""
    saved = {"due": f"{record.due:%Y-%m-%d}" if record.due else ""} | {
        name: str(getattr(record, name)) for name in ("response", "remediation")
    }
    said: dict[str, Callable[[str], str]] = {"due": iso_day_said}
    found = []
    for name, theirs in saved.items():
        read = said.get(name, str)
        found.append((FIELDS[name], read(theirs), read(str(sent.get(name, "")))))
    chosen = str(sent.get("owner", ""))
    if str(record.owner_id or "") != chosen:
        other = get_user_model().objects.filter(pk=chosen).first() if chosen.isdecimal() else None
        found.insert(0, (FIELDS["owner"], str(record.owner or ""), str(other or "")))
    return [(capfirst(_(name)), theirs, yours) for name, theirs, yours in found if theirs != yours]
