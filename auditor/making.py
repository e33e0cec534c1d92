"""What a run is made by, and what is made of it before the first prompt: code, libraries, device; record and chunks.

Reports read it too, so nothing here loads a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

from auditor import __version__
from auditor.ledger import Chunk
from auditor.own_code import code_sha256
from auditor.run_record import Code, RunRecord

LIBRARIES = ("numpy", "polars", "scipy", "tokenizers", "torch", "transformers")


@dataclass(frozen=True)
class Prepared:
    """A bound design: the frozen run record and the work it makes."""

    run: RunRecord
    chunks: tuple[Chunk, ...]
    prompts: int
    tokens: int


def run_sha256(run: RunRecord) -> str:
    """The hash that names a frozen run."""
    return run.digest()


def made_here() -> Code:
    """What computes here: the engine's version, the hash of its code, the libraries that numbers go through."""
    return Code(version=__version__, sha256=code_sha256(), libraries=libraries())


def libraries() -> dict[str, str]:
    """Versions of the libraries that numbers go through, as they are installed here."""
    return {name: version(name) for name in LIBRARIES}


def device_kind(device: str) -> str:
    """``cuda`` of ``cuda:1``."""
    return device.split(":", maxsplit=1)[0]


def another_making(run: RunRecord, *, device: str) -> str | None:
    """Why a frozen run may not be scored or concluded here: what it names and what stands here instead; else ``None``.

    The numbers of one run are made by one code, on one kind of device, with one set of libraries.
    """
    named = run.code
    if named.sha256 != code_sha256():
        return (
            f"the run was frozen with the engine {named.version} ({named.sha256[:12]}), here is {__version__} "
            f"({code_sha256()[:12]})"
        )
    here = libraries()
    for name, wanted in sorted(named.libraries.items()):
        if here.get(name) != wanted:
            return f"the run was frozen with {name} {wanted}, here is {here.get(name)}"
    if run.device != device_kind(device):
        return f"the run was frozen for the device {run.device}, here is {device_kind(device)}"
    return None
