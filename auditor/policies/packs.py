"""Policy packs: which clauses ask for which evidence, as dated, sourced data. A pack is named in a run by its hash."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from auditor.canonical import sha256_json
from auditor.exceptions import PlanError

PACKS_FILE = Path(__file__).parent / "packs.json"


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

    def attribute_ids(self) -> tuple[str, ...]:
        """Ids of the attributes the pack protects, in its order."""
        return tuple(attribute["id"] for attribute in self.content["protected_attributes"])


@cache
def catalogue() -> dict[str, Any]:
    """The whole shipped catalogue: packs, metrics, sections, severity scheme, workflow."""
    return dict(json.loads(PACKS_FILE.read_text(encoding="utf-8")))


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
