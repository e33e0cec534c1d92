"""Can the decision be read before it is taken: probes at every field's end against the fields read so far.

The state at a field's end has seen the prompt up to there and nothing else, so a probe there is given what the model
had. What the fields themselves tell of the decision, without any model, is the mark to beat: a bag of the fields read
so far, as numbers and words, on the same folds, by the same regression and by one that bends. What a state is credited
with is the smaller of the two excesses: a bend or a product of fields that the model computes is no plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits

from auditor.exceptions import Interrupted
from auditor.language_models.activations import harvest
from auditor.language_models.decoder import Decoder
from auditor.language_models.noise_floor import NoiseFloor
from auditor.language_models.not_applicable import NotApplicable
from auditor.language_models.residual_view import ResidualView
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.float_rows import numbers_of
from auditor.mechanisms._shared.probe_fits import Basis, assign_folds, basis_of, cross_validate
from auditor.mechanisms._shared.probe_readings import read
from auditor.mechanisms._shared.ridge import Skill, gain, predict, skill
from auditor.mechanisms.look_ahead.kernel_reader import predict_curved
from auditor.mechanisms.look_ahead.layout import LAST, lay_out
from auditor.mechanisms.look_ahead.reading_rows import Auroc, Bag, Label, Readings, Site, Told
from auditor.mechanisms.look_ahead.result import Asked, ReadingPayload, ReadingResult
from auditor.statistics.results import BoolArray
from auditor.testing.context import FloatArray

#: Words that fewer applications share are one column together: each alone would be learnt by heart.
COMMON = 2


def compute(context: ComputeContext, payload: ReadingPayload, noise: NoiseFloor) -> ReadingResult:
    """Harvest the states of all applications of the chunk and read margin, outcome and control at every place."""
    ids = tuple(case.id for case in payload.cases)
    if len(ids) < 2 * context.settings.folds:
        reason = f"{len(ids)} applications are too few for {context.settings.folds} folds"
        return ReadingResult(left_out=payload.left_out, noise=noise, reason=reason, cases=ids, found=None)
    # As many threads here as the model is given: a sum's last digits depend on them.
    with threadpool_limits(context.plan.budget.threads):
        found = _readings(context, payload)
    return ReadingResult(left_out=payload.left_out, noise=noise, cases=ids, found=found)


def _readings(context: ComputeContext, payload: ReadingPayload) -> Readings:
    layouts = lay_out(context, [case.words for case in payload.cases])
    fields = tuple(layouts[0].spans)
    decoder = context.decoder()
    layers = spaced(decoder.layers, context.settings.layers)
    states = harvest(
        decoder,
        [layout.tokens for layout in layouts],
        [[*(layout.end(name) for name in fields), layout.last] for layout in layouts],
        layers=layers,
        should_stop=context.should_stop,
    )
    margins, exact = _margins(context, decoder, [layout.text for layout in layouts], states)
    reader = _Reader(context, payload.cases, fields, margins, control=payload.control)
    bags, sites = _read(reader, layers, states)
    return Readings(
        margins=numbers_of(margins),
        exact=exact,
        fields=fields,
        layers=tuple(layers),
        control=payload.control if reader.control is not None else None,
        control_reason=payload.control_reason,
        favourable=int((margins >= context.plan.operating_point.natural_margin).sum()),
        bags=bags,
        sites=sites,
        smaller=reader.smaller,
        solved=reader.solved,
    )


def spaced(last: int, count: int) -> list[int]:
    """At most ``count`` whole numbers from 0 to ``last``, evenly spaced, both ends among them."""
    return sorted({round(last * number / (count - 1)) for number in range(count)})


def bag_of_fields(words: Sequence[Mapping[str, str]], fields: Sequence[str]) -> FloatArray:
    """Some fields as columns, shape (applications, columns).

    A field that most applications give as a number is that number (the mean where one has none, and a column that says
    so); every other field has a column for each word that at least two applications share.
    """
    columns: list[FloatArray] = []
    for name in fields:
        texts = [each[name] for each in words]
        numbers = np.array([_number(text) for text in texts])
        stated = np.isfinite(numbers)
        if stated.mean() > 0.5:
            columns.append(np.where(stated, numbers, numbers[stated].mean()))
            columns += [] if stated.all() else [stated.astype(np.float64)]
        else:
            common = sorted(word for word in set(texts) if texts.count(word) >= COMMON)
            columns += [np.array([text == word for text in texts], dtype=np.float64) for word in common]
    return np.stack(columns, axis=1) if columns else np.empty((len(words), 0))


def _number(text: str) -> float:
    try:
        return float(text.strip().strip("$%").replace(",", ""))
    except ValueError:
        return float("nan")


def _margins(
    context: ComputeContext, decoder: Decoder | ResidualView, prompts: Sequence[str], states: npt.NDArray[np.float32]
) -> tuple[FloatArray, bool]:
    """The decision of every application, and whether it comes from the states at hand; else it is asked for."""
    target = context.target(prompts[0])
    if isinstance(decoder, Decoder) and not isinstance(target, NotApplicable) and target.exact:
        final = torch.as_tensor(states[:, -1, -1]).to(device=decoder.model.device, dtype=decoder.model.dtype)
        with torch.inference_mode():
            return np.asarray(decoder.margin_of(final, target).cpu().double().numpy()), True
    return context.margins(prompts), False


def _read(
    reader: _Reader, layers: Sequence[int], states: npt.NDArray[np.float32]
) -> tuple[tuple[Bag, ...], tuple[Site, ...]]:
    """Every position: the fields up to there, and the state of every layer, shape [rows, positions, layers, width]."""
    bags: list[Bag] = []
    sites: list[Site] = []
    for number, position in enumerate([*reader.fields, LAST]):
        if reader.context.should_stop():
            raise Interrupted("stopped between two positions; nothing of this chunk is kept")
        columns = bag_of_fields(reader.words, reader.fields[: number + 1])
        told, straight = reader.site(basis_of(columns))
        curved, bent = reader.curved(columns)
        bags.append(Bag(position=position, told=told, curved=curved))
        for place, layer in enumerate(layers):
            told, errors = reader.site(basis_of(states[:, number, place]))
            gain = reader.above(errors, straight, bent)
            sites.append(Site(position=position, layer=layer, told=told, gain=gain))
    return tuple(bags), tuple(sites)


def _control(texts: Sequence[str]) -> FloatArray | None:
    """The irrelevant fact as a number: itself, or whether it is the commonest word. ``None`` where it does not vary."""
    values = np.array([_number(text) for text in texts])
    if not np.isfinite(values).all():
        commonest = max(sorted(set(texts)), key=texts.count)
        values = np.array([text == commonest for text in texts], dtype=np.float64)
    return values if len(np.unique(values)) > 1 else None


class _Reader:
    """Reads one site: the margin and the control by ridge, outcome, control and shuffled margins by logistic probes."""

    def __init__(
        self,
        context: ComputeContext,
        cases: Sequence[Asked],
        fields: Sequence[str],
        margins: FloatArray,
        *,
        control: str,
    ) -> None:
        self.context, self.settings = context, context.settings
        self.level = 1 - context.plan.thresholds.alpha
        self.fields = list(fields)
        self.words = [case.words for case in cases]
        self.ids = [case.id for case in cases]
        self.folds = assign_folds(
            groups=self.ids, labels=margins > np.median(margins), folds=self.settings.folds, seed=0
        )
        self.control = _control([each.get(control, "") for each in self.words])
        shuffled = np.random.default_rng(context.plan.cases.seed).permutation(margins)
        favourable = margins >= context.plan.operating_point.natural_margin
        # A margin that does not vary has nothing to read; its spread of 0 says so to whoever measures.
        self.numbers = np.stack([margins, *([] if self.control is None else [self.control])], axis=1)
        labels: dict[Label, BoolArray] = {"shuffled": shuffled > np.median(shuffled)}
        if int(min(favourable.sum(), (~favourable).sum())) >= self.settings.folds:
            labels["outcome"] = favourable
        if self.control is not None:
            labels["control"] = self.control > self.control.mean()
        self.labels: dict[Label, BoolArray] = {
            name: label for name, label in labels.items() if label.any() and not label.all()
        }
        self.smaller: dict[Label, int] = {
            name: int(min(label.sum(), (~label).sum())) for name, label in self.labels.items()
        }
        self.solved = True
        means = predict(features=np.empty((len(margins), 0)), targets=self.numbers, folds=self.folds)[1]
        self.squares = (self.numbers - means) ** 2

    def above(self, errors: FloatArray, *bags: FloatArray) -> Skill | None:
        """How much more of the margin is read than by the best reader of the fields.

        ``None`` where no margin differs from another. The smallest excess with the lowest ends, and the largest
        p-value: that it is above one reader and not the other shows nothing.
        """
        spread = np.asarray(self.squares[:, 0])
        if not spread.sum() > 0:
            return None
        found = [gain(errors=errors, others=bag, spread=spread, level=self.level) for bag in bags]
        least = min(found, key=lambda each: each.value)
        return Skill(
            value=least.value,
            low=min(each.low for each in found),
            high=min(each.high for each in found),
            p_value=max(each.p_value for each in found),
        )

    def curved(self, columns: FloatArray) -> tuple[Skill | None, FloatArray]:
        """What a reader that bends tells of the margin, and its squared errors."""
        predictions = predict_curved(columns=columns, targets=self.numbers[:, :1], folds=self.folds)
        errors = (self.numbers[:, :1] - predictions) ** 2
        return self._skill(errors, 0), np.asarray(errors[:, 0])

    def site(self, basis: Basis) -> tuple[Told, FloatArray]:
        """What is read, and the squared errors of the margin."""
        predictions, _ = predict(features=basis.scores[:, :-1], targets=self.numbers, folds=self.folds)
        errors = (self.numbers - predictions) ** 2
        told = Told(
            margin=self._skill(errors, 0),
            control=self._skill(errors, 1) if errors.shape[1] > 1 else None,
            auroc=dict(self._aurocs(basis)),
        )
        return told, np.asarray(errors[:, 0])

    def _skill(self, errors: FloatArray, column: int) -> Skill | None:
        if not self.squares[:, column].sum() > 0:
            return None
        return skill(errors=errors[:, column], spread=self.squares[:, column], level=self.level)

    def _aurocs(self, basis: Basis) -> Iterable[tuple[Label, Auroc]]:
        if not self.labels:
            return
        logits, solved = cross_validate(
            basis=basis,
            labels=np.stack(list(self.labels.values()), axis=1),
            partitions=[self.folds],
            penalty=self.settings.penalty,
        )
        self.solved = self.solved and solved
        for column, (name, labels) in enumerate(self.labels.items()):
            if np.isfinite(logits[:, column]).all():
                got = read(logits=logits[:, column], labels=labels, clusters=self.ids, level=self.level)
                yield name, Auroc(value=got.auroc, low=got.auroc_low, high=got.auroc_high)
