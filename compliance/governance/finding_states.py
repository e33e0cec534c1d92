"""Where a finding stands with the people who answer for it, and what leads where. Pure: no rows.

    open ──▶ acknowledged ──▶ action_planned ──▶ in_remediation ──▶ ready_for_validation ──▶ closed_validated
     │            │                 │                  ▲                    │
     │            └────────┬────────┘                  └─── retest failed ──┘
     │                     ▼
     │               risk_accepted ──▶ open, once the acceptance has expired
     ▼
    rejected_with_rationale, once a second person has confirmed it

What a later audit shows leads back to *open*: whatever was closed and is seen again, and what was accepted or rejected
and is seen again at a graver severity. Overdue is no state: it follows from a date.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from compliance.access.roles import Role
from compliance.dates import day_said


class FindingState(StrEnum):
    """Where a finding stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    ACTION_PLANNED = "action_planned"
    IN_REMEDIATION = "in_remediation"
    READY_FOR_VALIDATION = "ready_for_validation"
    CLOSED_VALIDATED = "closed_validated"
    RISK_ACCEPTED = "risk_accepted"
    REJECTED_WITH_RATIONALE = "rejected_with_rationale"

    @property
    def label(self) -> str:
        """In words."""
        return str(LABELS[self])

    @property
    def live(self) -> bool:
        """Whether somebody has still to do something about it."""
        return self not in SETTLED


LABELS: Mapping[FindingState, str | Promise] = MappingProxyType(
    {
        FindingState.OPEN: gettext_lazy("Open"),
        FindingState.ACKNOWLEDGED: gettext_lazy("Acknowledged"),
        FindingState.ACTION_PLANNED: gettext_lazy("Action planned"),
        FindingState.IN_REMEDIATION: gettext_lazy("In remediation"),
        FindingState.READY_FOR_VALIDATION: gettext_lazy("Ready for validation"),
        FindingState.CLOSED_VALIDATED: gettext_lazy("Closed after validation"),
        FindingState.RISK_ACCEPTED: gettext_lazy("Risk accepted"),
        FindingState.REJECTED_WITH_RATIONALE: gettext_lazy("Rejected with rationale"),
    }
)
SETTLED = frozenset({FindingState.CLOSED_VALIDATED, FindingState.RISK_ACCEPTED, FindingState.REJECTED_WITH_RATIONALE})
LONGEST_ACCEPTANCE = timedelta(days=366)
#: States in which the owner's side still writes: owner, due date, response, plan.
ANSWERED_IN = frozenset(
    {FindingState.OPEN, FindingState.ACKNOWLEDGED, FindingState.ACTION_PLANNED, FindingState.IN_REMEDIATION}
)


