"""Importing a system is probing it: what it is today, as far as it shows, is what a run is bound to."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from auditor.model_manifest import FORMAT, ModelIdentity, SystemIdentity
from auditor.systems.abilities import Abilities
from auditor.systems.endpoint import EndpointSystem
from auditor.systems.opening import ListedSystems
from auditor.systems.request_store import RequestStore
from auditor.systems.service import Service

PROBE = "probe.jsonl"
LIBRARY = "httpx2"


@dataclass(frozen=True)
class Probed:
    """A system as it was probed: what names it, and figures that may differ from one probe to the next."""

    identity: ModelIdentity
    checks: dict[str, Any]
    libraries: dict[str, str]


def probe_system(source: str, *, systems: ListedSystems, folder: Path) -> Probed:
    """Open a listed system and probe it.

    Parameters
    ----------
    source
        ``endpoint:NAME`` or ``service:NAME``.
    systems
        Those that are listed.
    folder
        An empty folder; ``probe.jsonl`` with every question and answer is written into it.

    Raises
    ------
    ModelError
        If it is not listed as it should be, or cannot be opened.
    SystemStopped
        If it does not answer, or refuses a plain question.
    """
    kept = folder / "requests.sqlite"
    with RequestStore(kept) as store:
        with systems.open(source, store=store) as system:
            abilities = system.probe()
            asked = asked_of(system)
            use = system.measured() if isinstance(system, EndpointSystem) else None
        (folder / PROBE).write_bytes(b"".join(store.evidence()))
    for path in folder.glob(f"{kept.name}*"):
        path.unlink()
    checks = {
        "asked": abilities.asked,
        "alike": abilities.alike,
        "lacking": dict(sorted(abilities.lacking.items())),
        "use": None if use is None else asdict(use),
    }
    kind = source.partition(":")[0]
    identity = ModelIdentity(format=FORMAT, files=(), system=system_identity(kind, asked, abilities))
    return Probed(identity, checks, {LIBRARY: version(LIBRARY)})


def asked_of(system: EndpointSystem | Service) -> dict[str, Any]:
    """What is asked and how, as plain data: of a service also the fields it takes and where its decision is read."""
    asked = dict(system.identity)
    if isinstance(system, Service):
        read = system.listed.read
        asked["fields"] = sorted(system.listed.fields())
        asked["read"] = {
            "choice": None if read.choice is None else read.choice.text,
            "favourable": list(read.favourable),
            "adverse": list(read.adverse),
            "refused": list(read.refused),
            "amount": None if read.amount is None else read.amount.text,
            "unit": read.unit,
            "reasons": None if read.reasons is None else read.reasons.text,
        }
    return dict(json.loads(json.dumps(asked)))


def system_identity(kind: str, asked: dict[str, Any], abilities: Abilities) -> SystemIdentity:
    """What names a system: counts and a server's own words are left out, since they differ between probes of one."""
    # Every key is given, defaults too: what is not given is not hashed.
    return SystemIdentity(
        kind=kind,
        asked=asked,
        readouts=tuple(sorted(str(name) for name in abilities.readouts)),
        log_probabilities=str(abilities.log_probabilities),
        top=abilities.top,
        json_schema=abilities.json_schema,
        tool=abilities.tool,
        thinks=abilities.thinks,
        model=abilities.model,
        fingerprint=abilities.fingerprint,
    )
