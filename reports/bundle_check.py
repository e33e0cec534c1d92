"""A bundle against its manifest, its records against each other, its numbers and its figures made again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from auditor.canonical import canonical_json, sha256_bytes, sha256_json
from auditor.exceptions import InputError
from auditor.observed.filed_values import FILED
from auditor.policies.packs import catalogue
from reports.answer_tables import answer_mismatches
from reports.answers_read_again import not_read_again, read_again
from reports.bundle import MANIFEST, PACKS, RECORDS, TABLES, Bundle, BundleFile, bundle_from, media_type, parse
from reports.canvas import Chart
from reports.charts import render_charts
from reports.differences import Mismatch, first_difference, short
from reports.evidence_tables import other_columns
from reports.extents import too_long
from reports.labels import labels_of_tests
from reports.record_types import unread_key, wrong_rows
from reports.recount import recount
from reports.remeasure import Remeasured, another_engine, remeasure, unbound_values
from reports.remeasure_decisions import remeasure_decisions
from reports.renderer import installed
from reports.wording import on_file, test_label

FIGURES = "figures/"
LINE = {"file", "sha256", "size", "media_type"}
HEAD = {"files", "renderer", "run_sha256", "design_sha256"}
"""The keys of a line of the manifest, and of the manifest."""
CANONICAL = "canonical JSON (RFC 8785)"
#: Beside its figures. Whoever writes a manifest may list anything; what no run writes was made again by nobody.
FILES = frozenset(
    [
        *(MANIFEST, *RECORDS, PACKS, *TABLES),
        *("attributions.parquet", "answers.parquet", "requests.parquet", "texts.parquet", FILED),
    ]
)


@dataclass(frozen=True)
class BundleCheck:
    """A bundle that is what its manifest says (``None`` if not), and what came of looking at it.

    ``mismatches`` differ, ``said`` was compared and holds, ``left`` could not be compared though a run writes it;
    ``first`` names another version that made it.
    """

    bundle: Bundle | None
    mismatches: tuple[Mismatch, ...]
    said: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    charts: Mapping[str, Chart] = field(default_factory=dict)
    first: tuple[str, ...] = ()


def check_contents(path: Path, contents: Mapping[str, bytes], *, decisions: Path | None = None) -> BundleCheck:
    """Check an evidence folder or archive by itself; ``contents`` are its files as read from ``path``.

    ``decisions`` is the decision file of an audit of one, from which its numbers are computed again.

    A file that is not the manifest's ends the check, and so do records that do not fit each other: nothing can be held
    against them. Numbers that do not follow from the decisions, and other figures, are all named.
    """
    name = path.name
    try:
        found = (
            list(_manifest_mismatches(name, contents))
            or list(_extents(name, contents))
            or list(_written_otherwise(name, contents))
        )
        if found:
            return BundleCheck(None, tuple(found))
        manifest = json.loads(contents[MANIFEST])
        files = tuple(BundleFile(**line) for line in manifest["files"])
        bundle = bundle_from(contents, files=files, where=name)
        found = [*_record_mismatches(name, bundle, manifest), *_pins(name, bundle), *_unread(name, bundle, manifest)]
        if found:
            return BundleCheck(None, tuple(found))
        charts = render_charts(bundle)
        parts = [_numbers(name, bundle, decisions), _packs(name, bundle), _figures(name, bundle, charts)]
        if not any(part.mismatches for part in parts):
            # What is computed from a table names its faults better.
            parts.append(_columns(name, bundle))
        return BundleCheck(
            bundle,
            tuple(item for part in parts for item in part.mismatches),
            tuple(line for part in parts for line in part.said),
            tuple(line for part in parts for line in part.left),
            charts,
        )
    except InputError as error:
        where = error.where.removeprefix(f"{path}").lstrip(": ")
        return BundleCheck(None, (Mismatch(name, where, error.what, error.expected),))


def _manifest_mismatches(name: str, contents: Mapping[str, bytes]) -> Iterator[Mismatch]:
    if MANIFEST not in contents:
        yield Mismatch(name, MANIFEST, "no such file", "the manifest of the bundle")
        return
    manifest = parse(contents[MANIFEST], where=MANIFEST)
    if (odd := _odd_lines(manifest["files"])) is not None:
        yield Mismatch(name, *odd)
        return
    listed = {line["file"]: line for line in manifest["files"]}
    for file, line in listed.items():
        if file not in contents:
            yield Mismatch(name, short(file), "no such file", f"SHA-256 {short(line['sha256'])}")
        elif (digest := sha256_bytes(contents[file])) != line["sha256"]:
            yield Mismatch(name, short(file), f"SHA-256 {digest}", short(line["sha256"]))
        elif len(contents[file]) != line["size"]:
            yield Mismatch(name, f"{MANIFEST}: size of {file}", short(line["size"]), str(len(contents[file])))
        elif line["media_type"] != (kind := media_type(file)):
            # The annex prints it, and reports are set again from what stands here.
            yield Mismatch(name, f"{MANIFEST}: media_type of {short(file)}", short(line["media_type"]), kind)
    for file in sorted(set(contents) - set(listed) - {MANIFEST}):
        yield Mismatch(name, short(file), "a file the manifest does not list", "only listed files")
    for file in sorted(set(listed) - FILES):
        if not file.startswith(FIGURES):
            yield Mismatch(name, short(file), "a file that no run writes", "the files of a run alone")


def _odd_lines(lines: list[Any]) -> tuple[str, str, str] | None:
    """Where the lines of a manifest are not those that are written, what stands there and what should; or nothing."""
    for line in lines:
        if set(line) != LINE:
            return f"{MANIFEST}: files", f"a line with {short(', '.join(sorted(line)))}", ", ".join(sorted(LINE))
    names = [line["file"] for line in lines]
    if len(set(names)) < len(names):
        return MANIFEST, "a file listed twice", "every file once"
    return None if names == sorted(names) else (MANIFEST, "files in another order", "files by name")


def _written_otherwise(name: str, contents: Mapping[str, bytes]) -> Iterator[Mismatch]:
    """Records whose bytes are not those that a run writes of their values, and rows of other types.

    Readers differ in what they make of a byte order mark, of another encoding or of a number of many digits: where the
    bytes are the canonical ones, all read the same.
    """
    for file in (MANIFEST, *RECORDS, PACKS):
        if file not in contents:
            continue
        value = parse(contents[file], where=file)
        try:
            written = canonical_json(value)
        except ValueError as error:
            yield Mismatch(name, file, f"JSON that is not canonical ({short(str(error))})", CANONICAL)
            continue
        if contents[file].removesuffix(b"\n") != written:
            yield Mismatch(name, file, "JSON that is not canonical", CANONICAL)
        yield from wrong_rows(name, file, value)


def _extents(name: str, contents: Mapping[str, bytes]) -> Iterator[Mismatch]:
    """Records that are longer than a run writes them; the manifest's own lines are printed too."""
    for file in (MANIFEST, *RECORDS, PACKS):
        if file in contents:
            found = too_long(name, file, parse(contents[file], where=file))
            if found is not None:
                yield found
                return


