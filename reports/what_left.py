"""What left the machine in a run, and to whom."""

from __future__ import annotations

from auditor.environment import Sent
from auditor.run_record import RunRecord
from reports import numbers
from reports.blocks import Block, Cell, Literal, Pairs, Table, Text
from reports.story import Story
from reports.system_rows import describing_endpoints, is_handed_fields

MILLION = 1_000_000


def what_left(story: Story) -> list[Block]:
    """Who was asked what, how often, and what came of it; of weights, that nothing left."""
    run, sent = story.bundle.run, story.bundle.environment.sent
    system = run.model.manifest.system
    if not run.asks:
        return [
            Text("Nothing: decisions already taken were read on the machine that ran the audit, and nobody was asked.")
        ]
    if system is None:
        return [Text(_of_weights(run)), *(() if sent is None else _exchange(sent, run, _to_describe(sent)))]
    rows: list[tuple[str, Cell]] = [
        ("To", Literal(str(system.asked.get("url", run.model.source)))),
        ("What", _what(story)),
    ]
    return _exchange(sent, run, rows)


def _exchange(sent: Sent | None, run: RunRecord, rows: list[tuple[str, Cell]]) -> list[Block]:
    """To whom what went, what is kept of it, and how often; what got no answer."""
    kept = ("Kept", "every request with its answer, under its hash, in requests.parquet of the evidence; no key")
    blocks: list[Block] = [Pairs(rows=(*rows, kept, *(_figures(sent, run) if sent is not None else ())))]
    if sent is not None and sent.failures:
        blocks.append(
            Table(
                title="Requests that got no answer",
                head=("What happened", "Requests"),
                rows=tuple((words, numbers.count(count)) for words, count in sorted(sent.failures.items())),
                align="lr",
                weights=(0.8, 0.2),
            )
        )
    return blocks


def _of_weights(run: RunRecord) -> str:
    asked = describing_endpoints(run)
    if asked:
        return (
            f"Weights were read on the machine that ran the audit. Pieces of applications went to "
            f"{' and '.join(asked)}, to have features described."
        )
    return "Nothing: weights were read on the machine that ran the audit."


def _to_describe(sent: Sent) -> list[tuple[str, Cell]]:
    to = Literal(", ".join(sent.addresses)) if sent.addresses else "nobody answered"
    what = "pieces of applications with the words that a feature is active on marked, and descriptions of features"
    return [("To", to), ("What", what)]


def _what(story: Story) -> str:
    count = numbers.count(len(story.bundle.run.data.selected))
    if is_handed_fields(story.bundle.run):
        return f"the fields of {count} applications, as the annex prints one"
    beside = " and the system prompt" if story.bundle.plan.prompt.system else ""
    return f"prompts made of {count} applications, as the annex prints one{beside}, and the settings of the request"


def _figures(sent: Sent, run: RunRecord) -> list[tuple[str, Cell]]:
    failed = sum(sent.failures.values())
    rows: list[tuple[str, Cell]] = [
        ("Requests sent", f"{numbers.count(sent.requests)}, {numbers.count(failed)} of them without an answer"),
        ("Answers kept", numbers.count(sent.answers)),
    ]
    if sent.unended:
        rows.append(
            ("Sent, end not known", f"{numbers.count(sent.unended)}: answers to these may exist that nobody kept")
        )
    if sent.prompt_tokens or sent.answer_tokens:
        tokens = f"{numbers.count(sent.prompt_tokens)} of prompts, {numbers.count(sent.answer_tokens)} of answers"
        rows.append(("Tokens, as the server counted", tokens))
    if sent.money:
        rows.append(("Cost, in the currency of the listed prices", f"{sent.money / MILLION:,.2f}"))
    return rows if run.reading is None else [("Requests planned", numbers.count(run.reading.requests)), *rows]
