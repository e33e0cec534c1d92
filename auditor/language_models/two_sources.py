"""Files of a model that say one thing twice: which of them counts, as transformers chooses."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from auditor.language_models.safety import SINGLE_WEIGHTS, WEIGHTS_INDEX, read_json

TEMPLATE = "chat_template.jinja"
TOKENIZER_CONFIG = "tokenizer_config.json"
CONFIG = "config.json"
#: What the families call the two tensors that may be one.
PARTS = {
    "head": ("lm_head", "embed_out"),
    "embedding": ("embed_tokens", "wte", "embed_in", "word_embeddings", "tok_embeddings"),
}


def choices(folder: Path) -> list[str]:
    """A line for each pair of files of a checked folder that could each be the model's, with the one that is read.

    Returns
    -------
    list of str
        Empty where nothing is said twice, or twice the same.
    """
    lines = []
    if (folder / SINGLE_WEIGHTS).exists() and (folder / WEIGHTS_INDEX).exists():
        lines.append(
            f"two sets of weights: those of {SINGLE_WEIGHTS} are the model's, as transformers reads them, not the "
            f"shards of {WEIGHTS_INDEX}"
        )
    if (folder / TEMPLATE).is_file() and (folder / TOKENIZER_CONFIG).is_file():
        own = (folder / TEMPLATE).read_text(encoding="utf-8", errors="replace")
        other = _default(read_json(folder / TOKENIZER_CONFIG).get("chat_template"))
        if other and other != own:
            lines.append(
                f"two chat templates that differ: that of {TEMPLATE} is the model's, as transformers reads them, not "
                f"that of {TOKENIZER_CONFIG}"
            )
    config = read_json(folder / CONFIG) if (folder / CONFIG).is_file() else {}
    if config.get("tie_word_embeddings") is True and (head := _other_head(folder)):
        lines.append(
            f"two heads: {CONFIG} says that the head is the embedding (tie_word_embeddings), and the weights hold "
            f"another, {head}: that one is the model's, as transformers reads them"
        )
    inner, outer = config.get("rope_parameters"), config.get("rope_theta")
    base = inner.get("rope_theta") if isinstance(inner, dict) else None
    if base is not None and outer is not None and base != outer:
        lines.append(
            f"two bases of the position encoding: rope_theta = {base} in rope_parameters is the model's, as "
            f"transformers reads {CONFIG}, not rope_theta = {outer} beside it"
        )
    return lines


def _other_head(folder: Path) -> str:
    """The name of a head among the weights that is not the embedding; empty where there is none, or it is the same."""
    from safetensors import SafetensorError, safe_open  # torch comes with it

    single = folder / SINGLE_WEIGHTS
    found: dict[str, tuple[str, Any]] = {}
    for path in [single] if single.is_file() else sorted(folder.glob("model-*.safetensors")):
        # What is damaged is refused by name elsewhere: nothing is to be said of its head.
        with suppress(SafetensorError, OSError), safe_open(path, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - a file is no dict
                for part, names in PARTS.items():
                    if name.rpartition(".weight")[0].rpartition(".")[2] in names:
                        found[part] = (name, tensors.get_tensor(name))
    if set(found) != set(PARTS):
        return ""
    name, head = found["head"]
    return "" if head.equal(found["embedding"][1]) else name


def _default(template: Any) -> str:
    """The template a conversation goes through where the config has one, or several by name."""
    if isinstance(template, list):
        named = [each for each in template if isinstance(each, dict) and each.get("name") == "default"]
        template = named[0].get("template") if named else ""
    return template if isinstance(template, str) else ""
