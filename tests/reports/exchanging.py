"""Evidence folders of which something was exchanged, under a manifest that was written anew."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

from auditor.canonical import canonical_json, sha256_bytes
from reports.bundle import media_type
from reports.bundle_check import BundleCheck, check_contents

Files = dict[str, bytes]


def refusals(contents: Mapping[str, bytes]) -> list[str]:
    """What is refused of an evidence folder under a manifest that lists what is there."""
    return [str(item) for item in checked(contents).mismatches]


def checked(contents: Mapping[str, bytes]) -> BundleCheck:
    """What comes of looking at such a folder."""
    files = [
        {"file": name, "sha256": sha256_bytes(data), "size": len(data), "media_type": media_type(name)}
        for name, data in sorted(contents.items())
    ]
    design, run = (sha256_bytes(contents[name]) for name in ("plan.json", "run.json"))
    manifest = canonical_json({"files": files, "design_sha256": design, "run_sha256": run})
    return check_contents(Path("evidence"), {**contents, "manifest.json": manifest})


def changed(files: Files, name: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Files:
    out = io.BytesIO()
    change(pl.read_parquet(io.BytesIO(files[name]))).write_parquet(out)
    return {**files, name: out.getvalue()}


def first(column: str, value: object) -> Callable[[pl.DataFrame], pl.DataFrame]:
    def change(table: pl.DataFrame) -> pl.DataFrame:
        values = table[column].to_list()
        return table.with_columns(pl.Series(column, [value, *values[1:]], dtype=table[column].dtype))

    return change
