"""Offline verification: does the report say what the evidence says, and is the evidence the evidence that was sealed?

Every check recomputes: hashes from bytes, design and run hashes from canonical JSON, ``result.json`` from the bundle,
and the report itself, page by page, from bundle and governance record.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.canonical import sha256_bytes, sha256_json
from auditor.exceptions import InputError
from reports.archives import unpacked_stream
from reports.bundle import MANIFEST, PACKS, Bundle, BundleFile, bundle_from, parse, read_files, result_record

MOST_OF_A_PAGE = 64 << 20
MOST_GOVERNANCE = 1 << 18
MOST_OF_A_WORDING = 10_000
"""Characters of an audit's record, and of one wording in it."""


@dataclass(frozen=True)
class Mismatch:
    """Something that differs: the file, the place in it, what was found and what was expected."""

    file: str
    where: str
    found: str
    expected: str

    def __str__(self) -> str:
        place = f"{self.file}: {self.where}" if self.where else self.file
        return f"{place}: found {self.found}; expected {self.expected}"


@dataclass(frozen=True)
class Checked:
    """What differs, and what was compared with what: a line a file, for people."""

    mismatches: tuple[Mismatch, ...]
    said: tuple[str, ...] = ()


def verify(paths: Sequence[Path]) -> list[Mismatch]:
    """What differs between the files; see :func:`check`."""
    return list(check(paths).mismatches)


def check(paths: Sequence[Path]) -> Checked:
    """Check a bundle, a result and a report against each other.

    Parameters
    ----------
    paths
        Any of an evidence folder or ``.zip``, a ``.json`` result and a ``.pdf`` report, at most one of each. What is
        given is checked alone and against the others.

    Returns
    -------
    Checked
        Mismatches in the order bundle, result, report; none when everything agrees. A difference in the bundle ends the
        comparison, as nothing can be held against a bundle that is not the sealed one. *Unchanged* is said only of what
        was compared with something outside itself.

    Raises
    ------
    InputError
        If a file cannot be opened or its kind is not known.
    """
    kinds = {_kind(path): path for path in paths}
    if len(kinds) < len(paths) or not paths:
        raise InputError(
            ", ".join(map(str, paths)) or "verify", "are not one of each kind", "a .zip or folder, a .json, a .pdf"
        )
    bundle = None
    if "bundle" in kinds and not kinds["bundle"].exists():
        raise InputError(str(kinds["bundle"]), "is not there", "an evidence folder or evidence.zip")
    if "bundle" in kinds:
        checked = _guarded(kinds["bundle"].name, lambda: _check_bundle(kinds["bundle"]))
        if isinstance(checked, list):
            return Checked(tuple(checked))
        bundle = checked
    found: list[Mismatch] = []
    result = None
    if "result" in kinds:
        result = _read(kinds["result"])
        found += _listed(_guarded(kinds["result"].name, lambda: _check_result(kinds["result"].name, result, bundle)))
    if "report" in kinds:
        report = _read(kinds["report"])
        found += _listed(
            _guarded(kinds["report"].name, lambda: _check_report(kinds["report"].name, report, bundle, result))
        )
    return Checked(tuple(found), () if found else tuple(_said(kinds, bundle)))


def _said(kinds: Mapping[str, Path], bundle: Bundle | None) -> Iterator[str]:
    """What holds, and what it was compared with."""
    others = {kind: path.name for kind, path in kinds.items()}
    for kind, path in kinds.items():
        if kind == "bundle" and bundle is not None:
            yield (
                f"{path}: consistent with itself: {len(bundle.files):,} files as its manifest lists them "
                f"(SHA-256 {bundle.manifest_sha256})"
            )
        elif kind == "result":
            compared = [others[name] for name in ("bundle", "report") if name in others]
            if "bundle" in others:
                yield f"{path}: unchanged: compared with {' and '.join(compared)}"
            elif compared:
                yield (
                    f"{path}: equal to what {compared[0]} carries; neither was compared with the evidence, so it is "
                    "not shown that this is the result that was issued"
                )
            else:
                yield f"{path}: readable; compared with nothing, so nothing is shown of it"
        elif kind == "report" and bundle is not None:
            yield f"{path}: unchanged: set again from {others['bundle']}, equal to the last byte"
        elif kind == "report":
            beside = f" and with {others['result']}" if "result" in others else ""
            yield (
                f"{path}: consistent with itself{beside} by the hashes it states; what its pages show was not looked "
                "at, and not compared with its evidence, so it is not shown that this is the report that was issued"
            )
    if bundle is not None:
        yield (
            "the measurements are as the bundle says; none was computed again from its decisions, and whoever can "
            "write all the files can write them to agree"
        )
    yield (
        "who asked, approved and signed is as the files say; an installation compares it with its event log "
        "(verify --events), anybody with the head printed in a report"
    )


