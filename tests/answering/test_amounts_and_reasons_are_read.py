"""A plan may read an amount, or reasons, instead of a choice: of an endpoint, of a service and of local weights."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import auditor
from auditor.door.results import Audited
from auditor.exceptions import PlanError
from auditor.plan import plan_from
from auditor.records import Case, Conclusion, Outcome
from reports.blocks import Numbers
from reports.bundle import read_bundle
from reports.content import build_annex, build_content
from reports.publish import write_manifest
from reports.tables import printed
from tests.answering.asked import listed
from tests.engine.small import raw_plan, small_data, small_plan
from tests.language_models.bigram import saying
from tests.language_models.tiny import save_tiny
from tests.observed.test_a_plan_audits_a_decision_file import GOVERNANCE, words_of
from tests.reports.exchanging import checked
from tests.systems.answering import answering
from tests.systems.wires import REFUSAL

SIZE = 120
AMOUNT = {"unit": "USD", "marks": ["$"], "most": 100_000}
REASONS = {"codes": {"R01": "income", "R02": "debts", "R03": "unverifiable"}}
RUN = ["amount_gaps", "reasons_given", "arm_rates"]
RACE = [{"field": "race", "groups": ["White", "Black"], "reference": "White"}]


def granted(income: int, *, black: bool) -> int:
    """A hundred for every unit of income above 20, 700 less to the group, and never less than nothing."""
    return max(0, 100 * (income - 20) - 700 * black)


def told(income: int, *, black: bool) -> list[str]:
    """Reasons against the application: the third follows the protected field alone."""
    return ["R01"] * (income < 30) + ["R03"] * (black and income % 2 == 0)


def declines(income: int, *, black: bool) -> bool:
    return black and income % 10 == 1


class EverySingle:
    """Every text ends where its first token does."""

    def __contains__(self, text: object) -> bool:
        return True


class Officer:
    """Answers by the rules above; refuses some of one group, and speaks of other things to some of both."""

    stop = EverySingle()

    def __init__(self, readout: str) -> None:
        self.readout = readout

    def tokens(self, text: str) -> list[str]:
        return re.findall(r"\s?\S+|\s", text)

    def score(self, text: str) -> list[float | None]:
        return [None, *(-1.0 for _ in self.tokens(text)[1:])]

    def next(self, text: str, generated: list[int]) -> tuple[list[str], np.ndarray]:
        return [self._said(text), "never"], np.array([-0.01, -5.0])

    def _said(self, text: str) -> str:
        if "Race" not in text:
            return "A ripe fruit."
        income, black = facts(text)
        if income % 10 == 0:
            return "It depends on much else."
        if declines(income, black=black):
            return REFUSAL
        if self.readout == "amount":
            return f"${granted(income, black=black):,}"
        return ", ".join(told(income, black=black)) or "None."


def facts(prompt: str) -> tuple[int, bool]:
    found = re.search(r"\d+", prompt)
    assert found is not None
    return int(found[0]), "Race Black" in prompt


def plan_of(readout: str, **changes: Any) -> auditor.Plan:
    table = {"amount": AMOUNT, "reasons": REASONS}[readout]
    reading = {"readout": readout, readout: table, "max_tokens": 8, **changes.pop("reading", {})}
    return small_plan(**{"schema": 2, "reading": reading, "attributes": RACE, "tests__run": RUN, **changes})


def of_endpoint(folder: Path, readout: str, **changes: Any) -> Audited:
    with answering(Officer(readout)) as server:
        store = listed(folder, server.url)
        plan = plan_of(readout, **changes)
        return auditor.audit(plan, folder=folder / "run", model="endpoint:x", data=small_data(SIZE), store=store)


def pairs(found: Audited) -> list[tuple[Case, Case]]:
    """Every application in both versions."""
    sides = {
        group: {case.cluster: case for case in found.conclusions.cases if f"race={group}" in case.arms}
        for group in ("White", "Black")
    }
    return [(case, sides["Black"][cluster]) for cluster, case in sides["White"].items() if cluster in sides["Black"]]


def outcomes(found: Audited) -> Mapping[str, Outcome]:
    return {item.case_id: item.outcome for item in found.conclusions.decisions}


@pytest.fixture(scope="module")
def amounts(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    return of_endpoint(tmp_path_factory.mktemp("amounts"), "amount")


@pytest.fixture(scope="module")
def reasons(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    return of_endpoint(tmp_path_factory.mktemp("reasons"), "reasons")


def test_amounts_of_an_endpoint_are_kept_with_the_exact_text_and_decide_by_the_line_of_the_plan(
    amounts: Audited,
) -> None:
    assert amounts.conclusions.asking is not None
    prompts = {case.id: case.prompt for case in amounts.conclusions.cases}
    seen = set()
    for answer in amounts.conclusions.asking.answers:
        income, black = facts(prompts[answer.case_id])
        seen.add(answer.outcome)
        if answer.outcome is Outcome.UNREADABLE:
            assert (income % 10, answer.amount, answer.text) == (0, None, "It depends on much else.")
        elif answer.outcome is Outcome.REFUSED:
            assert declines(income, black=black)
            assert (answer.amount, answer.text) == (None, REFUSAL)
        else:
            assert answer.amount == granted(income, black=black)
            assert answer.text == f"${granted(income, black=black):,}"
            assert (answer.outcome is Outcome.FAVOURABLE) == (answer.amount > 0)
    assert seen == {Outcome.FAVOURABLE, Outcome.ADVERSE, Outcome.REFUSED, Outcome.UNREADABLE}


def test_the_gap_of_amounts_is_that_of_pairs_with_an_amount_in_both_versions(amounts: Audited) -> None:
    both, lost = [], 0
    for white, black in pairs(amounts):
        income, _ = facts(white.prompt)
        if income % 10 == 0 or declines(income, black=True):
            lost += declines(income, black=True)
            continue
        both.append((granted(facts(white.prompt)[0], black=False), granted(facts(black.prompt)[0], black=True)))
    change = np.array([there - here for here, there in both], dtype=float)
    found = amounts.measurement("amount_gaps/cf_amount_gap/field=race/group=Black/vs=White")
    assert found.estimate == pytest.approx(change.mean())
    assert (found.n, found.unit, found.higher_is_better) == (len(both), "USD", True)
    assert found.counts["without_amount_group"] - found.counts["without_amount_reference"] == lost  # type: ignore[operator]
    assert found.low is not None
    assert found.high is not None
    assert found.low < change.mean() < found.high < 0
    in_sd = amounts.measurement("amount_gaps/cf_amount_gap_sd/field=race/group=Black/vs=White")
    assert in_sd.estimate == pytest.approx(change.mean() / np.std([here for here, _ in both], ddof=1))
    assert in_sd.conclusion is not None
    assert {in_sd.counts["fell"], in_sd.counts["rose"]} == {int((change < 0).sum()), 0}


def test_reasons_turned_on_by_the_protected_field_are_counted_by_reason(reasons: Audited) -> None:
    both = [
        (told(facts(white.prompt)[0], black=False), told(facts(white.prompt)[0], black=True))
        for white, _ in pairs(reasons)
        if facts(white.prompt)[0] % 10 and not declines(facts(white.prompt)[0], black=True)
    ]
    share = reasons.measurement("reasons_given/cf_reason_change/field=race/group=Black/vs=White")
    assert share.estimate == pytest.approx(np.mean([here != there for here, there in both]))
    assert share.counts["placebo_differing"] == 0
    assert share.counts["placebo_pairs"]
    assert share.counts["asked_again_differing"] == 0
    turned = reasons.measurement("reasons_given/cf_reason_gap/field=race/group=Black/reason=R03/vs=White")
    assert turned.counts["turned_on"] == sum("R03" in there for _, there in both)
    assert turned.counts["turned_off"] == 0
    assert turned.conclusion == Conclusion.DIFFERENCE_FOUND
    alike = reasons.measurement("reasons_given/cf_reason_gap/field=race/group=Black/reason=R01/vs=White")
    assert alike.estimate == 0.0
    assert alike.conclusion == Conclusion.INCONCLUSIVE
    # Reasons are those of a denial, and a word says that there is none.
    assert reasons.conclusions.asking is not None
    for answer in reasons.conclusions.asking.answers:
        if answer.reasons is not None:
            assert answer.outcome is (Outcome.ADVERSE if answer.reasons else Outcome.FAVOURABLE)
            assert answer.text == (", ".join(answer.reasons) or "None.")


def test_what_no_answer_holds_is_not_tested_and_says_why(amounts: Audited, reasons: Audited) -> None:
    for found, test, line in (
        (amounts, "reasons_given", "no answer of this run gives reasons"),
        (reasons, "amount_gaps", "no answer of this run holds an amount"),
    ):
        [only] = [item for item in found.conclusions.measurements if item.test == test]
        assert (only.conclusion, only.conclusion_reason) == (Conclusion.NOT_TESTED, line)


@pytest.mark.parametrize(
    ("readout", "text", "read"), [("amount", "1,250", 1250.0), ("reasons", "R03", ("R03",)), ("amount", "yes", None)]
)
def test_weights_are_read_by_the_same_grammars(tmp_path: Path, readout: str, text: str, read: Any) -> None:
    weights = save_tiny(tmp_path / "weights", model=saying(text))
    plan = plan_of(
        readout, noise={"reask": 0}, placebo=None, prompt__template="Income {income}\nRace {race}\nDecision:"
    )
    found = auditor.audit(
        plan, folder=tmp_path / "run", model=f"dir:{weights}", data=small_data(6), store=tmp_path / "store"
    )
    texts = pl.read_parquet(found.evidence / "texts.parquet")
    assert set(texts["text"]) == {f" {text}"}
    kept = texts[readout].to_list()
    assert [tuple(item) if isinstance(item, list) else item for item in kept] == [read] * len(texts)
    expected = {"amount": Outcome.FAVOURABLE, "reasons": Outcome.ADVERSE}[readout] if read else Outcome.UNREADABLE
    assert set(outcomes(found).values()) == {expected}


@pytest.mark.parametrize(
    ("readout", "words", "annex_words"),
    [
        ("amount", ("Change of the amount, in SD of amounts", "USD"), "adverse up to 0 USD"),
        ("reasons", ("Pairs given other reasons", "Change in how often a reason is given", "R03"), "adverse with any"),
    ],
)
def test_report_and_annex_print_them(
    request: pytest.FixtureRequest, readout: str, words: tuple[str, ...], annex_words: str
) -> None:
    found: Audited = request.getfixturevalue({"amount": "amounts", "reasons": "reasons"}[readout])
    write_manifest(found.evidence)
    bundle = read_bundle(found.evidence)
    results = next(part for part in build_content(bundle, GOVERNANCE).sections if part.id == "results_primary")
    tables = [block for block in results.blocks if isinstance(block, Numbers)]
    said = repr([part for table in tables for part in printed(table)])
    for part in words:
        assert part in said
    assert annex_words in words_of(build_annex(bundle, GOVERNANCE))


SERVICE = """
[service.limits]
url = "{url}"

