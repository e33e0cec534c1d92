"""A plan proposed from a table: who can be compared with whom, under which packs, by which tests, and what is missing.

Everything follows from the data set's mapping, the counts of its values and what somebody says the decisions are for.
The text is where a person starts; the plan editor checks it as any other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from auditor.column_words import folded, plain
from auditor.mapping_files import stored_mapping
from auditor.mappings import DataMapping, Field, code_of
from auditor.policies.packs import catalogue as pack_catalogue
from auditor.policies.packs import load_packs
from compliance.models import DataSetVersion, Registration
from compliance.plans.depth import Depth
from compliance.plans.shelf import toml_of
from compliance.registry.column_facts import ColumnFacts
from compliance.registry.keeping import kept

FEWEST = 11  # rows without which a group is offered and not chosen
MOST_GROUPS = 20
MOST_ASKED = 40  # fields that one prompt is written with
REFERENCE_FIELD = "reference_number"
VAGUE = re.compile(
    r".*(not available|not provided|not applicable|not stated|no answer|keine angabe|sin dato|no consta).*"
    r"|unknown|unbekannt|other|sonstige[rs]?|otro|joint|free form text only|n/?a|exempt|1111|7777|8888|9{3,}"
)
STYLES = ("lines", "table", "json", "prose")
ASKED_TESTS = ("counterfactual", "arm_rates", "group_rates", "model_quality", "noise_floor")
USE_WORDS = {
    "credit": gettext_noop("Consumer credit"),
    "mortgage": gettext_noop("Mortgages"),
    "small_business_credit": gettext_noop("Credit to small businesses"),
    "insurance": gettext_noop("Insurance"),
    "employment": gettext_noop("Employment"),
}
#: The same within a sentence: each is a product in small letters.
_IN_A_SENTENCE = (
    gettext_noop("consumer credit"),
    gettext_noop("mortgages"),
    gettext_noop("credit to small businesses"),
    gettext_noop("insurance"),
    gettext_noop("employment"),
)
PLACES = {
    "US": gettext_noop("United States"),
    "EU": gettext_noop("European Union"),
    "UK": gettext_noop("United Kingdom"),
    "SG": gettext_noop("Singapore"),
}


@dataclass(frozen=True, kw_only=True)
class Group:
    """A value that may be compared: how many rows hold it (``None``: fewer than eleven, or nobody counted)."""

    value: str
    rows: int | None
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A protected field with its groups; ``why_not`` says why it cannot be compared as it is."""

    field: str
    label: str
    groups: tuple[Group, ...] = ()
    reference: str = ""
    why_not: str = ""

    @property
    def tied(self) -> bool:
        """Whether the reference was chosen among several of the largest groups, by its name."""
        known = {group.value: group.rows for group in self.groups if group.chosen and group.rows is not None}
        most = max(known.values(), default=0)
        return known.get(self.reference) == most and list(known.values()).count(most) > 1

    @property
    def chosen(self) -> tuple[str, ...]:
        """The values that are compared."""
        return tuple(group.value for group in self.groups if group.chosen)


@dataclass(frozen=True, kw_only=True)
class PackOffer:
    """A policy pack, whether it is proposed, and why."""

    id: str
    name: str
    chosen: bool
    why: str


@dataclass(frozen=True, kw_only=True)
class Purpose:
    """What somebody says the decisions are for."""

    depth: Depth
    business_use: str
    use_case: str = "credit"
    place: str = ""
    decision_role: str = "advisory"
    style: str = "lines"


def depths_of(mapping: DataMapping) -> tuple[Depth, ...]:
    """The depths at which a plan of this table can run; decisions already taken first, where there are some."""
    outcome = any(item.role == "outcome" for item in mapping.fields)
    return (*((Depth.RECORD,) if outcome else ()), Depth.WEIGHTS, Depth.ANSWERS)


def compared(version: DataSetVersion) -> tuple[Compared, ...]:
    """The protected fields of a data set with the groups that can be compared.

    Counts are those of the rows kept for pages; of a table too large for that, those made when it was described.
    """
    mapping = stored_mapping(version.mapping)
    counts = _counts(version, mapping)
    return tuple(_compared(item, counts.get(item.name)) for item in mapping.fields if item.role == "protected")