def _listed(found: Any) -> list[Mismatch]:
    return found if isinstance(found, list) else []


def _guarded(name: str, look: Callable[[], Any]) -> Any:
    """What ``look`` found; whatever a file that was made to break readers raises is a mismatch of that file.

    The Parquet reader panics with an exception that is no ``Exception``; interruptions by a person pass through.
    """
    try:
        return look()
    except InputError as error:
        return [Mismatch(name, "" if error.where.endswith(name) else error.where, error.what, error.expected)]
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        words = " ".join(str(error).split())[:160]
        return [
            Mismatch(name, "", f"what cannot be read ({type(error).__name__}: {words})", "the file as it was written")
        ]


def first_difference(found: Any, expected: Any, path: str = "") -> tuple[str, Any, Any] | None:  # noqa: PLR0911  (one answer a difference)
    """The key path, the two values, of the first place where two JSON values differ; ``None`` where they do not."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted({*found, *expected}):
            place = f"{path}.{key}" if path else str(key)
            if key not in found or key not in expected:
                return place, found.get(key, "nothing"), expected.get(key, "nothing")
            if inner := first_difference(found[key], expected[key], place):
                return inner
        return None
    if isinstance(found, list) and isinstance(expected, list):
        for index, (left, right) in enumerate(zip(found, expected, strict=False)):
            if inner := first_difference(left, right, f"{path}[{index}]"):
                return inner
        if len(found) != len(expected):
            return path, f"{len(found)} entries", f"{len(expected)} entries"
        return None
    # 1 and True, 1 and 1.0 are equal to Python and different on paper.
    same = found == expected and isinstance(found, bool) == isinstance(expected, bool)
    return None if same else (path, found, expected)


def _kind(path: Path) -> str:
    if path.is_dir() or path.suffix == ".zip":
        return "bundle"
    if path.suffix in (".json", ".pdf"):
        return "result" if path.suffix == ".json" else "report"
    raise InputError(str(path), "is of no known kind", "an evidence folder or .zip, a .json result, a .pdf report")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(str(path), error.strerror or "cannot be read", "a readable file") from error


def _check_bundle(path: Path) -> Bundle | list[Mismatch]:
    try:
        contents = read_files(path)
        found = list(_manifest_mismatches(path.name, contents))
        if found:
            return found
        manifest = json.loads(contents[MANIFEST])
        files = tuple(BundleFile(**line) for line in manifest["files"])
        bundle = bundle_from(contents, files=files, where=path.name)
        return list(_record_mismatches(path.name, bundle, manifest)) or bundle
    except InputError as error:
        return [Mismatch(path.name, error.where.removeprefix(f"{path}").lstrip(": "), error.what, error.expected)]


def _manifest_mismatches(name: str, contents: Mapping[str, bytes]) -> Iterator[Mismatch]:
    if MANIFEST not in contents:
        yield Mismatch(name, MANIFEST, "no such file", "the manifest of the bundle")
        return
    manifest = parse(contents[MANIFEST], where=MANIFEST)
    listed = {line["file"]: line for line in manifest["files"]}
    if len(listed) < len(manifest["files"]):
        yield Mismatch(name, MANIFEST, "a file listed twice", "every file once")
    for file, line in listed.items():
        if file not in contents:
            yield Mismatch(name, file, "no such file", f"SHA-256 {line['sha256']}")
        elif (digest := sha256_bytes(contents[file])) != line["sha256"]:
            yield Mismatch(name, file, f"SHA-256 {digest}", line["sha256"])
        elif len(contents[file]) != line["size"]:
            yield Mismatch(name, f"{MANIFEST}: size of {file}", str(line["size"]), str(len(contents[file])))
    for file in sorted(set(contents) - set(listed) - {MANIFEST}):
        yield Mismatch(name, file, "a file the manifest does not list", "only listed files")


def _record_mismatches(name: str, bundle: Bundle, manifest: Mapping[str, Any]) -> Iterator[Mismatch]:
    design, run = sha256_json(bundle.plan), sha256_json(bundle.run)
    if bundle.run["design_sha256"] != design:
        yield Mismatch(name, "run.json: design_sha256", bundle.run["design_sha256"], f"{design}, the hash of plan.json")
    if difference := first_difference(bundle.run.get("design"), bundle.plan):
        yield Mismatch(
            name, f"run.json: design.{difference[0]}", repr(difference[1]), f"{difference[2]!r}, as in plan.json"
        )
    for key, value in (("design_sha256", design), ("run_sha256", run)):
        if manifest.get(key) != value:
            yield Mismatch(name, f"{MANIFEST}: {key}", str(manifest.get(key)), value)
    if bundle.run_sha256 != run:
        yield Mismatch(name, "run.json", "JSON that is not canonical", "canonical JSON (RFC 8785)")
    known = {item.id for item in bundle.measurements}
    if len(known) < len(bundle.measurements):
        yield Mismatch(name, "measurements.json", "an id that stands twice", "every measurement once")
    for finding in bundle.findings:
        for cited in sorted(set(finding.measurements) - known):
            yield Mismatch(name, f"findings.json: {finding.id}", f"a measurement {cited!r:.80}", "one that is there")
    pins = {pin["id"]: pin["sha256"] for pin in bundle.run.get("packs", ())}
    for missing in sorted(set(pins) - {pack["id"] for pack in bundle.packs}):
        yield Mismatch(name, f"{PACKS}: {missing}", "no such pack", f"SHA-256 {pins[missing]}, as in run.json")
    for pack in bundle.packs:
        if pins.get(pack["id"]) != sha256_json(pack):
            yield Mismatch(
                name,
                f"{PACKS}: {pack['id']}",
                f"SHA-256 {sha256_json(pack)}",
                f"{pins.get(pack['id'])}, as in run.json",
            )


def _check_result(name: str, data: bytes, bundle: Bundle | None) -> list[Mismatch]:
    try:
        result = parse(data, where=name)
    except InputError as error:
        return [Mismatch(name, "", error.what, error.expected)]
    if bundle is None:
        return []
    expected = json.loads(json.dumps(result_record(bundle, result.get("audit", {}))))
    difference = first_difference(result, expected)
    return (
        []
        if difference is None
        else [Mismatch(name, difference[0], _short(difference[1]), f"{_short(difference[2])}, as in the bundle")]
    )


def _check_report(name: str, data: bytes, bundle: Bundle | None, result: bytes | None) -> list[Mismatch]:
    import pikepdf

    from reports.pdf.attach import attached_result, broken_seal, stated_hashes

    # Beside its evidence a report is set again and compared whole, which names the page that differs.
    if bundle is None and (broken := broken_seal(data)):
        return [Mismatch(name, "the hash of its own bytes", broken, "a report as it was written")]
    try:
        attached, stated = attached_result(data), stated_hashes(data)
    except (pikepdf.PdfError, ValueError) as error:
        return [Mismatch(name, "", f"no readable PDF ({str(error).splitlines()[0]})", "a report as it was written")]
    if attached is None:
        return [Mismatch(name, "attachments", "no result.json", "the attached result")]
    record = parse(attached, where=f"{name}: attached result.json")
    found: list[Mismatch] = []
    if result is not None and attached != result:
        difference = first_difference(parse(attached, where=name), parse(result, where=name)) or (
            "",
            "other bytes",
            "the file's bytes",
        )
        found.append(
            Mismatch(
                name,
                f"attached result.json: {difference[0]}",
                _short(difference[1]),
                f"{_short(difference[2])}, as in the file",
            )
        )
    elif inside := _check_result(f"{name}: attached result.json", attached, bundle):
        found += inside
    expected = {"result": sha256_bytes(attached), "design": record["design_sha256"], "run": record["run_sha256"]}
    if bundle is not None:
        expected |= {"design": bundle.design_sha256, "run": bundle.run_sha256, "bundle": bundle.manifest_sha256}
    for key, value in expected.items():
        if stated.get(key) != value:
            found.append(Mismatch(name, f"stated {key} hash", stated.get(key, "nothing"), value))
    if bundle is not None and not found:
        found += _too_long(f"{name}: attached result.json: audit", record["audit"])
    if bundle is not None and not found:
        found += _check_pages(name, data, bundle, record["audit"], attached)
    return found


def _too_long(where: str, governance: Mapping[str, Any]) -> list[Mismatch]:
    """A record that would take minutes to set in type: anybody can write one into an attached file."""
    size = len(json.dumps(governance))
    if size > MOST_GOVERNANCE:
        return [Mismatch(where, "", f"{size:,} characters", f"at most {MOST_GOVERNANCE:,}")]
    for key, value in governance.items():
        if isinstance(value, str) and len(value) > MOST_OF_A_WORDING:
            return [Mismatch(where, str(key), f"{len(value):,} characters", f"at most {MOST_OF_A_WORDING:,}")]
    return []


def _check_pages(
    name: str, data: bytes, bundle: Bundle, governance: Mapping[str, Any], result: bytes
) -> list[Mismatch]:
    """Set the report again and compare, to the last byte: what is appended to a PDF can replace what its pages show."""
    import pikepdf

    from reports.content import build_content
    from reports.pdf import render_pdf

    rebuilt = render_pdf(build_content(bundle, governance), result=result)
    if data == rebuilt:
        return []
    if data.startswith(rebuilt):
        more = f"{len(data) - len(rebuilt):,} bytes after the end of the report"
        return [Mismatch(name, f"byte {len(rebuilt):,}", more, "nothing; what is appended can replace pages")]
    expected = f"the report set again from this bundle{_made_by_other_code(bundle)}"
    with pikepdf.open(io.BytesIO(data)) as given, pikepdf.open(io.BytesIO(rebuilt)) as again:
        if len(given.pages) != len(again.pages):
            return [Mismatch(name, "pages", str(len(given.pages)), f"{len(again.pages)}: {expected}")]
        for number, (left, right) in enumerate(zip(given.pages, again.pages, strict=True), start=1):
            if _stream(left) != _stream(right):
                return [Mismatch(name, f"page {number}", "other text or drawing", expected)]
    at = next(
        (at for at, (left, right) in enumerate(zip(data, rebuilt, strict=False)) if left != right),
        min(len(data), len(rebuilt)),
    )
    return [Mismatch(name, f"byte {at:,}", "other bytes", expected)]


def _made_by_other_code(bundle: Bundle) -> str:
    """Whether a difference may be the version's: a report is set the same only by the code that set it."""
    from auditor.preparation import code_sha256

    made, installed = str(bundle.run.get("code", {}).get("sha256", "")), code_sha256()
    if made in ("", installed):
        return " by the installed version"
    return (
        f" by the installed version (code {installed[:8]}); its run was made by other code ({made[:8]}), which may set "
        "the same figures otherwise: check it with that version before calling it changed"
    )


def _stream(page: Any) -> bytes:
    import pikepdf

    try:
        page.contents_coalesce()
        return unpacked_stream(page.Contents, most=MOST_OF_A_PAGE)
    except (pikepdf.PdfError, ValueError):
        return b""


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value
    return text if len(text) <= 120 else text[:117] + "…"
