"""The demonstration model scores the demonstration prompts packed as it does one by one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from auditor.counterfactuals import make_clusters, select
from auditor.demo_data import load_loanapp
from auditor.language_models.answers import ask
from auditor.language_models.local import forget_models, load
from auditor.language_models.packed import TOLERANCE, PackedScorer, plain_log_probabilities, probe_packing
from auditor.language_models.store import ModelStore
from auditor.language_models.trie import distinct_tokens
from auditor.plan import read_plan

PLAN = Path(__file__).parents[2] / "plans" / "mortgage-hmda.toml"


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    forget_models()
    torch.set_num_threads(threads)


@pytest.mark.model
def test_an_application_of_the_demonstration_scores_the_same_packed(demo_store: ModelStore) -> None:
    plan, data = read_plan(PLAN, {"cases.limit": "1", "noise.reask": "0"}), load_loanapp()
    loaded = load(demo_store.import_model("demo:smollm2"), threads=1)
    probe = probe_packing(loaded.model, vocabulary=loaded.model.config.vocab_size, longest=1024)
    assert probe.packable, probe.reason
    records = select(plan, data, seen=frozenset(), where="plan").records
    [cluster] = make_clusters(plan, data, records, chat=None, where="plan")
    prompts = [case.prompt for case in cluster.cases]
    questions = ask(loaded.tokenizer, prompts, plan.prompt.answers, chat=False, where="plan")
    sequences = [sequence for question in questions for sequence in question.sequences]
    reads = [read for question in questions for read in question.reads]
    scorer = PackedScorer(loaded.model, pack_tokens=plan.budget.pack_tokens, probe=probe)
    packed = np.concatenate(scorer.log_probabilities(sequences, reads))
    pairs = zip(sequences, reads, strict=True)
    alone = np.concatenate([plain_log_probabilities(loaded.model, *pair) for pair in pairs])
    assert np.abs(packed - alone).max() <= TOLERANCE
    # Sharing is the point: an application's cases cost little more than two prompts.
    assert distinct_tokens(sequences) < 2.5 * max(len(sequence) for sequence in sequences)
