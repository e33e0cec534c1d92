"""Answers of local weights in words: generated, ended, parted from thinking, and given to readouts like a system's.

What comes out is the `Response` that a dialect reads off the wire, so that a choice, an amount or reasons are read
from local text by the same strict grammars (:mod:`auditor.readouts`): refused and unreadable answers are what they are
elsewhere, and a thinking part is never read as the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from auditor.language_models.answers import encode
from auditor.language_models.generation import GeneratedText, TextPrompt, generate
from auditor.language_models.local import LoadedModel
from auditor.language_models.next_token import Decoding
from auditor.language_models.packed import PackedScorer
from auditor.systems.asking import Finish, Response, TokenStep, Usage
from auditor.systems.thinking import ends_in_thinking, split_thinking


@dataclass(frozen=True, slots=True)
class AskedText:
    """One answer that is wanted: the case, its whole prompt as the model reads it, and the replicate."""

    case: str
    prompt: str
    replicate: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedAnswer:
    """One answer, as a readout reads it, with what the engine knows of how it came about.

    Attributes
    ----------
    response
        What the model said.
    ties, largest_difference
        See `GeneratedText`.
    trouble
        Why the answer may not be read; empty where its self-check held.
    """

    response: Response
    ties: int
    largest_difference: float | None
    trouble: str


def end_marks(loaded: LoadedModel) -> frozenset[int]:
    """The tokens that end a text, by every file of the model that names one."""
    found: set[int] = set()
    settings = getattr(loaded.model, "generation_config", None)
    for named in (
        loaded.tokenizer.eos_token_id,
        getattr(settings, "eos_token_id", None),
        getattr(loaded.model.config.get_text_config(), "eos_token_id", None),
    ):
        if isinstance(named, int):
            found.add(named)
        elif named is not None:
            found.update(int(token) for token in named)
    return frozenset(found)


def generate_answers(
    loaded: LoadedModel, scorer: PackedScorer, asked: Sequence[AskedText], decoding: Decoding, *, chat: bool
) -> list[GeneratedAnswer]:
    """Generate an answer to every prompt.

    Parameters
    ----------
    loaded, scorer
        The model, and how it is computed.
    asked
        In any order.
    decoding
        How texts are generated.
    chat
        Prompts carry the special tokens of a chat template already.

    Raises
    ------
    ScoringError
        If the model returned a logit that is not a finite number, or a prompt leaves no room; its ``prompt`` is the
        index.
    """
    encoded = encode(loaded.tokenizer, [each.prompt for each in asked], chat=chat)
    prompts = [TextPrompt(each.case, item.ids, each.replicate) for each, item in zip(asked, encoded, strict=True)]
    ends = end_marks(loaded)
    words = _Words(loaded.tokenizer, ends, decoding.stop)
    begun = [ends_in_thinking(each.prompt) for each in asked]
    texts = generate(
        scorer,
        prompts,
        decoding,
        ends=ends,
        stopped=lambda index, tokens: words.stop_in(tokens, begun=begun[index]) is not None,
    )
    return [
        words.answer(text, prompt, begun=opened) for text, prompt, opened in zip(texts, prompts, begun, strict=True)
    ]


@dataclass(frozen=True)
class _Words:
    """From tokens to an answer."""

    tokenizer: Any
    ends: frozenset[int]
    stop: tuple[str, ...]

    def said(self, tokens: Sequence[int]) -> str:
        """The text of some tokens, special ones included, without an end mark."""
        kept = list(tokens[:-1]) if tokens and tokens[-1] in self.ends else list(tokens)
        text: str = self.tokenizer.decode(kept, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text

    def stop_in(self, tokens: Sequence[int], *, begun: bool) -> int | None:
        """Where the final answer meets a text to stop at; ``None`` where it does not, or there is no answer yet."""
        if not self.stop:
            return None
        answer = split_thinking(self.said(tokens), begun=begun)[1]
        places = [place for place in (answer.find(text) for text in self.stop) if place >= 0]
        return min(places, default=None)

    def answer(self, text: GeneratedText, prompt: TextPrompt, *, begun: bool) -> GeneratedAnswer:
        thinking, answer = split_thinking(self.said(text.tokens), begun=begun)
        place = self.stop_in(text.tokens, begun=begun)
        steps = tuple(
            TokenStep(self.tokenizer.decode([token], clean_up_tokenization_spaces=False), value)
            for token, value in zip(text.tokens, text.log_probabilities, strict=True)
        )
        response = Response(
            text=answer if place is None else answer[:place],
            thinking=thinking,
            finish=Finish.STOP if text.ended else Finish.LENGTH,
            finish_said="stop" if text.ended else "max_tokens",
            usage=Usage(prompt=len(prompt.tokens), answer=len(text.tokens)),
            # Steps are those of the final answer; among a thinking part's they cannot be told apart.
            steps=None if thinking else steps,
            trouble="the log-probabilities are those of a thinking part as well" if thinking else "",
        )
        return GeneratedAnswer(
            response=response, ties=text.ties, largest_difference=text.largest_difference, trouble=text.trouble
        )
