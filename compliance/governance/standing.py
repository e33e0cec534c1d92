"""Which audits move a model's standing, and by when it is due again.

An audit counts if it is finished, governed (a person asked for it, with a design that a second one had approved), and
large enough to tell: it found a difference in one of its main questions, or it could have seen one of the size that the
plan names in all of them that were tested. Trial runs never count, whatever they say.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from django.db.models import Exists, OuterRef, Q

from auditor.records import Conclusion, Role
from compliance.execution.job import JobState
from compliance.governance.revalidation import next_validation
from compliance.models import Approval, Audit, LanguageModel, MeasurementRow
from compliance.models.audits import AuditQuerySet
from reports.wording import QUIET, SEEN


class Counted(NamedTuple):
    """The last audit that counts for a language model."""

    audit: int
    serial: int
    finished_at: datetime
    model: int


class Due(NamedTuple):
    """When a language model is to be validated again."""

    language_model: LanguageModel
    last: Counted
    at: datetime


def could_tell(audits: AuditQuerySet) -> AuditQuerySet:
    """Each of these audits with ``tells``: whether it was large enough to say something of its main questions.

    What an audit was too small to see is INCONCLUSIVE, and NO_EVIDENCE says that it could have seen it
    (docs/statistics.md): so the conclusions alone tell which is which.
    """
    primary = MeasurementRow.objects.filter(audit=OuterRef("pk"), role=Role.PRIMARY).order_by()
    seen = Exists(primary.filter(conclusion__in=SEEN))
    quiet = Exists(primary.filter(conclusion__in=QUIET))
    open_ = Exists(primary.filter(conclusion=Conclusion.INCONCLUSIVE))
    return audits.annotate(tells=Q(seen) | (Q(quiet) & ~Q(open_)))


def that_count(audits: AuditQuerySet) -> AuditQuerySet:
    """Those of these audits that move the standing of their model."""
    done = audits.filter(state=JobState.DONE, finished_at__isnull=False, governed=True)
    # Types know no annotation; that it is there is said two lines above.
    return could_tell(done).filter(Q(tells=True))


def last_that_count(language_models: Iterable[int] | None = None) -> dict[int, Counted]:
    """The newest audit that counts, by language model; of all of them where none are named."""
    rows = that_count(Audit.objects.all())
    if language_models is not None:
        rows = rows.filter(model__language_model__in=list(language_models))
    found: dict[int, Counted] = {}
    columns = ("model__language_model_id", "pk", "serial", "finished_at", "model_id")
    for language_model, *counted in rows.order_by("-serial").values_list(*columns):
        found.setdefault(language_model, Counted(*counted))
    return found


def due_dates(language_models: Iterable[int] | None = None) -> list[Due]:
    """When each language model that has a standing is due; retired ones are not."""
    last = last_that_count(language_models)
    rows = LanguageModel.objects.filter(pk__in=list(last)).exclude(approval=Approval.RETIRED).select_related("team")
    return [
        Due(row, last[row.pk], next_validation(last[row.pk].finished_at, tier=row.risk_tier))
        for row in rows.order_by("pk")
    ]
