"""The page on which a version of a model is proposed for approval and decided on. What it changes, actions change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_POST

from auditor.records import Conclusion
from compliance import actions
from compliance.access import permissions as access
from compliance.actions.approvals import APPROVE, MOST_AUDITS, PROPOSE, audits_of, part_in
from compliance.dashboard import approval_tables
from compliance.dashboard.approval_forms import ProposalForm, VersionDecisionForm, WithdrawalForm
from compliance.dashboard.audited_models import gravest
from compliance.dashboard.pages import page
from compliance.exceptions import ComplianceError
from compliance.governance.events import site_actor
from compliance.models import Approval, Audit, FindingRecord, LanguageModelVersion, VersionState
from compliance.models.approvals import version_standing
from compliance.tables.pages import page_of
from compliance.templatetags.plumbline import conclusion_said, day

REFUSED, WRONG = 409, 400


@dataclass(frozen=True, kw_only=True)
class Borne:
    """An audit on which an approval can rest."""

    audit: Audit
    conclusion: Conclusion
    tells: bool

    @property
    def words(self) -> str:
        """Its number, day, conclusion, and whether it was large enough."""
        said = f"{self.audit.number}, {day(self.audit.finished_at)}: {conclusion_said(self.conclusion)}"
        return said if self.tells else _("{audit} (too small to tell)").format(audit=said)


@page
def approval(request: HttpRequest, number: int) -> HttpResponseBase:
    """Where a version stands, what its approval rests on, and what I can do about it."""
    return _page(request, _version(request, number))


@require_POST
@cache_control(private=True, no_store=True)
@login_required
def propose(request: HttpRequest, number: int) -> HttpResponseBase:
    """Propose a version, resting on audits."""
    version = _version(request, number)
    access.require(request.user, PROPOSE, version.language_model.team_id)
    form = ProposalForm(request.POST).offer(_borne(version))

    def act() -> None:
        said = form.cleaned_data
        actions.propose_version(
            version=version, audits=said["audits"], reason=said["reason"], actor=site_actor(request)
        )

    return _done(request, version, form, act, _("It is proposed. A second person decides on it."))


@require_POST
@cache_control(private=True, no_store=True)
@login_required
def decide(request: HttpRequest, number: int) -> HttpResponseBase:
    """Approve a version that is proposed, or return it with comments."""
    version = _version(request, number)
    access.require(request.user, APPROVE, version.language_model.team_id)
    form = VersionDecisionForm(request.POST)

    def act() -> None:
        said = form.cleaned_data
        proposal = version.decisions.filter(pk=said["proposal"]).select_related("version__language_model__team").first()
        if proposal is None:
            raise Http404(_("no such proposal"))
        approved = said["decision"] == VersionDecisionForm.APPROVE
        actions.decide_on_version(
            proposal=proposal,
            approve=approved,
            reason=said["reason"],
            confirmed=said["confirmed"],
            actor=site_actor(request),
        )
        done = _("This version is approved.") if approved else _("It is returned, with your comments.")
        messages.success(request, done)

    return _done(request, version, form, act)


@require_POST
@cache_control(private=True, no_store=True)
@login_required
def withdraw(request: HttpRequest, number: int) -> HttpResponseBase:
    """Take an approval back."""
    version = _version(request, number)
    access.require(request.user, APPROVE, version.language_model.team_id)
    form = WithdrawalForm(request.POST)

    def act() -> None:
        actions.withdraw_approval(version=version, reason=form.cleaned_data["reason"], actor=site_actor(request))

    return _done(request, version, form, act, _("The approval is withdrawn."))


def _done(
    request: HttpRequest, version: LanguageModelVersion, form: forms.Form, act: Callable[[], None], said: str = ""
) -> HttpResponseBase:
    """One POST is one action; what is refused is told on the page, with what was filled in."""
    if not form.is_valid():
        return _page(request, version, form, status=WRONG)
    try:
        act()
    except ComplianceError as error:
        form.add_error(None, str(error))
        return _page(request, version, form, status=REFUSED)
    if said:
        messages.success(request, said)
    return redirect("model_approval", version.pk)


def _page(
    request: HttpRequest, version: LanguageModelVersion, sent: forms.Form | None = None, *, status: int = 200
) -> HttpResponseBase:
    """The page; with the form that was ``sent`` and refused, if one was."""
    actor, model = site_actor(request), version.language_model
    standing, borne = version_standing(version), _borne(version)
    pending = standing.pending
    waits = pending is not None and pending.state == VersionState.PROPOSED
    may_approve = access.may(request.user, APPROVE, model.team_id)
    in_use = model.approval != Approval.RETIRED
    part = part_in(version, actor) if waits and may_approve else ""
    decisions = list(version.decisions.order_by("-pk"))
    changed = waits and pending is not None and pending.described_sha256 != version.as_approved()
    live = FindingRecord.objects.for_user(request.user).live().filter(language_model=model)
    context = {
        "version": version,
        "model": model,
        "standing": standing,
        "waits": waits,
        "changed": changed,
        "part": part,
        "borne": borne,
        "resting": _named(pending.rests_on if pending is not None else ()),
        "live": live.count(),
        "proposing": _proposal_form(borne, sent)
        if in_use and borne and access.may(request.user, PROPOSE, model.team_id)
        else None,
        "deciding": _decision_form(pending.pk, sent, approve=not part)
        if waits and may_approve and pending is not None
        else None,
        "withdrawing": _kept(WithdrawalForm, sent) if standing.approval is not None and may_approve else None,
        "decisions": decisions,
    }
    tables = [
        *([approval_tables.borne_table(borne)] if borne else []),
        *([approval_tables.decisions_table(decisions)] if decisions else []),
    ]
    return page_of(request, "compliance/approval.html", context, tables, status=status)


def _proposal_form(borne: list[Borne], sent: forms.Form | None) -> forms.Form:
    return sent if isinstance(sent, ProposalForm) else ProposalForm().offer(borne)


def _decision_form(pending: int, sent: forms.Form | None, *, approve: bool) -> forms.Form:
    if isinstance(sent, VersionDecisionForm):
        # What is sent next is of the proposal that the page shows now.
        sent.data = {**{name: sent.data.get(name, "") for name in sent.data}, "decide-proposal": str(pending)}
        return sent
    return VersionDecisionForm(initial={"proposal": pending}).offer(approve=approve)


def _kept(kind: type[Any], sent: forms.Form | None) -> Any:
    return sent if isinstance(sent, kind) else kind()


def _borne(version: LanguageModelVersion) -> list[Borne]:
    """The audits that an approval of a version can rest on, newest first."""
    rows = list(audits_of(version)[:MOST_AUDITS])
    codes = gravest(row.pk for row in rows)
    return [
        Borne(audit=row, conclusion=codes.get(row.pk, Conclusion.NOT_TESTED), tells=bool(row.tells)) for row in rows
    ]


def _named(numbers: Any) -> list[Audit]:
    serials = [int(number.removeprefix("A-")) for number in numbers]
    return list(Audit.objects.filter(serial__in=serials).order_by("serial").defer("run_json"))


def _version(request: HttpRequest, number: int) -> LanguageModelVersion:
    """A version somebody may see, with its number. One they may not see is not there for them."""
    rows = LanguageModelVersion.objects.for_user(request.user).select_related("language_model__team").defer("manifest")
    found = rows.numbered().filter(pk=number).first()
    if found is None:
        raise Http404(_("no such version"))
    return found
