"""Anthropic messages: no log-probabilities, no seed; structured answers by schema or by a forced tool.

Newer models refuse a temperature (the provider's package 2.14 has no word for it any more): ``without`` in the file of
systems leaves fields out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from auditor.systems.asking import Finish, Request, Response, Usage
from auditor.systems.dialect import Dialect
from auditor.systems.exceptions import WireError
from auditor.systems.thinking import split_thinking
from auditor.systems.wire import Twice, count, name_at, said, take

FINISHES = {
    "end_turn": Finish.STOP,
    "stop_sequence": Finish.STOP,
    "tool_use": Finish.TOOL,
    "max_tokens": Finish.LENGTH,
    "model_context_window_exceeded": Finish.LENGTH,
    "refusal": Finish.REFUSED,
}


def body(request: Request, model: str) -> dict[str, Any]:
    """The request as JSON."""
    message = {"role": "user", "content": request.prompt}
    written: dict[str, Any] = {"model": model, "max_tokens": request.max_tokens, "messages": [message]}
    if request.system:
        written["system"] = request.system
    if request.temperature is not None:
        written["temperature"] = request.temperature
    form = request.form
    if form is not None and form.kind == "json_schema":
        written["output_config"] = {"format": {"type": "json_schema", "schema": dict(form.schema)}}
    if form is not None and form.kind == "tool":
        written["tools"] = [{"name": form.name, "input_schema": dict(form.schema)}]
        written["tool_choice"] = {"type": "tool", "name": form.name, "disable_parallel_tool_use": True}
    return written


def read(request: Request, answer: Mapping[str, Any]) -> Response:
    """The parts of a message: thinking, text and the call of the forced tool."""
    if said(answer, "type") not in ("", "message"):
        raise WireError(f"the answer is of type {said(answer, 'type')!r}, not a message")
    texts, thoughts, calls = [], [], []
    for part in take(answer, "content", kind=list):
        kind = said(part, "type")
        if kind == "text":
            texts.append(take(part, "text", kind=str))
        elif kind == "thinking":
            thoughts.append(said(part, "thinking"))
        elif kind == "tool_use" and request.form is not None and said(part, "name") == request.form.name:
            calls.append(json.dumps(take(part, "input", kind=dict), ensure_ascii=False, default=_twice))
    inline, text = split_thinking("".join(texts))
    ended = said(answer, "stop_reason")
    finish = FINISHES.get(ended, Finish.OTHER)
    return Response(
        text=text,
        thinking="\n".join(part for part in (*thoughts, inline) if part),
        refusal=text if finish is Finish.REFUSED else "",
        tool=calls[0] if len(calls) == 1 else "",
        finish=finish,
        finish_said=ended,
        model=name_at(answer, "model"),
        usage=Usage(count(answer, "usage", "input_tokens"), count(answer, "usage", "output_tokens")),
        trouble="this dialect has no log-probabilities",
    )


def _twice(_: Twice) -> None:
    raise WireError("content: the input of a tool holds a name twice, with different values")


DIALECT = Dialect(
    name="anthropic_messages",
    path="/messages",
    key_header="x-api-key",
    key_prefix="",
    headers={"anthropic-version": "2023-06-01"},
    cannot=frozenset({"seed", "top", "continuations"}),
    body=body,
    read=read,
)
