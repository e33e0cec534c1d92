"""What mkdocs does besides: decisions are listed by themselves, links out of docs/ become names of files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DECISIONS = "decisions"
#: A link that leaves docs/: to the README, the changelog, a file of the code. It stands as the name of the file.
OUTSIDE = re.compile(r"(?<!!)\[([^\]]+)\]\(((?:\.\./)+[^)#\s]+)(?:#[^)]*)?\)")


def on_config(config: Any) -> Any:
    """Add every decision to the navigation, by its first line."""
    pages = sorted((ROOT / "docs" / DECISIONS).glob("*.md"))
    config.nav.append({"Decisions": [{_title(page): f"{DECISIONS}/{page.name}"} for page in pages]})
    return config


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links to files outside docs/ into their names: the site holds documents, not the code."""
    here = (ROOT / "docs" / page.file.src_uri).parent

    def plain(match: re.Match[str]) -> str:
        target = (here / match[2]).resolve()
        if target.is_relative_to(ROOT / "docs") or not target.exists():
            return match[0]
        name = f"`{target.relative_to(ROOT)}`"
        return name if match[1].strip("`") == target.name else f"{match[1]} ({name})"

    return OUTSIDE.sub(plain, markdown)


def _title(page: Path) -> str:
    return page.read_text(encoding="utf-8").split("\n", maxsplit=1)[0].removeprefix("# ")
