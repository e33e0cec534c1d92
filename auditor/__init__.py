"""The engine: audits of language models that take part in financial decisions. No Django, usable from a notebook.

    import auditor

    plan = auditor.Plan.read("plans/quick.toml")
    audited = auditor.audit(plan, folder="quick-look")
    audited.measurement("counterfactual/cf_net_effect/field=race/group=Black/vs=White").estimate

The names in ``__all__`` are the public door: they and their arguments change only with a line in the changelog. Each is
loaded when it is first used, so that ``import auditor`` takes no time and brings no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auditor.applications import Applications
    from auditor.conductor import Conclusions
    from auditor.door.audits import Progress, audit, open_audit
    from auditor.door.results import Audited
    from auditor.door.systems import System, open_data, open_system
    from auditor.exceptions import (
        AuditorError,
        DataError,
        InputError,
        Interrupted,
        ModelError,
        PlanError,
        RunError,
        StorageError,
    )
    from auditor.plan import Plan
    from auditor.records import Case, Check, Conclusion, Decision, Finding, Measurement, Outcome, Role, Severity

__version__ = "0.2.0"

__all__ = [
    "Applications",
    "Audited",
    "AuditorError",
    "Case",
    "Check",
    "Conclusion",
    "Conclusions",
    "DataError",
    "Decision",
    "Finding",
    "InputError",
    "Interrupted",
    "Measurement",
    "ModelError",
    "Outcome",
    "Plan",
    "PlanError",
    "Progress",
    "Role",
    "RunError",
    "Severity",
    "StorageError",
    "System",
    "audit",
    "open_audit",
    "open_data",
    "open_system",
]

_FILES = {
    "applications": ("Applications",),
    "conductor": ("Conclusions",),
    "door.audits": ("Progress", "audit", "open_audit"),
    "door.results": ("Audited",),
    "door.systems": ("System", "open_data", "open_system"),
    "exceptions": (
        "AuditorError",
        "DataError",
        "InputError",
        "Interrupted",
        "ModelError",
        "PlanError",
        "RunError",
        "StorageError",
    ),
    "plan": ("Plan",),
    "records": (
        "Case",
        "Check",
        "Conclusion",
        "Decision",
        "Finding",
        "Measurement",
        "Outcome",
        "Role",
        "Severity",
    ),
}
_HOMES = {name: f"auditor.{file}" for file, names in _FILES.items() for name in names}

# For mypy, which reads the imports above: a __getattr__ that it saw would let any misspelt name through as Any.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """A name of the public door, loaded from where it is defined."""
        if name not in _HOMES:
            raise AttributeError(f"module 'auditor' has no attribute {name!r}")
        found = getattr(import_module(_HOMES[name]), name)
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        """What tab completion offers."""
        return sorted({*globals(), *__all__})
