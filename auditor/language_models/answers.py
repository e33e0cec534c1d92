"""Reading a decision: the log-odds of the favourable against the adverse answers, whole answers, several spellings.

margin = ln Σ P(favourable spelling | prompt) − ln Σ P(adverse spelling | prompt), in nats; mass = the sum of all of
them. A spelling's probability is the product over its tokens, each read from the model at its own position.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.exceptions import ModelError, PlanError, ScoringError
from auditor.language_models.packed import PackedScorer, Read
from auditor.plan import Answers
from auditor.records import Case, Decision, Outcome


@dataclass(frozen=True, slots=True)
class Encoding:
    """Token ids of a whole text and the character range of each token."""

    ids: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A tokenised prompt and its tokenised answers: favourable first, then adverse, in the plan's order."""

    prompt: tuple[int, ...]
    favourable: tuple[tuple[int, ...], ...]
    adverse: tuple[tuple[int, ...], ...]

    @property
    def sequences(self) -> list[tuple[int, ...]]:
        """The prompts to compute: the prompt itself, and with every answer's tokens but its last, without repeats."""
        stems = dict.fromkeys(answer[:-1] for answer in self.favourable + self.adverse)
        return [self.prompt + stem for stem in stems]

    @property
    def reads(self) -> list[list[Read]]:
        """For every sequence, where each of its answers' tokens is read."""
        stems = list(dict.fromkeys(answer[:-1] for answer in self.favourable + self.adverse))
        start = len(self.prompt) - 1
        return [
            [
                (start + offset, token)
                for answer in self.favourable + self.adverse
                if answer[:-1] == stem
                for offset, token in enumerate(answer)
            ]
            for stem in stems
        ]


def encode(tokenizer: Any, texts: Sequence[str], *, chat: bool) -> list[Encoding]:
    """Tokenise whole texts.

    Parameters
    ----------
    tokenizer
        A fast tokenizer.
    chat
        The text already carries the special tokens of a chat template, so none are added.

    Returns
    -------
    list of Encoding
        Special tokens that the tokenizer puts at the end (an end-of-text mark) are left off: an answer follows.
    """
    batch = tokenizer(list(texts), add_special_tokens=not chat, return_offsets_mapping=True)
    special = set(tokenizer.all_special_ids)
    encodings = []
    for ids, offsets in zip(batch["input_ids"], batch["offset_mapping"], strict=True):
        end = len(ids)
        while end and ids[end - 1] in special and offsets[end - 1][0] == offsets[end - 1][1]:
            end -= 1
        encodings.append(Encoding(tuple(ids[:end]), tuple(offsets[:end])))
    return encodings


def ask(tokenizer: Any, prompts: Sequence[str], answers: Answers, *, chat: bool, where: str) -> list[Question]:
    """Tokenise prompts, each whole and together with each answer.

    Raises
    ------
    PlanError
        If an answer adds no token or merges with the prompt's end, two answers tokenise alike, or one begins with all
        of another (their probabilities would be counted twice).
    """
    spellings = answers.favourable + answers.adverse
    plain = encode(tokenizer, prompts, chat=chat)
    tails: list[list[tuple[int, ...]]] = []
    for spelling in spellings:
        whole = encode(tokenizer, [prompt + spelling for prompt in prompts], chat=chat)
        column = []
        for before, after in zip(plain, whole, strict=True):
            if after.ids[: len(before.ids)] != before.ids or len(after.ids) == len(before.ids):
                raise PlanError(
                    f"{where}: prompt.answers",
                    f"{spelling!r} merges with the end of the prompt when tokenised",
                    "a prompt that ends, and answers that begin, on a token border (a leading space often helps)",
                )
            column.append(after.ids[len(before.ids) :])
        tails.append(column)
    cut = len(answers.favourable)
    questions = []
    for index, before in enumerate(plain):
        tokens = [column[index] for column in tails]
        if index == 0 or tokens != [column[index - 1] for column in tails]:
            _check_distinct(spellings, tokens, where)
        questions.append(Question(before.ids, tuple(tokens[:cut]), tuple(tokens[cut:])))
    return questions


def refuse_unembedded(questions: Sequence[Question], *, rows: int, tokenizer: Any, where: str) -> None:
    """Refuse prompts with tokens beyond the model's embedding of so many rows: those added to a tokenizer alone."""
    # An answer's last token is never read by the model, and its logit is: it needs a row as well.
    tokens = (token for each in questions for part in (each.prompt, *each.favourable, *each.adverse) for token in part)
    if (largest := max(tokens)) >= rows:
        token = tokenizer.convert_ids_to_tokens(largest)
        what = f"its tokenizer makes token {largest} ({token!r}) of a prompt or an answer, and the model embeds {rows}"
        raise ModelError(where, what, "a tokenizer and weights that belong together")


