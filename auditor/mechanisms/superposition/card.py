"""What the test says of itself, and its settings. Needs no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from auditor.plan_section import Section
from auditor.testing.card import Card, Metric

CARD = Card(
    name="superposition",
    purpose="Whether the directions inside the model that carry a protected attribute overlap with those that carry "
    "credit fields, so that a change of one also reads as a change of the other.",
    method=(
        "Features of the run's dictionary that move at the closing words of the prompt when only one field changes "
        "carry that field. Where a feature of an attribute and one of a credit field act on the same token, the cosine "
        "of their directions is their interference. The test draws other features of the dictionary, matched in how "
        "often and how strongly they act and respond, in place of the attribute's, again and again; applications share "
        "the directions and are not replicates. Which features carry what is found on half of the applications, where "
        "they act together on the other half."
    ),
    worrying=(
        "Features of a protected attribute overlap with features of credit fields more than features like them do, "
        "or are the same features."
    ),
    limitations=(
        "It speaks of one layer and one dictionary; another dictionary cuts the states up otherwise. Overlap is room "
        "for interference, not proof that a decision suffers from it: erasure and steering test that. Intervals and "
        "p-values are over draws of matched features, which have a minimum of their own, and not over applications."
    ),
    references=(
        "Elhage et al. (2022), Toy Models of Superposition",
        "Welch (1974), Lower bounds on the maximum cross correlation of signals, doi:10.1109/TIT.1974.1055219",
    ),
    needs_internals=True,
    question="parts",
    label="Superposition: shared directions",
    metrics=(
        Metric("superposition_dimensions_used", "Dimensions the states use", "count"),
        Metric("superposition_features_per_dimension", "Features in use for each dimension", "ratio"),
        Metric("superposition_coherence", "Closest two features, cosine", "share"),
        Metric("superposition_shared_features", "Features that credit fields move as well", "rate"),
        Metric("superposition_interference", "Overlap of an attribute's and credit fields' directions", "share"),
        Metric("superposition_excess", "Overlap beyond that of random features", "cosine"),
        Metric("superposition_shared_space", "Part of an attribute's directions that credit features span", "rate"),
    ),
)


class Settings(Section):
    """What is compared, and at what cost.

    Attributes
    ----------
    applications
        Applications that are read, spread over all of the run's.
    fields
        Credit fields that are changed; empty: every predictor field in the prompt, each in every application.
    features
        Most features a field is carried by.
    """

    applications: Annotated[int, Field(ge=6)] = 12
    fields: tuple[str, ...] = ()
    features: Annotated[int, Field(ge=1, le=200)] = 8
