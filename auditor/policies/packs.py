"""Policy packs: which clauses ask for which evidence, as dated, sourced data. A pack is named in a run by its hash.

A pack is a file in ``shipped/``, called by its id. What all of them speak of stands in ``catalogue.json``: attributes,
metrics, sections, the severity scheme, the workflow.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from auditor.canonical import sha256_json
from auditor.exceptions import PlanError
from auditor.records import Role

CATALOGUE = Path(__file__).parent / "catalogue.json"
SHIPPED = Path(__file__).parent / "shipped"


@dataclass(frozen=True)
class PolicyPack:
    """One pack. ``content`` is the pack as shipped; ``sha256`` the hash of its canonical JSON."""

    id: str
    version: str
    name: str
    content: dict[str, Any]

    @property
    def sha256(self) -> str:
        """Hash of the pack's canonical JSON."""
        return sha256_json(self.content)

    def clauses_for(self, metric: str) -> tuple[str, ...]:
        """References of the clauses that ask for ``metric`` as evidence, in the pack's order."""
        wanted = f"metric:{metric}"
        return tuple(clause["ref"] for clause in self.content["clauses"] if wanted in clause["evidence_refs"])

    def rule_of(self, metric: str) -> dict[str, Any]:
        """What the pack says of ``metric``: its role, theory, threshold with its basis; empty where it says nothing."""
        return next((dict(rule) for rule in self.content["metrics"] if rule["metric"] == metric), {})

    def role_of(self, metric: str) -> str:
        """The role the pack gives ``metric``; empty where it names none."""
        return str(self.rule_of(metric).get("role", ""))

    def protects(self, field: str) -> str | None:
        """Under which id the pack protects ``field``: its own, or a related one of the catalogue; ``None`` if none."""
        ids = self.attribute_ids()
        if field in ids:
            return field
        related = catalogue()["attribute_catalog"].get(field, {}).get("related", ())
        return next((name for name in related if name in ids), None)

    def attribute_ids(self) -> tuple[str, ...]:
        """Ids of the attributes the pack protects, in its order."""
        return tuple(attribute["id"] for attribute in self.content["protected_attributes"])


@dataclass(frozen=True)
class MetricRule:
    """What the packs of a plan say together of one metric, for one field.

    Attributes
    ----------
    role
        The strongest role a pack gives it; ``None`` where no pack names it. ``optional_annex`` is exploratory here: it
        is printed apart and never confirmatory.
    threshold
        For a ratio the largest τ of the packs that make it primary, for a difference the smallest: the strictest;
        ``None`` where they only report it.
    basis
        What that threshold stands on, in the catalogue's words.
    packs
        The packs that give the role.
    most_selected, min_share
        Whether a pack compares with the most selected group, and the least share of cases a group needs for that.
    """

    role: Role | None = None
    threshold: float | None = None
    basis: str = ""
    packs: tuple[str, ...] = ()
    most_selected: bool = False
    min_share: float = 0.0

    @property
    def words(self) -> str:
        """The packs and the threshold's basis: "us-fha (0.8, e.g. 4/5 rule, employment only)"."""
        told = ", ".join(self.packs)
        return told if self.threshold is None else f"{told} ({self.threshold:g}: {self.basis})"


ROLES = {
    "primary": Role.PRIMARY,
    "secondary": Role.SECONDARY,
    "control": Role.SECONDARY,
    "supporting": Role.SUPPORTING,
    "optional_annex": Role.EXPLORATORY,
}


def metric_rule(packs: Sequence[PolicyPack], metric: str, *, field: str) -> MetricRule:
    """Read a metric's role, threshold and reference rule from the packs that protect ``field``.

    A framework that protects no attribute of its own speaks of all of them.
    """
    found: list[tuple[PolicyPack, dict[str, Any]]] = [
        (pack, rule)
        for pack in packs
        if (pack.protects(field) is not None or not pack.attribute_ids()) and (rule := pack.rule_of(metric))
    ]
    if not found:
        return MetricRule()
    order = [Role.PRIMARY, Role.SECONDARY, Role.EXPLORATORY, Role.SUPPORTING]
    role = min((ROLES[rule["role"]] for _, rule in found), key=order.index)
    giving = [(pack, rule) for pack, rule in found if ROLES[rule["role"]] is role]
    limits = [
        (float(limit["value"]), str(limit["basis"]), str(limit["op"]))
        for _, rule in giving
        if role is Role.PRIMARY
        and (limit := rule.get("threshold"))
        and limit["op"] in (">=", "abs<=")
        and limit.get("value") is not None
    ]
    # A floor is stricter the higher it lies, a tolerance the smaller it is.
    strictest = sorted(limits, key=lambda limit: -limit[0] if limit[2] == ">=" else limit[0])
    value, basis = strictest[0][:2] if strictest else (None, "")
    shares = [float(rule["min_category_share"]) for _, rule in found if "min_category_share" in rule]
    return MetricRule(
        role=role,
        threshold=value,
        basis=catalogue()["threshold_basis_values"].get(basis, basis),
        packs=tuple(pack.id for pack, _ in giving),
        # Only a pack that leaves out small categories ranks them to find the most selected one.
        most_selected=bool(shares),
        min_share=max(shares, default=0.0),
    )


@cache
def catalogue() -> dict[str, Any]:
    """The whole shipped catalogue: packs in the order of their ids, metrics, sections, severity scheme, workflow."""
    packs = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(SHIPPED.glob("*.json"))]
    return {**json.loads(CATALOGUE.read_text(encoding="utf-8")), "packs": packs}


def load_packs(ids: Sequence[str], *, where: str) -> tuple[PolicyPack, ...]:
    """The packs with these ids, in their order.

    Raises
    ------
    PlanError
        For an unknown id, naming the ones there are.
    """
    known = {pack["id"]: pack for pack in catalogue()["packs"]}
    for pack_id in ids:
        if pack_id not in known:
            raise PlanError(f"{where}: use.policy_packs", f"unknown pack {pack_id!r}", f"one of: {', '.join(known)}")
    return tuple(
        PolicyPack(id=pack_id, version=known[pack_id]["version"], name=known[pack_id]["name"], content=known[pack_id])
        for pack_id in ids
    )
