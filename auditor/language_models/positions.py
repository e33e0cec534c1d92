"""Position encodings that depend on how long the prompt is: dynamic NTK scaling and LongRoPE.

Past a length of their own they read every position of a prompt differently, so a token's state no longer follows from
the tokens before it alone, and prompts of different lengths cannot share a pass. transformers also carries the scale of
the longest prompt so far over to the next one; what a prompt is answered would then depend on what was asked before.
"""

from __future__ import annotations

from typing import Any


def switch_length(model: Any) -> int | None:
    """Tokens past which the position encoding changes with a prompt's length; ``None`` where it never does."""
    lengths = []
    for module in model.modules():
        for kind, rope in _kinds(module):
            if "dynamic" in rope:
                lengths.append(int(module.original_max_seq_len))
            elif rope == "longrope":
                parameters = module.config.rope_parameters
                named = parameters if kind is None else parameters[kind]
                if list(named["long_factor"]) == list(named["short_factor"]):
                    continue  # one list of factors at every length, as a GGUF file with rope_freqs has it
                lengths.append(int(named["original_max_position_embeddings"]))
    return min(lengths, default=None)


def forget_lengths(model: Any) -> None:
    """Take back what dynamic NTK scaling kept of the longest prompt so far: the next is then read like the first."""
    for module in model.modules():
        for kind, rope in _kinds(module):
            if "dynamic" not in rope:
                continue
            prefix = "" if kind is None else f"{kind}_"
            own = getattr(module, f"{prefix}inv_freq")
            original = getattr(module, f"{prefix}original_inv_freq").to(device=own.device, dtype=own.dtype)
            module.register_buffer(f"{prefix}inv_freq", original.clone(), persistent=False)
            setattr(module, f"{prefix}max_seq_len_cached", module.original_max_seq_len)


def _kinds(module: Any) -> list[tuple[str | None, str]]:
    """(type of layer or ``None``, kind of encoding) of a rotary module; empty for any other."""
    rope = getattr(module, "rope_type", None)
    if isinstance(rope, str):
        return [(None, rope)]
    if isinstance(rope, dict):
        return [(str(kind), str(name)) for kind, name in rope.items()]
    return []
