"""Is the written rationale fixed by the decision, or the decision by the rationale.

Before the decision: the model writes a reason, then decides; reasons of two applications change places. After it: the
decision is forced both ways, the model writes a reason, and the reason is scored under the other decision and under the
other application. Texts are rendered and tokenised whole every time; only the writing itself goes token by token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from auditor.exceptions import Interrupted
from auditor.language_models.activations import shared_length
from auditor.language_models.answers import encode
from auditor.language_models.decoder import Decoder
from auditor.language_models.kv_cache import Past
from auditor.language_models.noise import likelihood, noise_floor
from auditor.language_models.noise_floor import NoiseFloor
from auditor.language_models.not_applicable import NotApplicable
from auditor.language_models.positions import switch_length
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.pairs import row_of, structured
from auditor.mechanisms.look_ahead.rationale_rows import (
    ADVERSE,
    FAVOURABLE,
    Exchanged,
    Likelihood,
    Side,
    Texts,
)
from auditor.mechanisms.look_ahead.result import RationaleCase, RationalePayload, RationaleResult
from auditor.records import Check
from auditor.testing.context import FloatArray


@dataclass(frozen=True, slots=True)
class Frame:
    """A prompt cut before its last line, the cue that the answer follows: ``head + cue`` is the prompt."""

    head: str
    cue: str

    @property
    def gap(self) -> str:
        """The white space that sets the cue off."""
        return self.head[len(self.head.rstrip()) :]

    def reasoned(self, reason: str) -> str:
        """The prompt with a reason before the decision."""
        return f"{self.head}{reason}{self.gap}{self.cue}"


@dataclass(frozen=True, slots=True)
class Written:
    """A rationale, its tokens as they were written, and their log-likelihood in nats.

    ``tokens`` is empty where the text ends within a token.
    """

    text: str
    tokens: tuple[int, ...]
    likelihood: float


@dataclass(frozen=True, slots=True)
class Scored:
    """A text after a prompt, tokenised whole: its tokens and their log-likelihood in nats."""

    tokens: tuple[int, ...]
    likelihood: float

    @property
    def mean(self) -> float:
        """Nats a token."""
        return self.likelihood / len(self.tokens)


def frame_of(context: ComputeContext, words: Mapping[str, str]) -> Frame | NotApplicable:
    """The frame of an application's prompt, or why a rationale has no place in it."""
    rendered = context.render(words)
    cut = rendered.text.rfind("\n") + 1
    cue = rendered.text[cut:]
    if not cue.strip():
        return NotApplicable(
            "the prompt does not end with a line that asks for the decision, so nothing can be written before it"
        )
    if cut == 0 or any(stop > cut for _, stop in rendered.spans.values()):
        return NotApplicable(
            "the line that asks for the decision also states a field, so nothing can be written between the two"
        )
    return Frame(rendered.text[:cut], cue)


def compute(context: ComputeContext, payload: RationalePayload, noise: NoiseFloor) -> RationaleResult:
    """Write, swap and score the rationales of every pair of applications of the chunk."""
    first = payload.cases[0].sides[0].words
    view = structured(context, context.render(first).text)
    frame = frame_of(context, first)
    if isinstance(view, NotApplicable) or isinstance(frame, NotApplicable):
        reason = next(each.reason for each in (view, frame) if isinstance(each, NotApplicable))
        return RationaleResult(left_out=payload.left_out, noise=noise, reason=reason)
    decoder, _ = view
    pairs = []
    for case in payload.cases:
        if context.should_stop():
            raise Interrupted("stopped between two pairs; this chunk starts again")
        frames = [frame for side in case.sides if isinstance(frame := frame_of(context, side.words), Frame)]
        # Frames are of one template, so all or none but for one application's odd words.
        if len(frames) == len(case.sides) and _has_room(context, frames):
            pairs.append(_pair(context, decoder, case, frames))
    return RationaleResult(left_out=payload.left_out, noise=noise, pairs=tuple(pairs))


