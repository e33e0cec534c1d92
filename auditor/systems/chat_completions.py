"""OpenAI chat completions: also vLLM, Ollama, llama.cpp, TGI, LM Studio, Azure and gateways.

Source: the API's reference; Azure's content filter answers 400 with ``error.code`` ``content_filter``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.systems.answer_tokens import steps_of
from auditor.systems.asking import Finish, Request, Response, TokenStep, Usage
from auditor.systems.dialect import Dialect
from auditor.systems.exceptions import WireError
from auditor.systems.finishes import finish_of, only_choice
from auditor.systems.thinking import split_thinking
from auditor.systems.wire import count, name_at, objects, said, take


def body(request: Request, model: str) -> dict[str, Any]:
    """The request as JSON."""
    messages = [{"role": "system", "content": request.system}] if request.system else []
    messages.append({"role": "user", "content": request.prompt})
    written: dict[str, Any] = {"model": model, "messages": messages, "max_tokens": request.max_tokens}
    if request.temperature is not None:
        written["temperature"] = request.temperature
    if request.seed is not None:
        written["seed"] = request.seed
    if request.top:
        written |= {"logprobs": True, "top_logprobs": request.top}
    form = request.form
    if form is not None and form.kind == "json_schema":
        schema = {"name": form.name, "schema": dict(form.schema), "strict": True}
        written["response_format"] = {"type": "json_schema", "json_schema": schema}
    if form is not None and form.kind == "tool":
        function = {"name": form.name, "parameters": dict(form.schema)}
        written["tools"] = [{"type": "function", "function": function}]
        written["tool_choice"] = {"type": "function", "function": {"name": form.name}}
    return written


def read(request: Request, answer: Mapping[str, Any]) -> Response:
    """The first choice of a chat completion."""
    choice = only_choice(answer)
    finish, ended = finish_of(choice)
    message = take(choice, "message", kind=dict)
    written, parts_thinking, parts_refusal = _content(message)
    inline, text = split_thinking(written)
    outside = said(message, "reasoning_content") or said(message, "reasoning")
    thinking = "\n".join(part for part in (outside, parts_thinking, inline) if part)
    refusal = said(message, "refusal") or parts_refusal
    steps, trouble = read_steps(choice, "logprobs", "content", asked=request.top, written=written, final=text)
    return Response(
        text=text,
        thinking=thinking,
        refusal=refusal,
        tool=_tool(request, message),
        finish=Finish.REFUSED if refusal and finish is not Finish.FILTERED else finish,
        finish_said=ended,
        model=name_at(answer, "model"),
        fingerprint=name_at(answer, "system_fingerprint"),
        usage=Usage(count(answer, "usage", "prompt_tokens"), count(answer, "usage", "completion_tokens")),
        steps=steps,
        trouble=trouble,
    )


def read_steps(
    value: Any, *path: str | int, asked: int, written: str, final: str
) -> tuple[tuple[TokenStep, ...] | None, str]:
    """Tokens with their likeliest alternatives, or why there are none; the form is that of ``responses`` too.

    What cannot be read of them takes nothing of the answer with it: its text is read as ever.

    Parameters
    ----------
    value, path
        Where the tokens stand: ``token``, ``logprob`` and ``top_logprobs`` of each.
    asked
        How many of the likeliest were asked for; 0 for none.
    written, final
        The text of the message, and what of it is the final answer.
    """
    if not asked:
        return None, "not asked for"
    try:
        steps = [_step(token) for token in objects(value, *path)]
    except WireError as error:
        return None, unreadable(error)
    if not steps:
        return None, "asked for, and none came back"
    return steps_of(steps, written=written, final=final)


def unreadable(error: WireError) -> str:
    """Why log-probabilities that were written in no known way are none."""
    return f"its log-probabilities cannot be read ({error})"


def _step(token: Mapping[str, Any]) -> TokenStep:
    pairs = [
        (take(other, "token", kind=str), take(other, "logprob", kind=float)) for other in objects(token, "top_logprobs")
    ]
    return TokenStep(take(token, "token", kind=str), take(token, "logprob", kind=float), tuple(pairs))


def _content(message: Mapping[str, Any]) -> tuple[str, str, str]:
    """Text, thinking and refusal of a message whose content is a text or a list of parts."""
    if not isinstance(message.get("content"), list):
        return said(message, "content"), "", ""
    texts, thoughts, refusals = [], [], []
    for part in objects(message, "content"):
        kind = said(part, "type")
        if kind in ("text", "output_text"):
            texts.append(said(part, "text"))
        elif kind == "refusal":
            refusals.append(said(part, "refusal"))
        elif kind in ("thinking", "reasoning"):
            inner = part.get("thinking", part.get("text"))
            pieces = inner if isinstance(inner, list) else [{"text": inner}]
            thoughts += [said(piece, "text") for piece in pieces]
    return "".join(texts), "\n".join(thoughts), "".join(refusals)


def _tool(request: Request, message: Mapping[str, Any]) -> str:
    """Arguments of the one call of the forced tool; two calls of it are no answer."""
    if request.form is None or request.form.kind != "tool":
        return ""
    name = request.form.name
    calls = [call for call in objects(message, "tool_calls") if said(call, "function", "name") == name]
    return take(calls[0], "function", "arguments", kind=str) if len(calls) == 1 else ""


DIALECT = Dialect(
    name="chat_completions",
    path="/chat/completions",
    headers={},
    cannot=frozenset({"continuations"}),
    body=body,
    read=read,
)
