"""What a test on internals offers beside ``CARD`` and ``measure(context)``.

plan_chunks(asked)        ─▶ pieces of work    pure, when a run is prepared; one piece becomes one chunk of the run
compute(context, payload)   ─▶ Result            the only step that touches the model; idempotent, deterministic
measure(context, results) ─▶ unadjusted rows   when a run is concluded, from what the chunks gave

``Payload`` and ``Result`` are rows (auditor/testing/rows.py), or unions of rows that a literal tells apart; a ledger
keeps them as bytes. A result may hold ``attributions``, rows of :class:`Attribution`, which the evidence keeps in
``attributions.parquet``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from auditor.exceptions import ModelError
from auditor.language_models.answers import Question, ask, log_odds
from auditor.language_models.decoder import Decoder
from auditor.language_models.decoder_check import SHORT, read_decoder
from auditor.language_models.local import LoadedModel
from auditor.language_models.noise import likelihood, noise_floor
from auditor.language_models.noise_floor import NoiseFloor
from auditor.language_models.not_applicable import NotApplicable
from auditor.language_models.packed import PackedScorer
from auditor.language_models.residual_view import ResidualView
from auditor.language_models.targets import Target, target_of
from auditor.mechanisms._shared.text_model import TextModel
from auditor.plan import Plan
from auditor.prompts import Rendered
from auditor.testing.context import FloatArray

OpensEndpoint = Callable[[str], AbstractContextManager[TextModel]]


def _no_other_model(source: str) -> Any:
    raise ModelError(source, "no model store is at hand here", "a run that brings one")


def no_endpoint(source: str) -> AbstractContextManager[TextModel]:
    """Where no run is at hand whose requests are kept."""
    raise ModelError(source, "no endpoint can be asked here", "a run that keeps its requests")


@dataclass(frozen=True)
class ComputeContext:
    """What a chunk works with: the design, the test's settings, the loaded model and its packed scorer.

    ``longest`` is the number of tokens of the run's longest prompt, which the view into the model is checked at.
    ``render`` puts the words of one application into the plan's prompt (chat template included) and says where every
    field stands. ``should_stop`` is asked between batches; true means raise ``Interrupted``. ``open_model`` loads
    another model by its source, for a test that has one describe what it found; ``open_endpoint`` opens a listed one
    (``endpoint:NAME``).
    """

    plan: Plan
    settings: Any
    loaded: LoadedModel
    scorer: PackedScorer
    render: Callable[[Mapping[str, str]], Rendered]
    should_stop: Callable[[], bool]
    longest: int = SHORT
    open_model: Callable[[str], LoadedModel] = _no_other_model
    open_endpoint: OpensEndpoint = no_endpoint

    def decoder(self) -> Decoder | ResidualView:
        """The view into the model, checked against the model's own logits at the length of the longest prompt."""
        return read_decoder(self.loaded.model, longest=self.longest)

    def questions(self, prompts: Sequence[str]) -> list[Question]:
        """Tokenise prompts, each whole and with each answer of the plan."""
        chat = self.plan.prompt.form == "chat"
        return ask(self.loaded.tokenizer, prompts, self.plan.prompt.answers, chat=chat, where="run")

    def target(self, prompt: str) -> Target | NotApplicable:
        """The tokens that the margin behind a prompt is read from, or why no single position tells the answers apart.

        All prompts of a plan end alike, so that one speaks for all.
        """
        return target_of(self.questions([prompt])[0])

    def noise(self, prompt: str) -> NoiseFloor:
        """What rounding does to the margin of whole answers behind a prompt.

        Answers of several tokens add up log-probabilities, and what two sums of ``n`` may differ by together is at most
        2·n times what one may.
        """
        question = self.questions([prompt])[0]
        target = target_of(question)
        if isinstance(target, Target) and target.exact:
            return noise_floor(self.loaded.model, target)
        answers = question.favourable + question.adverse
        tokens = sorted({token for answer in answers for token in answer})
        return noise_floor(self.loaded.model, likelihood(tokens, times=2.0 * max(map(len, answers))))

    def margins(self, prompts: Sequence[str]) -> FloatArray:
        """The margin of every prompt, in nats: one packed reading, each distinct prefix computed once."""
        scores = self._scores(prompts)
        return np.array([favourable - adverse for favourable, adverse in scores], dtype=np.float64)

    def masses(self, prompts: Sequence[str]) -> FloatArray:
        """The probability on all answers of the plan together, for every prompt."""
        masses: FloatArray = np.exp(np.array(self._scores(prompts), dtype=np.float64)).sum(axis=1)
        return masses

    def _scores(self, prompts: Sequence[str]) -> list[tuple[float, float]]:
        """Log-probability of the favourable and of the adverse answers."""
        questions = self.questions(prompts)
        sequences = [sequence for question in questions for sequence in question.sequences]
        reads = [reads for question in questions for reads in question.reads]
        values = iter(self.scorer.log_probabilities(sequences, reads))
        return [log_odds(question, [next(values) for _ in question.sequences]) for question in questions]
