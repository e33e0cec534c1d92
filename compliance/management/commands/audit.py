"""``manage.py audit``: a headless audit for scripts and release pipelines."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from auditor.exceptions import InputError
from auditor.records import Severity
from compliance.accounts.acting import command_line_account
from compliance.execution.progress import Progress, Silence, StopRequest, TerminalProgress
from compliance.execution.runner import Request, run_audit
from compliance.governance.events import Actor
from compliance.management.base import BAD_NEWS, PlainCommand


class Command(PlainCommand):
    """Runs a plan to a report, or goes on with a run that was stopped."""

    help = (
        "Audit a model as a plan says. Writes report.pdf, result.json and evidence.zip. "
        "Exit code 0 done, 1 a finding at or above --fail-on, 2 bad input, 3 stopped, incomplete or crashed; "
        "after 3 the same command goes on where it ended."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The contract of docs/operations.md."""
        parser.add_argument("plan", metavar="PLAN.toml", type=Path, help="what is asked of a model, and of whom")
        parser.add_argument("--out", metavar="DIR", type=Path, help="where the three files go")
        parser.add_argument(
            "--set",
            metavar="KEY=VALUE",
            action="append",
            default=[],
            dest="overrides",
            help="instead of a key of the plan, such as cases.limit=120; may be given several times",
        )
        parser.add_argument("--model", metavar="SOURCE", help="instead of the plan's run.model")
        parser.add_argument("--data", metavar="SOURCE", help="instead of the plan's run.data")
        severities = [level.value for level in Severity]
        parser.add_argument(
            "--fail-on",
            metavar="SEVERITY",
            choices=severities,
            help=f"the lowest severity of a finding for which the exit code is 1: {', '.join(severities)}",
        )
        parser.add_argument("--no-progress", action="store_true", help="nothing on standard error but errors")

    def work(self, **options: Any) -> int:
        """Run it, print the conclusion and the paths."""
        request = Request(
            plan=options["plan"],
            overrides=dict(_pair(text) for text in options["overrides"]),
            model=options["model"],
            data=options["data"],
            out=options["out"],
            command=shlex.join(["python", "manage.py", *sys.argv[1:]]),
            actor=Actor(name=command_line_account(), role="command line"),
        )
        progress: Progress = Silence() if options["no_progress"] else TerminalProgress()
        with StopRequest(progress) as stop:
            published = run_audit(request, progress=progress, stop=stop)
        for line in (*published.summary, *map(str, published.files.values())):
            self.stdout.write(line)
        if options["fail_on"] and published.reaches(Severity(options["fail_on"])):
            return BAD_NEWS
        return 0


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise InputError(f"--set {text}", "has no key and value", "key=value, as in thresholds.alpha=0.01")
    return key, value