def _has_room(context: ComputeContext, frames: Sequence[Frame]) -> bool:
    """Whether the model's context holds the prompts with a rationale, the answer and the cue behind them.

    It ends where the position encoding begins to read a prompt by its length: written token by token, the same text
    would have other states there than read as a whole.
    """
    model = context.loaded.model
    ends = (getattr(model.config.get_text_config(), "max_position_embeddings", None), switch_length(model))
    most = min((end for end in ends if end is not None), default=None)
    answers = context.plan.prompt.answers
    longest = max((*answers.favourable, *answers.adverse), key=len)
    texts = [f"{frame.head}{frame.cue}{longest}\n{context.settings.reason_cue}\n{frame.cue}" for frame in frames]
    lengths = [len(one.ids) for one in encode(context.loaded.tokenizer, texts, chat=context.plan.prompt.form == "chat")]
    return most is None or max(lengths) + context.settings.rationale_tokens <= most


def _pair(context: ComputeContext, decoder: Decoder, case: RationaleCase, frames: Sequence[Frame]) -> Exchanged:
    cue = context.settings.reason_cue
    answers = context.plan.prompt.answers
    spoken: dict[Side, str] = {FAVOURABLE: answers.favourable[0], ADVERSE: answers.adverse[0]}
    one, other = (_rationales(context, decoder, frame, spoken, cue) for frame in frames)
    free = [one.free.text, other.free.text]
    texts = [frame.head + frame.cue for frame in frames]
    texts += [frame.reasoned(cue + reason) for frame in frames for reason in free]
    plain = context.margins(texts)
    likelihoods, check = _likelihoods(context, frames, (one, other), spoken, cue)
    own = [word.strip().lower() for word in spoken.values()]
    first, second, *swapped = map(float, plain)
    return Exchanged(
        ids=(case.sides[0].id, case.sides[1].id),
        plain=(first, second),
        swapped=((swapped[0], swapped[1]), (swapped[2], swapped[3])),
        written=(one.texts(), other.texts()),
        states_answer=(_names(one.free.text, own), _names(other.free.text, own)),
        likelihoods=likelihoods,
        checks=(check,),
    )


def _names(reason: str, answers: Sequence[str]) -> bool:
    return any(answer in reason.lower() for answer in answers)


@dataclass(frozen=True, slots=True)
class _Rationales:
    """What was written for one application: before the decision, and after each was forced."""

    free: Written
    forced: Mapping[Side, Written]

    def texts(self) -> Texts:
        """As a result keeps them."""
        return Texts(free=self.free.text, favourable=self.forced[FAVOURABLE].text, adverse=self.forced[ADVERSE].text)


def _rationales(
    context: ComputeContext, decoder: Decoder, frame: Frame, spoken: Mapping[Side, str], cue: str
) -> _Rationales:
    prompts = [f"{frame.head}{cue}", *(f"{frame.head}{frame.cue}{answer}\n{cue}" for answer in spoken.values())]
    free, *forced = write(context, decoder, prompts)
    return _Rationales(free, dict(zip(spoken, forced, strict=True)))


def effects(swapped: FloatArray) -> tuple[float, float]:
    """What the application does and what the rationale does to the margin of the first pair of the table, in nats."""
    by_application = ((swapped[0, 0] - swapped[1, 0]) + (swapped[0, 1] - swapped[1, 1])) / 2
    by_reason = ((swapped[0, 0] - swapped[0, 1]) + (swapped[1, 0] - swapped[1, 1])) / 2
    return float(by_application), float(by_reason)


def write(context: ComputeContext, decoder: Decoder, prompts: Sequence[str]) -> list[Written]:
    """Continue prompts greedily up to a line's end, a special token or ``rationale_tokens``.

    What the prompts have in common is computed once.
    """
    chat = context.plan.prompt.form == "chat"
    ids = [encoding.ids for encoding in encode(context.loaded.tokenizer, prompts, chat=chat)]
    common = shared_length(ids) if len(ids) > 1 else 0
    with torch.no_grad():
        past = decoder.run(row_of(decoder, ids[0][:common]), keep_past=True).past if common else None
        return [_continue(context, decoder, each[common:], past) for each in ids]


