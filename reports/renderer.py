"""What drew the figures and set the pages: its hash, so that another one is not taken for a change, nor for the same.

A bundle's manifest names it, and a report repeats it in its metadata. Pages are compared byte for byte only with pages
that the same renderer sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from auditor import __version__
from auditor.canonical import sha256_bytes, sha256_json

LIBRARIES = ("altair", "pikepdf", "reportlab", "svglib", "vl-convert-python")
KINDS = (".py", ".ttf", ".json", ".toml")


@dataclass(frozen=True)
class Renderer:
    """A version of Plumbline and the hash of everything that bears on what it draws; both empty if none is named."""

    version: str = ""
    sha256: str = ""

    def __str__(self) -> str:
        return f"Plumbline {self.version}, renderer {self.sha256[:12]}" if self.sha256 else "a version that names none"


@cache
def installed() -> Renderer:
    """The renderer that is installed: files of the reports and of the engine whose words they print, and libraries."""
    import auditor

    hashed: dict[str, Any] = {name: version(name) for name in LIBRARIES}
    for root in (Path(__file__).parent, Path(auditor.__file__).parent):
        for path in sorted(root.rglob("*")):
            if path.suffix in KINDS and "underwriter" not in path.parts:
                hashed[f"{root.name}/{path.relative_to(root).as_posix()}"] = sha256_bytes(path.read_bytes())
    return Renderer(__version__, sha256_json(hashed))


def named(manifest: Mapping[str, Any]) -> Renderer:
    """The renderer a manifest names."""
    row = manifest.get("renderer")
    if not isinstance(row, Mapping):
        return Renderer()
    return Renderer(str(row.get("version", ""))[:40], str(row.get("sha256", ""))[:64])
