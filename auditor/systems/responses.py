"""OpenAI responses. Reasoning models refuse log-probabilities here; the answer's parts come as a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.systems.asking import Finish, Request, Response, Usage
from auditor.systems.chat_completions import read_steps
from auditor.systems.dialect import Dialect
from auditor.systems.exceptions import WireError
from auditor.systems.thinking import split_thinking
from auditor.systems.wire import count, name_at, objects, said, take

INCOMPLETE = {"max_output_tokens": Finish.LENGTH, "content_filter": Finish.FILTERED}


def body(request: Request, model: str) -> dict[str, Any]:
    """The request as JSON. ``store`` is off: the provider is not asked to keep what is sent."""
    written: dict[str, Any] = {
        "model": model,
        "input": request.prompt,
        "max_output_tokens": request.max_tokens,
        "store": False,
    }
    if request.system:
        written["instructions"] = request.system
    if request.temperature is not None:
        written["temperature"] = request.temperature
    if request.top:
        written |= {"include": ["message.output_text.logprobs"], "top_logprobs": request.top}
    form = request.form
    if form is not None and form.kind == "json_schema":
        schema = {"type": "json_schema", "name": form.name, "schema": dict(form.schema), "strict": True}
        written["text"] = {"format": schema}
    if form is not None and form.kind == "tool":
        tool = {"type": "function", "name": form.name, "parameters": dict(form.schema), "strict": True}
        written |= {"tools": [tool], "tool_choice": {"type": "function", "name": form.name}}
    return written


def read(request: Request, answer: Mapping[str, Any]) -> Response:
    """The messages, calls and thinking of a response."""
    status = said(answer, "status")
    if status == "failed":
        raise WireError(f"the response failed ({said(answer, 'error', 'message') or 'no reason given'})")
    if status not in ("", "completed", "incomplete"):
        raise WireError(f"the response is not finished ({status})")
    texts, thoughts, refusals, calls, tokens = [], [], [], [], list[Any]()
    for item in take(answer, "output", kind=list):
        kind = said(item, "type")
        if kind == "reasoning":
            thoughts += [said(part, "text") for part in objects(item, "summary") + objects(item, "content")]
        elif kind == "function_call" and request.form is not None and said(item, "name") == request.form.name:
            calls.append(take(item, "arguments", kind=str))
        elif kind == "message":
            for part in objects(item, "content"):
                if said(part, "type") == "refusal":
                    refusals.append(said(part, "refusal"))
                elif said(part, "type") == "output_text":
                    texts.append(take(part, "text", kind=str))
                    told = part.get("logprobs")
                    tokens += told if isinstance(told, list) else [told] * (told is not None)
    written = "".join(texts)
    inline, text = split_thinking(written)
    steps, trouble = read_steps(tokens, asked=request.top, written=written, final=text)
    finish, ended = _finish(answer, status, calls=bool(calls), refused=bool(refusals))
    return Response(
        text=text,
        thinking="\n".join(part for part in (*thoughts, inline) if part),
        refusal="".join(refusals),
        tool=calls[0] if len(calls) == 1 else "",
        finish=finish,
        finish_said=ended,
        model=name_at(answer, "model"),
        fingerprint=name_at(answer, "system_fingerprint"),
        usage=Usage(count(answer, "usage", "input_tokens"), count(answer, "usage", "output_tokens")),
        steps=steps,
        trouble=trouble,
    )


def _finish(answer: Mapping[str, Any], status: str, *, calls: bool, refused: bool) -> tuple[Finish, str]:
    if status == "incomplete":
        why = said(answer, "incomplete_details", "reason")
        return INCOMPLETE.get(why, Finish.OTHER), why or status
    if refused:
        return Finish.REFUSED, "refusal"
    return (Finish.TOOL if calls else Finish.STOP), status


DIALECT = Dialect(
    name="responses",
    path="/responses",
    headers={},
    cannot=frozenset({"seed", "continuations"}),
    body=body,
    read=read,
)
