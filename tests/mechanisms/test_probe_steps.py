"""What probes of a real run amount to: stated says nothing of encoded, and any two words may be read apart."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
import torch

from auditor.applications import Applications, apply_mapping
from auditor.canonical import sha256_bytes
from auditor.catalogue import TESTS
from auditor.mapping_files import mapping_from
from auditor.mechanisms.probing import method
from auditor.mechanisms.probing.result import TrainedPayload, TrainedResult
from auditor.plan import Plan
from auditor.records import Conclusion, Measurement
from auditor.synthesis.ladder import Rung, climb
from tests.acceptance.planted import planted_model
from tests.engine.small import MAPPING
from tests.language_models.zoo import zoo_model
from tests.mechanisms.asking import asked, through_a_ledger
from tests.mechanisms.test_probes_and_erasure import DATA, concluded, context_with, of, plan_of
from tests.second_device import second_device

probes = TESTS["probes"]


def giving_away(size: int = 48) -> Applications:
    """Applications in which income says the race: all that is left where the race itself is withheld."""
    table = pl.DataFrame(
        {
            "income": [95 + number % 5 if number % 2 else 11 + number % 3 for number in range(size)],
            "race": [["White", "Black"][number % 2] for number in range(size)],
            "sex": [["male", "female"][number // 2 % 2] for number in range(size)],
            "approved": [int(number % 5 > 0) for number in range(size)],
        }
    )
    mapping = mapping_from(MAPPING, where="small")
    return apply_mapping(table, mapping, source="small.csv", file_sha256=sha256_bytes(b"giving away"))


def rung(found: tuple[Any, tuple[Measurement, ...], Plan]) -> Rung:
    (only,) = climb(found[1], plan=found[2])
    return only


def test_a_word_told_apart_by_one_letter_is_not_selective() -> None:
    # The model reads one letter and no attribute: it tells Black from Maple as well as from White.
    found = concluded(probes, planted_model("B", against=40.0), applications=24, untrained=False)
    item = of(found[1], "probe_selectivity", setting="stated")

    assert item.counts["accuracy"] == 1.0
    words = item.counts["control_words"]
    assert item.p_value == (1 + words) / (1 + item.counts["draws"])
    assert rung(found).steps["selective"] is not True
    assert item.counts["draws"] >= item.counts["draws_needed"]
    assert item.family == "inside: probes"


def test_where_the_prompt_states_it_being_read_everywhere_does_not_make_it_encoded() -> None:
    found = concluded(probes, planted_model("B", against=40.0), applications=24, untrained=False)
    stated = of(found[1], "probe_layers_readable", setting="stated")

    assert stated.estimate is not None
    assert stated.estimate > 0
    assert stated.p_value is None
    assert rung(found).steps["encoded"] is None
    assert rung(found).found[0].reason.startswith("too few applications to say")


def test_an_attribute_that_other_fields_give_away_is_encoded() -> None:
    found = concluded(probes, planted_model("B", against=0.0), data=giving_away(), applications=24, untrained=False)
    withheld = of(found[1], "probe_layers_readable", setting="withheld")

    assert rung(found).steps["encoded"] is True
    assert withheld.p_adjusted == pytest.approx(1 / (withheld.counts["draws"] + 1))
    assert withheld.family == "inside: probes, withheld"


def test_too_few_control_words_say_that_they_are_too_few() -> None:
    found = concluded(
        probes,
        planted_model("B", against=40.0),
        applications=24,
        untrained=False,
        control_words=("Amber", "Cedar", "Delta", "A", "B"),
    )
    item = of(found[1], "probe_selectivity", setting="stated")

    assert item.conclusion is Conclusion.INCONCLUSIVE
    assert item.conclusion_reason is not None
    assert item.conclusion_reason.startswith("Too few draws to say: ")
    assert rung(found).steps["selective"] is None


def piece() -> tuple[method.Settings, Plan, TrainedPayload]:
    plan = plan_of("probes")
    settings = method.Settings(attributes=("race",), applications=12, untrained=False, folds=3)
    (work,) = method.plan_chunks(asked(settings, plan=plan, data=DATA))
    return settings, plan, TrainedPayload.read(through_a_ledger(work.payload))


def computed(model: Any) -> TrainedResult:
    settings, plan, payload = piece()
    found = method.compute(context_with(model, settings, plan), payload)
    assert isinstance(found, TrainedResult)
    return found


def test_probes_run_on_another_device_and_read_the_same() -> None:
    model = zoo_model("llama")
    with second_device(model):
        there = computed(model)

    assert there == computed(zoo_model("llama"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_probes_run_in_other_precisions(dtype: torch.dtype) -> None:
    single, other = computed(zoo_model("llama")), computed(zoo_model("llama").to(dtype))

    assert [item.at for item in other.probes] == [item.at for item in single.probes]
    if dtype is torch.float64:
        accuracies = [item.reading.accuracy for item in single.probes]
        assert [item.reading.accuracy for item in other.probes] == accuracies
