"""Telling a refusal in words from an answer: by its opening, and only where no answer is in it."""

from __future__ import annotations

import re

_SORRY = r"(?:(?:i['’]?m|i am|we are|we['’]re)?\s*(?:very |so )?sorry|apologies|i apologi[sz]e|unfortunately)"
_WILL_NOT = (
    r"(?:can(?:no|['’])t|cannot|can not|am unable|['’]m unable|are unable|am not able|['’]m not able|are not able"
    r"|won['’]t|will not|must decline|have to decline|decline)"
)
#: Words of an answer that say nothing by themselves: every refusal has them.
_SMALL = frozenset({"not", "no", "do", "to", "be", "a", "the", "i", "we", "will", "can", "cannot"})
_OPENING = re.compile(
    rf"\s*(?:{_SORRY}\b[^.!?]{{0,60}}?[,.;:!]?\s*(?:but\s+)?)?(?:i|we|as an ai[^.]{{0,60}}, i)\s*{_WILL_NOT}\b", re.I
)


def reads_as_refusal(text: str, *, answers: tuple[str, ...]) -> bool:
    """Whether a text declines to answer.

    Parameters
    ----------
    text
        The final answer.
    answers
        Words of the answers there are. A text that holds one, in any form, is no refusal: "I cannot approve this" may
        be a decision in words, which is for nobody to guess. Nor is one with a number, which may be an amount.
    """
    if not _OPENING.match(text) or re.search(r"\d", text):
        return False
    folded = text.casefold()
    words = {word for answer in answers for word in re.findall(r"\w+", answer.casefold())} - _SMALL
    return not any(re.search(rf"\b(?:un|dis|re|pre|non-?)?{re.escape(_stem(word))}", folded) for word in words)


def _stem(word: str) -> str:
    """Enough of a word to know its forms by: approve, approved, approval; deny, denied, denial."""
    return word[: max(3, len(word) - 2)]
