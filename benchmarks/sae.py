"""Training a sparse autoencoder against SAELens' TopK trainer: same states, width, k, steps and batches.

The states are SmolLM2's, before block 15, at every distinct token of real counterfactual prompts; those longer than ten
medians are left out, a quarter of the applications is held out. Both sides see as many tokens in batches of one size,
shuffled anew for every pass, with Adam in fp32 at one rate, one warm-up and one decay, and keep k latents a token. The
peer scales its input as it recommends (mean norm √width; ours: root mean square 1); every other setting of it is its
default, and of its two ways to hold activations, dense and sparse, the faster one counts. Timed is training alone. One
evaluator, ours, measures both on the held-out states; agreement is our unexplained variance minus the peer's.
"""

from __future__ import annotations

import contextlib
import gc
import io
import resource
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from auditor.demo_data import load_loanapp
from auditor.language_models.answers import encode
from auditor.language_models.decoder_check import read_decoder
from auditor.mechanisms.sae.dictionary import NORM_CAP
from auditor.mechanisms.sae.files import load as load_autoencoder
from auditor.mechanisms.sae.quality import measure
from auditor.mechanisms.sae.readings import EVERYBODY, TokenisedPrompt, read_states
from auditor.mechanisms.sae.states import Matrix
from auditor.mechanisms.sae.training import Recipe, train
from auditor.prompts import parse_template, render
from benchmarks.models import load_demo
from benchmarks.rows import Row, seconds
from benchmarks.scoring import RACE_LAST

APPLICATIONS = 48
GROUPS = ("White", "Black", "Hispanic")
LAYER = 15
STEPS, BATCH, RATE = 60, 2048, 1e-3
WARM_UP, DECAY = 0.05, 0.3
SIZES = ((2304, 32), (4608, 32))


def run() -> Iterator[Row]:
    """One row a dictionary size."""
    states, held_out = _states()
    for latents, k in SIZES:
        yield _row(states, held_out, latents, k)


def _row(states: Tensor, held_out: Tensor, latents: int, k: int) -> Row:
    recipe = Recipe(
        latents=latents,
        k=k,
        steps=STEPS,
        batch=BATCH,
        learning_rate=RATE,
        warm_up=WARM_UP,
        decay=DECAY,
        # The peer counts steps where ours counts tokens.
        dead_after=50 * BATCH,
        norm_cap=NORM_CAP,
    )
    done: dict[str, Any] = {}
    with _Memory() as memory:
        ours = seconds(lambda: done.update(ours=train(Matrix(states), recipe).autoencoder))
    batches = _batches(states)
    peers: dict[str, float] = {}
    qualities: dict[str, Any] = {}
    peer_memory: dict[str, int] = {}
    refused = None
    for name, sparse in (("dense", False), ("sparse", True)):
        trainer = _peer(states.shape[1], latents, k, batches, sparse=sparse)
        try:
            with _Memory() as peer_used:
                peers[name] = seconds(lambda trainer=trainer: _quietly(trainer))  # type: ignore[misc]
        except NotImplementedError as error:
            refused = f"{name}: {str(error)[:60]}"
            continue
        peer_memory[name] = peer_used.rise_mib
        qualities[name] = measure(_as_ours(trainer.sae), Matrix(held_out))
    best = min(peers, key=lambda name: peers[name])
    quality = measure(done["ours"], Matrix(held_out))
    tokens = STEPS * BATCH
    return Row(
        name=f"sae: TopK, {latents} latents, k {k}, against SAELens",
        ours=tokens / ours,
        peer=tokens / peers[best],
        ratio=peers[best] / ours,
        agreement=quality.fvu - qualities[best].fvu,
        unit="tokens/s",
        n=tokens,
        extra={
            "peer_way": best,
            "peer_other": tokens / max(peers.values()) if len(peers) > 1 else None,
            "peer_refused": refused,
            "fvu": quality.fvu,
            "peer_fvu": qualities[best].fvu,
            "dead": quality.dead,
            "peer_dead": qualities[best].dead,
            "l0": quality.l0,
            "peer_l0": qualities[best].l0,
            "training_states": len(states),
            "held_out_states": len(held_out),
            "memory_rise_mib": memory.rise_mib,
            "peer_memory_rise_mib": peer_memory[best],
        },
    )


