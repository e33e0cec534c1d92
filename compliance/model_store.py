"""The store of models of this installation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from auditor.language_models.store import ModelStore


def model_store() -> ModelStore:
    """The store in ``MODEL_FOLDER``, with the systems of ``SYSTEMS_FILE``.

    Imported when it is called, because it brings torch, which a page never loads.
    """
    from auditor.language_models.store import ModelStore
    from auditor.systems.opening import ListedSystems

    return ModelStore(Path(settings.MODEL_FOLDER), systems=ListedSystems(Path(settings.SYSTEMS_FILE)))