class Retest(StrEnum):
    """What the newest retest says: the same design and data, on a later version, after it was seen."""

    NONE = "none"
    CLEAR = "clear"
    SHOWS_IT = "shows_it"
    CANNOT_SAY = "cannot_say"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What guards ask about.

    Attributes
    ----------
    owner, due, plan
        Whether each is set: who owns it, until when, and what is planned.
    fix_attached
        Whether evidence of the fix was attached since it was opened.
    critical
        Whether its severity is critical, or was since it was opened.
    answers_for_it
        Whether the person who acts is, or was, its owner, or moved it on the owner's side.
    said
        The rationale that is given with the move.
    until
        The day on which an acceptance is to expire, or expires.
    today
        The day it is.
    retest, retest_words
        What the newest retest says, as a code and as words.
    proposed, proposed_it
        Whether a rejection is proposed, and whether the person who acts proposed it.
    """

    owner: bool = False
    due: bool = False
    plan: bool = False
    fix_attached: bool = False
    critical: bool = False
    answers_for_it: bool = False
    said: str = ""
    until: date | None = None
    today: date
    retest: Retest = Retest.NONE
    retest_words: str = ""
    proposed: bool = False
    proposed_it: bool = False


class Guard(StrEnum):
    """What has to hold before a finding moves."""

    OWNER_AND_DUE_DATE = "owner_and_due_date"
    PLAN_WRITTEN = "plan_written"
    NO_REJECTION_WAITS = "no_rejection_waits"
    FIX_ATTACHED = "fix_attached"
    RETEST_CLEAR = "retest_clear"
    RETEST_FAILED = "retest_failed"
    NOT_THE_OWNER = "not_the_owner"
    NOT_CRITICAL = "not_critical"
    EXPIRY = "expiry"
    RATIONALE = "rationale"
    SECOND_PERSON = "second_person"
    EXPIRED = "expired"


def _owner_and_due_date(facts: Facts) -> str:
    if facts.owner and facts.due:
        return ""
    if facts.owner:
        return _("has no due date; expected both to be set")
    if facts.due:
        return _("has no owner; expected both to be set")
    return _("has no owner and no due date; expected both to be set")


def _plan_written(facts: Facts) -> str:
    if facts.plan:
        return ""
    return _("has no remediation plan; expected what will be changed, by whom, and how it will show")


def _no_rejection_waits(facts: Facts) -> str:
    if facts.proposed:
        return _("has a proposed rejection that nobody has decided on; expected it to be confirmed or declined first")
    return ""


def _fix_attached(facts: Facts) -> str:
    return "" if facts.fix_attached else _("has no evidence of a fix; expected a file attached as such")


def _retest_clear(facts: Facts) -> str:
    if facts.retest is Retest.CLEAR:
        return ""
    words = facts.retest_words or _("was not retested")
    return _("{words}; expected a retest of the same design on a later version that no longer shows it").format(
        words=words
    )


def _retest_failed(facts: Facts) -> str:
    if facts.retest in (Retest.SHOWS_IT, Retest.CANNOT_SAY):
        return ""
    words = facts.retest_words or _("was not retested")
    return _("{words}; expected a retest that still shows it, or cannot say").format(words=words)


def _not_the_owner(facts: Facts) -> str:
    return _("is answered for by the same person; expected another one") if facts.answers_for_it else ""


def _not_critical(facts: Facts) -> str:
    if facts.critical:
        return _("is critical, or was since it was opened; expected a severity below that for a risk to be accepted")
    return ""


def _expiry(facts: Facts) -> str:
    if facts.until is None:
        return _("has no day on which the acceptance ends; expected one")
    if facts.until <= facts.today:
        return _("would be accepted until {day}; expected a day to come").format(day=day_said(facts.until))
    if facts.until - facts.today > LONGEST_ACCEPTANCE:
        return _("would be accepted until {day}; expected a day within a year").format(day=day_said(facts.until))
    return ""


def _rationale(facts: Facts) -> str:
    return "" if facts.said.strip() else _("is moved without a rationale; expected a sentence that says why")


def _second_person(facts: Facts) -> str:
    if not facts.proposed:
        return _("has not been proposed for rejection; expected a validator to propose it and a second one to confirm")
    return _("was proposed for rejection by the same person; expected a second one") if facts.proposed_it else ""


def _expired(facts: Facts) -> str:
    if facts.until is None or facts.until > facts.today:
        return _("has an acceptance that is in force; expected one that has expired")
    return ""


#: What each guard says of a finding that it refuses; nothing of one that it lets through.
CHECKS: Mapping[Guard, Callable[[Facts], str]] = MappingProxyType(
    {
        Guard.OWNER_AND_DUE_DATE: _owner_and_due_date,
        Guard.PLAN_WRITTEN: _plan_written,
        Guard.NO_REJECTION_WAITS: _no_rejection_waits,
        Guard.FIX_ATTACHED: _fix_attached,
        Guard.RETEST_CLEAR: _retest_clear,
        Guard.RETEST_FAILED: _retest_failed,
        Guard.NOT_THE_OWNER: _not_the_owner,
        Guard.NOT_CRITICAL: _not_critical,
        Guard.EXPIRY: _expiry,
        Guard.RATIONALE: _rationale,
        Guard.SECOND_PERSON: _second_person,
        Guard.EXPIRED: _expired,
    }
)


@dataclass(frozen=True, kw_only=True)
class Transition:
    """One way from a state to another. ``role`` is ``None`` for what the system does by itself."""

    source: FindingState
    target: FindingState
    role: Role | None
    guards: tuple[Guard, ...] = ()
    verb: str | Promise

    @staticmethod
    def check(guard: Guard, facts: Facts) -> str:
        """What one guard says against it; nothing if it lets through."""
        return CHECKS[guard](facts)

    def refusal(self, facts: Facts) -> str:
        """The first thing that stands against it, as it follows the number of a finding; empty if nothing does."""
        return next((words for guard in self.guards if (words := self.check(guard, facts))), "")


_ACCEPTED = (Guard.NOT_CRITICAL, Guard.NOT_THE_OWNER, Guard.EXPIRY, Guard.RATIONALE)

#: Every way there is. Owners neither close nor accept nor reject what they answer for (decision 0050).
TRANSITIONS: tuple[Transition, ...] = (
    Transition(
        source=FindingState.OPEN,
        target=FindingState.ACKNOWLEDGED,
        role=Role.MODEL_OWNER,
        guards=(Guard.NO_REJECTION_WAITS,),
        verb=gettext_lazy("Acknowledge"),
    ),
    Transition(
        source=FindingState.OPEN,
        target=FindingState.REJECTED_WITH_RATIONALE,
        role=Role.VALIDATOR,
        guards=(Guard.NOT_THE_OWNER, Guard.SECOND_PERSON, Guard.RATIONALE),
        verb=gettext_lazy("Reject"),
    ),
    Transition(
        source=FindingState.ACKNOWLEDGED,
        target=FindingState.ACTION_PLANNED,
        role=Role.MODEL_OWNER,
        guards=(Guard.OWNER_AND_DUE_DATE, Guard.PLAN_WRITTEN),
        verb=gettext_lazy("Plan the action"),
    ),
    Transition(
        source=FindingState.ACTION_PLANNED,
        target=FindingState.IN_REMEDIATION,
        role=Role.MODEL_OWNER,
        verb=gettext_lazy("Start remediation"),
    ),
    Transition(
        source=FindingState.IN_REMEDIATION,
        target=FindingState.READY_FOR_VALIDATION,
        role=Role.MODEL_OWNER,
        guards=(Guard.FIX_ATTACHED,),
        verb=gettext_lazy("Hand over for validation"),
    ),
    Transition(
        source=FindingState.READY_FOR_VALIDATION,
        target=FindingState.CLOSED_VALIDATED,
        role=Role.VALIDATOR,
        guards=(Guard.NOT_THE_OWNER, Guard.RETEST_CLEAR, Guard.RATIONALE),
        verb=pgettext_lazy("verb of a finding", "Close"),
    ),
    Transition(
        source=FindingState.READY_FOR_VALIDATION,
        target=FindingState.IN_REMEDIATION,
        role=Role.VALIDATOR,
        guards=(Guard.RETEST_FAILED,),
        verb=gettext_lazy("Send back to remediation"),
    ),
    Transition(
        source=FindingState.ACKNOWLEDGED,
        target=FindingState.RISK_ACCEPTED,
        role=Role.APPROVER,
        guards=_ACCEPTED,
        verb=gettext_lazy("Accept the risk"),
    ),
    Transition(
        source=FindingState.ACTION_PLANNED,
        target=FindingState.RISK_ACCEPTED,
        role=Role.APPROVER,
        guards=_ACCEPTED,
        verb=gettext_lazy("Accept the risk"),
    ),
    Transition(
        source=FindingState.RISK_ACCEPTED,
        target=FindingState.OPEN,
        role=None,
        guards=(Guard.EXPIRED,),
        verb=gettext_lazy("Reopen"),
    ),
)


def transition(source: FindingState, target: FindingState) -> Transition | None:
    """The way from one state to another, if there is one."""
    return next((item for item in TRANSITIONS if (item.source, item.target) == (source, target)), None)


def ways_from(source: FindingState) -> tuple[Transition, ...]:
    """The ways on which people lead out of a state."""
    return tuple(item for item in TRANSITIONS if item.source is source and item.role is not None)


def reopens(state: FindingState, *, rank: int, settled_rank: int | None) -> bool:
    """Whether being seen again, at a severity of this rank, leads back to *open*.

    Parameters
    ----------
    rank
        That of the severity it is seen at now.
    settled_rank
        That of the severity at which it was closed, accepted or rejected.
    """
    if state is FindingState.CLOSED_VALIDATED:
        return True
    return state in SETTLED and settled_rank is not None and rank > settled_rank


def overdue(state: FindingState, *, due: date | None, today: date) -> bool:
    """Whether its date is past while somebody has still to do something about it."""
    return state.live and due is not None and due < today
