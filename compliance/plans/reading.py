"""What stands beside a registered design for whoever decides on it: its prompts, and comments on what it corrects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import HttpRequest

from auditor.exceptions import InputError
from compliance.models import DataSetVersion, DesignState, PlanDecision, PlanVersion
from compliance.plans.depth import Depth
from compliance.plans.preview import Preview, preview


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The prompts of a design on one data set; the page offers the others. ``preview`` is what a draft shows, too."""

    data: DataSetVersion | None
    preview: Preview | None
    data_sets: Sequence[DataSetVersion]

    @property
    def query(self) -> str:
        """The choice as an address says it."""
        return urlencode({"data": self.data.pk if self.data is not None else ""})


def read_of(plan: PlanVersion, request: HttpRequest) -> Reading:
    """The prompts of a design, on the data that the address names; else on the newest that holds its fields.

    Tokens are not counted here, which takes a model: what is decided on is what the prompts say.
    """
    rows = DataSetVersion.objects.for_user(request.user).filter(team=plan.team_id).defer("preview")
    every = list(rows)
    parsed = plan.parsed
    wanted = request.GET.get("data")
    fields = {attribute.field for attribute in parsed.attributes}
    if wanted is None:
        data = next((item for item in every if fields <= _fields(item)), None)
    else:
        data = next((item for item in every if str(item.pk) == wanted), None)
    if data is None:
        return Reading(data=None, preview=None, data_sets=every)
    depth = Depth.WEIGHTS if parsed.asks else Depth.RECORD
    try:
        shown = preview(parsed, data=data, model=None, depth=depth)
    except InputError:
        shown = None
    return Reading(data=data, preview=shown, data_sets=every)


def comments_on(plan: PlanVersion) -> list[PlanDecision]:
    """The comments with which a design was returned, newest first."""
    return list(plan.decisions.filter(state=DesignState.RETURNED).order_by("-pk"))


def _fields(data: DataSetVersion) -> set[str]:
    """Names of the fields that a mapping gives a data set."""
    fields = data.mapping.get("fields", ()) if isinstance(data.mapping, dict) else ()
    return {str(item.get("name")) for item in fields if isinstance(item, dict)}
