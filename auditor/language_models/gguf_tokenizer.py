"""The tokenizer of a GGUF file, rebuilt for the tokenizers library and then held against the plain reading.

Byte-level vocabularies are rebuilt by transformers and mended where it leaves fields unread; vocabularies with scores
are built here. Whatever is built must give the tokens that :class:`GgufTokens` reads, or the file is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from auditor.exceptions import ModelError
from auditor.language_models.gguf_tokens import BYTE_LETTERS, CONTROL, SPACE, USER_DEFINED, GgufTokens
from auditor.language_models.weights import SAMPLE_TEXT

#: Texts in several scripts, with blanks, digits and marks that splitting rules treat apart.
TEXTS = (
    SAMPLE_TEXT,
    "  Leading blanks, trailing blanks   ",
    "don't WE'LL they're I'd  x  12\t345,678.90%\r\n\r\n\n  #42 (c) [a]{b}",
    "Ærøskøbing, Łódź, İstanbul, Здравствуйте, γειά, 你好世界, こんにちは, שלום, مرحبا, 안녕하세요, 🏦🙂",
    "a/b//c\\d --- ... ??? !!! user@example.org https://example.org/?q=1&r=2",
)
#: How many tokens of the vocabulary are put together to texts, and how many make one text.
TRIED_TOKENS, TOKENS_A_TEXT = 3000, 12


def mend_tokenizer(tokens: GgufTokens, tokenizer: Any) -> Any:
    """A tokenizer that honours every field: transformers' own, or for a vocabulary with scores one built here."""
    if not tokens.byte_level:
        tokenizer = _from_scores(tokens)
    backend = tokenizer.backend_tokenizer
    if tokens.splitting.whole:
        backend.model.ignore_merges = True
    if len(tokens.splitting.patterns) > 1:
        _digits_apart(backend)
    wanted = [number for number in (tokens.first, tokens.last) if number is not None]
    if [number for number in tokenizer("a")["input_ids"] if number in wanted] != wanted or not wanted:
        _set_ends(tokens, tokenizer)
    return tokenizer


def check_tokenizer(tokens: GgufTokens, tokenizer: Any) -> None:
    """Refuse a tokenizer that gives other tokens, ends, special tokens or another template than the file's fields.

    Parameters
    ----------
    tokens
        The plain reading.
    tokenizer
        The converted tokenizer, as it was read back from the store.
    """
    path = str(tokens.file.path)
    for text in (*TEXTS, *_texts(tokens)):
        expected = tokens.encode(text)
        found = tokenizer(text, add_special_tokens=False)["input_ids"]
        if found != expected:
            at = next((n for n, pair in enumerate(zip(found, expected, strict=False)) if pair[0] != pair[1]), 0)
            what = f"its tokenizer cannot be rebuilt exactly: {text[:24]!r} differs at token {at}"
            raise ModelError(path, what, "the same model as safetensors, by dir: or hf:")
    ends = [[number] if number is not None else [] for number in (tokens.first, tokens.last)]
    if tokenizer("a b")["input_ids"] != ends[0] + tokens.encode("a b") + ends[1]:
        raise ModelError(path, "tokenizer.ggml.add_bos_token or add_eos_token is not honoured", "ends as the file says")
    for name, key in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding")):
        number = tokens.fields.get(f"ggml.{key}_token_id")
        if number is not None and getattr(tokenizer, f"{name}_token_id") != number:
            raise ModelError(path, f"tokenizer.ggml.{key}_token_id is not honoured", f"the token {number}")
    if (tokenizer.chat_template or None) != (tokens.fields.get("chat_template") or None):
        raise ModelError(path, "tokenizer.chat_template is not what the converted tokenizer has", "the same template")


def _from_scores(tokens: GgufTokens) -> Any:
    """A vocabulary with scores as merges: every way a token falls into two others, best score first."""
    from tokenizers import AddedToken, Tokenizer, decoders, normalizers
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    scores = tokens.fields["ggml.scores"]
    merges = [
        (-scores[number], number, token[:cut], token[cut:])
        for number, token in enumerate(tokens.tokens)
        for cut in range(1, len(token))
        if token[:cut] in tokens.numbers and token[cut:] in tokens.numbers
    ]
    pairs = [(left, right) for _, _, left, right in sorted(merges)]
    backend = Tokenizer(
        BPE(vocab=tokens.numbers, merges=pairs, byte_fallback=True, fuse_unk=True, unk_token=_unknown(tokens))
    )
    steps: list[Any] = [normalizers.Prepend(SPACE)] if tokens.space_prefix else []
    backend.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", SPACE)])
    strip: list[Any] = [decoders.Strip(content=" ", left=1)] if tokens.space_prefix else []
    backend.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    for kind in (CONTROL, USER_DEFINED):
        found = [token for token, own in zip(tokens.tokens, tokens.types, strict=True) if own == kind and token]
        added = [AddedToken(token, normalized=False, special=kind == CONTROL) for token in found]
        (backend.add_special_tokens if kind == CONTROL else backend.add_tokens)(added)
    named = {}
    for name, key in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding")):
        number = tokens.fields.get(f"ggml.{key}_token_id")
        if number is not None:
            named[f"{name}_token"] = tokens.tokens[number]
    fast: Any = PreTrainedTokenizerFast
    return fast(
        tokenizer_object=backend,
        chat_template=tokens.fields.get("chat_template"),
        clean_up_tokenization_spaces=False,
        **named,
    )


def _unknown(tokens: GgufTokens) -> str | None:
    number = tokens.fields.get("ggml.unknown_token_id")
    return None if number is None else tokens.tokens[number]


def _digits_apart(backend: Any) -> None:
    """Digits one by one, then GPT-2's rule: which transformers does not know, or takes for GPT-2's alone."""
    from tokenizers import pre_tokenizers

    digits = pre_tokenizers.Digits(individual_digits=True)
    backend.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])


def _set_ends(tokens: GgufTokens, tokenizer: Any) -> None:
    from tokenizers import processors

    first, last = (
        [] if number is None else [(tokens.tokens[number], number)] for number in (tokens.first, tokens.last)
    )
    if not first and not last and tokenizer("a")["input_ids"] == tokenizer("a", add_special_tokens=False)["input_ids"]:
        return
    single = " ".join([*(token for token, _ in first), "$A", *(token for token, _ in last)])
    template = processors.TemplateProcessing(single=single, special_tokens=[*first, *last])
    tokenizer.backend_tokenizer.post_processor = template


def _texts(tokens: GgufTokens) -> Iterator[str]:
    """The file's template, and texts made of tokens from all over the vocabulary."""
    if isinstance(template := tokens.fields.get("chat_template"), str):
        yield template[:2000]
    letters = {letter: byte for byte, letter in BYTE_LETTERS.items()}
    step = max(1, len(tokens.tokens) // TRIED_TOKENS)
    words = []
    for token in tokens.tokens[::step]:
        if tokens.byte_level:
            raw = bytes(letters[letter] for letter in token if letter in letters)
            words.append(raw.decode(errors="ignore"))
        else:
            words.append(token.replace(SPACE, " "))
    for start in range(0, len(words), TOKENS_A_TEXT):
        yield "".join(words[start : start + TOKENS_A_TEXT])
