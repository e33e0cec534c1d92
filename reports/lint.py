"""The forbidden-wording lint: words a report may not use about a model, in law or in tone.

The base list is the platform's; every policy pack adds its own phrases. What is quoted is not claimed: proper names
(Fair Housing Act), the packs' own names and the clause texts they quote, and hashes are taken out before the search.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

BASE_PATTERNS: dict[str, str] = {
    "compliant": r"(?:non-?)?compliant|compl(?:y|ies) with",
    "certified": r"certif(?:y|ies|ied|ication)",
    "unbiased": r"unbiased|bias-free|free (?:of|from) bias",
    "fair": r"fair|fairly|fairness|unfair",
    "safe": r"safe|safely|unsafe",
    "passed": r"pass(?:es|ed)?|failed the audit",
    "no discrimination": r"(?:proves? )?no discrimination|does not discriminate|non-?discriminatory",
    "violation": r"violat(?:es?|ed|ions?)",
    "discriminates": r"discriminat(?:es|ed|ing)",
    "intent": r"intentional(?:ly)?|deliberate(?:ly)?",
    "guaranteed": r"guarantees?d?",
}
PROPER_NAMES = (
    "Fair Housing Act",
    "Fair Housing",
    "Fair Lending",
    "Fair Credit Reporting Act",
    "fair lending examination",
    "fair-lending examination",
    "Fair value",
)
_HASH = re.compile(r"\b[0-9a-f]{6,64}(?:…[0-9a-f]{4,8})?\b")
_ASIDE = re.compile(r"\s*\([^)]*\)\s*$")
_CONTEXT = 40


@dataclass(frozen=True)
class Hit:
    """A forbidden phrase, what of it was found, and the text around it."""

    phrase: str
    found: str
    context: str

    def __str__(self) -> str:
        return f"{self.phrase!r} in “…{self.context}…”"


def forbidden_phrases(text: str, packs: Iterable[Mapping[str, Any]] = ()) -> list[Hit]:
    """Find forbidden phrases in a finished text.

    Parameters
    ----------
    text
        What a reader sees; line breaks count as spaces.
    packs
        Policy packs as data: their ``wording.forbidden`` phrases are added, their names and clauses are exempt.

    Returns
    -------
    list of Hit
        In the order of the text; empty when there is nothing to object to.
    """
    packs = list(packs)
    plain = " ".join(text.split())
    for quoted in sorted({*PROPER_NAMES, *_quotes(packs)}, key=len, reverse=True):
        plain = plain.replace(quoted, "·")
    plain = _HASH.sub("·", plain)
    patterns = dict(BASE_PATTERNS)
    for pack in packs:
        for phrase in pack.get("wording", {}).get("forbidden", ()):
            bare = _ASIDE.sub("", phrase)
            patterns.setdefault(bare, r"\s+".join(re.escape(word) for word in bare.split()))
    hits = [
        (match.start(), Hit(phrase, match.group(0), plain[max(0, match.start() - _CONTEXT) : match.end() + _CONTEXT]))
        for phrase, pattern in patterns.items()
        for match in re.finditer(rf"(?<![\w-])(?:{pattern})(?![\w-])", plain, re.IGNORECASE)
    ]
    return [hit for _, hit in sorted(hits, key=lambda pair: (pair[0], pair[1].phrase))]


def _quotes(packs: Iterable[Mapping[str, Any]]) -> set[str]:
    quotes: set[str] = set()
    for pack in packs:
        quotes.add(" ".join(str(pack.get("name", "")).split()))
        for clause in pack.get("clauses", ()):
            quotes.update(" ".join(str(clause.get(key, "")).split()) for key in ("requirement", "evidence"))
    return {quote for quote in quotes if len(quote.split()) >= 3}
