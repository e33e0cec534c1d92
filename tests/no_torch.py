"""A pytest plugin under which torch and transformers cannot be imported: ``python -m pytest -p tests.no_torch …``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

HIDDEN = ("torch", "transformers")


class Hidden(MetaPathFinder):
    """Finds the hidden packages first, as something that cannot be loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in HIDDEN:
            return None
        return ModuleSpec(fullname, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        raise ModuleNotFoundError(f"{spec.name} is hidden: a page and a report need none", name=spec.name)

    def exec_module(self, module: ModuleType) -> None:
        raise NotImplementedError


sys.meta_path.insert(0, Hidden())
