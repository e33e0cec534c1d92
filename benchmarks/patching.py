"""Patching the residual stream by layer × position against TransformerLens, time a node.

Nodes: every layer at positions drawn from those where the two prompts' states differ. Before the first difference ours
computes nothing (the effect is exactly 0) and TransformerLens does; those nodes are left out, which favours the peer.
Ours is timed from tokens on; the peer's run of the donor prompt (its cache) is in its time too, and so is what it takes
to read one margin. Agreement is the largest difference of a patched margin in nats.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from auditor.mechanisms._shared.pairs import run_pair
from auditor.mechanisms._shared.patches import FloatArray, residual_effects
from benchmarks.contrast import Contrast, make_contrast
from benchmarks.rows import Row, seconds

POSITIONS = 7


def run() -> Iterator[Row]:
    """One row: at least 200 nodes."""
    contrast = make_contrast(1)
    pair = contrast.pairs[0]
    drawn = np.random.default_rng(0).choice(range(pair.first, len(pair.base)), size=POSITIONS, replace=False)
    positions = sorted(int(place) for place in drawn)
    layers = list(range(contrast.decoder.layers))
    found = ours(contrast, positions, layers)
    mine = seconds(lambda: ours(contrast, positions, layers), repeats=3)
    took, theirs = lens(contrast, positions, layers)
    nodes = len(positions) * len(layers)
    everywhere = list(range(pair.first, len(pair.base)))
    all_of_it = seconds(lambda: ours(contrast, everywhere, layers))
    yield Row(
        name="patching: residual stream, layer × position",
        ours=1000 * mine / nodes,
        peer=1000 * took / nodes,
        ratio=took / mine,
        agreement=float(np.abs(found - theirs).max()),
        unit="ms a node",
        n=nodes,
        extra={
            "peer_method": "TransformerLens generic_activation_patch, resid_pre",
            "tolerance": 1e-4,
            "ours_all_positions_ms_a_node": 1000 * all_of_it / (len(everywhere) * len(layers)),
            "largest_effect": float(np.abs(found).max()),
            **contrast.about,
        },
    )


def ours(contrast: Contrast, positions: list[int], layers: list[int]) -> FloatArray:
    """Patched margins [positions, layers], from tokens on."""
    runs = run_pair(contrast.decoder, contrast.target, contrast.pairs[0])
    effects: FloatArray = residual_effects(runs, [[place] for place in positions], layers=layers) + runs.base_margin
    return effects


def lens(contrast: Contrast, positions: list[int], layers: list[int]) -> tuple[float, FloatArray]:
    """Seconds and patched margins [positions, layers] of TransformerLens' own patching function."""
    import pandas as pd
    from transformer_lens import patching
    from transformer_lens.patching import generic_activation_patch, layer_pos_patch_setter

    # Its progress bar is not part of the comparison.
    patching.tqdm = lambda rows: rows
    model = hooked_transformer(contrast.context.loaded.model)
    pair, target = contrast.pairs[0], contrast.target
    (favourable,), (adverse,) = target.favourable, target.adverse

    def metric(logits: torch.Tensor) -> torch.Tensor:
        return logits[0, -1, favourable] - logits[0, -1, adverse]

    index = pd.DataFrame([(layer, place) for place in positions for layer in layers], columns=["layer", "pos"])
    with torch.no_grad():
        started = time.perf_counter()
        _, cache = model.run_with_cache(torch.tensor([pair.donor]))
        margins = generic_activation_patch(
            model,
            torch.tensor([pair.base]),
            cache,
            metric,
            layer_pos_patch_setter,
            "resid_pre",
            index_df=index,
        )
        took = time.perf_counter() - started
    return took, margins.double().numpy().reshape(len(positions), len(layers))


def hooked_transformer(model: Any) -> Any:
    """A HookedTransformer with the weights of a loaded Llama: its configuration by hand, so that no hub is asked."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig
    from transformer_lens.pretrained.weight_conversions import convert_llama_weights

    own = model.config
    config = HookedTransformerConfig(
        n_layers=own.num_hidden_layers,
        d_model=own.hidden_size,
        d_head=own.hidden_size // own.num_attention_heads,
        n_heads=own.num_attention_heads,
        n_key_value_heads=own.num_key_value_heads,
        d_mlp=own.intermediate_size,
        n_ctx=1024,
        d_vocab=own.vocab_size,
        act_fn="silu",
        gated_mlp=True,
        final_rms=True,
        normalization_type="RMS",
        positional_embedding_type="rotary",
        rotary_dim=own.hidden_size // own.num_attention_heads,
        rotary_adjacent_pairs=False,
        rotary_base=own.rope_parameters["rope_theta"],
        eps=own.rms_norm_eps,
        original_architecture="LlamaForCausalLM",
        default_prepend_bos=False,
        device="cpu",
        dtype=torch.float32,
    )
    hooked = HookedTransformer(config)
    hooked.load_state_dict(convert_llama_weights(model, config), strict=False)
    return hooked.eval().requires_grad_(False)
