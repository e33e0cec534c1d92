"""Applications as one line of text, where they are few enough for a page. Knows no Django."""

from __future__ import annotations

import json
from dataclasses import asdict

from auditor.applications import Applications

CELLS = 400_000
CHARACTERS = 8 << 20


def packed(data: Applications) -> str | None:
    """Ids, outcomes, values and what became of the file's rows; ``None`` for more than a page reads."""
    names = [item.name for item in data.mapping.fields if item.role != "id"]
    if data.count * len(names) > CELLS:
        return None
    records = [[one.id, one.favourable, [one.values[name] for name in names]] for one in data.records]
    raw = {"names": names, "file_sha256": data.file_sha256, "counts": asdict(data.counts), "records": records}
    text = json.dumps(raw, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text if len(text) <= CHARACTERS else None
