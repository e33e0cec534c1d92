"""Decision files that a seed makes: a table, the mapping that reads it, and the columns."""

from __future__ import annotations

import numpy as np
import polars as pl

from auditor.mapping_files import mapping_from
from auditor.mappings import DataMapping
from auditor.observed.building import observe
from auditor.observed.columns import Observed

FIELDS = [
    {"name": "loan", "role": "id", "type": "text", "column": "loan"},
    {"name": "decision", "role": "outcome", "type": "category", "column": "decision",
     "favourable": ["approved"], "adverse": ["denied"]},
    {"name": "race", "role": "protected", "type": "category", "column": "race"},
    {"name": "sex", "role": "protected", "type": "category", "column": "sex"},
    {"name": "income", "role": "predictor", "type": "number", "column": "income", "missing": ["NA"]},
    {"name": "ratio", "role": "predictor", "type": "number", "column": "ratio"},
    {"name": "purpose", "role": "predictor", "type": "category", "column": "purpose"},
    {"name": "branch", "role": "recorded", "type": "category", "column": "branch"},
    {"name": "score", "role": "recorded", "type": "number", "column": "score"},
    {"name": "rate", "role": "recorded", "type": "number", "column": "rate", "unit": "%"},
    {"name": "limit", "role": "recorded", "type": "number", "column": "limit", "unit": "$"},
    {"name": "reason", "role": "recorded", "type": "category", "column": "reason"},
    {"name": "status", "role": "recorded", "type": "category", "column": "status"},
    {"name": "officer", "role": "recorded", "type": "category", "column": "officer"},
    {"name": "day", "role": "recorded", "type": "text", "column": "day"},
    {"name": "p_black", "role": "recorded", "type": "number", "column": "p_black"},
    {"name": "p_white", "role": "recorded", "type": "number", "column": "p_white"},
]  # fmt: skip
DECISIONS = {
    "score": "score",
    "score_is": "probability",
    "prices": ["rate"],
    "amounts": ["limit"],
    "reasons": ["reason"],
    "decided_at": "day",
    "cluster": "branch",
    "controls": ["income", "ratio", "purpose"],
    "segments": ["purpose"],
    "later": {"field": "status", "favourable": ["repaid"], "adverse": ["default"]},
    "human": {"field": "officer", "favourable": ["yes"], "adverse": ["no"]},
    "probabilities": [
        {"attribute": "race", "source": "made up", "groups": {"Black": "p_black", "White": "p_white"}, "cut": 0.8}
    ],
}


def mapping(**decisions: object) -> DataMapping:
    chosen = {key: value for key, value in {**DECISIONS, **decisions}.items() if value is not None}
    return mapping_from({"name": "made_up", "fields": FIELDS, "decisions": chosen}, where="made_up.toml")


def table(n: int = 4000, *, seed: int = 1, bias: float = 0.8, sexism: float = 0.0) -> pl.DataFrame:
    """Applications decided by income, ratio and chance; ``bias`` log-odds harsher for Black applicants."""
    draw = np.random.default_rng(seed)
    race = draw.choice(["White", "Black", "Asian"], n, p=[0.65, 0.25, 0.10])
    sex = draw.choice(["male", "female"], n)
    income = draw.gamma(4, 20, n).round(1)
    ratio = draw.normal(35, 8, n).round(1)
    odds = 1.4 + 0.02 * (income - 80) - 0.07 * (ratio - 35)
    good = draw.random(n) < 1 / (1 + np.exp(-odds))
    odds = odds - bias * (race == "Black") - sexism * (sex == "female")
    score = 1 / (1 + np.exp(-odds))
    approved = draw.random(n) < score
    decision = np.where(draw.random(n) < 0.06, "withdrawn", np.where(approved, "approved", "denied"))
    p_black = np.where(race == "Black", draw.beta(6, 2, n), draw.beta(1.2, 8, n)).round(3)
    person = np.where(draw.random(n) < 0.1, ~approved, approved)
    return pl.DataFrame(
        {
            "loan": [f"L{at:06d}" for at in range(n)],
            "decision": decision,
            "race": race,
            "sex": sex,
            "income": np.where(draw.random(n) < 0.03, "NA", income.astype(str)),
            "ratio": ratio,
            "purpose": draw.choice(["buy", "refinance", "improve"], n),
            "branch": draw.choice([f"B{at:02d}" for at in range(40)], n),
            "score": score.round(6),
            "rate": (6 + 0.03 * (ratio - 35) + 0.2 * (race == "Black") + draw.normal(0, 0.5, n)).round(3),
            "limit": (income * 500 - 4000 * (race == "Black")).round(0),
            "reason": np.where(decision == "denied", draw.choice(["ratio", "income"], n), ""),
            "status": np.where(good, "repaid", "default"),
            "officer": np.where(person, "yes", "no"),
            "day": draw.choice(["2026-01-05", "2026-03-09T10:00:00", "2026-06-30"], n),
            "p_black": p_black,
            "p_white": ((1 - p_black) * 0.9).round(3),
        }
    )


def columns(n: int = 4000, *, seed: int = 1, bias: float = 0.8, sexism: float = 0.0, **decisions: object) -> Observed:
    made = table(n, seed=seed, bias=bias, sexism=sexism)
    return observe(made, mapping(**decisions), source="made_up.csv")
