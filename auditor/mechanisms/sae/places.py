"""Where a dictionary is read, and whether its files belong to this model and this place.

Directions of one model, or of one layer, mean nothing in another. So what the files say is held against the audit, and
the plan has to say so where they may differ.
"""

from __future__ import annotations

from dataclasses import dataclass

from auditor.exceptions import ModelError
from auditor.language_models.sources import ModelSource, parse_source
from auditor.mechanisms.sae.declared import Declared, model_called, stream_layer
from auditor.mechanisms.sae.settings import DictionarySettings

SETTING = "settings.dictionary"
DEMO_MODEL = "SmolLM2-135M-Instruct"


@dataclass(frozen=True)
class Place:
    """The stream before block ``layer``, and what differs from what the files say."""

    layer: int
    differs: tuple[str, ...] = ()


def place_of(settings: DictionarySettings, layers: int) -> int:
    """The layer features are read at: the plan's hook, else its depth.

    Raises
    ------
    ModelError
        If the model has no such place between two blocks.
    """
    hook = settings.hook
    if not hook:
        return min(max(1, round(settings.depth * layers)), layers - 1) if layers > 1 else 1
    layer = stream_layer(hook)
    if layer is None or not 1 <= layer < layers:
        where = f"{SETTING}.hook"
        raise ModelError(where, f"{hook!r} is not between two of the model's {layers} blocks", _stream_before(1))
    return layer


def same_model(declared: Declared, source: str, *, folder: str) -> str | None:
    """What differs between the model in the files and the audited one; ``None`` where nothing is known to.

    Parameters
    ----------
    declared
        What the files say.
    source
        The audited model as the plan names it.
    folder
        Named in messages.
    """
    if not declared.model or not source:
        return None
    parsed = parse_source(source)
    audited = _name(parsed)
    if not parsed.adapters and audited and model_called(declared.model) == model_called(audited):
        return None
    return f"{folder} was made for the model {declared.model!r}, not for {source!r}"


def same_place(declared: Declared, settings: DictionarySettings, layer: int, *, folder: str) -> str | None:
    """What differs between the place in the files and where features are read.

    Returns
    -------
    str or None
        ``None`` where they are the same, or where the files do not say and the plan names a hook.
    """
    if not declared.hook:
        return None if settings.hook else f"{folder} does not say which hook point it reads"
    theirs = stream_layer(declared.hook)
    if theirs is None:
        return f"{folder} reads {declared.hook!r}, which is not the stream between two blocks"
    if theirs != layer:
        return f"{folder} reads {declared.hook!r}, the stream before block {theirs}, not before block {layer}"
    return None


def known_to_differ(declared: Declared, settings: DictionarySettings, *, source: str, folder: str) -> str | None:
    """What is known to differ before a model is at hand: its name, and the place where the plan names a hook."""
    other = same_model(declared, source, folder=folder)
    layer = stream_layer(settings.hook)
    if other or layer is None:
        return other
    return same_place(declared, settings, layer, folder=folder)


def belonging(declared: Declared, settings: DictionarySettings, *, source: str, layers: int, folder: str) -> Place:
    """Hold what the files say against the audit.

    Raises
    ------
    ModelError
        If the files name another model, layer or hook, or no hook at all, and the plan does not allow it.
    """
    layer = place_of(settings, layers)
    differs = [
        found
        for found in (
            same_model(declared, source, folder=folder),
            same_place(declared, settings, layer, folder=folder),
        )
        if found is not None
    ]
    if differs and not settings.foreign:
        raise ModelError(f"{SETTING}.path", differs[0], expected_of(declared))
    return Place(layer, tuple(differs))


def expected_of(declared: Declared) -> str:
    """What to put into the plan, or to look for."""
    if declared.hook and stream_layer(declared.hook) is not None:
        return f'hook = "{declared.hook}" and a dictionary of this model, or foreign = true'
    return f"{_stream_before(None)}, or foreign = true"


def _stream_before(layer: int | None) -> str:
    number = "N" if layer is None else layer
    return f'hook = "blocks.{number}.hook_resid_pre" or "….hook_resid_post"'


def _name(source: ModelSource) -> str | None:
    if source.kind == "demo":
        return DEMO_MODEL if source.location == "smollm2" else None
    if source.kind in ("dir", "gguf"):
        return source.path.absolute().name.removesuffix(".gguf")
    return source.location
