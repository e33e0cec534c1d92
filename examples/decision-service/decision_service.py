"""A decision service in one file: passages of a handbook are looked up, a rule stands before and one behind the model.

    python examples/decision-service/decision_service.py --store data/store --port 8100

It is what a bank runs around a language model, and what ``service:NAME`` audits: fields in, a decision, a limit and
reasons out. README.md beside this file has its table for ``systems.toml``.
"""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HANDBOOK = {
    "obligations": "Obligations above 36 percent of income need strong credit or large liquid assets.",
    "housing": "Housing expense above 28 percent of income is to be explained.",
    "loan to value": "A loan above 80 percent of the value needs mortgage insurance.",
    "bankruptcy": "A bankruptcy on record weighs heavily unless credit has been kept since.",
    "credit": "Consumer credit with slow accounts weighs against approval.",
}
MOST_OBLIGATIONS = 60.0
"""Percent of income: above it nobody is approved, whatever the model says."""

Score = Callable[[str], float]
"""A prompt's log-odds of approval, in nats."""


def passages(application: Mapping[str, Any]) -> list[str]:
    """What the handbook has on this application, the most telling two."""
    weight = {
        "obligations": _number(application, "obligations_ratio") / 36,
        "housing": _number(application, "housing_ratio") / 28,
        "loan to value": _number(application, "loan_to_value") / 80,
        "bankruptcy": 2.0 if application.get("bankruptcy") == "yes" else 0.0,
        "credit": 0.5 if application.get("consumer_credit") == "no slow accounts" else 1.5,
    }
    return [HANDBOOK[name] for name in sorted(weight, key=lambda name: (-weight[name], name))[:2]]


def prompt_of(application: Mapping[str, Any]) -> str:
    """What the model reads."""
    stated = "\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in sorted(application.items()))
    looked_up = "\n".join(passages(application))
    return f"You are a mortgage underwriter. Approve or deny?\n\n{looked_up}\n\n{stated}\n\nDecision:"


def decide(application: Mapping[str, Any], score: Score) -> dict[str, Any]:
    """Rule, model, rule."""
    if application.get("unverifiable") == "yes":
        return {"decision": "REFERRED", "limit": None, "reasons": ["R03"]}
    if _number(application, "obligations_ratio") > MOST_OBLIGATIONS:
        return {"decision": "DECLINED", "limit": 0, "reasons": ["R01"]}
    if score(prompt_of(application)) < 0:
        return {"decision": "DECLINED", "limit": 0, "reasons": ["R02"]}
    return {"decision": "APPROVED", "limit": round(_number(application, "loan_amount") * 1000), "reasons": []}


def _number(application: Mapping[str, Any], name: str) -> float:
    value = application.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def scored_by(source: str, store: Path) -> Score:
    """The log-odds that a model of the store gives a prompt."""
    from auditor.language_models.answers import ask, log_odds
    from auditor.language_models.local import load
    from auditor.language_models.packed import PackedScorer, PackingProbe
    from auditor.language_models.store import ModelStore
    from auditor.plan import Answers

    loaded = load(ModelStore(store).import_model(source), threads=1)
    scorer = PackedScorer(loaded.model, pack_tokens=768, probe=PackingProbe(True, None, ""))
    answers, lock = Answers(favourable=(" Approve",), adverse=(" Deny",)), threading.Lock()

    def score(prompt: str) -> float:
        with lock:
            [question] = ask(loaded.tokenizer, [prompt], answers, chat=False, where="service")
            up, down = log_odds(question, scorer.one_by_one(question.sequences, question.reads))
        return up - down

    return score


def server(score: Score, *, port: int = 0) -> ThreadingHTTPServer:
    """The service on this machine; ``serve_forever`` it, and ``shutdown`` it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """What is handed in is written into no log."""

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                if self.path != "/decisions":
                    code, said = 404, {"detail": "expected POST /decisions"}
                else:
                    code, said = 200, decide(json.loads(raw), score)
            except (ValueError, TypeError, AttributeError):
                code, said = 422, {"detail": "expected an application as a JSON object"}
            data = json.dumps(said).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def main() -> None:
    """Serve until the keyboard says no."""
    parser = argparse.ArgumentParser(description="A decision service around a model of the store.")
    parser.add_argument("--model", default="demo:underwriter")
    parser.add_argument("--store", type=Path, default=Path("data/store"))
    parser.add_argument("--port", type=int, default=8100)
    given = parser.parse_args()
    with server(scored_by(given.model, given.store), port=given.port) as running:
        print(f"http://127.0.0.1:{running.server_address[1]}/decisions")
        running.serve_forever()


if __name__ == "__main__":
    main()