def _record_mismatches(name: str, bundle: Bundle, manifest: Mapping[str, Any]) -> Iterator[Mismatch]:
    plan = parse(bundle.contents["plan.json"], where="plan.json")
    design, run = sha256_json(plan), bundle.run.digest()
    if bundle.design_sha256 != design:
        yield Mismatch(name, "run.json: design_sha256", bundle.design_sha256, f"{design}, the hash of plan.json")
    if difference := first_difference(bundle.run.design, plan):
        yield Mismatch(
            name, f"run.json: design.{difference[0]}", repr(difference[1]), f"{difference[2]!r}, as in plan.json"
        )
    for key, value in (("design_sha256", design), ("run_sha256", run)):
        if manifest.get(key) != value:
            yield Mismatch(name, f"{MANIFEST}: {key}", short(manifest.get(key)), value)
    if bundle.run_sha256 != run:
        yield Mismatch(name, "run.json", "JSON that is not canonical", CANONICAL)
    known = {item.id for item in bundle.measurements}
    if len(known) < len(bundle.measurements):
        yield Mismatch(name, "measurements.json", "an id that stands twice", "every measurement once")
    for finding in bundle.findings:
        for cited in sorted(set(finding.measurements) - known):
            yield Mismatch(name, f"findings.json: {finding.id}", f"a measurement {cited!r:.80}", "one that is there")
    if (planted := bundle.controls.planted_bias) is not None:
        # No run plants one yet: a result of it can only have been written in.
        yield Mismatch(name, "controls.json: planted_bias", short(planted.given()), "null: no run has one")


