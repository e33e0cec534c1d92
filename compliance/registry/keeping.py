"""Applications as a worker read them, kept for pages: no page reads a table, however small it is.

One file a data version, named by its fingerprint: ids, outcomes and values, in the order of the mapping. The mapping
itself is in the register. What is too large for a page is not kept.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings

from auditor.applications import Application, Applications, Counts
from auditor.data_sources import DEMONSTRATION
from auditor.demo_data import load_loanapp
from auditor.mapping_files import stored_mapping
from compliance.models import DataSetVersion
from compliance.registry.records import packed


def keep(data: Applications) -> None:
    """Keep applications that somebody has just read, if a page can do with them."""
    if data.source != DEMONSTRATION:
        keep_packed(data.fingerprint, packed(data))


def keep_packed(fingerprint: str, text: str | None) -> None:
    """Keep what :func:`packed` made elsewhere."""
    path = _path(fingerprint)
    if text is None or path.is_file():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".incoming-")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    Path(draft).replace(path)


def kept(version: DataSetVersion) -> Applications | None:
    """The applications of a data version; ``None`` where none were kept for pages."""
    if version.source == DEMONSTRATION:
        return load_loanapp()
    path = _path(version.fingerprint)
    if not path.is_file():
        return None
    raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    names = raw["names"]
    records = tuple(
        Application(id=key, values=dict(zip(names, values, strict=True)), favourable=favourable)
        for key, favourable, values in raw["records"]
    )
    return Applications(
        mapping=stored_mapping(version.mapping),
        records=records,
        source=version.source,
        file_sha256=raw["file_sha256"],
        counts=Counts(**{**raw["counts"], "notes": tuple(raw["counts"]["notes"])}),
    )


def _path(fingerprint: str) -> Path:
    return Path(settings.DATA_FOLDER) / "kept" / f"{fingerprint}.json"
