"""What each depth of an audit can see, and what this one saw: a file of decisions, a system that answers, weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from auditor.behaviour.metrics import (
    CF_MEAN_SHIFT,
    CF_NET_EFFECT,
    CF_NOISE_FLOOR,
    CF_RANGE_EFFECT,
    REFUSAL_RATE_GAP,
    SELECTION_RATE,
)
from auditor.catalogue import card_of
from auditor.records import Measurement
from auditor.run_record import RunRecord
from reports.blocks import Block, Table, Text
from reports.story import Story

RECORD, ANSWERS, INTERNALS = "record", "answers", "internals"
SAID = {
    RECORD: "This run read decisions already taken: nobody was asked.",
    ANSWERS: "This run asked a system that answers: its inside could not be seen.",
    INTERNALS: "This run read weights: their inside could be seen.",
}

Seen = Callable[[Measurement], bool]


@dataclass(frozen=True)
class Question:
    """A question of an audit: what each depth can say to it, and the measurements that say it in a run.

    ``by_files``: of weights their hashes say it, whatever was measured.
    """

    words: str
    record: str
    answers: str
    internals: str
    seen: Seen
    by_files: bool = False


def depth_of(run: RunRecord) -> str:
    """At which depth a run was made."""
    if not run.asks:
        return RECORD
    return INTERNALS if run.reading is None else ANSWERS


def coverage(story: Story) -> list[Block]:
    """The table of questions and depths, with what this run gave."""
    depth = depth_of(story.bundle.run)
    rows = tuple(
        (item.words, item.record, item.answers, item.internals, _this_run(item, depth, story.measurements))
        for item in QUESTIONS
    )
    return [
        Text(
            f"One design can be put to a file of decisions, to a system that answers, or to weights. {SAID[depth]} "
            "Nothing is concluded about what a depth cannot see."
        ),
        Table(
            title="",
            head=("Question", "File of decisions", "System that answers", "Weights", "This run"),
            rows=rows,
            align="lllll",
            weights=(0.26, 0.18, 0.22, 0.2, 0.14),
            unfolded=True,
        ),
    ]


def _this_run(question: Question, depth: str, measurements: Sequence[Measurement]) -> str:
    mine = [item for item in measurements if question.seen(item)]
    if any(item.estimate is not None for item in mine):
        return "measured"
    if depth == INTERNALS and question.by_files:
        return "held by their hashes"
    can = {RECORD: question.record, ANSWERS: question.answers, INTERNALS: question.internals}[depth]
    if can == NO:
        return "could not be seen"
    if mine:
        return "no number; the reason stands with it"
    return "not part of the plan"


def _metric(*names: str) -> Seen:
    return lambda item: item.metric in names


def _test(*names: str) -> Seen:
    return lambda item: item.test in names


def _inside(*questions: str) -> Seen:
    def seen(item: Measurement) -> bool:
        card = card_of(item.test)
        return card is not None and card.needs_internals and card.question in questions

    return seen


NO = "no"
QUESTIONS = (
    Question(
        "Are groups of different applicants decided differently, as filed?",
        "yes, in what was decided",
        "yes, in its answers",
        "yes, in its answers",
        lambda item: item.metric == SELECTION_RATE and item.test not in ("arm_rates", "model_quality"),
    ),
    Question(
        "Does the decision change when only the attribute changes?",
        NO,
        "yes",
        "yes",
        _metric(CF_NET_EFFECT),
    ),
    Question(
        "Does the score move, also where no decision turns?",
        NO,
        "where it gives the log-probabilities of both answers every time",
        "yes, but not where its text is read",
        _metric(CF_MEAN_SHIFT),
    ),
    Question(
        "Would decisions change at another cut-off?",
        NO,
        "where it gives the log-probabilities of both answers every time",
        "yes, but not where its text is read",
        _metric(CF_RANGE_EFFECT),
    ),
    Question(
        "Is one group refused, or left without a readable answer, more often?",
        NO,
        "yes: refused, unreadable, too little probability",
        "yes: too little probability; refused or unreadable where its text is read",
        _metric(REFUSAL_RATE_GAP),
    ),
    Question(
        "How much changes by itself?",
        NO,
        "yes, by asking again",
        "yes, by asking again",
        _metric(CF_NOISE_FLOOR),
    ),
    Question(
        "Was it the same system from the first case to the last?",
        NO,
        "where it names a dated version or a fingerprint, or answers alike when asked alike",
        "yes, by the hashes of its files",
        _test("same_system"),
        by_files=True,
    ),
    Question("Which fields drove a decision?", NO, NO, "yes", _inside("fields")),
    Question("Is the attribute encoded inside?", NO, NO, "yes", _inside("encoded")),
    Question("Does the decision use it, or could it?", NO, NO, "yes", _inside("used", "usable")),
    Question("Where, and by which parts of the model?", NO, NO, "yes", _inside("where", "parts")),
)
