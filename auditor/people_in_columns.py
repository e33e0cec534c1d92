"""People of whom a column speaks though it says nothing of a group: who decided, who stands for somebody, notes."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

MOST = 0.9  # share of the values that have to look alike
SAMPLE = 2_000  # distinct values that are looked at
LONGEST = 64  # characters of anything that is looked for
TEXT_READ = 2_000  # characters of a text in which somebody may be spoken of
PERSON = re.compile(r"[^\W\d_a-z][^\W\d_]+([-'’][^\W\d_]+)?,?( [^\W\d_a-z]\.?| [^\W\d_]+([-'’][^\W\d_]+)?){1,3}")
COMPANY = re.compile(
    r"\b(gmbh|inc|ltd|llc|plc|ag|kg|corp|co|bank|group|sa|sl|srl|bv|plan|loan|account|card)\b", re.IGNORECASE
)
#: Names of columns of people who decide, look after or stand for somebody.
OFFICIALS = re.compile(
    r"(.*_)?(manager|officer|advis[eo]r|berater(in)?|(sach)?bearbeiter(in)?|betreuer(in)?|underwriter|analyst|broker|vermittler"
    r"|makler|employee|mitarbeiter(in)?|agent|conseiller|gestor|asesor|reviewer|clerk|entscheider|user|(decided|approved"
    r"|created|changed|entered|reviewed)_by|(erfasst|entschieden|bearbeitet|genehmigt)_(von|durch)|contact|kontakt"
    r"|ansprechpartner(in)?)(_(name|nm))?(_[0-9])?"
)
RELATED = re.compile(
    r"(.*_)?(guarantor|buerge|co_?(borrower|applicant|signer)|mit(antragsteller|kreditnehmer)|spouse|partner|ehegatte"
    r"|aval|garante|cotitular|beneficiary|payee|account_holder|kontoinhaber|owner|inhaber)(_(name|nm))?(_[0-9])?"
)
#: Names of columns in which somebody writes what comes to mind, and somebody who is spoken of.
FREE_TEXT = re.compile(
    r"(.*_)?(comments?|remarks?|notes?|memo|narrative|free_?text|text|kommentare?|bemerkung(en)?|notiz(en)?|anmerkung(en)?"
    r"|vermerke?|observacion(es)?|commentaires?|remarques?|observations?|osservazioni|opmerking(en)?|uwagi)(_.*)?[0-9]?"
)
SPOKEN_OF = re.compile(
    r"\b(Herrn?|Frau|Mr\.?|Mrs\.?|Ms\.?|Monsieur|Madame|Mme|Señora?|Sra?\.|Signora?|Familie) [^\W\d_a-z][^\W\d_]+"
)
WORDS_OF_TEXT = 3  # from which on a text says something


def speaks_of_people(name: str, values: pl.Series) -> str:
    """Why values of no group are not for everybody: they name people who decided, or are free text about some."""
    if values.dtype != pl.String:
        return ""
    texts = [text.strip() for text in values.drop_nulls().unique(maintain_order=True).head(SAMPLE).to_list()]
    if OFFICIALS.fullmatch(name) and are_people(texts):
        return "its values read as names of people"
    if FREE_TEXT.fullmatch(name) and any(len(text[:TEXT_READ].split()) >= WORDS_OF_TEXT for text in texts):
        return "free text, in which anybody may be named"
    if any(SPOKEN_OF.search(text[:TEXT_READ]) for text in texts):
        return "its text speaks of people by name"
    return ""


def are_people(texts: Sequence[str]) -> bool:
    """Whether most of some distinct texts read as names of people, as ``Anna Schmidt`` and ``Schmidt, A.`` do."""
    fits = sum(len(text) <= LONGEST and bool(PERSON.fullmatch(text)) and not COMPANY.search(text) for text in texts)
    return bool(texts) and fits >= MOST * len(texts)
