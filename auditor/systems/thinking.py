"""Taking a model's thinking off its answer, where a server leaves both in one text."""

from __future__ import annotations

import re

_WORDS = r"think|thinking|thought|reasoning|reflection"
_BLOCK = re.compile(rf"<({_WORDS})>(.*?)</\1>", re.DOTALL | re.IGNORECASE)
_OPEN = re.compile(rf"<(?:{_WORDS})>", re.IGNORECASE)
_CLOSE = re.compile(rf"</(?:{_WORDS})>", re.IGNORECASE)


def ends_in_thinking(prompt: str) -> bool:
    """Whether a prompt ends with a block of thinking open, as some chat templates have it: the answer begins in it.

    >>> ends_in_thinking("<|assistant|>\n<think>\n"), ends_in_thinking("<think>\n\n</think>\n\n")
    (True, False)
    """
    opened = [found.end() for found in _OPEN.finditer(prompt)]
    closed = [found.end() for found in _CLOSE.finditer(prompt)]
    return bool(opened) and opened[-1] > (closed[-1] if closed else -1) and not prompt[opened[-1] :].strip()


def split_thinking(text: str, *, begun: bool = False) -> tuple[str, str]:
    """Thinking and final answer of a text; ``begun`` says that the prompt left a block of thinking open.

    A block that is never closed is thinking to the end: there is no answer then. A block that is closed and was never
    opened began in the prompt, as some chat templates have it: everything before it is thinking.

    >>> split_thinking("<think>deny, I would say</think>approve")
    ('deny, I would say', 'approve')
    >>> split_thinking("deny, I would say</think>approve")
    ('deny, I would say', 'approve')
    >>> split_thinking("<think>approve")
    ('approve', '')
    >>> split_thinking("approve, I would say", begun=True)
    ('approve, I would say', '')
    """
    if begun and not _CLOSE.search(text):
        return text.strip(), ""
    if not (_OPEN.search(text) or _CLOSE.search(text)):
        return "", text
    thinking = [found.group(2) for found in _BLOCK.finditer(text)]
    rest = _BLOCK.sub("", text)
    closes = list(_CLOSE.finditer(rest))
    if closes:
        thinking.append(_OPEN.sub("", _CLOSE.sub("", rest[: closes[-1].start()])))
        rest = rest[closes[-1].end() :]
    opened = _OPEN.search(rest)
    if opened:
        thinking.append(_OPEN.sub("", rest[opened.start() :]))
        rest = rest[: opened.start()]
    return "\n".join(part.strip() for part in thinking if part.strip()), rest.strip()
