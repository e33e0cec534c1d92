"""Which code this is: what a run names and what a bundle is held against, without loading any of it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from auditor.canonical import sha256_bytes, sha256_json


@cache
def code_sha256() -> str:
    """Hash over the engine's own source and data files, so that a run names the code it was made with."""
    root = Path(__file__).parent
    # Relative names: where the engine is installed must not decide what is hashed.
    files = sorted(path.relative_to(root) for path in root.rglob("*") if path.suffix in (".py", ".json", ".toml"))
    return sha256_json(
        {path.as_posix(): sha256_bytes((root / path).read_bytes()) for path in files if "underwriter" not in path.parts}
    )
