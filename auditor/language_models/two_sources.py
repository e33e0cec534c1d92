"""Files of a model that say one thing twice: which of them counts, as transformers chooses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from auditor.language_models.safety import SINGLE_WEIGHTS, WEIGHTS_INDEX, read_json

TEMPLATE = "chat_template.jinja"
TOKENIZER_CONFIG = "tokenizer_config.json"


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
    return lines


def _default(template: Any) -> str:
    """The template a conversation goes through where the config has one, or several by name."""
    if isinstance(template, list):
        named = [each for each in template if isinstance(each, dict) and each.get("name") == "default"]
        template = named[0].get("template") if named else ""
    return template if isinstance(template, str) else ""
