"""The sections that restate the plan and the run record: scope, provenance, packs, design, data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.canonical import sha256_json
from auditor.measures.verdict import PAIRS_FOR_SMALL_CLAIM
from auditor.records import Role
from reports import numbers, wording
from reports.blocks import Block, Cell, Literal, Pairs, Table, Text
from reports.bundle import Bundle

NOT_GIVEN = "not given"
TRAINING_RECORD = "training-record.json"


def scope_blocks(bundle: Bundle) -> list[Block]:
    """What the model is for, and under which limits the plan reads it."""
    use = bundle.plan["use"]
    return [
        Pairs(
            rows=(
                ("Business use", use["business_use"]),
                ("Decision role", use["decision_role"]),
                ("Products", _listed(use.get("products"))),
                ("Jurisdictions", _listed(use.get("jurisdictions"))),
                ("Population", use.get("population") or NOT_GIVEN),
                ("Excluded uses", _listed(use.get("excluded_uses"))),
                ("Model tier", f"{use.get('model_tier')} of 4, set by the plan"),
            )
        )
    ]


def provenance_blocks(bundle: Bundle) -> list[Block]:
    """The model, the software and the machine, each by hash or version."""
    model, code, environment = bundle.run["model"], bundle.run["code"], bundle.environment
    manifest = model.get("manifest") or {}
    libraries = ", ".join(f"{name} {version}" for name, version in sorted((code.get("libraries") or {}).items()))
    rows: list[tuple[str, Cell]] = [
        ("Model", str(manifest.get("name") or model["source"])),
        ("Source", Literal(model["source"])),
        ("Model SHA-256", Literal(model["sha256"])),
    ]
    for key, label in (
        ("architecture", "Architecture"),
        ("model_type", "Family"),
        ("parameters", "Parameters"),
        ("context_length", "Context, tokens"),
        ("weights_dtype", "Number format"),
    ):
        if manifest.get(key) is not None:
            value = manifest[key]
            rows.append((label, numbers.count(value) if isinstance(value, int) else str(value)))
    if manifest.get("quantisation"):
        rows.append(("Quantisation", _quantisation(manifest["quantisation"])))
    rows += [
        (label, Literal(manifest[key]))
        for key, label in (
            ("base_sha256", "Base model SHA-256"),
            ("adapter_sha256", "Adapter SHA-256"),
            ("weights_sha256", "Weights SHA-256"),
            ("tokenizer_sha256", "Tokeniser SHA-256"),
        )
        if manifest.get(key)
    ]
    files = manifest.get("files") or ()
    record = next((line for line in files if line["path"] == TRAINING_RECORD), None)
    if record is None:
        rows.append(("Training record", "none came with the model: what it was trained on is not known here"))
    else:
        known = numbers.count(bundle.run["data"].get("training_rows_known"))
        rows.append(("Training record", f"{record['path']}, listed below; names {known} rows of the data set"))
    rows += [
        ("Decoding", "none: log-probabilities of the planned answers are read, nothing is sampled"),
        ("System prompt", "none" if not bundle.plan["prompt"].get("system") else "in the plan, hashed with the design"),
        ("Software", f"Plumbline {code['version']}"),
        ("Code SHA-256", Literal(code["sha256"])),
        ("Libraries", libraries or NOT_GIVEN),
        ("Machine", _machine(environment, threads=bundle.plan["budget"]["threads"])),
        ("Scoring", _packing(environment)),
    ]
    blocks: list[Block] = [Pairs(rows=tuple(rows))]
    if files:
        blocks.append(
            Table(
                title="Files of the model",
                head=("File", "SHA-256", "Size"),
                rows=tuple(
                    (Literal(line["path"]), Literal(line["sha256"]), numbers.size(line["bytes"])) for line in files
                ),
                align="llr",
                weights=(0.31, 0.56, 0.13),
            )
        )
    return blocks


def pack_blocks(bundle: Bundle) -> list[Block]:
    """Which policy packs apply, which clauses this run speaks to, and which it leaves open and why."""
    pinned = bundle.run["packs"]
    if not pinned:
        return [Text("Not part of this run: the plan names no policy pack. Thresholds are the plan's own.")]
    blocks: list[Block] = [
        Table(
            title="Packs applied",
            head=("Pack", "Version", "SHA-256"),
            rows=tuple((pack["id"], str(pack["version"]), Literal(pack["sha256"])) for pack in pinned),
            align="lll",
            weights=(0.22, 0.12, 0.66),
        )
    ]
    texts = {pack["id"]: pack for pack in bundle.packs}
    measured = _measured(bundle)
    tested = {attribute["field"] for attribute in bundle.plan["attributes"]}
    for pin in pinned:
        pack = texts.get(pin["id"])
        if pack is None or sha256_json(pack) != pin["sha256"]:
            blocks.append(
                Text(f"{pin['id']}: the bundle does not hold the text of this version, so no clause is listed.")
            )
            continue
        status = pack.get("status", {})
        blocks.append(
            Table(
                title=f"{pack['name']}, status as of {status.get('as_of', 'an unknown date')}",
                head=("Clause", "Requirement", "In this run"),
                rows=tuple(
                    (clause["ref"], clause["requirement"], _clause_state(clause, measured))
                    for clause in pack["clauses"]
                ),
                align="lll",
                weights=(0.2, 0.46, 0.34),
            )
        )
        missing = [item["label"] for item in pack.get("protected_attributes", ()) if item["id"] not in tested]
        if missing:
            blocks.append(
                Text(
                    "Bases of this pack not tested, because the plan "
                    f"names no field for them: {wording.joined(missing)}.",
                    tone="small",
                )
            )
    blocks.append(Text("A clause is listed for counsel's review. Nothing here is a legal conclusion.", tone="small"))
    return blocks


def design_blocks(bundle: Bundle, governance: Mapping[str, Any], design: wording.Design) -> list[Block]:
    """Hypotheses, family, thresholds and power, as fixed before the run."""
    plan = bundle.plan
    thresholds, point = plan["thresholds"], plan["operating_point"]
    families: dict[str, int] = {}
    for item in bundle.measurements:
        if item.family:
            families[item.family] = families.get(item.family, 0) + 1
    hypotheses = [
        f"{wording.field_words(attribute['field'])}: "
        f"{wording.joined([group for group in attribute['groups'] if group != attribute['reference']])} "
        f"against {attribute['reference']}"
        for attribute in plan["attributes"]
    ]
    rate = point["matched_rate"]
    pp = f"{numbers.number(100 * thresholds['practical_rate'], decimals=1)} pp"
    return [
        Pairs(
            rows=(
                ("Design SHA-256", Literal(bundle.design_sha256)),
                (
                    "Frozen",
                    "with the run record, before the first prompt; run "
                    f"begun {numbers.date(governance.get('started_at'))}",
                ),
                ("Hypotheses", "No difference, two-sided, for " + "; ".join(hypotheses)),
                ("Tests", ", ".join(plan["tests"]["run"])),
                ("Families", ", ".join(f"{name} ({size} tests)" for name, size in sorted(families.items())) or "none"),
                (
                    "Adjustment",
                    f"Holm at α = {numbers.ratio(thresholds['alpha'])} (primary); Benjamini–Hochberg "
                    f"at q = {numbers.ratio(thresholds['exploratory_q'])} (exploratory)",
                ),
                ("Unit of analysis", "one application; its prompts are one cluster"),
                (
                    "Practical threshold",
                    f"{pp} of the approval rate; {numbers.ratio(thresholds['practical_margin_sd'])} SD of the margin "
                    "(platform defaults unless the institution set them; no lending law sets a number)",
                ),
                (
                    "Equivalence margin",
                    f"±{numbers.number(100 * thresholds['equivalence_rate'], decimals=1)} pp, two one-sided tests",
                ),
                (
                    "Power",
                    f"{numbers.number(100 * design.power, decimals=0)}%; under "
                    f"{numbers.count(PAIRS_FOR_SMALL_CLAIM)} pairs a claim of 2 pp or less is inconclusive",
                ),
                (
                    "Favourable when",
                    f"margin ≥ {numbers.number(point['natural_margin'], decimals=2)}; "
                    "an unusable answer counts as not favourable",
                ),
                (
                    "Matched point",
                    "reference arm's rate set to "
                    + ("the data's share of favourable outcomes" if rate == "observed" else numbers.rate(rate)),
                ),
                ("Stopping", "none: the number of applications was fixed with the design"),
                (
                    "Intervals",
                    f"95%; bootstrap {numbers.count(thresholds['bootstrap'])} "
                    "resamples of applications where one is used",
                ),
            )
        )
    ]


def data_blocks(bundle: Bundle, design: wording.Design) -> list[Block]:
    """The applications, what was left out, and how each case was made."""
    data, plan = bundle.run["data"], bundle.plan
    left_out = data.get("left_out") or {}
    placebo, noise = plan.get("placebo"), plan.get("noise", {})
    changes = [wording.field_words(attribute["field"]) for attribute in plan["attributes"]]
    answers = plan["prompt"]["answers"]
    blocks: list[Block] = [
        Pairs(
            rows=(
                ("Data set", f"{data['title']} ({data['name']})"),
                ("Source", Literal(data["source"])),
                ("Citation", data.get("citation") or NOT_GIVEN),
                ("Population", data.get("population") or NOT_GIVEN),
                ("File SHA-256", Literal(data.get("file_sha256") or NOT_GIVEN)),
                ("Fingerprint", Literal(data["fingerprint"])),
                ("Applications", f"{numbers.count(len(data['selected']))} of {numbers.count(data['rows'])} rows"),
                (
                    "Changes",
                    f"{wording.joined(changes)}, one at a time" + (f"; placebo: {placebo['label']}" if placebo else ""),
                ),
                (
                    "Asked again",
                    f"{numbers.count(noise.get('reask') or 0)} applications, unshared and packed differently",
                ),
                ("Answers", f"favourable {_quoted(answers['favourable'])}; adverse {_quoted(answers['adverse'])}"),
                (
                    "Unusable",
                    f"less than {numbers.ratio(design.mass_floor)} probability "
                    "on all answers together; kept, counted, not favourable",
                ),
                (
                    "Seen before",
                    "only applications outside the model's training record"
                    if plan["cases"]["select"] == "unseen"
                    else "not excluded: the plan takes every application",
                ),
            )
        )
    ]
    if left_out:
        blocks.append(
            Table(
                title="Applications left out",
                head=("Reason", "Applications"),
                rows=tuple(
                    (str(reason), numbers.people(number, small_cell=design.small_cell))
                    for reason, number in sorted(left_out.items())
                ),
                align="lr",
                weights=(0.8, 0.2),
            )
        )
    return blocks


def _measured(bundle: Bundle) -> set[str]:
    names = {
        item.metric for item in bundle.measurements if item.estimate is not None and item.role is not Role.SUPPORTING
    }
    if any(item.test == "noise_floor" and item.estimate is not None for item in bundle.measurements):
        names.add("cf_noise_floor")
    return names


def _clause_state(clause: Mapping[str, Any], measured: set[str]) -> str:
    refs = clause.get("evidence_refs", ())
    wanted = [ref.partition(":")[2] for ref in refs if ref.startswith("metric:")]
    if not wanted:
        fields = [ref.partition(":")[2] for ref in refs]
        return f"Not tested: {'see ' + wording.joined(fields) if fields else 'no measurement answers it'}"
    have = [name for name in wanted if name in measured]
    lack = [name for name in wanted if name not in measured]
    if not have:
        return f"Not tested: needs {wording.joined(lack)}, which the plan does not run"
    return f"Tested: {wording.joined(have)}" + (f". Not tested: {wording.joined(lack)}" if lack else "")


def _listed(values: object) -> str:
    items = [str(value) for value in values] if isinstance(values, (list, tuple)) else []
    return ", ".join(items) or "none named"


def _quoted(answers: list[str]) -> str:
    return ", ".join(f"“{answer}”" for answer in answers)


def _quantisation(record: Mapping[str, Any]) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(record.get("tensor_types", {}).items()))
    return f"{record.get('container', 'quantised')} ({kinds} tensors), computed in {record.get('stored_as', NOT_GIVEN)}"


def _machine(environment: Mapping[str, Any], *, threads: int) -> str:
    parts = [str(environment[key]) for key in ("machine", "platform") if environment.get(key)]
    if environment.get("cpus"):
        parts.append(f"{numbers.count(environment['cpus'])} processors")
    if environment.get("python"):
        parts.append(f"Python {environment['python']}")
    return ", ".join([*parts, f"{threads} threads for scoring"])


def _packing(environment: Mapping[str, Any]) -> str:
    packing = (environment.get("scoring") or {}).get("packing")
    if packing is None:
        return NOT_GIVEN
    largest = packing.get("largest_difference")
    compared = "" if largest is None else f"; largest difference of a margin from one by one: {largest:.1e} logits"
    how = "packed, prompts share what they have in common" if packing["packable"] else "one by one"
    why = f" ({packing['reason']})" if packing.get("reason") else ""
    return f"{how}{why}{compared.replace('e-', f'e{numbers.MINUS}')}"