def packs_for(purpose: Purpose, fields: Sequence[str]) -> tuple[PackOffer, ...]:
    """Every pack, those proposed whose use and place are those of the purpose and that protect a compared field.

    Frameworks that protect nothing of their own are offered and not chosen: whether one applies is for people to say.
    """
    found = []
    for entry in pack_catalogue()["packs"]:
        (pack,) = load_packs((entry["id"],), where="plan")
        protected = [field for field in fields if pack.protects(field) is not None]
        uses = pack.content["use_cases"]
        fits_use = "all" in uses or purpose.use_case in uses
        fits_place = bool(purpose.place) and pack.content["jurisdiction"] == purpose.place
        if fits_use and fits_place and protected:
            why = _("for {use}; protects {fields}").format(
                use=_(USE_WORDS[purpose.use_case].lower()), fields=", ".join(protected)
            )
        elif not pack.attribute_ids():
            why = _("protects no attribute of its own")
        elif not fits_place:
            why = _("speaks of {jurisdiction}").format(jurisdiction=pack.content["jurisdiction"])
        elif not fits_use:
            why = _("speaks of other uses")
        else:
            why = _("knows no compared field by its name")
        found.append(PackOffer(id=pack.id, name=pack.name, chosen=fits_use and fits_place and bool(protected), why=why))
    return tuple(sorted(found, key=lambda offer: not offer.chosen))


def tests_for(mapping: DataMapping, depth: Depth, attributes: int) -> tuple[str, ...]:
    """The tests that the parts of a table allow."""
    parts = mapping.decisions
    outcome = any(item.role == "outcome" for item in mapping.fields)
    if depth is not Depth.RECORD:
        return tuple(name for name in ASKED_TESTS if outcome or name != "model_quality")
    found = {
        "observed_rates": True,
        "observed_scores": bool(parts.score),
        "observed_equal_factors": bool(parts.controls),
        "observed_segments": bool(parts.segments),
        "observed_later": parts.later is not None,
        "observed_prices": bool(parts.prices or parts.amounts),
        "observed_intersections": attributes > 1,
        "observed_likely_groups": bool(parts.probabilities),
        "observed_marginal": bool(parts.score or parts.controls),
        "observed_agreement": parts.human is not None,
        "observed_reasons": bool(parts.reasons),
    }
    return tuple(name for name, fits in found.items() if fits)


def missing_pieces(
    mapping: DataMapping, purpose: Purpose, attributes: Sequence[Compared], packs: Sequence[str], *, audited: bool
) -> list[str]:
    """What has to be filled in or found out, a line each. ``audited``: the file is registered as what is audited."""
    lines = [f"{each.label}: {each.why_not}" for each in attributes if each.why_not]
    if not any(len(each.chosen) > 1 for each in attributes):
        lines.append(_("Nobody is compared with anybody yet; choose two groups or more of a protected attribute"))
    if not purpose.business_use.strip():
        lines.append(_("Business use is empty; write what the decisions are for"))
    if not packs:
        lines.append(_("No policy pack is chosen; findings will cite no clause"))
    if purpose.depth is Depth.RECORD:
        if not audited:
            lines.append(
                _("Before a run, register the decisions as what is audited: decisions:{name}").format(name=mapping.name)
            )
        if not mapping.decisions.controls:
            lines.append(_("No column is marked as held equal, so applicants are compared as they came"))
    else:
        asked, beyond = _asked(mapping, attributes)
        if not asked:
            lines.append(_("No predictor is in the mapping, so a prompt would hold nothing to decide on"))
        if beyond:
            lines.append(
                ngettext(
                    "{n} predictor beyond the first {most} is not in the prompt",
                    "{n} predictors beyond the first {most} are not in the prompt",
                    beyond,
                ).format(n=f"{beyond:,}", most=MOST_ASKED)
            )
        if not any(item.role == "outcome" for item in mapping.fields):
            lines.append(_("The table has no outcome: write the matched rate as a share instead of “observed”"))
    return lines


def plan_text(
    mapping: DataMapping,
    purpose: Purpose,
    attributes: Sequence[Compared],
    packs: Sequence[str],
) -> str:
    """The plan as TOML."""
    record = purpose.depth is Depth.RECORD
    chosen = [each for each in attributes if len(each.chosen) > 1]
    title = purpose.business_use.strip() or mapping.title
    raw: dict[str, Any] = {
        "schema": 2 if purpose.depth is not Depth.WEIGHTS else 1,
        "name": plain(mapping.name).replace("_", "-")[:60] or "plan",
        "title": title[:200],
    }
    if record:
        raw["run"] = {"model": f"decisions:{mapping.name}"}
    raw["use"] = {
        "business_use": purpose.business_use.strip(),
        "decision_role": purpose.decision_role,
        "products": [USE_WORDS[purpose.use_case]],
        **({"jurisdictions": [purpose.place]} if purpose.place else {}),
        **({"population": mapping.population} if mapping.population else {}),
        "policy_packs": list(packs),
    }
    if not record:
        raw |= _asking(mapping, purpose, chosen)
    raw["attributes"] = [
        {"field": each.field, "groups": list(each.chosen), "reference": each.reference} for each in chosen
    ]
    raw["tests"] = {"run": list(tests_for(mapping, purpose.depth, len(chosen)))}
    if purpose.depth is Depth.ANSWERS:
        raw["limits"] = {"requests": 5000}
    return toml_of({key: value for key, value in raw.items() if value != []})


