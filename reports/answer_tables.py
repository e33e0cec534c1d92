"""Answers, requests and texts of a bundle against its decisions: what was said to whom is what was decided.

Each request and each answer is held against its hash, a slice of rows at a time; only hashes are kept. Whether an
answer means what was read of it is for ``reports.answers_read_again``, by the code that read it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl

from auditor.answering.evidence import ANSWERS, REQUESTS
from auditor.canonical import sha256_bytes
from auditor.catalogue import card_of
from auditor.evidence import TEXTS
from auditor.observed.filed_values import FILED
from auditor.plan_reading import LOG_ODDS
from reports.asked_about_its_case import asked_about_another
from reports.bundle import Bundle
from reports.differences import Mismatch, short
from reports.evidence_tables import DECISIONS, KNOWN, Asked, read_columns, slices
from reports.remeasure import another_engine
from reports.system_rows import describing_endpoints

WRITTEN_OUT = re.compile(r"\\x([89a-f][0-9a-f])")
"""How a byte that is no UTF-8 stands in the text of an answer."""
NOT_DOUBLED = re.compile(r"(?<!\\)\\x([89a-f][0-9a-f])")
"""The same, but for one behind a backslash: JSON doubles those that a server wrote itself."""


def answer_mismatches(name: str, bundle: Bundle, tables: Asked) -> Iterator[Mismatch]:
    """Whether the run has the tables of answers that its kind writes, no others, and decisions that follow from them.

    Parameters
    ----------
    name
        The bundle's name, for lines.
    tables
        Its cases and decisions.
    """
    run = bundle.run
    asked = run.reading is not None and not tables.decisions.is_empty()
    read = run.generated is not None and not tables.decisions.is_empty()
    described = run.reading is None and _was_described(bundle)
    filed = reads_as_filed(bundle)
    written = {
        ANSWERS: asked,
        REQUESTS: asked or described,
        TEXTS: read,
        FILED: filed and not tables.decisions.is_empty(),
    }
    allowed = {
        ANSWERS: run.reading is not None,
        REQUESTS: run.reading is not None or bool(describing_endpoints(run)),
        TEXTS: run.generated is not None,
        FILED: filed or bool(another_engine(run.code)),
    }
    for file, expected in written.items():
        if expected and file not in bundle.contents:
            yield Mismatch(name, file, "no such file", f"one: {_why(file, described=described)}")
            return
        if file in bundle.contents and not allowed[file]:
            yield Mismatch(name, file, "a file that this run does not write", "none: no such answer was read")
            return
    if asked:
        yield from _of_a_system(name, bundle, tables)
        yield from _by_the_rule(name, bundle)
    elif REQUESTS in bundle.contents:
        yield from _exchanges(name, bundle, set())
    if read:
        texts = read_columns(bundle.contents[TEXTS], tuple(KNOWN[TEXTS]), where=TEXTS)
        yield from _decided(name, TEXTS, texts, tables, ("outcome",))


def reads_as_filed(bundle: Bundle) -> bool:
    """Whether the run measures the answers to the applications as filed by tests on decisions taken.

    Engines before this one kept nothing that such numbers follow from.
    """
    cards = map(card_of, bundle.plan.tests.run)
    wanted = any(card is not None and card.needs_decision_file for card in cards)
    return wanted and bundle.run.asks and not another_engine(bundle.run.code)


def _why(file: str, *, described: bool) -> str:
    if file == FILED:
        return "the plan has tests on decisions taken, which follow from it"
    return "an endpoint described features" if described else "the decisions of the run are read from answers"


def _was_described(bundle: Bundle) -> bool:
    """Whether a number of the bundle follows from what an endpoint said of features.

    Engines before this one kept no such requests.
    """
    if not describing_endpoints(bundle.run) or another_engine(bundle.run.code):
        return False
    return any("describer" in item.subject and item.estimate is not None for item in bundle.measurements)


def _exchanges(name: str, bundle: Bundle, keys: set[str]) -> Iterator[Mismatch]:
    """Each request and answer against its hash; what is in order is added to ``keys``."""
    for rows in slices(bundle.contents[REQUESTS], tuple(KNOWN[REQUESTS]), where=REQUESTS):
        for key, request, answer, digest in rows.iter_rows():
            if key is None or request is None or sha256_bytes(request.encode()) != key:
                yield Mismatch(name, f"{REQUESTS}: {short(key)}", "another request", "the one of this SHA-256")
                return
            if answer is None or digest not in _hashes(answer):
                yield Mismatch(name, f"{REQUESTS}: {key}", "another answer", f"the one of SHA-256 {short(digest)}")
                return
            if key in keys:
                yield Mismatch(name, f"{REQUESTS}: {key}", "a request that stands twice", "every request once")
                return
            keys.add(key)


def _of_a_system(name: str, bundle: Bundle, tables: Asked) -> Iterator[Mismatch]:
    keys = set[str]()
    damaged = list(_exchanges(name, bundle, keys))
    if damaged:
        yield from damaged
        return
    answers = read_columns(bundle.contents[ANSWERS], tuple(KNOWN[ANSWERS]), where=ANSWERS)
    lost = answers.filter(~pl.col("request").is_in(sorted(keys)) | pl.col("request").is_null())
    if lost.height:
        where = f"{ANSWERS}: {short(lost['case_id'][0])}: request"
        yield Mismatch(name, where, short(lost["request"][0]), f"one of {REQUESTS} ({lost.height:,} such)")
        return
    elsewhere = list(asked_about_another(name, bundle))
    if elsewhere:
        yield from elsewhere
        return
    # Re-asks of the control stand in the table as well, and decide nothing.
    decided = answers.filter(pl.col("moment") == "")
    found = list(_decided(name, ANSWERS, decided, tables, ("outcome", "margin", "mass")))
    yield from found
    planned = bundle.run.reading.requests if bundle.run.reading else 0
    if not found and answers.height != planned:
        words = f"{planned:,}, as many as the run was to ask for"
        yield Mismatch(name, ANSWERS, f"{answers.height:,} answers", words)


def _decided(
    name: str, file: str, answers: pl.DataFrame, tables: Asked, columns: tuple[str, ...]
) -> Iterator[Mismatch]:
    """One answer a decision, and what was decided as it was read."""
    ids, decided = answers["case_id"], tables.decisions["case_id"]
    if ids.null_count() or ids.n_unique() < len(ids) or set(ids) != set(decided):
        odd = sorted(set(ids.drop_nulls()) ^ set(decided)) or ids.filter(ids.is_duplicated()).drop_nulls().to_list()
        where = f"{file}: {short(odd[0])}" if odd else file
        yield Mismatch(name, where, "a decision without its answer, or an answer without its decision", "one each")
        return
    beside = tables.decisions.join(answers.select("case_id", *columns), on="case_id", suffix="_read")
    for column in columns:
        odd_rows = beside.filter(pl.col(column).ne_missing(pl.col(f"{column}_read")))
        if odd_rows.height:
            one = odd_rows.sort("case_id").row(0, named=True)
            where = f"{DECISIONS}: {short(one['case_id'])}: {column}"
            words = f"{short(one[f'{column}_read'])}, as read in {file} ({odd_rows.height:,} such)"
            yield Mismatch(name, where, short(one[column]), words)


def _by_the_rule(name: str, bundle: Bundle) -> Iterator[Mismatch]:
    """Each answer decides by its margin or by bounds of it, without either not at all; a text by its choice."""
    reading, floor = bundle.run.reading, bundle.plan.prompt.answers.mass_floor
    cut = bundle.plan.operating_point.natural_margin
    if reading is None:
        return
    bounds = ("at_least", "at_most", "mass_at_least", "mass_at_most")
    numbers = [pl.col(column).cast(pl.Float64) for column in ("margin", "mass", *bounds)]
    rows = read_columns(bundle.contents[ANSWERS], tuple(KNOWN[ANSWERS]), where=ANSWERS).with_columns(numbers)
    exact = pl.col("margin").is_not_null()
    bounded = pl.any_horizontal(pl.col(bound).is_not_null() for bound in bounds)
    if reading.readout != LOG_ODDS:
        odd = rows.filter(exact | bounded | pl.col("mass").is_not_null())
        if odd.height:
            yield Mismatch(name, f"{ANSWERS}: {short(odd['case_id'][0])}", "a margin", "none: a choice is read")
        return
    halves = exact & (bounded | pl.col("mass").is_null())
    halves |= ~exact & (pl.col("mass").is_not_null() | (bounded & pl.any_horizontal(pl.col(bounds[2:]).is_null())))
    crossed = (pl.col("at_least") > pl.col("at_most")) | (pl.col("mass_at_least") > pl.col("mass_at_most"))
    odd = rows.filter(
        halves | crossed.fill_null(value=False) | pl.any_horizontal(~value.is_finite() for value in numbers)
    )
    if odd.height:
        words = "a margin with its probability, or bounds of both"
        yield Mismatch(name, f"{ANSWERS}: {short(odd['case_id'][0])}", "other numbers", words)
        return
    # An exact number bounds itself from both sides.
    least, most = (pl.coalesce("margin", bound) for bound in bounds[:2])
    mass_least, mass_most = (pl.coalesce("mass", bound) for bound in bounds[2:])
    ruled = (
        pl.when(mass_most < floor)
        .then(pl.lit("invalid"))
        .when((mass_least >= floor) & (least >= cut))
        .then(pl.lit("favourable"))
        .when((mass_least >= floor) & (most < cut))
        .then(pl.lit("adverse"))
        .otherwise(pl.lit("unreadable"))
    )
    # A refusal is read before any number, so that its row has none.
    refused = ~exact & ~bounded & (pl.col("outcome") == "refused")
    odd = rows.with_columns(ruled=ruled).filter(~refused & (pl.col("ruled") != pl.col("outcome")))
    if odd.height:
        one = odd.row(0, named=True)
        words = f"{one['ruled']} by its margin or the bounds of it, and the plan's rule ({odd.height:,} such)"
        yield Mismatch(name, f"{ANSWERS}: {short(one['case_id'])}: outcome", short(one["outcome"]), words)


def _hashes(answer: str) -> Iterator[str]:
    """What an answer with this text may be the SHA-256 of: bytes that are no UTF-8 stand written out in it."""
    yield sha256_bytes(answer.encode())
    for pattern in (WRITTEN_OUT, NOT_DOUBLED):
        if pattern.search(answer):
            # Surrogates carry single bytes through text, and back into bytes.
            text = pattern.sub(lambda found: chr(0xDC00 + int(found[1], 16)), answer)
            yield sha256_bytes(text.encode("utf-8", "surrogateescape"))
