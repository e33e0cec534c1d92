"""A small seeded simulation of an audit, written out as an evidence folder: real arithmetic, made-up applicants."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from scipy import stats

from auditor.canonical import canonical_json, sha256_json
from auditor.plan import read_plan
from auditor.records import Case, Check, Conclusion, Decision, Finding, Measurement, Outcome, Role, Severity

PLAN = Path(__file__).resolve().parents[2] / "plans" / "mortgage-hmda.toml"
PEOPLE = 600


def write_evidence(
    folder: Path, *, packs: list[dict], mute: bool, seed: int = 7, weights: str = "weights", bias: float = -0.9
) -> None:
    """Simulate a model on 600 applications and write every evidence file but figures and manifest."""
    plan = read_plan(PLAN)
    rng = np.random.default_rng(seed)
    design = plan.design()
    groups = {a.field: a.groups for a in plan.attributes}
    reference = {a.field: a.reference for a in plan.attributes}
    own = {
        "race": rng.choice(groups["race"], PEOPLE, p=(0.845, 0.1, 0.055)),
        "sex": rng.choice(groups["sex"], PEOPLE, p=(0.8, 0.2)),
        "marital_status": rng.choice(groups["marital_status"], PEOPLE, p=(0.65, 0.35)),
    }
    worth = rng.normal(-3.1, 0.05, PEOPLE) if mute else rng.normal(3.2, 2.4, PEOPLE)
    shift = {"Black": bias, "Hispanic": -0.05, "female": -0.03, "unmarried": 0.02}
    if mute:
        shift = {"Black": 0.04, "Hispanic": 0.01, "female": 0.0, "unmarried": 0.002}
    spread = 0.004 if mute else 0.12
    cases, decisions = [], []
    margin: dict[tuple[int, str, str], float] = {}
    mass = 0.005 if mute else 0.999

    def ask(number: int, role: str, changed: str | None, value: dict[str, str], arms: tuple[str, ...]) -> float:
        effect = sum(shift.get(word, 0.0) for word in value.values())
        noise = rng.normal(0, spread)
        seen = float(worth[number] + effect + noise)
        case = Case(
            f"{number:05d}.{role}.{changed or 'own'}.{'-'.join(value.values())}",
            f"{number:05d}",
            role,
            changed,
            value,
            arms,
            f"Application {number}",
            {},
        )
        outcome = Outcome.INVALID if mute else Outcome.FAVOURABLE if seen >= 0 else Outcome.ADVERSE
        cases.append(case)
        adverse = math.log(mass) - math.log1p(math.exp(seen))
        decisions.append(Decision(case.id, seen, mass, adverse + seen, adverse, outcome))
        return seen

    for number in range(PEOPLE):
        value = {field: str(own[field][number]) for field in groups}
        arms = tuple(f"{field}={group}" for field, group in value.items())
        actual = ask(number, "actual", None, value, arms)
        for field, names in groups.items():
            for group in names:
                if group == value[field]:
                    margin[number, field, group] = actual
                else:
                    changed = {**value, field: group}
                    margin[number, field, group] = ask(number, "counterfactual", field, changed, (f"{field}={group}",))
    rows = _measure(margin, own, groups, reference, mute=mute, shown=design["thresholds"])
    findings = _findings(rows)
    run = {
        "design": design,
        "design_sha256": plan.design_sha256,
        "model": {
            "source": "demo:underwriter",
            "sha256": sha256_json(weights),
            "manifest": {
                "name": "underwriter 1.0",
                "architecture": "LlamaForCausalLM",
                "parameters": 134515008,
                "files": [{"path": "model.safetensors", "sha256": sha256_json(weights), "bytes": 269060552}],
            },
        },
        "data": {
            "source": "demo:loanapp",
            "name": "loanapp",
            "title": "Boston-area mortgage applications",
            "citation": "Hunter and Walker (1996), J. Real Estate Finance and Economics 13, 57–70",
            "population": "Applicants for home purchase mortgages, Boston metropolitan area, 1990–91",
            "fingerprint": sha256_json("rows"),
            "file_sha256": sha256_json("file"),
            "mapping": {"name": "loanapp", "fields": []},
            "rows": 1989,
            "selected": [f"{number:05d}" for number in range(PEOPLE)],
            "left_out": {"in the model's training record": 900, "sex not stated": 8, "beyond the limit": 481},
        },
        "packs": [{"id": p["id"], "version": p["version"], "sha256": sha256_json(p)} for p in packs],
        "code": {
            "version": "0.1.0",
            "sha256": sha256_json("code"),
            "libraries": {"torch": "2.13.0", "transformers": "5.23.0"},
        },
        "bound": {"where": "command line"},
    }
    environment = {
        "python": "3.11.2",
        "libraries": {"torch": "2.13.0"},
        "machine": "x86_64",
        "platform": "Linux",
        "cpus": 2,
        "scoring": {"packing": {"packable": True, "reason": "", "largest_difference": 1.6e-5}},
    }
    controls = _controls(rows)
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in {
        "plan.json": design,
        "run.json": run,
        "environment.json": environment,
        "packs.json": packs,
        "measurements.json": [row.row() for row in rows],
        "findings.json": [f.row() for f in findings],
        "controls.json": controls,
    }.items():
        (folder / name).write_bytes(canonical_json(_plain(value)) + b"\n")
    pl.DataFrame(
        [{**case.row(), "spans": "{}", "groups": canonical_json(case.groups).decode()} for case in cases]
    ).write_parquet(folder / "cases.parquet", compression="uncompressed")
    pl.DataFrame([{**d.row(), "outcome": str(d.outcome)} for d in decisions]).write_parquet(
        folder / "decisions.parquet", compression="uncompressed"
    )


def _measure(margin, own, groups, reference, *, mute, shown) -> list[Measurement]:
    rows: list[Measurement] = []
    approved = {key: (not mute) and value >= 0 for key, value in margin.items()}
    for field, names in groups.items():
        base = reference[field]
        sd = float(np.std([margin[i, field, base] for i in range(PEOPLE)], ddof=1))
        arm = np.array([approved[i, field, base] for i in range(PEOPLE)])
        threshold = float(np.quantile([margin[i, field, base] for i in range(PEOPLE)], 1 - 0.877))
        for group in names:
            query = f"arm:{field}={group}"
            k = sum(approved[i, field, group] for i in range(PEOPLE))
            rows.append(_rate("arm_rates", "selection_rate", field, group, k, PEOPLE, Role.SECONDARY, query))
            rows.append(
                _rate("arm_rates", "invalid_rate", field, group, PEOPLE if mute else 0, PEOPLE, Role.SUPPORTING, query)
            )
            mine = [i for i in range(PEOPLE) if own[field][i] == group]
            rows.append(
                _rate(
                    "group_rates",
                    "selection_rate",
                    field,
                    group,
                    sum(approved[i, field, group] for i in mine),
                    len(mine),
                    Role.EXPLORATORY,
                    query,
                )
            )
            if group == base:
                continue
            other = np.array([approved[i, field, group] for i in range(PEOPLE)])
            b, c = int((arm & ~other).sum()), int((~arm & other).sum())
            rows.append(_net("cf_net_effect", field, group, base, b, c, mute=mute))
            low_arm = np.array([margin[i, field, base] >= threshold for i in range(PEOPLE)])
            low_other = np.array([margin[i, field, group] >= threshold for i in range(PEOPLE)])
            matched = _net(
                "cf_net_effect_matched",
                field,
                group,
                base,
                int((low_arm & ~low_other).sum()),
                int((~low_arm & low_other).sum()),
                mute=False,
            )
            rows.append(matched if mute else replace(matched, role=Role.SECONDARY))
            rows.append(
                _rate("counterfactual", "cf_flip_rate", field, group, b + c, PEOPLE, Role.SECONDARY, query, base)
            )
            difference = np.array([margin[i, field, group] - margin[i, field, base] for i in range(PEOPLE)])
            mean, half = float(difference.mean()), 1.96 * float(difference.std(ddof=1)) / math.sqrt(PEOPLE)
            for metric, unit, scale in (("cf_mean_shift", "logit", 1.0), ("cf_mean_shift_sd", "sd", sd)):
                rows.append(
                    Measurement(
                        f"counterfactual.{metric}.{field}.{group}",
                        "counterfactual",
                        metric,
                        Role.SECONDARY,
                        {"field": field, "group": group},
                        unit,
                        base,
                        mean / scale,
                        (mean - half) / scale,
                        (mean + half) / scale,
                        higher_is_better=True,
                        n=PEOPLE,
                        p_value=float(stats.wilcoxon(difference).pvalue),
                        family="exploratory",
                        conclusion=Conclusion.DIFFERENCE_FOUND
                        if abs(mean / sd) >= 0.1
                        else Conclusion.DIFFERENCE_BELOW_THRESHOLD,
                        cases=query,
                        method="Wilcoxon signed-rank",
                        level=0.95,
                    )
                )
            k0 = sum(approved[i, field, base] for i in range(PEOPLE) if own[field][i] == base)
            n0 = sum(own[field][i] == base for i in range(PEOPLE))
            k1 = sum(approved[i, field, group] for i in mine)
            value = None if k0 == 0 else (k1 / len(mine)) / (k0 / n0)
            rows.append(
                Measurement(
                    f"group_rates.impact_ratio.{field}.{group}",
                    "group_rates",
                    "impact_ratio",
                    Role.EXPLORATORY,
                    {"field": field, "group": group},
                    "ratio",
                    base,
                    value,
                    higher_is_better=True,
                    n=len(mine) + n0,
                    family="exploratory",
                    cases=query,
                    missing_reason=None if value else "the reference group's rate is 0",
                    level=0.95,
                )
            )
    auc = Measurement(
        "model_quality.auc",
        "model_quality",
        "auc",
        Role.SUPPORTING,
        {},
        "share",
        estimate=0.5 if mute else 0.842,
        low=0.45 if mute else 0.79,
        high=0.55 if mute else 0.89,
        n=PEOPLE,
        higher_is_better=True,
        level=0.95,
    )
    floor = [
        replace(
            _rate("noise_floor", "cf_noise_floor", "", "", k, n, Role.SUPPORTING, f"arm:{change}={pair}"),
            id=f"noise_floor.{change}",
            subject={"change": change},
        )
        for change, pair, k, n in (
            ("reask", "first|reask=second", 0, 100),
            ("placebo", "filed|placebo=changed", 1, PEOPLE),
        )
    ]
    return _holm([*rows, auc, *floor], shown)


def _rate(test, metric, field, group, k, n, role, query, base=None) -> Measurement:
    interval = stats.binomtest(k, n).proportion_ci(method="wilson" if test != "counterfactual" else "exact")
    name = ".".join(part for part in (test, metric, field, group) if part)
    subject = {"field": field, "group": group} if field else {}
    return Measurement(
        name,
        test,
        metric,
        role,
        subject,
        "rate",
        base,
        k / n,
        float(interval.low),
        float(interval.high),
        n=n,
        counts={"k": k},
        cases=query,
        method="Wilson",
        level=0.95,
    )


def _net(metric, field, group, base, b, c, *, mute) -> Measurement:
    delta, discordance = (c - b) / PEOPLE, (b + c) / PEOPLE
    half = 1.96 * math.sqrt(max(discordance - delta**2, 1 / PEOPLE) / PEOPLE)
    z_a, z_b = 1.959964, 0.841621
    mde = (
        math.sqrt(max(discordance, 1e-4))
        * (z_a * math.sqrt(PEOPLE) + z_b * math.sqrt(PEOPLE + z_b**2 - z_a**2))
        / (PEOPLE + z_b**2)
    )
    p = float(stats.binomtest(min(b, c), b + c).pvalue) if b + c else 1.0
    check = Check(
        "answers given",
        not mute,
        1.0 if mute else 0.0,
        0.05,
        "the model gave no usable answer in 100.0% of cases; the plan allows 5.0%" if mute else "",
    )
    return Measurement(
        f"counterfactual.{metric}.{field}.{group}",
        "counterfactual",
        metric,
        Role.PRIMARY if not mute or metric.endswith("matched") else Role.SECONDARY,
        {"field": field, "group": group},
        "rate_difference",
        base,
        delta,
        max(-1, delta - half),
        min(1, delta + half),
        higher_is_better=True,
        n=PEOPLE,
        sd_units=(c - b) / math.sqrt(b + c) if b + c else None,
        p_value=p,
        family="primary",
        counts={"b": b, "c": c, "mde": mde, "flips": b + c},
        cases=f"arm:{field}={group}|{field}={base}",
        checks=(check,),
        method="exact McNemar; Tango",
        level=0.95,
    )


def _holm(rows, shown) -> list[Measurement]:
    done: list[Measurement] = []
    for metric in ("cf_net_effect", "cf_net_effect_matched"):
        family = sorted((row for row in rows if row.metric == metric), key=lambda row: row.p_value)
        worst = 0.0
        for rank, row in enumerate(family):
            worst = max(worst, min(1.0, (len(family) - rank) * row.p_value))
            code = Conclusion.INCONCLUSIVE
            if all(check.held for check in row.checks):
                if worst < 0.05:
                    big = abs(row.estimate) >= shown["practical_rate"]
                    code = Conclusion.DIFFERENCE_FOUND if big else Conclusion.DIFFERENCE_BELOW_THRESHOLD
                elif row.low > -0.02 and row.high < 0.02:
                    code = Conclusion.EQUIVALENT_WITHIN_MARGIN
                elif row.counts["mde"] <= 0.02:
                    code = Conclusion.NO_EVIDENCE
            done.append(replace(row, p_adjusted=worst, conclusion=code))
    named = {row.id: row for row in done}
    return [named.get(row.id, row) for row in rows]


def _findings(rows) -> list[Finding]:
    found = [row for row in rows if row.conclusion is Conclusion.DIFFERENCE_FOUND and row.role is Role.PRIMARY]
    return [
        Finding(
            f"F-{index:04d}",
            f"Approval changes when {row.subject['field']} is changed from {row.reference} to {row.subject['group']}",
            Severity.MEDIUM if abs(row.estimate) < 0.05 else Severity.HIGH,
            "medium: p adjusted < .05 and 1 pp ≤ |Δ| below high",
            f"{row.counts['b']} of {row.n} applications lost approval and {row.counts['c']} gained it",
            ("us-ecoa-regb 12 CFR 1002.4(a)", "us-fha 42 USC 3605"),
            "Only the stated value of the field was changed; the prompt states it in words",
            "Applicants of this group receive a different decision on the same facts",
            "Do not rely on this model for these decisions until the cause is known",
            (row.id,),
            row.cases,
            row.conclusion,
        )
        for index, row in enumerate(found, start=1)
    ]


def _controls(rows) -> dict:
    named = {row.id: row for row in rows}

    def floor(name: str) -> dict:
        row = named[f"noise_floor.{name}"]
        return {
            "flip_rate": row.estimate,
            "low": row.low,
            "high": row.high,
            "n": row.n,
            "largest_margin_difference": 3.1e-5,
        }

    primary = [row for row in rows if row.role is Role.PRIMARY]
    return {
        "noise_floor": floor("reask"),
        "placebo": floor("placebo"),
        "planted_bias": None,
        "planted_bias_missing_reason": "no copy of the model with a planted difference was part of this run",
        "self_checks": [
            {
                "name": "packed scores equal unshared scores",
                "held": True,
                "value": 3.1e-5,
                "bound": 1e-3,
                "note": "largest margin difference, logits",
            }
        ],
        "power": [
            {"contrast": f"{row.subject['group']} − {row.reference}", "mde": row.counts["mde"], "n": row.n}
            for row in primary
        ],
    }


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
