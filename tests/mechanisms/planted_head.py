"""A model of any family whose margin reads what one word does to its last state: a use put there, not learnt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from auditor.language_models.activations import pad

#: How far apart the margins of two prompts are made, in nats.
GAP = 4.0


def read_by_head(model: Any, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], *, answers: tuple[int, int]) -> Any:
    """Give the model a head by which the first prompt of every pair stands ``GAP`` nats above the second.

    Parameters
    ----------
    pairs
        Prompts as tokens.
    answers
        The favourable and the adverse token; every other has a logit of 0.
    """
    first, second = (_last_states(model, [pair[place] for pair in pairs]) for place in (0, 1))
    apart = (first - second).double()
    ridge = 1e-3 * apart.square().sum() / apart.shape[1] * torch.eye(apart.shape[1])
    direction = torch.linalg.solve(apart.T @ apart + ridge, apart.T @ torch.full((len(apart),), GAP).double())
    head = nn.Linear(apart.shape[1], model.get_output_embeddings().weight.shape[0], bias=False)
    with torch.no_grad():
        head.weight.zero_()
        head.weight[answers[0]] = direction.float() / 2
        head.weight[answers[1]] = -direction.float() / 2
    model.set_output_embeddings(head)
    return model


def _last_states(model: Any, prompts: Sequence[Sequence[int]]) -> Tensor:
    """What the head reads at the last token of every prompt."""
    seen: list[Tensor] = []
    handle = model.get_output_embeddings().register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        model(input_ids=pad(prompts), use_cache=False)
    handle.remove()
    return seen[0][torch.arange(len(prompts)), [len(prompt) - 1 for prompt in prompts]]
