"""The forbidden-wording lint: words a report may not use about a model, in law or in tone.

The base list is the platform's; every policy pack adds its own phrases. What is quoted is not claimed: proper names
(Fair Housing Act), the packs' own names and the clause texts they quote, and hashes are taken out before the search.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.exceptions import InputError
from auditor.run_record import RunRecord
from reports.blocks import Block, Cases, Cell, FindingBlock, Ladder, Numbers, Pairs, Paper, ReportContent, Table, Text
from reports.governance import Governance
from reports.ladder_tables import ladder_tables
from reports.tables import printed

BASE_PATTERNS: dict[str, str] = {
    "compliant": r"(?:non-?)?compliant|compl(?:y|ies|ied|ying)|in compliance with|"
    r"(?:meets?|met|satisf(?:y|ies|ied)) (?:all |the )*(?:legal |regulatory )?(?:requirements?|regulation)|"
    r"conform(?:s|ed|ing|ity)? (?:to|with)(?! the plan)|"
    r"me(?:ets?|t|eting) (?:all |the |its |legal |regulatory )*requirements? of",
    "approved for use": r"(?:approved|cleared|authori[sz]ed|ready|fit) for (?:use|release|deployment|production|"
    r"purpose)|(?:safe|ready|cleared) to deploy|deployable",
    "validated": r"(?:in)?validat(?:es?|ed)|successfully validat(?:es?|ed|ing)",
    "lawful": r"(?:un)?lawful|(?:il)?legal(?:ly)? (?:sound|clean|cleared)|(?:il)?legal(?= *[.,;])",
    "certified": r"(?:un|re|pre)?certif(?:y|ies|ied|ying|ications?)|certificates? of|accredited|clean bill of health",
    "unbiased": r"unbiased|bias[- ]?free|(?:free|devoid|clear) of (?:any |all )?bias|not biased|without bias|"
    r"free (?:of|from) (?:bias|discrimination)|no (?:evidence of )?bias|impartial",
    "fair": r"fair|fairly|fairness|unfair(?:ly|ness)?|fair-minded|equitabl[ey]|"
    r"treats? all \w+ (?:equally|alike|the same)",
    "safe": r"safe|safely|unsafe|trustworthy",
    "passed": r"pass(?:es|ed|ing)? (?:the|all|every|its|this|our)|pass(?:es|ed)?|passing grade|failed the audit",
    "no discrimination": r"(?:proves? )?no (?:discrimination|disparate impact)|does not discriminate|"
    r"(?:non-?|anti-?)discriminat(?:ory|ion)|not discriminatory",
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
# A term of the field: one run of a network, not a verdict on it.
_TERMS = re.compile(r"\b(?:forward|backward) pass(?:es)?\b", re.IGNORECASE)
# What is said not to be shown is not claimed; only of praise, so that "does not show that it is unfair" stays a claim.
_DISCLAIMED = re.compile(
    r"\b(?:(?:do|does|did|can|could) ?not|cannot) "
    r"(?:show|prove|say|mean|tell|establish) (?:that|whether) (?:it|they|(?:the|this|any) (?:model|decisions?|lender)) "
    r"(?:compl(?:y|ies|ied)|(?:is|are|was|were) (?:compliant|lawful|safe|fair|unbiased))"
    r"(?! (?:and|or|but)\b)",
    re.IGNORECASE,
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
    for exempt in (_TERMS, _HASH, _DISCLAIMED):
        plain = exempt.sub("·", plain)
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


def own_words(content: ReportContent) -> Iterator[str]:
    """Every sentence of a report that the software itself writes.

    What people typed is quoted, not claimed: the title, the business use, a record's remarks and names (`typed`).
    Hashes, paths and commands stand in blocks of their own and are no sentences.
    """
    if content.verdict is not None:
        yield content.verdict.sentence
        yield content.verdict.beside
        yield from content.verdict.others
    for block in (*content.cover, *(block for section in content.sections for block in section.blocks)):
        yield from _words_of(block)


def _words_of(block: Block) -> Iterator[str]:
    """Every sentence of a block: what paper has of it, and what a page alone does."""
    if isinstance(block, Text):
        yield from (block.title, block.words)
    elif isinstance(block, Pairs | FindingBlock):
        yield from (words for _, value in block.rows if (words := _cell_words(value)))
    elif isinstance(block, Table):
        yield from (block.title, block.note)
        yield from (words for row in block.rows for value in row if (words := _cell_words(value)))
    elif isinstance(block, Numbers):
        yield from (block.title, block.note, block.left_out)
        yield from (words for table in printed(block) for words in _words_of(table))
    elif isinstance(block, Ladder):
        yield from (words for table in ladder_tables(block.contrasts) for words in _words_of(table))
    elif isinstance(block, Paper):
        yield from (words for inner in block.compose() for words in _words_of(inner))
    else:
        yield from (block.chart.title, block.chart.caption, block.reading)
        yield from (words for inner in block.below for words in _words_of(inner))


def _cell_words(value: Cell) -> str:
    return value.words if isinstance(value, Cases) else value if isinstance(value, str) else ""


def refuse_claims(content: ReportContent, *, packs: Sequence[Mapping[str, Any]], typed: Iterable[str]) -> None:
    """Stop a report whose own sentences say what no report may.

    Parameters
    ----------
    packs
        As `forbidden_phrases` takes them.
    typed
        What people wrote into the plan or the record; it is quoted in the report and exempt wherever it stands. A
        single word ("fair" as a grade of credit) is exempt only where it stands as the name it was typed as.

    Raises
    ------
    InputError
        One line that names the sentence and the phrase.
    """
    texts = {_plain(words) for words in typed}
    # Only what would be objected to is taken out: a group called "a" must not break other words apart.
    said = {words for words in texts if forbidden_phrases(words, packs)}
    long = sorted((words for words in said if " " in words), key=len, reverse=True)
    short = _as_names({words for words in said if " " not in words}, beside=texts)
    for words in own_words(content):
        plain = _plain(words)
        for quote in long:
            plain = plain.replace(quote, "·")
        if short is not None:
            plain = short.sub("·", plain)
        hits = forbidden_phrases(plain, packs)
        if hits:
            raise InputError(
                "report",
                f"a sentence of its own says {hits[0].found!r}: “{plain[:200]}”",
                "words that claim nothing about the law or the quality of the model",
            )


def _as_names(names: Collection[str], *, beside: Collection[str]) -> re.Pattern[str] | None:
    """Where a single typed word stands as a name: alone, quoted, as an arm, or compared with another typed name.

    ``beside`` are all typed texts: groups it is compared with, and fields it is a value of ("credit history fair").
    """
    if not names:
        return None

    def choice(words: Collection[str]) -> str:
        # Longest first: a name that begins like another one is read whole.
        return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))

    few = {*beside, *(word.replace("_", " ") for word in beside)}
    name = rf"(?<![\w-])(?:{choice(names)})(?![\w-])"
    other = rf"(?<![\w-])(?:{choice({word for word in few if word and len(word.split()) <= MOST_WORDS})})(?![\w-])"
    joint, minus = "(?:, | and | or |, and |, or )", "[−–-]"
    places = (
        rf"^(?:{other}(?:{joint}|; |: ?|=| {minus} | against ))*{name}(?:{joint}{other})*$",
        rf"[“\"‘']{name}[”\"’']",
        rf"(?:\({other}{joint}|\(){name}(?=(?:{joint}{other})*\))",
        rf"{name}(?=(?:{joint}{other})* (?:against {other}|arms?(?!\w)|applications?(?!\w)))",
        rf"(?:(?<=from ){name}(?= to {other})|{name}(?= {minus} {other}))",
        rf"(?:{other} (?:against|to|{minus}) |% of |often as |than as |fare as |compared with |points? against |"
        rf"differ from |differently from |changed from ){name}",
        rf"{other}(?: |: ?|=){name}(?=$|[^\w\s-]|\s(?!\w)| (?:{_GO_ON})(?!\w)| (?:and|or) {other})",
        rf"(?:^|(?<=Audited: )|(?<=\. )){name}(?=: | \()",
    )
    return re.compile("|".join(places), re.IGNORECASE)


MOST_WORDS = 4
"""Longer typed texts are no names of groups or fields."""
_GO_ON = "against|were|are|fare|could|differ|moves?"


def typed_words(governance: Governance, run: RunRecord) -> Iterator[str]:
    """What people wrote: every text of the record and the plan, and the names of data and model."""
    yield from _leaves([governance.given(), run.design, run.data.title, run.model.given()])


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _leaves(list(value.values()))
    elif isinstance(value, Sequence):
        for part in value:
            yield from _leaves(part)


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