[[service.limits.steps]]
path = "/limits"
body = {{income = "{{income}}", race = "{{race}}"}}

[service.limits.read]
amount = "$.limit"
unit = "EUR"
reasons = "$.reasons"
codes = {{R01 = "income", R02 = "debts", R03 = "unverifiable"}}

[service.limits.example]
income = 50
race = "White"
"""


@contextmanager
def service() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            income, black = int(body["income"]), body["race"] == "Black"
            said = json.dumps({"limit": granted(income, black=black), "reasons": told(income, black=black)}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_service_without_a_choice_decides_by_its_amount_and_gives_reasons_beside(tmp_path: Path) -> None:
    with service() as url:
        (tmp_path / "systems.toml").write_text(SERVICE.format(url=url))
        raw = raw_plan(schema=2, reading={"readout": "amount"}, attributes=RACE, tests__run=RUN, cases__limit=40)
        # A service takes no prompt, so its plan needs none.
        plan = plan_from({key: raw[key] for key in raw.keys() - {"prompt", "placebo"}}, where="limits")
        run = {"folder": tmp_path / "run", "store": tmp_path / "store"}
        found = auditor.audit(plan, model="service:limits", data=small_data(60), **run)  # type: ignore[arg-type]
    # Its paths are none that `verify` follows, so what was read of its answers is said not to be compared.
    seen = checked({path.name: path.read_bytes() for path in found.evidence.iterdir()})
    assert seen.mismatches == ()
    start = "what answers.parquet holds of outcomes, amounts and reasons was not read again"
    assert any(line.startswith(start) for line in seen.said)
    gap = found.measurement("amount_gaps/cf_amount_gap/field=race/group=Black/vs=White")
    assert (gap.unit, gap.n) == ("EUR", len(pairs(found)))
    incomes = [json.loads(white.prompt)["income"] for white, _ in pairs(found)]
    change = [granted(int(one), black=True) - granted(int(one), black=False) for one in incomes]
    assert gap.estimate == pytest.approx(np.mean(change))
    assert found.measurement("reasons_given/cf_reason_change/field=race/group=Black/vs=White").estimate is not None
    assert found.conclusions.asking is not None
    write_manifest(found.evidence)
    assert "handed about one of the applications" in words_of(build_annex(read_bundle(found.evidence), GOVERNANCE))
    for answer in found.conclusions.asking.answers:
        assert answer.amount is not None
        assert answer.outcome is (Outcome.FAVOURABLE if answer.amount > 0 else Outcome.ADVERSE)


@pytest.mark.parametrize("readout", ["amount", "reasons"])
def test_a_plan_says_what_a_readable_answer_looks_like(tmp_path: Path, readout: str) -> None:
    plan = small_plan(schema=2, reading={"readout": readout})
    line = f"reading.readout: {readout!r} has no form to be read by; expected [reading.{readout}], since"
    weights = save_tiny(tmp_path / "weights", model=saying("yes"))
    with pytest.raises(PlanError) as refusal:
        auditor.audit(plan, folder=tmp_path, model=f"dir:{weights}", data=small_data(), store=tmp_path / "store")
    assert line in str(refusal.value)
    with answering() as server:
        where: dict[str, Any] = {"folder": tmp_path / "run", "store": listed(tmp_path, server.url)}
        with pytest.raises(PlanError) as refusal:
            auditor.audit(plan, model="endpoint:x", data=small_data(), **where)
    assert line in str(refusal.value)


@pytest.mark.parametrize(
    ("reading", "line"),
    [
        ({"amount": {"unit": "EUR", "decimal": ",", "thousands": ","}}, "decimal and thousands are written alike"),
        ({"amount": {"unit": "EUR", "marked": True}}, "the unit must be written, and marks says no way to write it"),
        ({"reasons": {"codes": {"R1": "a", "r1": "b"}}}, "expected codes that differ in more than case"),
        ({"reasons": {"codes": {"none": "a"}}}, "'none' is one of the codes"),
    ],
)
def test_forms_that_cannot_be_told_apart_are_refused(reading: dict[str, Any], line: str) -> None:
    with pytest.raises(PlanError, match=line):
        small_plan(schema=2, reading=reading)


def test_a_plan_without_these_tables_keeps_its_hash() -> None:
    assert "amount" not in small_plan(schema=2).design()["reading"]
    assert small_plan(schema=2, reading={"amount": AMOUNT}).design()["reading"]["amount"]["unit"] == "USD"
