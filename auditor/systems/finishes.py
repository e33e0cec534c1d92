"""The words in which servers say why an answer ended; gateways add those of others to their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.systems.asking import Finish
from auditor.systems.exceptions import WireError
from auditor.systems.wire import maybe, said

#: OpenAI; then Mistral, Zhipu and Gemini as gateways hand them on.
_WORDS = {
    "stop": Finish.STOP,
    "length": Finish.LENGTH,
    "max_tokens": Finish.LENGTH,
    "model_length": Finish.LENGTH,
    "content_filter": Finish.FILTERED,
    "sensitive": Finish.FILTERED,
    "safety": Finish.FILTERED,
    "recitation": Finish.FILTERED,
    "blocklist": Finish.FILTERED,
    "prohibited_content": Finish.FILTERED,
    "spii": Finish.FILTERED,
    "tool_calls": Finish.TOOL,
    "function_call": Finish.TOOL,
}
#: The server broke off: OpenRouter and Mistral, vLLM, Zhipu, DeepSeek. There is no answer then, whatever was written.
_BROKEN_OFF = frozenset({"error", "abort", "network_error", "insufficient_system_resource"})


def finish_of(choice: Mapping[str, Any]) -> tuple[Finish, str]:
    """Why a choice ended, and the server's own word for it.

    Raises
    ------
    WireError
        If it ended by a fault of the server: that says nothing of the application.
    """
    ended, error = said(choice, "finish_reason"), choice.get("error")
    if error or ended.casefold() in _BROKEN_OFF:
        why = said(error, "message") if isinstance(error, dict) else ""
        raise WireError(f"the server broke the answer off ({why or ended or 'no reason given'})")
    return _WORDS.get(ended.casefold(), Finish.OTHER), ended


def only_choice(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The one choice of an answer.

    Raises
    ------
    WireError
        If there is none, or another number than was asked for: nobody knows which is meant.
    """
    found = maybe(answer, "choices", kind=list) or []
    if len(found) > 1:
        raise WireError(f"choices: {len(found)} answers came to one question")
    choice = maybe(answer, "choices", 0, kind=dict)
    if choice is None:
        raise WireError("choices[0] is missing")
    return choice
