"""A decision file as what is audited: named ``decisions:FILE``, frozen into a run, and read again to conclude it.

It stands where a model's source would, because it is the system that was audited: who owns it, what it is for and who
approved it are kept as for a model. Nobody is asked anything, so such a run has no case and no chunk of work.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auditor.applications import Counts, Survey
from auditor.canonical import canonical_json
from auditor.catalogue import find_tests
from auditor.data_sources import existing_path
from auditor.decision_sources import path_in
from auditor.exceptions import DataError, PlanError, RunError
from auditor.making import Prepared, made_here
from auditor.mapping_files import read_mapping, stored_mapping
from auditor.mappings import DataMapping
from auditor.model_manifest import DECISION_FILE, ImportRecord, ModelFile, ModelIdentity, ModelManifest
from auditor.observed.building import taken
from auditor.observed.columns import Observed
from auditor.observed.reading import read_decisions
from auditor.plan import Attribute, Plan
from auditor.policies.packs import load_packs
from auditor.run_record import BoundData, BoundModel, PackPin, RowCounts, RunMapping, RunRecord
from auditor.seeds import generator_of

SHOWN = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class DecisionFile:
    """A decision file that was read.

    Attributes
    ----------
    source
        ``decisions:FILE``, as the plan names it.
    mapping
        What its columns mean.
    observed
        All of its columns.
    size
        Bytes of the file.
    """

    source: str
    mapping: DataMapping
    observed: Observed
    size: int

    @property
    def fingerprint(self) -> str:
        """Hash of the file and its mapping together: what names it."""
        return self.observed.fingerprint

    @property
    def manifest(self) -> ModelManifest:
        """What it is, in the form in which models are registered."""
        name = Path(path_in(self.source)).name
        file = ModelFile(path=name, bytes=self.size, sha256=self.observed.file_sha256)
        identity = ModelIdentity(format=DECISION_FILE, files=(file,), name=self.mapping.title or self.mapping.name)
        return ModelManifest(identity=identity, imported=ImportRecord(source=self.source))

    @property
    def counts(self) -> Counts:
        """What became of its rows."""
        observed = self.observed
        return Counts(
            records=observed.n,
            left_out=observed.left_out,
            outcome=next(item.name for item in self.mapping.fields if item.role == "outcome"),
            favourable=int(observed.favourable.sum()),
            adverse=int((observed.decided & ~observed.favourable).sum()),
            no_outcome=observed.others,
            notes=observed.notes,
        )

    @property
    def survey(self) -> Survey:
        """The same file as a data set: how many applications it has, and that they fit their mapping."""
        observed = self.observed
        return Survey(
            mapping=self.mapping,
            source=path_in(self.source),
            file_sha256=observed.file_sha256,
            count=observed.n,
            counts=self.counts,
        )


def open_decisions(source: str, mapping: str) -> DecisionFile:
    """Read the decision file that a plan names.

    Parameters
    ----------
    source
        ``decisions:FILE``.
    mapping
        The path of the mapping file (TOML).

    Raises
    ------
    DataError
        In one line, for a file that cannot be read or does not fit its mapping, or without a mapping.
    """
    path = existing_path(path_in(source))
    if not mapping:
        raise DataError(
            source,
            "no mapping says what its columns mean",
            f"run.mapping in the plan, or --set run.mapping=FILE; "
            f"`python manage.py describe_data {path_in(source)} --out MAPPING.toml` proposes one",
        )
    meaning = read_mapping(existing_path(mapping))
    observed = read_decisions(path, meaning, where=path_in(source))
    return DecisionFile(source=source, mapping=meaning, observed=observed, size=path.stat().st_size)


def prepare_decisions(*, plan: Plan, file: DecisionFile, where: str = "plan") -> Prepared:
    """Bind a design to a decision file: check that they fit together, and freeze what the numbers follow from.

    Parameters
    ----------
    plan
        The design; its prompt, if it has one, is not used.
    file
        The decisions.
    where
        Name of the plan, for errors.

    Raises
    ------
    PlanError
        For an attribute that the file does not hold, or a reference group nobody in it belongs to.
    """
    packs = load_packs(plan.use.policy_packs, where=where)
    find_tests(plan.tests.run, where=where)
    whole = file.observed
    for attribute in plan.attributes:
        _check_attribute(attribute, whole, where)
    audited = chosen(plan, whole)
    left_out = {"beyond the plan's limit": whole.n - audited.n} if audited.n < whole.n else {}
    for attribute in plan.attributes:
        levels = audited.attribute(attribute.field)
        if levels is None:  # its groups are known by probability alone, and every application counts for each in part
            continue
        inside = sum(int(levels.mask(group).sum()) for group in attribute.groups)
        left_out[f"{attribute.field} in none of the plan's groups, left out of its contrasts"] = audited.n - inside
    counts, mapping, decided = file.counts, file.mapping, int(whole.decided.sum())
    run = RunRecord(
        design=plan.design(),
        design_sha256=plan.design_sha256,
        model=BoundModel(source=file.source, sha256=file.fingerprint, manifest=file.manifest.identity),
        data=BoundData(
            source=path_in(file.source),
            name=mapping.name,
            title=mapping.title,
            citation=mapping.citation,
            population=mapping.population,
            fingerprint=file.fingerprint,
            file_sha256=whole.file_sha256,
            mapping=RunMapping.read(_plain(mapping.design()), where=where),
            rows=whole.n,
            selected=(),
            audited=audited.n,
            left_out=left_out,
            observed_rate=counts.favourable / decided if decided else None,
            counts=RowCounts(
                records=counts.records,
                left_out=dict(counts.left_out),
                outcome=counts.outcome,
                favourable=counts.favourable,
                adverse=counts.adverse,
                no_outcome=dict(counts.no_outcome),
                notes=counts.notes,
            ),
        ),
        packs=tuple(PackPin(id=pack.id, version=pack.version, sha256=pack.sha256) for pack in packs),
        code=made_here(),
    )
    return Prepared(run=run, chunks=(), prompts=0, tokens=0)


def decisions_of(run: RunRecord, *, path: Path | None = None) -> Observed:
    """Read the decision file of a frozen run again, as far as the run audits it.

    Parameters
    ----------
    path
        Where it lies, if not where the run's source says.

    Raises
    ------
    RunError
        If it is not, byte for byte, the file the run was frozen with.
    DataError
        If it cannot be read.
    """
    where = path_in(run.model.source)
    mapping = stored_mapping(run.data.mapping.plain())
    found = read_decisions(path or existing_path(where), mapping, where=where)
    if found.fingerprint != run.data.fingerprint:
        raise RunError(
            f"{where}: is not the file the run was frozen with (SHA-256 {found.file_sha256[:12]}); "
            f"expected the one with SHA-256 {run.data.file_sha256[:12]}"
        )
    return chosen(run.plan, found)


def chosen(plan: Plan, observed: Observed) -> Observed:
    """The applications that a plan audits: all, or as many as its limit says, drawn with its seed, in file order."""
    limit = plan.cases.limit
    if limit is None or limit >= observed.n:
        return observed
    drawn = generator_of(plan.cases.seed, "cases").permutation(observed.n)[:limit]
    return taken(observed, np.sort(drawn))


def _check_attribute(attribute: Attribute, observed: Observed, where: str) -> None:
    known: dict[str, Sequence[str]] = {levels.name: levels.names for levels in observed.groups}
    # Where lenders may not ask, a group is known by its probability alone.
    for likely in observed.probabilities:
        known[likely.attribute] = (*known.get(likely.attribute, ()), *likely.names)
    if attribute.field not in known:
        what = f"{attribute.field!r} is not a protected field of the decision file"
        raise PlanError(f"{where}: attributes", what, f"one of: {', '.join(known)}")
    if attribute.reference not in known[attribute.field]:
        names = ", ".join(f"{name[:40]!r}" for name in known[attribute.field][:SHOWN])
        what = f"the reference {attribute.reference!r} is in no row of the decision file"
        raise PlanError(f"{where}: attributes.{attribute.field}", what, f"one of: {names}")


def _plain(design: Mapping[str, Any]) -> dict[str, Any]:
    return dict(json.loads(canonical_json(design)))
