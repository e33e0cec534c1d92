"""Settings that an autoencoder's files say twice: where the two differ, nobody can tell which is meant; refused.

SAELens has kept settings at the top, under ``metadata``, in ``runner_cfg.json`` and under that file's ``sae``, and has
called some of them by two names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from auditor.exceptions import ModelError
from auditor.mechanisms.sae.keys import READ

#: What the runner says of the place holds for what it trained; of the function, saving may have changed it (a BatchTopK
#: autoencoder is written as JumpReLU, a scaling is folded into the weights).
OF_THE_PLACE = frozenset(
    {
        *("model_name", "hook_name", "hook_point", "hook_layer", "hook_point_layer", "d_in", "d_sae"),
        *("hook_head_index", "hook_point_head_index", "seqpos_slice", "prepend_bos", "context_size"),
    }
)
#: Two names of one setting.
NAMES = (
    ("hook_name", "hook_point"),
    ("hook_name", "hf_hook_name"),
    ("hook_point", "hf_hook_name"),
    ("hook_layer", "hook_point_layer"),
    ("hook_head_index", "hook_point_head_index"),
    ("activation_fn", "activation_fn_str"),
)

Alike = Callable[[str, Any], Any]
"""A setting's value in one spelling, by its name."""


def flat(config: Mapping[str, Any], where: str, *, alike: Alike) -> dict[str, Any]:
    """The settings with those of ``metadata`` beside them, as older files have them.

    Raises
    ------
    ModelError
        If a setting stands in both with two values.
    """
    about = config.get("metadata")
    inner = {name: value for name, value in about.items() if value is not None} if isinstance(about, dict) else {}
    outer = {name: value for name, value in config.items() if value is not None}
    for name in sorted(inner.keys() & outer.keys() & READ):
        if not _same(alike(name, inner[name]), alike(name, outer[name])):
            raise ModelError(
                where, f"{name} is {outer[name]!r} and metadata.{name} is {inner[name]!r}", "one value, or the key once"
            )
    return {**inner, **outer}


def joined(runner: Mapping[str, Any], own: Mapping[str, Any], where: str, *, alike: Alike) -> dict[str, Any]:
    """The settings of a run with the autoencoder's own over them.

    Raises
    ------
    ModelError
        If both name a place or a model and not the same one, or one setting goes by two names with two values.
    """
    for name in sorted(runner.keys() & own.keys() & OF_THE_PLACE):
        if not _same(alike(name, runner[name]), alike(name, own[name])):
            raise ModelError(where, f"{name} is {own[name]!r} here and {runner[name]!r} in the run's file", "one value")
    found = {**runner, **own}
    for name, other in NAMES:
        if name in found and other in found and not _same(alike(name, found[name]), alike(other, found[other])):
            raise ModelError(where, f"{name} is {found[name]!r} and {other} is {found[other]!r}", "one value")
    return found


def _same(one: Any, other: Any) -> bool:
    """Equal, where true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
