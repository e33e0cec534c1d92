"""``[settings.dictionary]``: what a run's dictionary is made of. Needs no torch."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from auditor.plan import Plan, check_section
from auditor.plan_section import Section

SECTION = "dictionary"
Kind = Literal["topk", "batchtopk", "jumprelu"]
KINDS: tuple[str, ...] = get_args(Kind)


class DictionarySettings(Section):
    """``[settings.dictionary]``: one for all tests on features, so that they speak of the same features.

    Attributes
    ----------
    depth
        The layer, as a share of the model's depth: features are read in the stream before that block.
    hook
        The place in its stead, as SAELens names it: ``blocks.N.hook_resid_pre`` or ``blocks.N.hook_resid_post``.
    kind, expansion, k
        How latents are selected, how many there are as a multiple of the width of the stream, and how many are active
        on a token.
    steps, batch, learning_rate
        Of the training.
    tokens
        Most tokens of the audit's prompts to read, by estimate.
    text, text_tokens
        A file of general text to train on as well, and the most tokens of it. The text becomes part of the run.
    path
        A folder with an autoencoder in SAELens' layout, or Gemma Scope's ``params.npz``, to use instead of training
        one. What its files say of model and hook must be this model and this place. Their hashes become part of the
        run.
    foreign
        The files may name another model, layer or hook, or no hook; the report says which.
    activation_norm
        Mean norm of the states it was trained on, where its states were scaled by that and the files do not say it;
        without it the mean norm of this run's states stands in, and the report says so.
    """

    depth: Annotated[float, Field(gt=0, lt=1)] = 0.5
    hook: str = ""
    kind: Kind = "topk"
    expansion: Annotated[int, Field(ge=1, le=64)] = 4
    k: Annotated[int, Field(ge=1, le=1024)] = 32
    steps: Annotated[int, Field(ge=1, le=1_000_000)] = 300
    batch: Annotated[int, Field(ge=16, le=65_536)] = 1024
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    tokens: Annotated[int, Field(ge=256)] = 12_000
    text: str = ""
    text_tokens: Annotated[int, Field(ge=128)] = 8_192
    path: str = ""
    foreign: bool = False
    activation_norm: Annotated[float, Field(gt=0)] | None = None


def dictionary_settings(plan: Plan) -> DictionarySettings:
    """The plan's ``[settings.dictionary]``.

    Raises
    ------
    PlanError
        Naming the key, if there is no such setting or its value does not fit.
    """
    return check_section(DictionarySettings, plan.settings.get(SECTION, {}), where=f"settings.{SECTION}")
