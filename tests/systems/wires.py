"""The answer of the test server in each of the four dialects, as their references write it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.systems.faults import Fault
from tests.systems.speakers import Speaker, Spoken, preferred, speak

MODEL, FINGERPRINT = "underwriter-2026-11-01", "fp_a1"
REFUSAL = "I'm sorry, but I can't help with that."
OPPOSITE = {"approve": "deny", "deny": "approve"}
Body = dict[str, Any]


def lies(value: float, place: int, fault: Fault) -> float:
    """A log-probability as a faulty server tells it."""
    told = {"zeros": 0.0, "nines": 0.0 if place == 0 else -9999.0, "positive": 0.7, "nan": float("nan")}
    return told.get(fault.meaning, -0.05 if fault.meaning == "sum" else value)


def named(fault: Fault) -> tuple[str, str]:
    """Model and fingerprint."""
    return (
        "underwriter-2026-12-24" if fault.meaning == "other model" else MODEL,
        "fp_b2" if fault.meaning == "other fingerprint" else FINGERPRINT,
    )


def structured(speaker: Speaker, prompt: str, schema: Body) -> str:
    """JSON that follows a schema: the likeliest of each enumeration, a number, no list."""
    found: Body = {}
    for key, kind in schema["properties"].items():
        if "enum" in kind:
            found[key] = preferred(speaker, prompt, kind["enum"])
        else:
            found[key] = {"number": 1000, "integer": 1000, "array": []}.get(kind["type"], "because")
    return json.dumps(found)


def spoken(speaker: Speaker, prompt: str, body: Body, *, longest: int, top: int, fault: Fault) -> Spoken:
    """The text of an answer, cut at a label as a model that was taught to answer in one word does."""
    found = speak(
        speaker,
        prompt,
        longest=1 if fault.meaning == "cut off" else longest,
        top=top,
        temperature=body.get("temperature") or 0.0,
        seed=body.get("seed") or 0,
        stop=getattr(speaker, "stop", ("approve", "deny")),
    )
    if fault.meaning == "refusal":
        return Spoken(REFUSAL, [], "stop", found.prompt_tokens)
    if fault.meaning == "cut off":
        return Spoken(found.text, found.steps, "length", found.prompt_tokens)
    return found


def openai_tokens(said: Spoken, fault: Fault) -> list[Body] | None:
    """Tokens as chat completions and responses write them."""
    if fault.meaning == "none" or not said.steps:
        return None
    return [
        {
            "token": token,
            "logprob": lies(value, 0, fault),
            "bytes": list(token.encode()),
            "top_logprobs": [
                {"token": other, "logprob": lies(least, place, fault), "bytes": list(other.encode())}
                for place, (other, least) in enumerate(best)
            ],
        }
        for token, value, best in said.steps
    ]


def chat_completions(speaker: Speaker, body: Body, fault: Fault, *, structures: bool) -> Body:
    prompt = "\n\n".join(message["content"] for message in body["messages"])
    top = body.get("top_logprobs", 0)
    # What is guided by a form is not generated freely first: a real model takes its time for each token.
    longest = 1 if structures and (body.get("response_format") or body.get("tools")) else body["max_tokens"]
    said = spoken(speaker, prompt, body, longest=longest, top=top, fault=fault)
    message: Body = {"role": "assistant", "content": said.text, "refusal": None}
    choice: Body = {"index": 0, "message": message, "finish_reason": said.finish, "logprobs": None}
    form = body.get("response_format")
    if structures and form and fault.meaning != "refusal":
        message["content"] = structured(speaker, prompt, form["json_schema"]["schema"])
        choice["finish_reason"] = "length" if fault.meaning == "cut off" else "stop"
    elif structures and body.get("tools") and fault.meaning != "refusal":
        function = body["tools"][0]["function"]
        call = {"name": function["name"], "arguments": structured(speaker, prompt, function["parameters"])}
        message |= {"content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": call}]}
        choice["finish_reason"] = "tool_calls"
    elif body.get("logprobs"):
        tokens = openai_tokens(said, fault)
        choice["logprobs"] = None if tokens is None else {"content": tokens, "refusal": None}
    if fault.meaning == "thinking":
        message["reasoning_content"] = f"I would say {OPPOSITE.get(said.text.strip(), 'deny')}"
    if fault.meaning == "think block":
        message["content"] = f"<think>{OPPOSITE.get(said.text.strip(), 'deny')}</think>{message['content']}"
    if fault.meaning == "marked refusal":
        message |= {"content": None, "refusal": REFUSAL}
    if fault.meaning == "filtered":
        message["content"] = ""
        choice["finish_reason"] = "content_filter"
    model, fingerprint = named(fault)
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1764374400,
        "model": model,
        "system_fingerprint": fingerprint,
        "choices": [choice],
        "usage": {
            "prompt_tokens": said.prompt_tokens,
            "completion_tokens": len(said.steps),
            "total_tokens": said.prompt_tokens + len(said.steps),
        },
    }


def completions(speaker: Speaker, body: Body, fault: Fault, *, structures: bool) -> Body:
    del structures
    prompts = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
    choices, asked, made = [], 0, 0
    for index, prompt in enumerate(prompts):
        if body.get("echo") or "prompt_logprobs" in body:
            tokens = speaker.tokens(prompt)
            values = [None if value is None else lies(value, 0, fault) for value in speaker.score(prompt)]
            asked += len(tokens)
            choice: Body = {"index": index, "text": prompt, "finish_reason": "length", "logprobs": None}
            if "prompt_logprobs" in body:
                tables = [
                    {str(place): {"logprob": value, "rank": 1, "decoded_token": token}}
                    for place, (token, value) in enumerate(zip(tokens, values, strict=True))
                ]
                choice |= {"text": "", "prompt_logprobs": [None, *tables[1:]]}
            elif fault.meaning != "none":
                offsets = [len("".join(tokens[:place])) for place in range(len(tokens))]
                choice["logprobs"] = {
                    "tokens": tokens,
                    "token_logprobs": values,
                    "top_logprobs": [
                        None,
                        *({token: value} for token, value in zip(tokens[1:], values[1:], strict=True)),
                    ],
                    "text_offset": offsets,
                }
            choices.append(choice)
            continue
        top = body.get("logprobs") or 0
        said = spoken(speaker, prompt, body, longest=body["max_tokens"], top=top, fault=fault)
        asked, made = asked + said.prompt_tokens, made + len(said.steps)
        finish = "content_filter" if fault.meaning == "filtered" else said.finish
        if fault.meaning in ("thinking", "think block"):
            said = replace(said, text=f"<think>{OPPOSITE.get(said.text.strip(), 'deny')}</think>{said.text}")
        choice = {"index": index, "text": said.text, "finish_reason": finish, "logprobs": None}
        if top and fault.meaning != "none":
            choice["logprobs"] = {
                "tokens": [token for token, _, _ in said.steps],
                "token_logprobs": [lies(value, 0, fault) for _, value, _ in said.steps],
                "top_logprobs": [
                    {token: lies(value, place, fault) for place, (token, value) in enumerate(best)}
                    for _, _, best in said.steps
                ],
                "text_offset": [0] * len(said.steps),
            }
        choices.append(choice)
    model, fingerprint = named(fault)
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1764374400,
        "model": model,
        "system_fingerprint": fingerprint,
        "choices": choices,
        "usage": {"prompt_tokens": asked, "completion_tokens": made, "total_tokens": asked + made},
    }


def responses(speaker: Speaker, body: Body, fault: Fault, *, structures: bool) -> Body:
    prompt = "\n\n".join(part for part in (body.get("instructions"), body["input"]) if part)
    top = body.get("top_logprobs", 0)
    said = spoken(speaker, prompt, body, longest=body["max_output_tokens"], top=top, fault=fault)
    part: Body = {"type": "output_text", "text": said.text, "annotations": []}
    output: list[Body] = []
    form = body.get("text", {}).get("format")
    call = None
    if structures and form and fault.meaning != "refusal":
        part["text"] = structured(speaker, prompt, form["schema"])
    elif structures and body.get("tools") and fault.meaning != "refusal":
        tool = body["tools"][0]
        written = structured(speaker, prompt, tool["parameters"])
        call = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": tool["name"], "arguments": written}
    elif "message.output_text.logprobs" in body.get("include", []):
        part["logprobs"] = openai_tokens(said, fault) or []
    if fault.meaning in ("thinking", "think block"):
        thought = f"I would say {OPPOSITE.get(said.text.strip(), 'deny')}"
        output.append({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": thought}]})
    if fault.meaning == "marked refusal":
        part = {"type": "refusal", "refusal": REFUSAL}
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
    output.append(call or message)
    model, _ = named(fault)
    cut = {"length": "max_output_tokens"}.get(said.finish if part.get("text") == said.text else "")
    why = "content_filter" if fault.meaning == "filtered" else cut
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1764374400,
        "status": "incomplete" if why else "completed",
        "incomplete_details": {"reason": why} if why else None,
        "error": None,
        "instructions": body.get("instructions"),
        "metadata": {},
        "model": model,
        "output": output,
        "parallel_tool_calls": False,
        "temperature": body.get("temperature"),
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools", []),
        "top_p": 1.0,
        "usage": {
            "input_tokens": said.prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": len(said.steps),
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": said.prompt_tokens + len(said.steps),
        },
    }


def anthropic_messages(speaker: Speaker, body: Body, fault: Fault, *, structures: bool) -> Body:
    prompt = "\n\n".join(part for part in (body.get("system"), body["messages"][0]["content"]) if part)
    said = spoken(speaker, prompt, body, longest=body["max_tokens"], top=0, fault=fault)
    stop = {"stop": "end_turn", "length": "max_tokens"}[said.finish]
    content: list[Body] = [{"type": "text", "text": said.text}]
    form = body.get("output_config", {}).get("format")
    if structures and form and fault.meaning != "refusal":
        content, stop = [{"type": "text", "text": structured(speaker, prompt, form["schema"])}], "end_turn"
    elif structures and body.get("tools") and fault.meaning != "refusal":
        tool = body["tools"][0]
        given = json.loads(structured(speaker, prompt, tool["input_schema"]))
        content, stop = [{"type": "tool_use", "id": "toolu_1", "name": tool["name"], "input": given}], "tool_use"
    if fault.meaning in ("thinking", "think block"):
        thought = f"I would say {OPPOSITE.get(said.text.strip(), 'deny')}"
        content = [{"type": "thinking", "thinking": thought, "signature": "s"}, *content]
    if fault.meaning in ("filtered", "marked refusal"):
        content, stop = [{"type": "text", "text": REFUSAL}], "refusal"
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": named(fault)[0],
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": said.prompt_tokens, "output_tokens": len(said.steps)},
    }


WIRES: dict[str, Callable[..., Body]] = {
    "/v1/chat/completions": chat_completions,
    "/v1/completions": completions,
    "/v1/responses": responses,
    "/v1/messages": anthropic_messages,
}
