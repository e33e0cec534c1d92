"""The table of dialects. Adding one is a file and a line here."""

from __future__ import annotations

from auditor.systems import anthropic_messages, chat_completions, completions, responses
from auditor.systems.dialect import Dialect

DIALECTS: dict[str, Dialect] = {
    module.DIALECT.name: module.DIALECT for module in (chat_completions, completions, responses, anthropic_messages)
}