def decide(
    scorer: PackedScorer,
    cases: Sequence[Case],
    questions: Sequence[Question],
    *,
    mass_floor: float,
    natural_margin: float,
    share: bool = True,
) -> list[Decision]:
    """Score cases.

    Parameters
    ----------
    scorer
        The model.
    cases, questions
        In the same order.
    mass_floor
        Under this probability on all answers the outcome is invalid.
    natural_margin
        From this margin on the outcome is favourable.
    share
        Off: every prompt by the model's own forward pass, whole and alone, nothing of the packed path.

    Raises
    ------
    ScoringError
        Naming the case whose logits are not finite.
    """
    sequences = [sequence for question in questions for sequence in question.sequences]
    reads = [read for question in questions for read in question.reads]
    owners = [case for case, question in zip(cases, questions, strict=True) for _ in question.sequences]
    values = iter(_scored(scorer.log_probabilities if share else scorer.one_by_one, sequences, reads, owners))
    decisions = []
    for case, question in zip(cases, questions, strict=True):
        mine = [next(values) for _ in question.sequences]
        decisions.append(_decision(case, question, mine, mass_floor=mass_floor, natural_margin=natural_margin))
    return decisions


def _scored(
    score: Callable[[Sequence[tuple[int, ...]], Sequence[list[Read]]], list[list[float]]],
    sequences: Sequence[tuple[int, ...]],
    reads: Sequence[list[Read]],
    owners: Sequence[Case],
) -> list[list[float]]:
    """Log-probabilities; an error names the case whose prompt it was."""
    try:
        return score(sequences, reads)
    except ScoringError as error:
        if error.prompt is None:
            raise
        raise ScoringError(f"case {owners[error.prompt].id}: {error}") from error


def _decision(
    case: Case, question: Question, values: Sequence[Sequence[float]], *, mass_floor: float, natural_margin: float
) -> Decision:
    favourable, adverse = log_odds(question, values)
    margin = favourable - adverse
    mass = math.exp(_log_sum([favourable, adverse]))
    if not math.isfinite(margin):
        raise ScoringError(f"case {case.id}: the margin is not a finite number")
    if mass < mass_floor:
        outcome = Outcome.INVALID
    else:
        outcome = Outcome.FAVOURABLE if margin >= natural_margin else Outcome.ADVERSE
    return Decision(
        case_id=case.id,
        margin=margin,
        mass=mass,
        log_favourable=favourable,
        log_adverse=adverse,
        outcome=outcome,
    )


def log_odds(question: Question, values: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Log-probability (nats) of the favourable and of the adverse answers; their difference is the margin.

    Parameters
    ----------
    question
        A tokenised prompt with its answers.
    values
        For every one of its sequences, the log-probabilities of its reads.
    """
    stems = list(dict.fromkeys(answer[:-1] for answer in question.favourable + question.adverse))
    cursors = [0] * len(stems)
    scores = []
    for answer in question.favourable + question.adverse:
        row = stems.index(answer[:-1])
        taken = values[row][cursors[row] : cursors[row] + len(answer)]
        cursors[row] += len(answer)
        scores.append(math.fsum(taken))
    cut = len(question.favourable)
    return _log_sum(scores[:cut]), _log_sum(scores[cut:])


def _log_sum(values: Sequence[float]) -> float:
    top = max(values)
    return top + math.log(math.fsum(math.exp(value - top) for value in values))


def _check_distinct(spellings: Sequence[str], tokens: Sequence[tuple[int, ...]], where: str) -> None:
    for left in range(len(tokens)):
        for right in range(len(tokens)):
            if left == right:
                continue
            if tokens[left] == tokens[right] and left < right:
                raise PlanError(
                    f"{where}: prompt.answers",
                    f"{spellings[left]!r} and {spellings[right]!r} tokenise to the same thing",
                    "answers with different tokens",
                )
            if len(tokens[left]) < len(tokens[right]) and tokens[right][: len(tokens[left])] == tokens[left]:
                raise PlanError(
                    f"{where}: prompt.answers",
                    f"{spellings[right]!r} begins with all tokens of {spellings[left]!r} and would be counted twice",
                    "answers none of which begins with another",
                )
