"""The page on which a plan is written from a table: what is proposed, what is missing, and a button that begins it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from auditor.mapping_files import stored_mapping
from auditor.mappings import DataMapping
from compliance import actions
from compliance.access import permissions as access
from compliance.governance.events import site_actor
from compliance.models import DataSetVersion, LanguageModelVersion
from compliance.plans.depth import Depth
from compliance.plans.from_table import (
    PLACES,
    STYLES,
    USE_WORDS,
    Compared,
    Group,
    Purpose,
    compared,
    depths_of,
    missing_pieces,
    packs_for,
    plan_text,
)
from compliance.registry.views import page

WRITE = "add_planversion"
LONGEST = 300
ROLES = {
    "advisory": gettext_noop("Advisory: a person decides"),
    "determinative": gettext_noop("Determinative: its answer is the decision"),
}


@page("GET", "HEAD", "POST")
def from_table(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Write a plan from one registered table, and no other."""
    version = DataSetVersion.objects.for_user(request.user).select_related("team").filter(pk=pk).first()
    if version is None:
        raise Http404("no such data set")
    access.require(request.user, WRITE, version.team_id)
    mapping = stored_mapping(version.mapping)
    sent = request.POST if request.method == "POST" else None
    purpose = _purpose(version, mapping, sent)
    attributes = _chosen_groups(compared(version), sent)
    fields = [each.field for each in attributes if len(each.chosen) > 1]
    packs = packs_for(purpose, fields)
    if sent is not None and "write" in sent:
        packs = tuple(replace(pack, chosen=pack.id in sent.getlist("packs")) for pack in packs)
    chosen = [pack.id for pack in packs if pack.chosen]
    audited = LanguageModelVersion.objects.filter(
        language_model__team=version.team_id, sha256=version.fingerprint
    ).first()
    missing = missing_pieces(mapping, purpose, attributes, chosen, audited=audited is not None)
    if sent is not None and "write" in sent:
        row = actions.begin_draft(
            team=version.team,
            name=purpose.business_use.strip()[:200] or version.name,
            origin=f"data set {version}",
            text=plan_text(mapping, purpose, attributes, chosen),
            actor=site_actor(request),
            data=version,
        )
        for line in missing:
            messages.warning(request, f"{line}.")
        at = {"depth": purpose.depth, "data": version.pk}
        if purpose.depth is Depth.RECORD:
            at["model"] = audited.pk if audited is not None else ""
        return HttpResponseRedirect(f"{row.get_absolute_url()}?{urlencode(at)}")
    context: dict[str, Any] = {
        "version": version,
        "purpose": purpose,
        "depths": depths_of(mapping),
        "uses": USE_WORDS,
        "places": PLACES,
        "roles": ROLES,
        "styles": STYLES,
        "attributes": attributes,
        "packs": packs,
        "missing": missing,
    }
    return render(request, "plans/from_table.html", context)


def _purpose(version: DataSetVersion, mapping: DataMapping, sent: QueryDict | None) -> Purpose:
    """What the decisions are for: as it was sent, else what can be said before anybody did."""
    offered = depths_of(mapping)
    if sent is None:
        return Purpose(depth=offered[0], business_use=f"Decisions in {version.name}"[:LONGEST])
    asked = sent.get("depth")
    return Purpose(
        depth=next((depth for depth in offered if depth == asked), offered[0]),
        business_use=sent.get("business_use", "")[:LONGEST],
        use_case=_one_of(sent.get("use_case"), USE_WORDS),
        place=_one_of(sent.get("place"), {"": "", **PLACES}),
        decision_role=_one_of(sent.get("decision_role"), ROLES),
        style=_one_of(sent.get("style"), dict.fromkeys(STYLES, "")),
    )


def _one_of(asked: str | None, known: dict[str, str]) -> str:
    return asked if asked is not None and asked in known else next(iter(known))


def _chosen_groups(attributes: tuple[Compared, ...], sent: QueryDict | None) -> tuple[Compared, ...]:
    """The groups as somebody ticked them."""
    if sent is None:
        return attributes
    found = []
    for at, each in enumerate(attributes):
        ticked = sent.getlist(f"group-{at}")
        groups = tuple(Group(value=group.value, rows=group.rows, chosen=group.value in ticked) for group in each.groups)
        chosen = [group.value for group in groups if group.chosen]
        asked = sent.get(f"reference-{at}", "")
        reference = asked if asked in chosen else chosen[0] if chosen else ""
        why_not = "" if len(chosen) > 1 or not groups else each.why_not or (_("one group alone") if chosen else "")
        found.append(replace(each, groups=groups, reference=reference, why_not=why_not if groups else each.why_not))
    return tuple(found)
