"""Columns of one group each, with yes or no for every row: ``race_black``, ``sex_female``, ``minority``."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from auditor.column_meanings import is_flag, label_of
from auditor.column_words import GROUP_NAMES, YES_NO, plain

#: One column a group: the attribute, and the group behind it.
INDICATOR = re.compile(
    r"(?:(?:applicant|borrower|customer|appl|is)_)?(race|ethnicity|sex|gender|religion|nationality|marital(?:_status)?"
    r"|geschlecht|rasse|ethnie|familienstand|age|alter|sexe|sexo)_(.+)"
)
NO_GROUP = re.compile(
    r"(.*_)?(verified|checked|confirmed|provided|known|collected|missing|geprueft|of_.*|observed|flag)"
)
ALONE = re.compile(
    r"(is_)?(f|gay|lesbian|trans|muslim|christian|jewish|over_?(62|65|age)|(ge|gt)_?6[25]|immigrant|foreigner|minority|elderly|seniors?|pensioner)|is_m"
)


def indicator_of(name: str) -> tuple[str, str]:
    """Attribute and group of a column that is called by both, as ``race_black``; empty where it is not.

    >>> indicator_of("race_black"), indicator_of("applicant_sex_female"), indicator_of("race_verified")
    (('race', 'black'), ('sex', 'female'), ('', ''))
    """
    found = INDICATOR.fullmatch(name)
    return (found[1], found[2]) if found and not NO_GROUP.fullmatch(found[2]) else ("", "")


def says_one_group(name: str, values: pl.Series) -> bool:
    """Whether a column says of one group alone who belongs to it."""
    if not (indicator_of(name)[0] or name in GROUP_NAMES or ALONE.fullmatch(name)):
        return False
    distinct = values.drop_nulls().unique()
    if distinct.dtype == pl.Boolean:
        return True
    if distinct.dtype.is_numeric():
        return set(distinct) == {0, 1}
    said = {str(each).strip().lower() for each in distinct.head(3)}
    return said in ({"0", "1"}, *YES_NO)


def indicators_in(frame: pl.DataFrame, columns: Sequence[str]) -> dict[str, list[str]]:
    """Columns of one group each, several of an attribute, by the attribute: ``race_white`` and ``race_black``.

    Columns that are called by the group alone are those of race. Those called by both are one field only where no row
    is in two of them.
    """
    found: dict[str, list[str]] = {}
    for column in columns:
        name = plain(column)
        attribute = "race" if name in GROUP_NAMES else indicator_of(name)[0]
        if attribute and is_flag(frame[column]):
            found.setdefault(attribute, []).append(column)
    return {
        attribute: each
        for attribute, each in found.items()
        if len(each) > 1 and (all(plain(column) in GROUP_NAMES for column in each) or _at_most_one(frame, each))
    }


def _at_most_one(frame: pl.DataFrame, columns: Sequence[str]) -> bool:
    held = frame.select(pl.sum_horizontal(pl.col(list(columns)).cast(pl.Int64))).to_series()
    return bool((held <= 1).all())


def group_of(column: str) -> str:
    """What the group of such a column is called."""
    name = plain(column)
    return GROUP_NAMES.get(name) or GROUP_NAMES.get(group := indicator_of(name)[1]) or label_of(group)