def _asking(mapping: DataMapping, purpose: Purpose, attributes: Sequence[Compared]) -> dict[str, Any]:
    """The sections of a plan that asks: which applications, the prompt, a placebo, what is asked again."""
    fields, _ = _asked(mapping, attributes)
    placebo = REFERENCE_FIELD if REFERENCE_FIELD not in {item.name for item in mapping.fields} else "form_number_0"
    template = (
        "You decide on the application below. Approve or deny?\n\n"
        f"{{fields}}\nReference number: {{{placebo}}}\n\nDecision:"
    )
    return {
        "cases": {"select": "all", "limit": 150, "seed": 1},
        "prompt": {
            "style": purpose.style,
            "template": template,
            "fields": fields,
            "answers": {
                "favourable": [" Approve", " approve"],
                "adverse": [" Deny", " deny"],
                "mass_floor": 0.5,
            },
        },
        "placebo": {"field": placebo, "label": "Reference number", "low": 100, "high": 999},
        "noise": {"reask": 30},
    }


def _asked(mapping: DataMapping, attributes: Sequence[Compared]) -> tuple[list[str], int]:
    """The fields of a prompt, predictors first, and how many predictors are too many for one."""
    predictors = [item.name for item in mapping.fields if item.role == "predictor" and item.type != "text"]
    groups = [each.field for each in attributes if len(each.chosen) > 1]
    return [*predictors[:MOST_ASKED], *groups], max(0, len(predictors) - MOST_ASKED)


def _compared(item: Field, counts: Mapping[str, int | None] | None) -> Compared:
    if item.type == "number":
        why = _("a number has no groups; bands written as words in a column of the file would be some")
        return Compared(field=item.name, label=item.label, why_not=why)
    if counts is None:
        return Compared(field=item.name, label=item.label, why_not=_("its values were not counted; write its groups"))
    if len(counts) > MOST_GROUPS:
        why = _("has {n} different values; expected at most {most}, named in the mapping").format(
            n=f"{len(counts):,}", most=MOST_GROUPS
        )
        return Compared(field=item.name, label=item.label, why_not=why)
    ordered = sorted(counts.items(), key=lambda pair: (-(pair[1] or 0), pair[0]))
    groups = tuple(
        Group(
            value=value,
            rows=None if rows is None or rows < FEWEST else rows,
            chosen=rows is not None and rows >= FEWEST and not VAGUE.fullmatch(folded(value)),
        )
        for value, rows in ordered
    )
    chosen = [group.value for group in groups if group.chosen]
    why = "" if len(chosen) > 1 else _("fewer than two groups of {n} rows or more").format(n=FEWEST)
    return Compared(
        field=item.name, label=item.label, groups=groups, reference=chosen[0] if chosen else "", why_not=why
    )


def _counts(version: DataSetVersion, mapping: DataMapping) -> dict[str, dict[str, int | None]]:
    """How many rows hold each value of each protected field of words."""
    wanted = [item for item in mapping.fields if item.role == "protected" and item.type != "number"]
    found: dict[str, dict[str, int | None]] = {}
    applications = kept(version)
    if applications is not None:
        for item in wanted:
            counts: dict[str, int | None] = {}
            for record in applications.records:
                value = record.values[item.name]
                if value is not None:
                    counts[str(value)] = (counts.get(str(value)) or 0) + 1
            found[item.name] = counts
        return found
    described = Registration.objects.filter(data_version=version).exclude(look={}).order_by("-pk").first()
    facts = [ColumnFacts.kept(each) for each in (described.look.get("columns", ()) if described else ())]
    by_column = {each.name: each for each in facts if each.codes and not each.more}
    for item in wanted:
        seen = by_column.get(item.columns[0]) if len(item.columns) == 1 else None
        if seen is not None:
            said = {code: item.words_of_codes.get(code_of(code), code) for code, _ in seen.codes}
            stated = [(said[code], rows) for code, rows in seen.codes if code_of(code) not in item.missing_codes]
            found[item.name] = dict(stated)
    return found
