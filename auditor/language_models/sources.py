"""Model sources: the one line of text by which a plan, a form or a command names a model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from auditor.exceptions import ModelError

Kind = Literal["demo", "dir", "gguf", "hf", "endpoint", "service"]

SYSTEMS = ("endpoint", "service")
"""Kinds that answer over the network and have no files."""

DEMO_MODELS = ("smollm2", "underwriter")
FORMS = (
    "demo:smollm2, demo:underwriter, dir:PATH, gguf:PATH, hf:ORG/NAME@REVISION, one of them with +adapter:PATH, "
    "endpoint:NAME or service:NAME"
)

_ONE_OF = {"endpoint": "an endpoint", "service": "a service"}
_ADAPTER = "+adapter:"
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_HUB_REVISION = re.compile(r"[A-Za-z0-9][\w./-]*")
_SYSTEM_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A parsed source.

    Attributes
    ----------
    kind
        Where the model comes from.
    location
        Name of a demo or a system, path, or ``ORG/NAME`` on the hub.
    revision
        Hub revision: a commit, or a tag or branch that import resolves to one. ``None`` for every other kind.
    adapters
        Paths of PEFT adapters, in the order they are merged.
    """

    kind: Kind
    location: str
    revision: str | None = None
    adapters: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """The file or folder of a ``dir:`` or ``gguf:`` source, with ``~`` expanded."""
        return _expanded(self.location)

    @property
    def adapter_paths(self) -> tuple[Path, ...]:
        """The adapters' folders, with ``~`` expanded."""
        return tuple(_expanded(adapter) for adapter in self.adapters)

    def __str__(self) -> str:
        """The source as text; parsing it gives the same source."""
        revision = f"@{self.revision}" if self.revision else ""
        return f"{self.kind}:{self.location}{revision}" + "".join(_ADAPTER + adapter for adapter in self.adapters)


def parse_source(text: str) -> ModelSource:
    """Read a model source.

    Parameters
    ----------
    text
        One of the accepted forms, for example ``dir:/models/credit+adapter:/models/credit-lora``.

    Returns
    -------
    ModelSource
        The parsed source. Nothing is opened: whether the files exist is found out at import.

    Raises
    ------
    ModelError
        For any other text; the message names the accepted forms.
    """
    base, *adapters = text.strip().split(_ADAPTER)
    kind, colon, location = base.partition(":")
    if not colon or kind not in get_args(Kind) or not location.strip() or not all(path.strip() for path in adapters):
        raise _refused(text, "not a model source")
    if any(ord(character) < 32 for character in text.strip()):
        raise _refused(text, "the source holds a control character")
    revision = None
    if kind == "demo" and location not in DEMO_MODELS:
        raise _refused(text, f"no demo model is called {location!r}")
    if kind == "hf":
        location, _, revision = location.partition("@")
        if not revision:
            raise _refused(text, "a hub model needs an exact revision")
        if not _HUB_NAME.fullmatch(location) or not _HUB_REVISION.fullmatch(revision) or ".." in location + revision:
            raise _refused(text, "is not a hub name and revision")
    if kind in SYSTEMS:
        if not _SYSTEM_NAME.fullmatch(location):
            raise _refused(text, f"the name of {_ONE_OF[kind]} is made of letters, digits, dots, dashes, underscores")
        if adapters:
            raise _refused(text, f"{_ONE_OF[kind]} has no weights that an adapter could change")
    return ModelSource(kind, location, revision, tuple(adapters))  # type: ignore[arg-type]  # checked above


def _expanded(text: str) -> Path:
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:  # no such user: the path is taken as written, and import says that it is missing
        return path


def _refused(text: str, what: str) -> ModelError:
    return ModelError(f"model source {text.strip()!r}", what, FORMS)
