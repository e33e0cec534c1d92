"""Retests: the same design and data on a later version of the model, and what the newest one says of a finding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from auditor.decision_sources import is_decision_file
from compliance.access import permissions as access
from compliance.actions.audits import request_audit
from compliance.actions.plans import design_state
from compliance.actions.sightings import seen_of
from compliance.exceptions import StateError
from compliance.execution.job import ACTIVE, JobState
from compliance.governance.events import Actor, append_event, lock_chain
from compliance.governance.finding_states import Retest
from compliance.governance.finding_trends import could_see
from compliance.models import (
    Audit,
    DataSetVersion,
    DesignState,
    FindingRecord,
    LanguageModelVersion,
    MeasurementRow,
    Sighting,
)


@dataclass(frozen=True, kw_only=True)
class RetestSays:
    """What the newest retest of a finding says; ``audit`` is ``None`` where there is none.

    Where none is finished, ``audit`` is one that is not; ``coming`` is one that is newer than the finished one.
    """

    code: Retest
    words: str
    audit: Audit | None = None
    measurement: MeasurementRow | None = None
    coming: RetestSays | None = None


def retests_of(record: FindingRecord) -> Any:
    """Finished governed audits of the design on versions registered after that in which it was opened, newest first."""
    return _asked_for(record).filter(state=JobState.DONE)


def _asked_for(record: FindingRecord) -> Any:
    """The same, finished or not."""
    rows = Audit.objects.filter(
        plan=record.plan_id,
        model__language_model=record.language_model_id,
        model__gt=record.opened_in.model_id,
        serial__gt=record.opened_in.serial,
        governed=True,
    )
    if not is_decision_file(record.opened_in.model.source):  # which is audited by its own data, and no other
        rows = rows.filter(data=record.opened_in.data_id)
    return rows.order_by("-serial").defer("run_json")


def without_retest(records: Any) -> Any:
    """Those among records that no audit retests, finished or under way: what `retests_of` finds, before it is done."""
    runs = Audit.objects.filter(
        plan=OuterRef("plan"),
        model__language_model=OuterRef("language_model"),
        model__gt=OuterRef("opened_in__model"),
        serial__gt=OuterRef("opened_in__serial"),
        governed=True,
    ).exclude(state=JobState.CANCELLED)
    return records.filter(~Exists(runs))


def newest_retest(record: FindingRecord) -> RetestSays:
    """What the newest retest says: that it shows the finding, no longer shows it, or cannot say."""
    coming, finished = _unfinished(record), retests_of(record).first()
    if finished is None:
        return coming or RetestSays(code=Retest.NONE, words=_("was not retested on a later version"))
    if coming is None or coming.audit is None or coming.audit.serial < finished.serial:
        return _said(record, finished)
    return replace(_said(record, finished), coming=coming)


def _unfinished(record: FindingRecord) -> RetestSays | None:
    audit = _asked_for(record).exclude(state=JobState.DONE).first()
    if audit is None:
        return None
    under_way, ended = _("is being retested in {audit}"), _("has a retest that did not finish: {audit}")
    words = (under_way if audit.state in ACTIVE else ended).format(audit=audit)
    return RetestSays(code=Retest.NONE, words=words, audit=audit)


def _said(record: FindingRecord, audit: Audit) -> RetestSays:
    """What a finished retest says."""
    shows = _still_shown(record, audit)
    if shows is not None:
        return RetestSays(code=Retest.SHOWS_IT, words=_("{audit} still shows it").format(audit=shows), audit=shows)
    last = record.sightings.filter(audit__serial__lt=audit.serial).values_list("audit", flat=True).first()
    measured: MeasurementRow | None = None
    # An audit may have raised it more than once, worst first: each of them has to be gone.
    for sighting in record.sightings.filter(audit=last).select_related("measurement").order_by("pk"):
        lead = sighting.measurement
        if lead is None:
            continue
        now = MeasurementRow.objects.filter(audit=audit, key=lead.key).first()
        seen = seen_of(now)
        if now is None or seen is None:
            words = _("{audit} did not measure {key}").format(audit=audit, key=lead.key)
            return RetestSays(code=Retest.CANNOT_SAY, words=words, audit=audit)
        if not could_see(seen_of(lead), seen, conclusion=now.conclusion, mde=now.counts.get("mde")):
            words = _("{audit} could not have seen a difference of the size that was found").format(audit=audit)
            return RetestSays(code=Retest.CANNOT_SAY, words=words, audit=audit, measurement=now)
        measured = measured or now
    return RetestSays(
        code=Retest.CLEAR, words=_("{audit} no longer shows it").format(audit=audit), audit=audit, measurement=measured
    )


def _still_shown(record: FindingRecord, newest: Audit) -> Audit | None:
    """The newest retest if it shows it, else that of a version registered later which does."""
    last_of: dict[int, Audit] = {}
    for audit in retests_of(record).filter(model__gte=newest.model_id):
        last_of.setdefault(audit.model_id, audit)
    seen = set(Sighting.objects.filter(record=record, audit__in=last_of.values()).values_list("audit", flat=True))
    return next((audit for audit in last_of.values() if audit.pk in seen), None)


def data_for(record: FindingRecord, model: LanguageModelVersion) -> DataSetVersion | None:
    """The data on which a version is retested: those of the audit that opened it, or a decision file's own."""
    if not is_decision_file(model.source):
        return record.opened_in.data
    return DataSetVersion.objects.filter(team=record.team, fingerprint=model.sha256).first()


