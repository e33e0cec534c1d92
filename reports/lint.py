"""The forbidden-wording lint: words a report may not use about a model, in law or in tone.

The base list is the platform's; every policy pack adds its own phrases. What is quoted is not claimed: proper names
(Fair Housing Act), the packs' own names and the clause texts they quote, and hashes are taken out before the search.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

BASE_PATTERNS: dict[str, str] = {
    "compliant": r"(?:non-?)?compliant|compl(?:y|ies|ied|ying) with|in compliance with|"
    r"(?:meets?|satisf(?:y|ies)) (?:all |the )*(?:legal |regulatory )?(?:requirements?|regulation)|"
    r"conforms? (?:to|with) the (?:law|regulation)",
    "lawful": r"(?:un)?lawful|(?:il)?legal(?:ly)? (?:sound|clean|cleared)|(?:il)?legal(?= *[.,;])",
    "certified": r"certif(?:y|ies|ied|ying|ications?)|certificates? of|accredited|clean bill of health",
    "unbiased": r"unbiased|bias[- ]free|free (?:of|from) (?:bias|discrimination)|no (?:evidence of )?bias|impartial",
    "fair": r"fair|fairly|fairness|unfair(?:ly|ness)?|fair-minded|equitabl[ey]|"
    r"treats? all \w+ (?:equally|alike|the same)",
    "safe": r"safe|safely|unsafe|trustworthy",
    "passed": r"pass(?:es|ed)?|passing grade|failed the audit",
    "no discrimination": r"(?:proves? )?no (?:discrimination|disparate impact)|does not discriminate|"
    r"non-?discriminat(?:ory|ion)",
    "violation": r"violat(?:es?|ed|ions?)",
    "discriminates": r"discriminat(?:es|ed|ing)",
    "intent": r"intentional(?:ly)?|deliberate(?:ly)?",
    "guaranteed": r"guarantee(?:s|d|ing)?",
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
_HYPHENS = {0x00AD: None, 0x200B: None, 0x2010: "-", 0x2011: "-"}


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
    plain = _plain(text)
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


def _plain(text: str) -> str:
    """Words as they are read: every hyphen the same, none that only breaks a line, white space folded."""
    text = unicodedata.normalize("NFKC", text).translate(_HYPHENS)
    return " ".join(re.sub(r"(?<=[a-z])-\s*\n\s*(?=[a-z])", "", text).split())


def _quotes(packs: Iterable[Mapping[str, Any]]) -> set[str]:
    quotes: set[str] = set()
    for pack in packs:
        quotes.add(_plain(str(pack.get("name", ""))))
        for clause in pack.get("clauses", ()):
            quotes.update(_plain(str(clause.get(key, ""))) for key in ("requirement", "evidence"))
    return {quote for quote in quotes if len(quote.split()) >= 3}