def _unread(name: str, bundle: Bundle, manifest: Mapping[str, Any]) -> Iterator[Mismatch]:
    """Keys that nobody reads. A later version may write some that this one does not know; this one none."""
    if bundle.renderer == installed():
        for key in sorted(set(manifest) - HEAD):
            yield Mismatch(name, f"{MANIFEST}: {short(key)}", "a key that no run writes", "none")
    if another_engine(bundle.run.code):
        return
    records = {"run.json": bundle.run, "environment.json": bundle.environment, "controls.json": bundle.controls}
    for file, record in records.items():
        if unread := unread_key(record):
            yield Mismatch(name, f"{file}: {short(unread)}", "a key that no run writes", "none")


def _columns(name: str, bundle: Bundle) -> _Part:
    """Tables against the columns that the engine of the run writes, where it is the installed one."""
    errors = () if another_engine(bundle.run.code) else other_columns(bundle.contents)
    return _Part(tuple(Mismatch(name, error.where, error.what, error.expected) for error in errors))


def _pins(name: str, bundle: Bundle) -> Iterator[Mismatch]:
    pins = {pin.id: pin.sha256 for pin in bundle.run.packs}
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


@dataclass(frozen=True)
class _Part:
    """What came of one part of a bundle, as in :class:`BundleCheck`."""

    mismatches: tuple[Mismatch, ...] = ()
    said: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def _numbers(name: str, bundle: Bundle, decisions: Path | None) -> _Part:
    """The measurements against the decisions they speak of: counted anew, and measured anew."""
    tables = bundle.asked
    if tables is None:
        return _Part(left=("the bundle holds no decisions, so none of its numbers was counted again",))
    counted = recount(name, bundle, tables)
    if not counted.mismatches:
        counted = replace(counted, mismatches=tuple(answer_mismatches(name, bundle, tables)))
    answers = _Part(counted.mismatches) if counted.mismatches else _answers(name, bundle)
    if answers.mismatches:
        return answers
    again = remeasure(name, bundle, tables)
    if again.mismatches:
        return _Part(again.mismatches)
    if not bundle.run.asks:
        return _of_file(name, bundle, again, decisions)
    if decisions is not None:
        return _Part((Mismatch(name, short(decisions.name), "a decision file", "none: the run asked a model"),))
    said = [
        f"{counted.figures:,} figures of {counted.measurements:,} measurements were counted again from the "
        f"{tables.decisions.height:,} decisions of the bundle, and agree",
        *answers.said,
    ]
    left = [*answers.left]
    if again.incomparable:
        left.append(
            f"{again.incomparable}, so intervals, adjusted p-values, conclusions and findings were not computed again, "
            "and whoever wrote the bundle may have made them up"
        )
    else:
        without = _without_their_values(bundle, again)
        if without:
            left.append(
                f"the bundle holds no {FILED}, so {without:,} measurements of the answers as filed were not computed "
                "again, and whoever wrote the bundle may have made them up"
            )
        if unbound := unbound_values(bundle, tables):
            said.append(
                f"nothing else in the bundle says what {FILED} says of {', '.join(unbound)}, so these values were not "
                "compared, and whoever wrote the bundle may have made them up"
            )
        rest = [item.test for item in bundle.measurements if item.test not in again.tests and not on_file(item)]
        # A name that is none of ours is whatever somebody wrote, and would stand in a sentence of ours.
        kinds = {test_label(test) if test in labels_of_tests() else "of another kind" for test in rest}
        words = f" ({', '.join(sorted(kinds))})" if rest else ""
        by = f"the installed engine ({again.engine})" if again.engine else "the code the run names"
        said.append(
            f"{again.measurements:,} measurements with intervals, adjusted p-values and conclusions were computed "
            f"again from the decisions, and {_several(again.findings, 'finding')} and the controls from the "
            f"measurements, by {by}; the other {len(rest):,}{words} were not, since they follow from activations or "
            "recorded outcomes, which a bundle does not hold"
        )
    said.append(
        "what the records say of the model, the data, the prompts, the applications left out and the machine was not "
        "compared"
    )
    said.append(
        "that the model gave these decisions is not shown by the bundle: scoring the run again shows it, or the event "
        "log of the installation"
    )
    return _Part(said=tuple(said), left=tuple(left))


