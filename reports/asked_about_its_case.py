"""Requests of a bundle against its cases: each answer comes from a request about its case, which asks its prompt.

A request is kept whole under its hash, so a row of answers that names the request of another case, or of another
prompt, would otherwise agree with everything else in the bundle.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from auditor.answering.evidence import ANSWERS, REQUESTS
from auditor.canonical import sha256_bytes
from reports.bundle import Bundle
from reports.differences import Mismatch, short
from reports.evidence_tables import CASES, read_columns, slices

ENDPOINT = "endpoint"


@dataclass(frozen=True)
class _Prompt:
    """A prompt by its length and hash: the texts of all cases at once may be more than memory holds."""

    length: int
    sha256: str

    @classmethod
    def of(cls, text: str) -> _Prompt:
        return cls(len(text), sha256_bytes(text.encode("utf-8", "surrogatepass")))


@dataclass(frozen=True)
class _Sent:
    """What a request was about, and every text in it."""

    about: str
    texts: tuple[str, ...]

    def holds(self, prompt: _Prompt | None) -> bool:
        """Whether a text of it is this prompt, or begins with it, as one does whose answers are scored."""
        return prompt is not None and any(_Prompt.of(text[: prompt.length]) == prompt for text in self.texts)


def of_endpoint(bundle: Bundle) -> bool:
    """Whether the run asked an endpoint: what it sent holds the prompt, where a service is sent fields."""
    system = bundle.run.model.manifest.system
    return system is not None and system.kind == ENDPOINT


def asked_about_another(name: str, bundle: Bundle) -> Iterator[Mismatch]:
    """The first answer whose request was about another case or asked something else, with the number of such.

    Parameters
    ----------
    name
        The bundle's name, for lines.
    bundle
        One whose requests are those of their hashes.
    """
    prompts = _prompts(bundle) if of_endpoint(bundle) else None
    table = read_columns(bundle.contents[ANSWERS], ("case_id", "moment", "request"), where=ANSWERS)
    by_request: dict[str, list[tuple[str, str]]] = {}
    for case, moment, key in table.iter_rows():
        by_request.setdefault(key, []).append((case, moment))
    first, count = None, 0
    for rows in slices(bundle.contents[REQUESTS], ("key", "request"), where=REQUESTS):
        for key, request in rows.iter_rows():
            mine = by_request.get(key)
            if not mine:
                continue
            sent = _sent(request)
            for case, moment in mine:
                wanted = f"{moment or 'case'}: {case}"
                if sent.about != wanted:
                    odd = (f"one about {sent.about}", f"one about {short(wanted)}")
                elif prompts is not None and not sent.holds(prompts.get(case)):
                    odd = ("one that asks something else", f"one that asks the prompt of its case in {CASES}")
                else:
                    continue
                first, count = first or (case, *odd), count + 1
    if first is not None:
        case, found, expected = first
        yield Mismatch(name, f"{ANSWERS}: {short(case)}: request", found, f"{expected} ({count:,} such)")


def _prompts(bundle: Bundle) -> dict[str, _Prompt]:
    found: dict[str, _Prompt] = {}
    for rows in slices(bundle.contents[CASES], ("id", "prompt"), where=CASES):
        found |= {case: _Prompt.of(prompt) for case, prompt in rows.iter_rows() if isinstance(prompt, str)}
    return found


def _sent(request: str) -> _Sent:
    """A request's hash was looked at, its form was not."""
    try:
        found = json.loads(request)
    except (ValueError, RecursionError):
        return _Sent("nothing", ())
    if not isinstance(found, dict):
        return _Sent("nothing", ())
    return _Sent(short(str(found.get("occasion"))), tuple(_texts_in(found.get("body"))))


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts_in(item)
