"""The documents build as a site without a warning, fetch nothing from elsewhere, and hold the whole public door."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

import auditor

ROOT = Path(__file__).parents[1]
#: What a browser loads by itself. A link that a reader may follow is none of it.
LOADED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^\"'\s>]+"
    r"|<link\b(?=[^>]*\brel=[\"']?(?:stylesheet|preconnect|preload))[^>]*\bhref=[\"']?(?:https?:)?//[^\"'\s>]+"
    r"|(?:url\(|@import\s*)[\"']?(?:https?:)?//[^\"')\s]+"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_document_is_a_page(site: Path) -> None:
    for path in (ROOT / "docs").rglob("*.md"):
        name = path.relative_to(ROOT / "docs").with_suffix("")
        page = site / "index.html" if name.name == "index" else site / name / "index.html"
        assert page.exists(), name


def test_no_page_fetches_anything_from_elsewhere(site: Path) -> None:
    pages = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(pages) > 40
    assert {path.name: LOADED.findall(path.read_text()) for path in pages if LOADED.search(path.read_text())} == {}
    assert LOADED.search('<link rel="stylesheet" href="https://fonts.example/css">')


def test_every_name_of_the_public_door_is_explained_or_drawn(site: Path) -> None:
    page = (site / "api" / "index.html").read_text()
    homes = {name: f"{auditor._HOMES[name]}.{name}" for name in auditor.__all__}
    explained = {name for name, home in homes.items() if f'id="{home}"' in page}
    # Errors beside the root of their tree are explained by the tree.
    drawn = {name for name in auditor.__all__ if name not in explained and re.search(rf"[├└]── {name}\b", page)}
    assert set(auditor.__all__) - explained - drawn == {"AuditorError"}
    assert "AuditorError" in page


def test_docstrings_of_the_door_read_as_prose(site: Path) -> None:
    page = (site / "api" / "index.html").read_text()
    assert re.findall(r":(?:func|class|meth|mod):", page) == []


def test_the_picture_is_what_its_script_draws_and_names_what_exists() -> None:
    spec = spec_from_file_location("draw_architecture", ROOT / "scripts" / "draw_architecture.py")
    assert spec is not None
    assert spec.loader is not None
    script = module_from_spec(spec)
    spec.loader.exec_module(script)
    assert (ROOT / "docs" / "pictures" / "architecture.svg").read_text(encoding="utf-8") == script.drawing()
    for package, _, _, rooms in script.ROOMS:
        for room in rooms:
            assert (ROOT / package / room).is_dir() or (ROOT / package / f"{room}.py").is_file(), f"{package}/{room}"
