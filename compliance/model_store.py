"""The store of models of this installation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from auditor.language_models.store import ModelStore
    from auditor.systems.opening import ListedSystems


def model_store(*, systems: ListedSystems | None = None) -> ModelStore:
    """The store in ``MODEL_FOLDER``. Imported when it is called, because it brings torch, which a page never loads.

    Parameters
    ----------
    systems
        Those that may be asked; ``None``: those of ``SYSTEMS_FILE``, which is the command line's.
    """
    from auditor.language_models.store import ModelStore
    from auditor.systems.opening import ListedSystems

    return ModelStore(Path(settings.MODEL_FOLDER), systems=systems or ListedSystems(Path(settings.SYSTEMS_FILE)))