def _answers(name: str, bundle: Bundle) -> _Part:
    """What was read of answers, against what they say to the code that reads them here."""
    found, engine = tuple(read_again(name, bundle)), another_engine(bundle.run.code)
    if not found:
        return _Part(said=(words,) if (words := not_read_again(bundle)) else ())
    if not engine:
        return _Part(found)
    words = (
        f"{engine}, and reads answers otherwise ({found[0].where}: {found[0].found}; {found[0].expected}), so whoever "
        "wrote the bundle may have made up what was read of them"
    )
    return _Part(left=(words,))


def _without_their_values(bundle: Bundle, again: Remeasured) -> int:
    """How many measurements of the answers as filed lack what they follow from: engines before this one kept none."""
    return sum(on_file(item) and item.test not in again.tests for item in bundle.measurements)


def _of_file(name: str, bundle: Bundle, again: Remeasured, decisions: Path | None) -> _Part:
    """What can be said of numbers that follow from a decision file, which a bundle does not hold."""
    if again.incomparable:
        return _Part(left=(f"{again.incomparable}, so findings were not computed again",))
    by = f"the installed engine ({again.engine})" if again.engine else "the code the run names"
    if decisions is None:
        said = (
            f"none of {len(bundle.measurements):,} measurements was computed again: they follow from the decision file "
            f"(SHA-256 {bundle.run.data.file_sha256}), which no bundle holds; --decisions FILE computes them"
        )
    else:
        anew = remeasure_decisions(name, bundle, decisions)
        if anew.mismatches:
            return _Part(anew.mismatches)
        if anew.incomparable:
            return _Part(left=(f"{anew.incomparable}, so measurements were not computed again",))
        said = (
            f"{anew.measurements:,} measurements were computed again from {short(decisions.name)}, by {by}, and agree"
        )
    return _Part(
        said=(
            said,
            f"{_several(again.findings, 'finding')} and the controls were computed again from the measurements, by "
            f"{by}",
            "what the records say of the decision file, the applications left out and the machine was not compared",
        )
    )


def _packs(name: str, bundle: Bundle) -> _Part:
    """The policy packs, which a report prints, against those that are shipped: whoever writes one can pin it too."""
    shipped = {(pack["id"], pack["version"]): sha256_json(pack) for pack in catalogue()["packs"]}
    found, left = [], []
    for pack in bundle.packs:
        expected = shipped.get((pack["id"], pack.get("version")))
        if expected is None:
            which = short(f"{pack['id']} ({pack.get('version')})")
            left.append(f"policy pack {which} is not installed, so its text was not compared: it may be made up")
        elif sha256_json(pack) != expected:
            words = f"{expected}, as version {pack['version']} is shipped"
            found.append(Mismatch(name, f"{PACKS}: {pack['id']}", f"SHA-256 {sha256_json(pack)}", words))
    count = len(bundle.packs) - len(found) - len(left)
    words = f"{_several(count, 'policy pack')} {'is' if count == 1 else 'are'} equal to those installed"
    return _Part(tuple(found), (words,) if count else (), tuple(left))


def _several(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _figures(name: str, bundle: Bundle, charts: Mapping[str, Chart]) -> _Part:
    """Every figure against the one drawn from the records, by name."""
    there = {file: data for file, data in bundle.contents.items() if file.startswith(FIGURES)}
    if not there:
        return _Part(left=("the bundle holds no figures, so none was drawn again",))
    drawn = {f"{FIGURES}{chart.name}.svg": chart.svg.encode() for chart in charts.values()}
    by = "" if bundle.renderer == installed() else f" by {installed()}; the bundle's were drawn by {bundle.renderer}"
    found = []
    for file in sorted({*there, *drawn}):
        if file not in drawn:
            found.append(Mismatch(name, short(file), "a figure", f"none, as drawn from the records{by}"))
        elif file not in there:
            found.append(Mismatch(name, file, "no such figure", f"one, as drawn from the records{by}"))
        elif there[file] != drawn[file]:
            found.append(Mismatch(name, file, "another drawing", f"the figure as drawn from the records{by}"))
    return _Part(tuple(found), (f"{len(drawn):,} figures were drawn again from the records, and are equal",))
