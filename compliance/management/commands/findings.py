"""``manage.py findings``: the findings over all audits, read and moved at a terminal, by the actions of the site."""

from __future__ import annotations

from datetime import date
from typing import Any, NoReturn

from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.core.management.base import CommandError, CommandParser
from django.db.models import QuerySet
from django.utils import timezone

from auditor.exceptions import InputError
from auditor.records import Severity
from compliance import actions
from compliance.accounts.acting import command_line_account
from compliance.actions.retests import newest_retest
from compliance.database.tables import ensure_tables
from compliance.governance.events import Actor
from compliance.governance.finding_states import FindingState, ways_from
from compliance.management.accounts import team_called
from compliance.management.base import NOT_DONE, PlainCommand
from compliance.models import Event, FindingRecord

LIVE = "live"
STATES = [state.value for state in FindingState]
ROLE_CHARACTERS = 40
VERBS = "list|show|move|reject|decline|rate|end-acceptance"


class OneLineParser(CommandParser):
    """Arguments of one verb; what cannot be used is one line, as for the command itself."""

    def error(self, message: str) -> NoReturn:
        """Raise it."""
        raise CommandError(message)


class Command(PlainCommand):
    """Lists, shows and moves findings."""

    help = (
        "Findings over all audits: list them, show one, move one on behalf of a person, with that person's roles. "
        "Exit code 0 done, 2 bad input, 3 refused."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The contract of docs/findings.md."""
        verbs = parser.add_subparsers(
            dest="verb",
            required=True,
            metavar=VERBS,
            parser_class=OneLineParser,
        )
        listed = verbs.add_parser("list", help="one line a finding, worst first")
        listed.add_argument("--team", metavar="NAME", help="of one team only")
        listed.add_argument("--state", choices=[LIVE, *STATES], help="live: not closed, accepted or rejected")
        listed.add_argument("--severity", choices=[level.value for level in Severity])
        listed.add_argument("--overdue", action="store_true", help="only those whose day is past")
        shown = verbs.add_parser("show", help="one finding with its history")
        moved = verbs.add_parser("move", help="lead one to another state; a proposed rejection is confirmed so")
        rejected = verbs.add_parser("reject", help="propose that one is rejected; a second person confirms by move")
        declined = verbs.add_parser("decline", help="leave a proposed rejection; the finding stays open")
        rated = verbs.add_parser("rate", help="rate the severity of one anew")
        ended = verbs.add_parser("end-acceptance", help="take back the acceptance of a risk before its day")
        for verb in (shown, moved, rejected, declined, rated, ended):
            verb.add_argument("number", metavar="F-0001")
        moved.add_argument("to", choices=STATES)
        rated.add_argument("severity", choices=[level.value for level in Severity])
        for verb in (moved, rejected, declined, rated, ended):
            verb.add_argument("--as", dest="person", metavar="NAME", required=True, help="the account that decides")
            verb.add_argument("--said", metavar="TEXT", default="", help="the rationale")
        moved.add_argument("--until", metavar="YYYY-MM-DD", help="the day on which an acceptance ends")

    def work(self, **options: Any) -> int:
        """What was asked for."""
        ensure_tables()
        if options["verb"] == "list":
            self._list(options)
            return 0
        record = _record(options["number"])
        if options["verb"] == "show":
            self._show(record)
            return 0
        actor = _person(options["person"])
        try:
            _act(record, actor, options)
        except PermissionDenied as error:
            self.end(NOT_DONE, f"{record}: {error}; expected a person with a role that does", options)
        self.stdout.write(_line(record))
        return 0

    def _list(self, options: dict[str, Any]) -> None:
        rows = FindingRecord.objects.all()
        if options["overdue"]:
            rows = rows.overdue(timezone.now().date())
        if options["team"]:
            rows = rows.filter(team=team_called(options["team"]))
        if options["state"]:
            rows = rows.live() if options["state"] == LIVE else rows.filter(state=options["state"])
        if options["severity"]:
            rows = rows.filter(severity=options["severity"])
        for record in _light(rows).order_by("-severity_rank", "-serial").iterator(200):
            self.stdout.write(_line(record))

    def _show(self, record: FindingRecord) -> None:
        self.stdout.write(_line(record))
        told = {
            "team": record.team.name,
            "design": f"{record.plan.title} {record.plan.design_sha256}",
            "due": record.due_on.isoformat() if record.due_on else "",
            "response": record.response,
            "plan": record.remediation,
            "rationale": record.rationale,
            "accepted until": record.accepted_until.isoformat() if record.accepted_until else "",
            "rejection": f"proposed by {record.rejection_by}: {record.rejection_reason}" if record.rejection_by else "",
            "retest": newest_retest(record).words,
            "leads to": ", ".join(
                f"{way.target} ({way.role.label.lower()})" for way in ways_from(record.stands) if way.role
            ),
        }
        for name, words in told.items():
            if words:
                self.stdout.write(f"  {name}: {' '.join(words.split())}")
        for row in record.sightings.select_related("audit", "finding").defer("audit__run_json"):
            self.stdout.write(
                f"  seen: {row.audit} {row.finding.key} {row.finding.severity}, {row.get_trend_display()}"
            )
        for event in Event.objects.filter(object=record.number).order_by("seq"):
            self.stdout.write(f"  event {event.seq}: {event.ts} {event.action} by {event.actor} ({event.role})")


def _act(record: FindingRecord, actor: Actor, options: dict[str, Any]) -> None:
    said = options["said"]
    match options["verb"]:
        case "reject":
            actions.propose_rejection(record=record, reason=said, actor=actor)
        case "decline":
            actions.decline_rejection(record=record, reason=said, actor=actor)
        case "rate":
            actions.rate_finding(record=record, severity=options["severity"], reason=said, actor=actor)
        case "end-acceptance":
            actions.end_acceptance(record=record, reason=said, actor=actor)
        case _:
            to, until = FindingState(options["to"]), _day(options["until"])
            actions.move_finding(record=record, to=to, said=said, until=until, actor=actor)


def _light(rows: QuerySet[FindingRecord]) -> QuerySet[FindingRecord]:
    beside = ("team", "plan", "language_model", "owner", "opened_in__model", "opened_in__data")
    heavy = ("plan__design_json", "opened_in__run_json", "opened_in__model__manifest", "opened_in__data__mapping")
    return rows.select_related(*beside).defer(*heavy)


def _line(record: FindingRecord) -> str:
    late = ", overdue" if record.overdue(timezone.now().date()) else ""
    owner = record.owner.get_username() if record.owner else "nobody"
    return (
        f"{record.number}  {record.severity}  {record.stands}{late}  {record.language_model.name}  "
        f"owned by {owner}  {record.title}"
    )


def _record(number: str) -> FindingRecord:
    digits = number.upper().removeprefix("F-")
    known = digits.isascii() and digits.isdecimal() and len(digits) < 10
    record = _light(FindingRecord.objects.filter(serial=int(digits))).first() if known else None
    if record is None:
        raise InputError(number, "there is no such finding", "a number such as F-0001, as `findings list` prints it")
    return record


def _person(name: str) -> Actor:
    """The account that decides; the event also names the account of the machine that typed it."""
    user = get_user_model().objects.filter(username=name, is_active=True).first()
    if user is None:
        raise InputError(f"--as {name}", "there is no such account", "the user name of an active account")
    role = f"command line of {command_line_account()}"[:ROLE_CHARACTERS]
    return Actor(name=user.get_username(), role=role, user=user)


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"--until {text}", "is not a day", "one such as 2027-03-31") from None