@transaction.atomic
def retest_finding(
    *, record: FindingRecord, model: LanguageModelVersion, queue: str, request_key: str, actor: Actor
) -> Audit:
    """Ask for an audit of the design in which a finding was seen, on a later version of the same model.

    Raises
    ------
    PermissionDenied
        Without the permission to run audits, or without an account.
    StateError
        If the version is of another model, the one in which it was seen, or one registered before; if the design is not
        approved any more, so that the audit would be ungoverned; or if the data are not there.
    """
    if actor.user is None or not access.may(actor.user, "run_audit", record.team_id):
        raise PermissionDenied(_("{name}: may not run audits of {team}").format(name=actor.name, team=record.team))
    lock_chain()
    if model.language_model_id != record.language_model_id:
        raise StateError(
            _("{record}: {model} is of another model; expected a version of {language_model}").format(
                record=record, model=model, language_model=record.language_model
            )
        )
    if model.pk == record.opened_in.model_id:
        raise StateError(
            _("{record}: was seen in {model}; expected another version of {language_model}").format(
                record=record, model=model, language_model=record.language_model
            )
        )
    if model.pk < record.opened_in.model_id:
        seen_in = record.opened_in.model
        raise StateError(
            _(
                "{record}: {model} was registered before it was seen in {seen_in}; expected a later "
                "version of {language_model}"
            ).format(record=record, model=model, seen_in=seen_in, language_model=record.language_model)
        )
    if design_state(record.plan) != DesignState.APPROVED:
        raise StateError(
            _("{record}: the design {plan} is retired; expected an approved one for a retest").format(
                record=record, plan=record.plan
            )
        )
    data = data_for(record, model)
    if data is None:
        raise StateError(
            _("{record}: the data of {model} are not registered; expected the table it was read from").format(
                record=record, model=model
            )
        )
    if Audit.objects.filter(request_key=request_key).exists():  # asked for twice by two clicks: once is told
        return request_audit(
            plan=record.plan, model=model, data=data, queue=queue, request_key=request_key, actor=actor
        )
    audit = request_audit(plan=record.plan, model=model, data=data, queue=queue, request_key=request_key, actor=actor)
    payload = {"audit": audit.number, "model_sha256": model.sha256, "governed": audit.governed}
    append_event(
        actor=actor, action="finding.retest_requested", object=record.number, payload=payload, team=record.team
    )
    return audit
