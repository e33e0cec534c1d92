"""docker/compose.yaml read, and its services as processes of this machine: the same commands, the same environment.

What differs is what a container would have mapped: folders, the servers' addresses, and where programs are found.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.acceptance.commands import ROOT

COMPOSE = ROOT / "docker" / "compose.yaml"
SECONDS = 300
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")


def read_compose() -> dict[str, Any]:
    """The compose file with every variable at its default, as where docker/.env says nothing."""
    text = VARIABLE.sub(lambda found: found[2], COMPOSE.read_text())
    assert not re.search(r"(?<!\$)\$\{?\w", text), "a variable without a default"
    return dict(yaml.safe_load(text.replace("$$", "$")))


@dataclass
class Composition:
    """Services started by hand.

    Attributes
    ----------
    folders
        What stands on this machine for a folder of the containers, longest first.
    programs
        What stands for a program that a container finds in its path: its name and, if need be, more arguments.
    extra
        Variables that map a service to this machine, by service.
    """

    folders: Mapping[str, str]
    programs: Mapping[str, Sequence[str]]
    extra: Mapping[str, Mapping[str, str]]
    logs: Path
    services: dict[str, Any] = field(default_factory=lambda: read_compose()["services"])
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def environment(self, service: str) -> dict[str, str]:
        """What a process of the service sees: its own variables and nothing of the developer's."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        own = {name: self._here(str(value)) for name, value in self.services[service].get("environment", {}).items()}
        return {**kept, "OMP_NUM_THREADS": "1", **own, **self.extra.get(service, {})}

    def run(self, service: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a service that ends: ``docker compose run``, with other arguments if any are given."""
        described = self.services[service]
        command = [*described.get("entrypoint", []), *(arguments or described["command"])]
        return self._run(service, self._command(command))

    def start(self, service: str) -> subprocess.Popen[bytes]:
        """Start a service that stays: ``docker compose up``."""
        with (self.logs / f"{service}-{len(self.started)}.log").open("wb") as log:
            command = self._command(self.services[service]["command"])
            process = subprocess.Popen(command, **self._there(service), stdout=log, stderr=log, start_new_session=True)
        self.started.append(process)
        return process

    def healthy(self, service: str) -> bool:
        """What its health check says now."""
        how, *command = self.services[service]["healthcheck"]["test"]
        if how == "CMD-SHELL":
            first, rest = command[0].split(" ", 1)
            command = ["sh", "-c", f"{' '.join(self.programs[first])} {rest}"]
        return self._run(service, self._command(command)).returncode == 0

    def wait_healthy(self, service: str) -> None:
        """Until its health check is content."""
        limit = time.monotonic() + SECONDS
        while not self.healthy(service):
            assert time.monotonic() < limit, self.report()
            time.sleep(0.1)

    def report(self) -> str:
        """What the services said."""
        return "\n".join(f"{path.name}:\n{path.read_text()[-3000:]}" for path in sorted(self.logs.glob("*.log")))

    def end(self) -> None:
        """No process stays; what works goes before what it works on."""
        for process in reversed(self.started):
            process.terminate()
        for process in reversed(self.started):
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()

    def _run(self, service: str, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        there = self._there(service)
        return subprocess.run(command, check=False, **there, text=True, capture_output=True, timeout=SECONDS)

    def _there(self, service: str) -> dict[str, Any]:
        return {"cwd": ROOT, "env": self.environment(service), "stdin": subprocess.DEVNULL}

    def _command(self, command: Sequence[str]) -> list[str]:
        first, *rest = command
        programs = {"python": [sys.executable], **self.programs}
        return [*programs.get(first, [first]), *map(self._here, rest)]

    def _here(self, text: str) -> str:
        for there, here in self.folders.items():
            if text == there or text.startswith(f"{there}/"):
                return here + text.removeprefix(there)
        return text
