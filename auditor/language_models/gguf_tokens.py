"""A GGUF file's tokenizer read a second time, plainly and slowly, to compare the converted one with it.

Nothing here is shared with the conversion: text is split, merged and numbered straight from the file's fields, as
llama.cpp does. What a field asks for that neither side can do is refused by its name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from auditor.exceptions import ModelError
from auditor.language_models.gguf_files import GgufFile

CONTRACTIONS = r"'s|'t|'re|'ve|'m|'ll|'d"
_GPT2 = rf"{CONTRACTIONS}| ?\p{{L}}+| ?\p{{N}}+| ?[^\s\p{{L}}\p{{N}}]+|\s+(?!\S)|\s+"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_LLAMA3 = rf"(?i:{CONTRACTIONS})|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}" + _REST
_QWEN2 = rf"(?i:{CONTRACTIONS})|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}" + _REST
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"


def _by_case(ending: str, digits: str) -> str:
    start = r"[^\r\n\p{L}\p{N}]?"
    words = f"{start}{_UPPER}*{_LOWER}+{ending}|{start}{_UPPER}+{_LOWER}*{ending}"
    return rf"{words}|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"


@dataclass(frozen=True)
class Splitting:
    """How a byte-level vocabulary splits text before merging: patterns applied in turn.

    ``whole`` says that a piece which is a token stays one, ``starts`` that a first token is put before the text where
    the file does not say.
    """

    patterns: tuple[str, ...]
    whole: bool = False
    starts: bool = False


_LLAMA3_SPLIT = Splitting((_LLAMA3,), whole=True, starts=True)
_GPT4O_SPLIT = Splitting((_by_case(f"(?i:{CONTRACTIONS})?", r"\p{N}{1,3}"),))
#: By ``tokenizer.ggml.pre``; any other name is refused.
SPLITTING: dict[str, Splitting] = {
    **dict.fromkeys(("gpt-2", "mpt", "olmo", "phi-2"), Splitting((_GPT2,))),
    **dict.fromkeys(("smollm", "starcoder", "refact", "command-r", "codeshell"), Splitting((r"\p{N}", _GPT2))),
    **dict.fromkeys(("llama3", "llama-v3", "llama-bpe", "falcon3", "pixtral"), _LLAMA3_SPLIT),
    **dict.fromkeys(("dbrx", "smaug-bpe"), Splitting((_LLAMA3,))),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen", "megrez"), Splitting((_QWEN2,))),
    "tekken": Splitting((_by_case("", r"\p{N}"),), whole=True, starts=True),
    **dict.fromkeys(("gpt-4o", "llama4"), _GPT4O_SPLIT),
}
#: Token types of GGUF.
UNKNOWN, CONTROL, USER_DEFINED, BYTE = 2, 3, 4, 6
#: Fields that change no token of a text that is read: what generation stops at, what fills gaps, names of templates.
IDLE = frozenset(
    {
        *(f"ggml.{name}_token_id" for name in ("eot", "eom", "seperator", "cls", "mask", "prefix", "suffix", "middle")),
        *(f"ggml.fim_{name}_token_id" for name in ("pre", "suf", "mid", "pad", "rep", "sep")),
        "ggml.token_type_count",
        "huggingface.json",
        "chat_templates",
    }
)
READ = frozenset(
    {
        *(f"ggml.{name}_token_id" for name in ("bos", "eos", "unknown", "padding")),
        *(f"ggml.{name}" for name in ("model", "pre", "tokens", "token_type", "scores", "merges")),
        *(f"ggml.add_{name}" for name in ("bos_token", "eos_token", "space_prefix")),
        "chat_template",
    }
)
#: Fields that change nothing at these values.
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "ggml.add_sep_token": (False,),
    "ggml.remove_extra_whitespaces": (False,),
    "ggml.precompiled_charsmap": ([],),
}
SPACE = "▁"


class GgufTokens:
    """The tokenizer that a file's fields describe."""

    def __init__(self, file: GgufFile) -> None:
        self.file = file
        self.fields: Mapping[str, Any] = {
            key.removeprefix("tokenizer."): value for key, value in file.fields.items() if key.startswith("tokenizer.")
        }
        self._check()
        self.byte_level = self.fields["ggml.model"] == "gpt2"
        self.tokens: list[str] = self.fields["ggml.tokens"]
        self.numbers = {token: number for number, token in enumerate(self.tokens)}
        self.types: list[int] = self.fields.get("ggml.token_type") or [1] * len(self.tokens)
        self.splitting = SPLITTING[self.fields["ggml.pre"]] if self.byte_level else Splitting(())
        apart = [token for token, kind in zip(self.tokens, self.types, strict=True) if kind in (CONTROL, USER_DEFINED)]
        self._apart = sorted(filter(None, apart), key=len, reverse=True)
        if self.byte_level:
            pairs = [tuple(merge.split(" ", 1)) for merge in self.fields["ggml.merges"]]
            self.ranks = {pair: rank for rank, pair in enumerate(pairs)}

    @property
    def space_prefix(self) -> bool:
        """Whether a space is put before a text, and after each token that stands apart."""
        return bool(self.fields.get("ggml.add_space_prefix", not self.byte_level))

    @property
    def first(self) -> int | None:
        """The token put before a text, if one is."""
        wanted = self.fields.get("ggml.add_bos_token", self.splitting.starts or not self.byte_level)
        return self.fields.get("ggml.bos_token_id") if wanted else None

    @property
    def last(self) -> int | None:
        """The token put after a text, if one is."""
        return self.fields.get("ggml.eos_token_id") if self.fields.get("ggml.add_eos_token", False) else None

    def refuse(self, key: str, what: str, expected: str) -> ModelError:
        """The error that names a field of the tokenizer."""
        return ModelError(str(self.file.path), f"tokenizer.{key} {what}", expected)

    def encode(self, text: str) -> list[int]:
        """The numbers of a text's tokens, without first and last."""
        pieces = re.split("(" + "|".join(map(re.escape, self._apart)) + ")", text) if self._apart else [text]
        found: list[int] = []
        for place, piece in enumerate(pieces):
            if place % 2:
                found.append(self.numbers[piece])
            elif piece:
                found += self._byte_level(piece) if self.byte_level else self._by_score(piece)
        return found

    def _check(self) -> None:
        model = self.fields.get("ggml.model")
        if model not in ("gpt2", "llama"):
            raise self.refuse("ggml.model", f"is {model!r}", "gpt2 or llama, a tokenizer that can be rebuilt exactly")
        for key, value in self.fields.items():
            template = key == "chat_template" or key.startswith("chat_template.")
            if key not in READ | IDLE and not template and value not in NEUTRAL.get(key, ()):
                raise self.refuse(key, f"is {str(value)[:40]!r}", "a field that is read here")
        tokens = self.fields.get("ggml.tokens")
        if not isinstance(tokens, list) or not tokens:
            raise self.refuse("ggml.tokens", "is missing", "the tokens of the vocabulary")
        if len(set(tokens)) != len(tokens):
            double = Counter(tokens).most_common(1)[0][0]
            raise self.refuse("ggml.tokens", f"holds {double!r} twice", "every token once")
        self._check_lists(model, len(tokens))
        self._check_numbers(len(tokens))

    def _check_lists(self, model: str, count: int) -> None:
        needed = "ggml.merges" if model == "gpt2" else "ggml.scores"
        if not isinstance(self.fields.get(needed), list):
            what = "is missing: without it text cannot be cut into the tokens of training"
            raise self.refuse(needed, what, f"{needed.partition('.')[2]} beside the tokens of a {model!r} vocabulary")
        for key in ("ggml.token_type", "ggml.scores"):
            if isinstance(self.fields.get(key), list) and len(self.fields[key]) != count:
                raise self.refuse(key, f"has {len(self.fields[key])} entries", f"{count}, one for each token")
        if model == "gpt2" and (pre := self.fields.get("ggml.pre")) not in SPLITTING:
            # The rule is what cut the training text; another one changes answers, and nothing shows it.
            rule = f"its tokenizer splits text by the rule {pre!r}, which cannot be rebuilt exactly"
            what = (
                f"is {pre!r}: {rule}" if pre is not None else "is missing: how its tokenizer splits text is not known"
            )
            raise self.refuse("ggml.pre", what, "the same model as safetensors, by dir: or hf:")
        if model == "gpt2" and self.fields.get("ggml.add_space_prefix"):
            raise self.refuse("ggml.add_space_prefix", "is true for a byte-level vocabulary", "false")

    def _check_numbers(self, count: int) -> None:
        for name in ("bos", "eos", "unknown", "padding"):
            number = self.fields.get(f"ggml.{name}_token_id")
            if number is not None and not 0 <= number < count:
                raise self.refuse(f"ggml.{name}_token_id", f"is {number}", f"one of {count} tokens")
        for name in ("bos", "eos"):
            if self.fields.get(f"ggml.add_{name}_token") and self.fields.get(f"ggml.{name}_token_id") is None:
                raise self.refuse(f"ggml.add_{name}_token", "is true", f"tokenizer.ggml.{name}_token_id beside it")

    def _byte_level(self, text: str) -> list[int]:
        from tokenizers import Regex, pre_tokenizers

        pieces = [text]
        for pattern in self.splitting.patterns:
            split = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
            pieces = [part for piece in pieces for part, _ in split.pre_tokenize_str(piece)]
        found = []
        for piece in pieces:
            letters = "".join(BYTE_LETTERS[byte] for byte in piece.encode())
            if self.splitting.whole and letters in self.numbers:
                found.append(self.numbers[letters])
                continue
            parts = list(letters)
            while len(parts) > 1:
                ranked = [(self.ranks[pair], at) for at, pair in enumerate(pairwise(parts)) if pair in self.ranks]
                if not ranked:
                    break
                _, at = min(ranked)
                parts[at : at + 2] = [parts[at] + parts[at + 1]]
            found += [self.numbers[part] for part in parts if part in self.numbers]
        return found

    def _by_score(self, text: str) -> list[int]:
        scores: list[float] = self.fields["ggml.scores"]
        parts = list((" " + text if self.space_prefix else text).replace(" ", SPACE))
        while len(parts) > 1:
            scored = [
                (-scores[self.numbers[joined]], at)
                for at, joined in enumerate(map("".join, pairwise(parts)))
                if joined in self.numbers
            ]
            if not scored:
                break
            _, at = min(scored)
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        found: list[int] = []
        for part in parts:
            if part in self.numbers:
                found.append(self.numbers[part])
                continue
            for byte in part.encode():
                name = f"<0x{byte:02X}>"
                if name not in self.numbers:
                    raise self.refuse("ggml.tokens", f"holds no {name}", "a token for every byte")
                found.append(self.numbers[name])
        return found


def _byte_letters() -> dict[int, str]:
    """GPT-2's letter for every byte: printable ones stand for themselves, the others for letters from U+0100 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    letters = {byte: chr(byte) for byte in printable}
    others = [byte for byte in range(256) if byte not in letters]
    return letters | {byte: chr(256 + number) for number, byte in enumerate(others)}


BYTE_LETTERS = _byte_letters()
