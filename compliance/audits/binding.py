"""From rows to what the engine takes: a bound plan, applications, a stored model. Each is what was registered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

from auditor.applications import Applications, apply_mapping
from auditor.data_sources import DEMONSTRATION, data_path
from auditor.decision_sources import is_decision_file
from auditor.demo_data import load_loanapp
from auditor.exceptions import DataError
from auditor.mapping_files import stored_mapping
from auditor.plan import Plan, plan_from
from auditor.tables import read_table
from compliance.model_store import model_store
from compliance.models import DataSetVersion, LanguageModelVersion, PlanVersion, Registration

if TYPE_CHECKING:
    from auditor.decision_files import DecisionFile


def bound_plan(plan: PlanVersion, *, model: LanguageModelVersion, data: DataSetVersion) -> Plan:
    """The design, bound to a model and a data version."""
    run = {"model": model.source, "data": "" if is_decision_file(model.source) else data.source}
    return plan_from({**plan.design, "run": run}, where=str(plan))


def registered_data(version: DataSetVersion) -> Applications:
    """Read the applications of a data version.

    Raises
    ------
    DataError
        If the file is gone, is not the one that was registered, or is larger than what is read.
    """
    if version.source == DEMONSTRATION:
        found = load_loanapp()
    else:
        mapping = stored_mapping(version.mapping)
        table = read_table(data_file(version), where=version.source, reading=mapping.reading)
        found = apply_mapping(table, mapping, source=version.source, file_sha256=table.sha256)
    if found.fingerprint != version.fingerprint:
        raise DataError(
            version.source,
            f"is not what was registered (fingerprint {found.fingerprint[:12]})",
            f"the file and mapping with fingerprint {version.fingerprint[:12]}",
        )
    return found


def registered_decisions(version: DataSetVersion, *, source: str) -> DecisionFile:
    """Read a data version as decisions already taken; ``source`` is what the run calls it, ``decisions:NAME``.

    Raises
    ------
    DataError
        If the file is gone, is not the one that was registered, or its mapping names no outcome.
    """
    from auditor.decision_files import DecisionFile
    from auditor.observed.reading import read_decisions

    path, mapping = data_file(version), stored_mapping(version.mapping)
    observed = read_decisions(path, mapping, where=version.source)
    if observed.fingerprint != version.fingerprint:
        raise DataError(
            version.source,
            f"is not what was registered (fingerprint {observed.fingerprint[:12]})",
            f"the file and mapping with fingerprint {version.fingerprint[:12]}",
        )
    return DecisionFile(source=source, mapping=mapping, observed=observed, size=path.stat().st_size)


def data_file(version: DataSetVersion) -> Path:
    """The table behind a data version: an upload as it is kept, else the file its source names.

    Evidence is not changed by who enters the same bytes again: a version that a command line entered first names no
    upload, though one is kept since.
    """
    if version.file:
        return Path(settings.DATA_FOLDER) / version.file
    for kept in Registration.objects.filter(data_version=version).exclude(file="").order_by("-pk"):
        path = Path(settings.DATA_FOLDER) / kept.file
        if path.is_file():
            return path
    return data_path(version.source)


def registered_model(version: LanguageModelVersion) -> Any:
    """The model in the store.

    Raises
    ------
    ModelError
        If it is not in this machine's store.
    """
    return model_store().get(version.sha256)
