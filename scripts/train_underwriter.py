"""Train the demonstration's underwriter: a LoRA adapter on 900 of the lenders' real decisions.

    python scripts/train_underwriter.py

The adapter sees the prompt of plans/mortgage-hmda.toml exactly as the audit renders it, and learns the answer the
lender
gave. Nothing about race, sex or marital status is planted or removed: whatever the lenders' decisions carry and the
model picks up is what the audit reports. The training record beside the adapter lists every row used.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import random
import time
import tomllib
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch.nn import functional

from auditor.applications import Application, Applications
from auditor.canonical import pretty_json, sha256_json
from auditor.demo_data import TRAINING_ROWS, load_loanapp, training_ids
from auditor.language_models.store import ModelStore
from auditor.language_models.weights import read_model, read_tokenizer
from auditor.prompts import parse_template, render

ROOT = Path(__file__).resolve().parent.parent
PLAN = ROOT / "plans" / "mortgage-hmda.toml"
TARGETS = ["q_proj", "v_proj", "o_proj", "up_proj", "down_proj"]
FAVOURABLE, ADVERSE = " Approve", " Deny"


def examples(
    applications: Applications, records: tuple[Application, ...], tokenizer: object
) -> list[tuple[list[int], int]]:
    """Token ids of prompt and answer, and the number of answer tokens, for every record."""
    prompt = tomllib.loads(PLAN.read_text(encoding="utf-8"))
    labels = {item.name: item.label for item in applications.mapping.fields} | {"form_number": "Form number"}
    template = parse_template(prompt["prompt"]["template"], fields=(), labels=labels, style="lines", where=str(PLAN))
    generator = random.Random(prompt["cases"]["seed"])
    rows = []
    for record in records:
        words = {item.name: item.say(record.values[item.name]) for item in applications.mapping.fields}
        words["form_number"] = str(generator.randint(prompt["placebo"]["low"], prompt["placebo"]["high"]))
        text = render(template, words).text
        answer = FAVOURABLE if record.favourable else ADVERSE
        start = len(tokenizer(text).input_ids)  # type: ignore[operator]
        ids = tokenizer(text + answer).input_ids  # type: ignore[operator]
        rows.append((ids, len(ids) - start))
    return rows


def batches(
    rows: list[tuple[list[int], int]], size: int, generator: random.Random
) -> list[list[tuple[list[int], int]]]:
    """Shuffled batches of nearly equal length, so that little is spent on padding."""
    order = sorted(range(len(rows)), key=lambda index: (len(rows[index][0]) // 8, generator.random()))
    groups = [[rows[index] for index in order[start : start + size]] for start in range(0, len(order), size)]
    generator.shuffle(groups)
    return groups


def batch_loss(model: torch.nn.Module, batch: list[tuple[list[int], int]]) -> torch.Tensor:
    """Mean cross-entropy of the answer tokens, in nats a token, right-padded (causal: padding changes nothing)."""
    longest = max(len(ids) for ids, _ in batch)
    tokens = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in batch])
    keep = [(row, position) for row, (ids, n) in enumerate(batch) for position in range(len(ids) - n - 1, len(ids) - 1)]
    causal = model.get_base_model()  # type: ignore[operator]
    hidden = causal.model(input_ids=tokens, use_cache=False).last_hidden_state
    rows, positions = (torch.tensor(column) for column in zip(*keep, strict=True))
    logits = causal.lm_head(hidden[rows, positions])
    return functional.cross_entropy(logits, tokens[rows, positions + 1])


def main() -> None:
    """Train, save the adapter as fp16 safetensors with its record, print the loss a step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, default=ROOT / "data" / "store", help="model store")
    parser.add_argument("--out", type=Path, default=ROOT / "auditor" / "data" / "underwriter")
    parser.add_argument("--epochs", type=int, default=3, help="length of the learning rate schedule")
    parser.add_argument("--stop-after", type=int, default=1, help="epoch after which to stop")
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    applications = load_loanapp()
    ids = training_ids(applications)
    base = ModelStore(arguments.store).import_model("demo:smollm2")
    tokenizer = read_tokenizer(base.folder)
    rows = examples(applications, applications.subset(ids), tokenizer)
    model = read_model(base.folder, dtype="float32")
    config = LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, target_modules=TARGETS, bias="none", task_type="CAUSAL_LM")
    model = get_peft_model(model, config)
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=arguments.rate, weight_decay=0.01)
    steps = arguments.epochs * math.ceil(len(rows) / arguments.batch)
    warm = max(1, steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: (
            (step + 1) / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))
        ),
    )
    generator = random.Random(arguments.seed)
    losses: list[float] = []
    started = time.monotonic()
    step = 0
    for epoch in range(arguments.epochs):
        total = 0.0
        groups = batches(rows, arguments.batch, generator)
        for batch in groups:
            loss = batch_loss(model, batch)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimiser.step()
            schedule.step()
            step += 1
            total += float(loss.detach())
            print(f"step {step}/{steps} loss {float(loss.detach()):.4f} {time.monotonic() - started:.0f}s", flush=True)
        losses.append(total / len(groups))
        print(f"epoch {epoch + 1} mean loss {losses[-1]:.4f}", flush=True)
        save(model, arguments, applications, ids, losses, base=base.sha256)
        if epoch + 1 == arguments.stop_after:
            break


def save(
    model: torch.nn.Module,
    arguments: argparse.Namespace,
    applications: Applications,
    ids: tuple[str, ...],
    losses: list[float],
    *,
    base: str,
) -> None:
    """Write adapter and training record."""
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)  # type: ignore[operator]
    weights = out / "adapter_model.safetensors"
    save_file({name: tensor.half() for name, tensor in load_file(weights).items()}, weights, metadata={"format": "pt"})
    config = json.loads((out / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "demo:smollm2"
    (out / "adapter_config.json").write_text(pretty_json(config))
    (out / "README.md").unlink(missing_ok=True)
    plan = tomllib.loads(PLAN.read_text(encoding="utf-8"))
    record = {
        "what": "LoRA adapter trained on the lenders' real decisions in the data set loanapp",
        "command": f"python scripts/train_underwriter.py --epochs {arguments.epochs} --stop-after {len(losses)}",
        "base": "demo:smollm2",
        "base_sha256": base,
        "data_file_sha256": applications.file_sha256,
        "prompt_sha256": sha256_json(plan["prompt"]),
        "rows": list(ids),
        "row_count": TRAINING_ROWS,
        "epochs_planned": arguments.epochs,
        "epochs_done": len(losses),
        "mean_loss_by_epoch": losses,
        "batch": arguments.batch,
        "learning_rate": arguments.rate,
        "seed": arguments.seed,
        "rank": 4,
        "alpha": 8,
        "dropout": 0.0,
        "targets": TARGETS,
        "torch": torch.__version__,
        "machine": platform.machine(),
        "threads": arguments.threads,
    }
    (out / "training-record.json").write_text(pretty_json(record))


if __name__ == "__main__":
    main()