def _peer(width: int, latents: int, k: int, batches: Iterator[Tensor], *, sparse: bool) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sae_lens import TopKTrainingSAE, TopKTrainingSAEConfig
        from sae_lens.config import SAETrainerConfig
        from sae_lens.training.sae_trainer import SAETrainer
    torch.manual_seed(0)
    sae = TopKTrainingSAE(
        TopKTrainingSAEConfig(
            d_in=width,
            d_sae=latents,
            k=k,
            use_sparse_activations=sparse,
            # With sparse activations its backward pass through the rescaling is not there for the CPU.
            rescale_acts_by_decoder_norm=not sparse,
            normalize_activations="expected_average_only_in",
            device="cpu",
        )
    )
    config = SAETrainerConfig(
        total_training_samples=STEPS * BATCH,
        train_batch_size_samples=BATCH,
        lr=RATE,
        lr_end=0.0,
        lr_warm_up_steps=round(WARM_UP * STEPS),
        lr_decay_steps=round(DECAY * STEPS),
        dead_feature_window=50,
        n_batches_for_norm_estimate=10,
        device="cpu",
    )
    return SAETrainer(cfg=config, sae=sae, data_provider=batches)


def _quietly(trainer: Any) -> None:
    with contextlib.redirect_stderr(io.StringIO()):
        trainer.fit()


def _as_ours(sae: Any) -> Any:
    """The peer's autoencoder through its own files, read by our loader."""
    with tempfile.TemporaryDirectory() as folder:
        sae.save_inference_model(folder)
        return load_autoencoder(Path(folder))


def _batches(states: Tensor) -> Iterator[Tensor]:
    """Shuffled anew for every pass, as ours are."""
    generator = torch.Generator().manual_seed(0)
    held = torch.empty(0, dtype=torch.int64)
    while True:
        if len(held) < BATCH:
            held = torch.cat([held, torch.randperm(len(states), generator=generator)])
        yield states[held[:BATCH]]
        held = held[BATCH:]


def _states() -> tuple[Tensor, Tensor]:
    """States to train on, and those of held-out applications."""
    loaded = load_demo()
    data = load_loanapp()
    labels = {item.name: item.label for item in data.mapping.fields}
    template = parse_template(RACE_LAST, fields=(), labels=labels, style="lines", where="benchmark")
    prompts = []
    for number, record in enumerate(data.records[:APPLICATIONS]):
        words = {item.name: item.say(record.values[item.name]) for item in data.mapping.fields}
        rendered = [render(template, {**words, "race": group}) for group in GROUPS]
        encodings = encode(loaded.tokenizer, [item.text for item in rendered], chat=False)
        prompts += [
            TokenisedPrompt(number, ("race", group), item.text, item.spans, encoding.ids, encoding.offsets)
            for group, item, encoding in zip(GROUPS, rendered, encodings, strict=True)
        ]
    read = read_states(read_decoder(loaded.model), prompts, layer=LAYER)
    kept = read.states.norm(dim=1)
    kept_rows = kept <= NORM_CAP * kept.median()
    apart = torch.from_numpy((read.application != EVERYBODY) & (read.application % 4 == 1))
    return read.states[kept_rows & ~apart], read.states[kept_rows & apart]


class _Memory:
    """How far resident memory rises above where it was, looked at every 5 ms."""

    def __init__(self) -> None:
        self.rise_mib = 0
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        gc.collect()
        self._start = _resident()
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._done.wait(0.005):
            self.rise_mib = max(self.rise_mib, (_resident() - self._start) >> 20)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
