"""Reading anew: what the answers of a bundle say by the plan's grammar, against what was read of them.

A row of answers may hold any number under the good hash of an answer that says another. So the kept answer is read by
the dialect and the grammar that read it: outcome, amount, reasons, text, and what the answer says it comes from. Texts
of weights are read as they stand in their table; nothing else in a bundle holds them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from auditor.answering.evidence import ANSWERS, REQUESTS
from auditor.evidence import TEXTS
from auditor.plan_reading import IN_WORDS
from reports.asked_about_its_case import of_endpoint
from reports.bundle import Bundle
from reports.differences import Mismatch, short
from reports.evidence_tables import read_columns, slices

if TYPE_CHECKING:
    from auditor.run_record import HowRead
    from auditor.systems.asking import Response

OF_ANSWERS = ("outcome", "amount", "reasons", "text", "model", "fingerprint")
OF_TEXTS = ("outcome", "amount", "reasons")
Row = dict[str, Any]


class _NoAnswerError(ValueError):
    """A kept answer is none that a run keeps."""


def not_read_again(bundle: Bundle) -> str:
    """Which answers in words a bundle cannot be asked about, in words; empty where there are none."""
    how = bundle.run.reading
    if how is None or how.readout not in IN_WORDS or of_endpoint(bundle):
        return ""
    return (
        f"what {ANSWERS} holds of outcomes, amounts and reasons was not read again from the answers in {REQUESTS}, and "
        "whoever wrote the bundle may have made it up"
    )


def read_again(name: str, bundle: Bundle) -> Iterator[Mismatch]:
    """The first answer of which something else was read than it says, with the number of such.

    Parameters
    ----------
    name
        The bundle's name, for lines.
    bundle
        One whose requests and answers are those of their hashes.
    """
    how = bundle.run.reading
    try:
        if how is not None and how.readout in IN_WORDS and of_endpoint(bundle) and ANSWERS in bundle.contents:
            yield from _named(name, ANSWERS, _of_requests(bundle, how))
        elif bundle.run.generated is not None and TEXTS in bundle.contents:
            yield from _named(name, TEXTS, _of_texts(bundle))
    except (KeyError, ValueError) as error:
        # A plan without the form that the run reads by, or a dialect that nobody speaks.
        yield Mismatch(name, "run.json: reading", short(str(error)), "what the plan's answers can be read by")


def _named(name: str, file: str, differing: Iterator[tuple[str, str, Any, Any]]) -> Iterator[Mismatch]:
    """The first of those that differ, which say case, column, what stands there and what should."""
    first, count = None, 0
    for found in differing:
        first, count = first or found, count + 1
    if first is not None:
        case, column, said, read = first
        words = f"{_shown(read)}, as read again from the answer ({count:,} such)"
        yield Mismatch(name, f"{file}: {short(case)}: {column}", _shown(said), words)


def _shown(value: Any) -> str:
    return short(value if value is None or isinstance(value, int | float | list | tuple) else str(value))


def _of_requests(bundle: Bundle, how: HowRead) -> Iterator[tuple[str, str, Any, Any]]:
    """Every answer against the one that is kept under its request."""
    from auditor.answering.deciding import decide
    from auditor.answering.reading import answer_form_of
    from auditor.systems.asking import Request
    from auditor.systems.dialects import DIALECTS

    system = bundle.run.model.manifest.system
    dialect = DIALECTS[str(system.asked.get("dialect"))] if system is not None else None
    if dialect is None:
        return
    asked = Request(prompt="", max_tokens=how.max_tokens, top=how.top, form=answer_form_of(bundle.plan, how))
    table = read_columns(bundle.contents[ANSWERS], ("case_id", "moment", "request", *OF_ANSWERS), where=ANSWERS)
    by_request: dict[str, list[Row]] = {}
    for row in table.iter_rows(named=True):
        by_request.setdefault(row["request"], []).append(row)
    for rows in slices(bundle.contents[REQUESTS], ("key", "status", "answer"), where=REQUESTS):
        for key, status, answer in rows.iter_rows():
            mine = by_request.get(key, ())
            if not mine:
                continue
            try:
                response = _response(dialect.read, asked, status=status, answer=answer)
            except _NoAnswerError as error:
                yield mine[0]["case_id"], "request", str(error), "an answer"
                continue
            for row in mine:
                case, moment = row["case_id"], row["moment"]
                read = decide(response, case_id=case, moment=moment, request=key, plan=bundle.plan, how=how)
                yield from _differing(row, read.row(), OF_ANSWERS)


def _response(read: Any, asked: Any, *, status: Any, answer: str) -> Response:
    """What a kept answer says: a run keeps whole ones, and errors that say a content filter stood between."""
    from auditor.systems.asking import Finish, Response
    from auditor.systems.exceptions import WireError
    from auditor.systems.statuses import filtered
    from auditor.systems.transport import Arrived
    from auditor.systems.wire import read_json

    body = answer.encode()
    if status != 200:
        if not isinstance(status, int) or not filtered(Arrived(status, {}, body)):
            raise _NoAnswerError(f"status {_shown(status)}")
        return Response(finish=Finish.FILTERED, finish_said="content_filter", trouble="a content filter")
    try:
        found: Response = read(asked, read_json(body))
    except WireError as error:
        raise _NoAnswerError(str(error)) from error
    return found


def _of_texts(bundle: Bundle) -> Iterator[tuple[str, str, Any, Any]]:
    """Every text of weights; one whose self-check did not hold is unreadable whatever it says."""
    from auditor.answering.words import ReadWords, read_words
    from auditor.records import Outcome
    from auditor.systems.asking import Finish, Response
    from auditor.text_reading import read_as

    generated = bundle.run.generated
    if generated is None:
        return
    how = read_as(generated.readout)
    table = read_columns(bundle.contents[TEXTS], ("case_id", "finish", "trouble", "text", *OF_TEXTS), where=TEXTS)
    for row in table.iter_rows(named=True):
        finish = Finish.STOP if row["finish"] == "stop" else Finish.LENGTH
        text = row["text"] if isinstance(row["text"], str) else ""
        read = read_words(Response(text=text, finish=finish), plan=bundle.plan, how=how)
        if row["trouble"]:
            read = ReadWords(outcome=Outcome.UNREADABLE)
        again = {"outcome": str(read.outcome), "amount": read.amount, "reasons": read.reasons}
        yield from _differing(row, again, OF_TEXTS)


def _differing(row: Row, again: Mapping[str, Any], columns: tuple[str, ...]) -> Iterator[tuple[str, str, Any, Any]]:
    """The first column in which a row says something else than was read anew."""
    for column in columns:
        said, read = row[column], again[column]
        if isinstance(read, tuple):
            read = list(read)
        if said != read:
            yield row["case_id"], column, said, read
            return
