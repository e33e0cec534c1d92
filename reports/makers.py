"""What made a bundle, where that is not what is installed here: the first thing to know of whatever then differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.exceptions import InputError
from auditor.run_record import Code
from reports.bundle import MANIFEST, parse
from reports.remeasure import another_engine
from reports.renderer import Renderer, installed, named


def made_elsewhere(name: str, contents: Mapping[str, bytes]) -> tuple[str, ...]:
    """One line that names the other version; nothing if it is the installed one, or nobody can say.

    It excuses nothing: whoever changes a bundle can name any version in it.

    Parameters
    ----------
    name
        The bundle's name, for the line.
    contents
        The bytes of its files by name. They may be of any version, or of none.
    """
    frozen, manifest = (_record(contents, file) for file in ("run.json", MANIFEST))
    engine = _engine(frozen.get("code"))
    drew = named(manifest)
    renderer = (
        "" if drew in (installed(), Renderer()) else f"its figures were drawn by {drew}, installed is {installed()}"
    )
    said = "; ".join(part for part in (engine, renderer) if part)
    if not said:
        return ()
    return (
        f"{name}: was made by other code than is installed: {said}. What differs may differ for that reason, or "
        "because somebody changed it: the code that is named can tell the two apart",
    )


def _engine(code: Any) -> str:
    if not isinstance(code, Mapping):
        return ""
    try:
        return another_engine(Code.read(code, where="code"))
    except InputError:
        return "its run names an engine as no version does"


def _record(contents: Mapping[str, bytes], file: str) -> Mapping[str, Any]:
    try:
        found = parse(contents.get(file, b"{}"), where=file)
    except InputError:
        return {}
    return found if isinstance(found, Mapping) else {}
