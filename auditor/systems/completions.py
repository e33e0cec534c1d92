"""Completions of plain text: the one dialect in which a whole answer can be scored exactly.

With ``echo`` a server gives the log-probabilities of the prompt as well; vLLM calls them ``prompt_logprobs``. A prompt
with an answer behind it is sent for every answer, all in one request, and the answer's own tokens are summed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from auditor.systems.answer_tokens import steps_of
from auditor.systems.asking import Request, Response, Scored, TokenStep, Usage
from auditor.systems.chat_completions import read_steps, unreadable
from auditor.systems.dialect import Dialect
from auditor.systems.exceptions import WireError
from auditor.systems.finishes import finish_of, only_choice
from auditor.systems.log_probabilities import impossible
from auditor.systems.thinking import split_thinking
from auditor.systems.wire import count, maybe, name_at, objects, take


def body(request: Request, model: str) -> dict[str, Any]:
    """The request as JSON: text to be continued, or the prompt before each of the continuations, to be scored."""
    written: dict[str, Any] = {"model": model}
    if request.continuations:
        prompts = [request.prompt + answer for answer in request.continuations]
        # Servers that refuse to generate nothing are told so by `max_tokens = 1` among the extra fields.
        written |= {"prompt": prompts, "max_tokens": 0, "echo": True, "logprobs": 1, "temperature": 0}
        return written
    written |= {"prompt": request.prompt, "max_tokens": request.max_tokens}
    if request.temperature is not None:
        written["temperature"] = request.temperature
    if request.seed is not None:
        written["seed"] = request.seed
    if request.top:
        written["logprobs"] = request.top
    return written


def read(request: Request, answer: Mapping[str, Any]) -> Response:
    """The text of the first choice, or a score for every continuation."""
    found = {
        "model": name_at(answer, "model"),
        "fingerprint": name_at(answer, "system_fingerprint"),
        "usage": Usage(count(answer, "usage", "prompt_tokens"), count(answer, "usage", "completion_tokens")),
    }
    if request.continuations:
        return Response(scored=_scores(request, answer), **found)  # type: ignore[arg-type]
    choice = only_choice(answer)
    finish, ended = finish_of(choice)
    written = take(choice, "text", kind=str)
    thinking, text = split_thinking(written)
    steps, trouble = _steps(choice, asked=request.top, written=written, final=text)
    return Response(
        text=text,
        thinking=thinking,
        finish=finish,
        finish_said=ended,
        steps=steps,
        trouble=trouble,
        **found,  # type: ignore[arg-type]
    )


def _steps(
    choice: Mapping[str, Any], *, asked: int, written: str, final: str
) -> tuple[tuple[TokenStep, ...] | None, str]:
    if not asked:
        return None, "not asked for"
    if isinstance(choice.get("logprobs"), Mapping) and "content" in choice["logprobs"]:
        # llama.cpp's server answers here in the form of chats.
        return read_steps(choice, "logprobs", "content", asked=asked, written=written, final=final)
    try:
        steps = _told(choice)
    except WireError as error:
        return None, unreadable(error)
    return steps_of(steps, written=written, final=final) if steps else (None, "asked for, and none came back")


def _told(choice: Mapping[str, Any]) -> list[TokenStep]:
    tokens = maybe(choice, "logprobs", "tokens", kind=list)
    if not tokens:
        return []
    values = take(choice, "logprobs", "token_logprobs", kind=list)
    tops = maybe(choice, "logprobs", "top_logprobs", kind=list) or [None] * len(tokens)
    if not len(tokens) == len(values) == len(tops):
        raise WireError("logprobs: tokens and their log-probabilities are not equally many")
    steps = []
    for index in range(len(tokens)):
        likeliest = maybe(tops, index, kind=dict) or {}
        pairs = tuple((token, take(likeliest, token, kind=float)) for token in likeliest)
        steps.append(TokenStep(take(tokens, index, kind=str), take(values, index, kind=float), pairs))
    return steps


def _scores(request: Request, answer: Mapping[str, Any]) -> tuple[Scored, ...]:
    choices = objects(answer, "choices")
    if len(choices) != len(request.continuations):
        raise WireError(f"choices: {len(choices)} for {len(request.continuations)} prompts")
    told = [maybe(choice, "index", kind=int) for choice in choices]
    places = [place if index is None else index for place, index in enumerate(told)]
    order = dict(zip(places, choices, strict=True))
    if sorted(order) != list(range(len(choices))):
        raise WireError("choices: their index does not count them")
    return tuple(
        _scored(order[index], prompt=request.prompt, continuation=text)
        for index, text in enumerate(request.continuations)
    )


def _scored(choice: Mapping[str, Any], *, prompt: str, continuation: str) -> Scored:
    try:
        echoed = maybe(choice, "prompt_logprobs", kind=list)
        tokens, values = _vllm(echoed) if echoed else _echo(choice)
    except WireError as error:
        return Scored(continuation, None, unreadable(error))
    return _summed(tokens, values, prompt=prompt, continuation=continuation)


def _summed(tokens: Sequence[str], values: Sequence[float | None], *, prompt: str, continuation: str) -> Scored:
    if not tokens:
        return Scored(continuation, None, "the server gives no log-probabilities of the prompt")
    whole = prompt + continuation
    text = "".join(tokens)
    # Servers may show a mark before the text, and one generated token behind it.
    start = text.find(whole)
    headless = not tokens[0] and whole.endswith(text) and len(text) > len(continuation)
    if start < 0 and not headless:
        return Scored(continuation, None, "its tokens are not those of the prompt and the answer")
    if start < 0:
        start = len(text) - len(whole)  # the first token, which follows nothing, is shown without its text
    first, end = start + len(prompt), start + len(whole)
    position, taken, borders = 0, list[float | None](), {0}
    for token, value in zip(tokens, values, strict=True):
        # Tokens without text (marks that a server does not show) belong to no answer.
        if first <= position < end and token:
            taken.append(value)
        position += len(token)
        borders.add(position)
    if first not in borders or end not in borders:
        return Scored(continuation, None, "the answer merges with the text beside it when tokenised")
    numbers = [value for value in taken if value is not None]
    if len(numbers) != len(taken) or not numbers:
        return Scored(continuation, None, "a token of the answer has no log-probability")
    for value in numbers:
        if why := impossible(value):
            return Scored(continuation, None, f"a log-probability of the answer is none: {why}")
    return Scored(continuation, math.fsum(numbers))


def _echo(choice: Mapping[str, Any]) -> tuple[list[str], list[float | None]]:
    tokens = maybe(choice, "logprobs", "tokens", kind=list) or []
    values = maybe(choice, "logprobs", "token_logprobs", kind=list) or []
    if len(tokens) != len(values):
        raise WireError("logprobs: tokens and their log-probabilities are not equally many")
    numbers = [maybe(values, index, kind=float) for index in range(len(values))]
    return [take(tokens, index, kind=str) for index in range(len(tokens))], numbers


def _vllm(echoed: Sequence[Any]) -> tuple[list[str], list[float | None]]:
    """vLLM's form: for each position a table of token ids; with one entry it is the prompt's own token."""
    tokens, values = list[str](), list[float | None]()
    for index, table in enumerate(echoed):
        if table is None:  # the first token follows nothing; it has no text here either, so the prompt loses its head
            tokens.append("")
            values.append(None)
            continue
        if not isinstance(table, dict) or not table:
            raise WireError(f"prompt_logprobs[{index}] is not an object")
        # The prompt's own token comes first; a second one is the likeliest.
        own = next(iter(table.values()))
        tokens.append(take(own, "decoded_token", kind=str))
        values.append(take(own, "logprob", kind=float))
    return tokens, values


DIALECT = Dialect(
    name="completions",
    path="/completions",
    headers={},
    cannot=frozenset({"system", "form"}),
    body=body,
    read=read,
)