def _continue(context: ComputeContext, decoder: Decoder, tokens: Sequence[int], past: Past | None) -> Written:
    tokenizer = context.loaded.tokenizer
    special = set(tokenizer.all_special_ids)
    written: list[int] = []
    likelihood = 0.0
    step = list(tokens)
    while len(written) < context.settings.rationale_tokens:
        run = decoder.run(row_of(decoder, step), past=past, keep_past=True)
        past = run.past
        logits = decoder.logits(run.final[0, -1])
        best = int(logits.argmax())
        if best in special:
            break
        text = _decoded(tokenizer, [*written, best])
        if "\n" in text:
            kept = text[: text.index("\n")]
            whole = kept == _decoded(tokenizer, written)
            return Written(kept, tuple(written) if whole else (), likelihood)
        written.append(best)
        likelihood += float(logits[best] - logits.logsumexp(-1))
        step = [best]
    return Written(_decoded(tokenizer, written), tuple(written), likelihood)


def _decoded(tokenizer: Any, tokens: Sequence[int]) -> str:
    text: str = tokenizer.decode(list(tokens), clean_up_tokenization_spaces=False)
    return text


def _likelihoods(
    context: ComputeContext,
    frames: Sequence[Frame],
    written: Sequence[_Rationales],
    spoken: Mapping[Side, str],
    cue: str,
) -> tuple[tuple[Likelihood, ...], Check]:
    """Mean log-likelihood a token of every forced rationale: as written, other decision, other application."""
    other: dict[Side, Side] = {FAVOURABLE: ADVERSE, ADVERSE: FAVOURABLE}
    asked: list[tuple[str, str]] = []
    about: list[tuple[int, Side, Written]] = []
    for number, each in enumerate(written):
        for side in spoken:
            rationale = each.forced[side]
            if not rationale.text:
                continue
            told = ((number, side), (number, other[side]), (1 - number, side))
            prompts = [f"{frames[which].head}{frames[which].cue}{spoken[said]}\n{cue}" for which, said in told]
            asked += [(prompt, rationale.text) for prompt in prompts]
            about.append((number, side, rationale))
    scored = score(context, asked)
    kept: list[Likelihood] = []
    apart = 0.0
    for row, (number, side, greedy) in enumerate(about):
        own, turned, moved = scored[3 * row : 3 * row + 3]
        if own is None or turned is None or moved is None or not own.tokens == turned.tokens == moved.tokens:
            continue  # the rationale's tokens merge with the text before them in one of the three
        if own.tokens == greedy.tokens:
            apart = max(apart, abs(greedy.likelihood - own.likelihood) / len(own.tokens))
        kept.append(Likelihood(application=number, decision=side, own=own.mean, turned=turned.mean, moved=moved.mean))
    floor = noise_floor(context.loaded.model, likelihood())
    bound = floor.bound
    note = f"largest difference in nats a token between writing and scoring a rationale; {floor.words}"
    return tuple(kept), Check("what was written is scored as written", apart <= bound, apart, bound, note)


def score(context: ComputeContext, asked: Sequence[tuple[str, str]]) -> list[Scored | None]:
    """The log-likelihood of every text after its prompt; ``None`` where tokens of the two merge."""
    tokenizer, chat = context.loaded.tokenizer, context.plan.prompt.form == "chat"
    before = encode(tokenizer, [prompt for prompt, _ in asked], chat=chat) if asked else []
    whole = encode(tokenizer, [prompt + text for prompt, text in asked], chat=chat) if asked else []
    sequences, reads, places = [], [], []
    for row, (start, after) in enumerate(zip(before, whole, strict=True)):
        cut = len(start.ids)
        if after.ids[:cut] == start.ids and len(after.ids) > cut:
            sequences.append(after.ids)
            reads.append([(place - 1, after.ids[place]) for place in range(cut, len(after.ids))])
            places.append(row)
    found: list[Scored | None] = [None] * len(asked)
    if sequences:
        for row, read, values in zip(places, reads, context.scorer.log_probabilities(sequences, reads), strict=True):
            found[row] = Scored(tuple(token for _, token in read), float(sum(values)))
    return found
