"""No tensor is made without the device of its partner.

Torch's default device is one that holds no numbers, so whatever is made without saying where cannot meet the model's
tensors: what would fail on a machine with an accelerator fails here.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from auditor.language_models.noise import _measure, margin_of
from auditor.language_models.not_applicable import NotApplicable
from auditor.language_models.sites import RESIDUAL
from auditor.mechanisms.attribution_patching import method as attribution_patching
from auditor.mechanisms.circuits import method as circuit
from auditor.mechanisms.circuits.edge_runs import circuit_margins, edge_scores
from auditor.mechanisms.circuits.edges import read_edges
from auditor.mechanisms.components import method as components
from auditor.mechanisms.integrated_gradients.paths import gradient_times_input, integrate
from auditor.mechanisms.patching import method as patching
from tests.mechanisms.computing import compute_context, payload
from tests.mechanisms.test_patches import TARGET, runs_of

TESTS: dict[str, tuple[Any, Any]] = {
    "patching": (patching, patching.Settings()),
    "attribution patching": (attribution_patching, attribution_patching.Settings(top=2)),
    "components": (components, components.Settings()),
    "circuit": (circuit, circuit.Settings(resamples=20, random=1)),
}


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
@pytest.mark.parametrize("name", TESTS)
def test_a_test_on_pairs_names_the_device_of_every_tensor(name: str, family: str) -> None:
    module, settings = TESTS[name]
    at = compute_context(settings, family)
    with torch.device("meta"):
        result = module.compute(at, payload("Black", "Asian"))
    assert len(result.pairs) == 2 - (name == "circuit")
    assert all(check.held for pair in result.pairs for check in pair.checks)


def test_paths_and_edges_name_the_device_of_every_tensor() -> None:
    runs = runs_of("llama")
    base, end = runs.base.states[RESIDUAL, 0], runs.donor.states[RESIDUAL, 0]
    edges = read_edges(runs.decoder)
    assert not isinstance(edges, NotApplicable)
    everything = torch.ones(1, edges.count, dtype=torch.bool).numpy()
    with torch.device("meta"):
        assert integrate(runs.decoder, base=base, end=end, past=runs.prefix, target=TARGET).complete
        assert gradient_times_input(runs.decoder, end, past=runs.prefix, target=TARGET).any()
        assert edge_scores(runs, edges, steps=2, memory=1 << 20).values.any()
        assert circuit_margins(runs, edges, everything, memory=1 << 20) == pytest.approx(runs.base_margin, abs=1e-4)
        assert _measure(runs.decoder.model, margin_of(TARGET), "").logit > 0
