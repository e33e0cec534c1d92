"""Offline verification: does the report say what the evidence says, and is the evidence the evidence that was sealed?

Every check recomputes: hashes from bytes, design and run hashes from canonical JSON, counts from decisions, figures and
``result.json`` from the bundle, and the report itself, page by page, from bundle and governance record. What could not
be compared is said. No file is called unchanged: whoever remakes them all with this code makes files that agree, and
that they are those that were issued only somebody who kept a hash of them can say, such as an event log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from auditor.exceptions import InputError, reason_of
from reports.blocks import ANNEX
from reports.bundle import Bundle, parse, read_files
from reports.bundle_check import BundleCheck, check_contents
from reports.canvas import Chart
from reports.differences import Mismatch, first_difference
from reports.governance import Governance
from reports.makers import made_elsewhere
from reports.pdf.attach import attached_result, stated_hashes
from reports.report_check import check_report, check_result

__all__ = ["Checked", "Mismatch", "check", "first_difference", "verify"]

MOST_OF_A_FILE = 256 << 20
"""Bytes of a report or a result."""


@dataclass(frozen=True)
class Checked:
    """What differs; what was compared with what, a line a file, for people; what could not be compared and should.

    ``alone`` are lines of files that nothing was compared with, not even themselves: an event log may still know them.
    ``heads`` are the heads of an event chain that files print, by the file's name. ``first`` is to be read before
    everything else: that another version made what is compared here, which may be all there is to a difference.
    """

    mismatches: tuple[Mismatch, ...]
    said: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    heads: tuple[tuple[str, str], ...] = ()
    first: tuple[str, ...] = ()


def verify(paths: Sequence[Path]) -> list[Mismatch]:
    """What differs between the files; see :func:`check`."""
    return list(check(paths).mismatches)


def check(paths: Sequence[Path], *, decisions: Path | None = None) -> Checked:
    """Check a bundle, a result and a report against each other.

    Parameters
    ----------
    paths
        Any of an evidence folder or ``.zip``, a ``.json`` result, a ``.pdf`` report and its ``.pdf`` annex, at most one
        of each. What is given is checked alone and against the others.
    decisions
        The decision file behind the bundle of an audit of one, from which its numbers are computed again.

    Returns
    -------
    Checked
        Mismatches in the order bundle, result, annex, report; none when everything agrees. A bundle that is not what
        its manifest says ends the comparison.

    Raises
    ------
    InputError
        If a file cannot be opened or its kind is not known.
    """
    kinds: dict[str, Path] = {}
    if decisions is not None and not decisions.is_file():
        what = "is not an ordinary file" if decisions.exists() else "there is no such file"
        raise InputError(str(decisions), what, "the decision file of the audit")
    for path in paths:
        kind = _kind(path)
        # Of two that say they are the report, or that cannot be read, the second is held to be the annex.
        kinds["annex" if kind == "report" and "report" in kinds else kind] = path
    if len(kinds) < len(paths) or not paths:
        raise InputError(
            ", ".join(map(str, paths)) or "verify",
            "are not one of each kind",
            "a .zip or folder, a .json, a .pdf report and its .pdf annex",
        )
    found: list[Mismatch] = []
    bundle: Bundle | None = None
    said: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    charts: Mapping[str, Chart] | None = None
    if "bundle" in kinds:
        checked = _checked_bundle(kinds["bundle"], decisions)
        first = checked.first
        if checked.bundle is None:
            return Checked(checked.mismatches, first=first)
        bundle, said, charts = checked.bundle, checked.said, checked.charts
        left = tuple(f"{kinds['bundle'].name}: {line}" for line in checked.left)
        found += checked.mismatches
    if decisions is not None and bundle is None:
        raise InputError(str(decisions), "is given without the bundle it belongs to", "evidence.zip beside it")
    result = _read(kinds["result"]) if "result" in kinds else None
    differs: list[Mismatch] = []
    if result is not None:
        name, written = kinds["result"].name, result
        differs = _guarded(name, lambda: check_result(name, written, bundle))
        found += differs
    heads = [*_head(kinds["result"].name, result)] if result is not None and not differs else []
    # The report is held against the bundle; a result that is known to differ from it would blame the report once more.
    beside = None if differs and bundle is not None else result
    beside_report: bytes | None = None
    for kind in ("annex", "report"):
        if kind in kinds:
            title, pages = kinds[kind].name, _read(kinds[kind])
            look = partial(check_report, title, pages, bundle, beside, part=kind, annex=beside_report, charts=charts)
            differs = _guarded(title, look)
            found += differs
            heads += [] if found else [*_head(title, attached_result(pages))]
            # An annex that is known to differ would blame its report, which states the hash of the right one.
            beside_report = None if differs else pages
    if found:
        return Checked(tuple(found), first=first)
    alone = tuple(_alone(path) for kind, path in kinds.items() if kind == "result" and len(kinds) == 1)
    return Checked((), tuple(_said(kinds, bundle, said)), left, alone, tuple(heads), first)


def _head(name: str, result: bytes | None) -> Iterator[tuple[str, str]]:
    """The head of the event chain that a result prints: the chain that stands today must still hold it."""
    if result is None:
        return
    head = Governance.read(parse(result, where=name)["audit"], where=f"{name}: audit").events_head
    if head:
        yield name, head


def _alone(path: Path) -> str:
    """A result states no hash of itself, as a bundle and a report do."""
    return (
        f"{path.name}: was compared with nothing, so nothing is shown of it; expected evidence.zip or report.pdf "
        "beside it, or --events where it was made"
    )


def _checked_bundle(path: Path, decisions: Path | None) -> BundleCheck:
    if not path.exists():
        raise InputError(str(path), "does not exist", "an evidence folder or evidence.zip")
    done: list[BundleCheck] = []
    first: tuple[str, ...] = ()

    def look() -> list[Mismatch]:
        nonlocal first
        contents = read_files(path)
        # Before anything of it is read as this version writes it: another one may have written it otherwise.
        first = made_elsewhere(path.name, contents)
        done.append(check_contents(path, contents, decisions=decisions))
        return []

    broken = _guarded(path.name, look)
    return replace(done[0], first=first) if done else BundleCheck(None, tuple(broken), first=first)


def _said(kinds: Mapping[str, Path], bundle: Bundle | None, numbers: Sequence[str]) -> Iterator[str]:
    """What holds, and what it was compared with."""
    others = {kind: path.name for kind, path in kinds.items()}
    for kind, path in kinds.items():
        if kind == "bundle" and bundle is not None:
            yield (
                f"{path}: consistent with itself: {len(bundle.files):,} files as its manifest lists them "
                f"(SHA-256 {bundle.manifest_sha256})"
            )
        elif kind == "result":
            yield from _said_of_result(path, others)
        elif kind in ("report", "annex") and bundle is not None:
            yield f"{path}: equal, to the last byte, to the {kind} that is set again from {others['bundle']}"
        elif kind in ("report", "annex"):
            with_ = [others[name] for name in ("result", "annex" if kind == "report" else "report") if name in others]
            beside = f" and with {' and '.join(with_)}" if with_ else ""
            yield (
                f"{path}: consistent with itself{beside} by the hashes it states; what its pages show was not looked "
                "at, and not compared with its evidence, so it is not shown that this is the file that was issued, "
                "that its numbers follow from decisions, nor that any of it was measured: evidence.zip beside it shows "
                "more"
            )
    if bundle is not None:
        yield from (f"{others['bundle']}: {line}" for line in numbers)
        yield (
            "that these are the files that were issued is not shown, since whoever makes all of them anew with this "
            "software makes files that agree; the installation that issued them can show it (verify --events), and so "
            "can a SHA-256 that somebody kept"
        )
    yield (
        "who asked, approved and signed is as the files say, and no more; the installation that made them can compare "
        "that with its event log (verify --events), and the log with the head that a report prints (--head)"
    )


def _said_of_result(path: Path, others: Mapping[str, str]) -> Iterator[str]:
    carried = f" to what {others['report']} carries" if "report" in others else ""
    if "bundle" in others:
        also = f", and{carried}" if carried else ""
        yield f"{path}: equal, to the last byte, to the result that is written again from {others['bundle']}{also}"
    elif carried:
        yield (
            f"{path}: equal{carried}; neither was compared with the evidence, so it is "
            "not shown that this is the result that was issued"
        )
    else:
        yield f"{path}: readable, and not compared with anything"


def _guarded(name: str, look: Callable[[], list[Mismatch]]) -> list[Mismatch]:
    """What ``look`` found; whatever a file that was made to break readers raises is a mismatch of that file.

    The Parquet reader panics with an exception that is no ``Exception``; interruptions by a person pass through.
    """
    try:
        return look()
    except InputError as error:
        return [Mismatch(name, "" if error.where.endswith(name) else error.where, error.what, error.expected)]
    except (KeyboardInterrupt, SystemExit):
        raise
    except MemoryError:
        return [Mismatch(name, "", "more than there is memory to read", "the file as it was written")]
    except BaseException as error:
        words = " ".join(str(error).split())[:160]
        return [
            Mismatch(name, "", f"what cannot be read ({type(error).__name__}: {words})", "the file as it was written")
        ]


def _kind(path: Path) -> str:
    # Some systems give names in capitals.
    suffix = path.suffix.lower()
    if path.is_dir() or suffix == ".zip":
        return "bundle"
    if suffix == ".json":
        return "result"
    if suffix == ".pdf":
        return "annex" if _is_annex(path) else "report"
    raise InputError(
        str(path),
        "is not a kind of file that can be read",
        "an evidence folder or .zip, a .json result, a .pdf report or annex",
    )


def _is_annex(path: Path) -> bool:
    """Whether a document says that it is an annex. What cannot be read is looked at as a report, and named there."""
    stated: dict[str, str] = {}
    data = _read(path)

    def look() -> list[Mismatch]:
        stated.update(stated_hashes(data))
        return []

    _guarded(path.name, look)
    return stated.get("part") == ANNEX


def _read(path: Path) -> bytes:
    """The bytes of a report or a result."""
    try:
        if path.exists() and not path.is_file():
            raise InputError(str(path), "is not a file", "a report or a result")
        if (size := path.stat().st_size) > MOST_OF_A_FILE:
            raise InputError(str(path), f"has {size:,} bytes", f"at most {MOST_OF_A_FILE:,}")
        return path.read_bytes()
    except OSError as error:
        raise InputError(str(path), f"cannot be read: {reason_of(error)}", "a readable file") from error
