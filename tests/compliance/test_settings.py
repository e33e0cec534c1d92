"""Settings are typed: what cannot be used ends every command with one line and exit code 2."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from compliance.environment import broker, data_folder, postgresql, read_environment, secret_key

ROOT = Path(__file__).parents[2]
#: Libraries that take a while to load, for scores, measures and charts alone.
LARGE = ("torch", "transformers", "scipy", "statsmodels", "sklearn", "pandas", "altair", "vl_convert")


def manage(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return python("manage.py", *arguments, **variables)


def settings_say(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What code says of ``settings`` in a process of its own, which loads them and no application."""
    code = f"from django.conf import settings\n{code}"
    return python("-c", code, DJANGO_SETTINGS_MODULE="compliance.settings", **variables)


def python(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PLUMBLINE", "DJANGO"))}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, check=False, cwd=ROOT, env={**kept, **variables}, text=True, capture_output=True, timeout=120
    )


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("PLUMBLINE_DEBUG", "perhaps", "PLUMBLINE_DEBUG: 'perhaps': input should be a valid boolean"),
        ("PLUMBLINE_SECRET_KEY", "short", "PLUMBLINE_SECRET_KEY: is shorter than 50 characters"),
        ("PLUMBLINE_LEASE_SECONDS", "1", "PLUMBLINE_LEASE_SECONDS: '1': input should be greater than or equal to 2"),
        (
            "PLUMBLINE_REVALIDATION_MONTHS",
            "12,24",
            "PLUMBLINE_REVALIDATION_MONTHS: '12,24': expected four numbers of months from 1 to 120, one a tier",
        ),
        ("PLUMBLINE_DEVICE", "gpu", "PLUMBLINE_DEVICE: 'gpu': expected cpu, cuda or cuda:NUMBER"),
        (
            "PLUMBLINE_DATA",
            "/dev/null/data",
            "PLUMBLINE_DATA: /dev/null/data: cannot be made: not a directory; expected a folder",
        ),
        (
            "DATABASE_URL",
            "mysql://me:secret@host/x",
            "DATABASE_URL: is not a PostgreSQL address; expected postgresql://",
        ),
        ("DATABASE_URL", "postgresql://me:secret@host", "DATABASE_URL: names no database; expected postgresql://"),
        ("DATABASE_URL", "postgresql://me:secret@host:x/n", "DATABASE_URL: Port could not be cast"),
        ("REDIS_URL", "http://:secret@host", "REDIS_URL: is not a redis:// address"),
        ("PLUMBLINE_URL", "plumbline.bank", "PLUMBLINE_URL: 'plumbline.bank': expected an address such as https://"),
        ("PLUMBLINE_MAIL_PORT", "smtp", "PLUMBLINE_MAIL_PORT: 'smtp': input should be a valid integer"),
        ("PLUMBLINE_MAIL_TLS", "on", "PLUMBLINE_MAIL_TLS: 'on': input should be 'off', 'starttls' or 'tls'"),
        (
            "PLUMBLINE_WEBHOOK_NETWORKS",
            "10.0.0.1/8",
            "PLUMBLINE_WEBHOOK_NETWORKS: '10.0.0.1/8': expected ranges such as",
        ),
        ("PLUMBLINE_MAIL_FROM", "nobody", "PLUMBLINE_MAIL_FROM: 'nobody': expected an address such as plumbline@"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_in_one_line(
    name: str, value: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured) as refused:
        load()
    said = str(refused.value)
    assert said.startswith(line)
    assert "\n" not in said
    assert "secret" not in said


def load() -> None:
    """What settings.py does with the surroundings."""
    found = read_environment()
    data_folder(found.data)
    postgresql(found.database_url.get_secret_value() or "postgresql://me@host/name")


def test_a_process_that_cannot_be_configured_ends_with_one_line(tmp_path: Path) -> None:
    done = manage("audit", "plans/mortgage-hmda.toml", PLUMBLINE_DATA=str(tmp_path), PLUMBLINE_DEBUG="perhaps")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("PLUMBLINE_DEBUG: 'perhaps': input should be a valid boolean")


def test_production_settings_satisfy_the_deployment_check(tmp_path: Path) -> None:
    done = manage(
        "check", "--deploy", "--fail-level", "WARNING", PLUMBLINE_DATA=str(tmp_path), PLUMBLINE_HTTPS="1",
        PLUMBLINE_HOSTS="audits.example", DATABASE_URL="postgresql://me@host/name", REDIS_URL="redis://host/0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "no issues (0 silenced)" in done.stdout


def test_no_cookie_of_a_site_behind_https_goes_without_it(tmp_path: Path) -> None:
    cookies = ("SESSION", "CSRF", "LANGUAGE")
    code = f"print([getattr(settings, f'{{cookie}}_COOKIE_SECURE') for cookie in {cookies}])"
    done = settings_say(code, PLUMBLINE_DATA=str(tmp_path), PLUMBLINE_HTTPS="1")
    assert done.stdout == f"{[True] * len(cookies)}\n", done.stderr


def test_the_data_folder_and_its_key_are_made_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert manage("diffsettings", PLUMBLINE_DATA=str(folder)).returncode == 0
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "secret-key").stat().st_mode) == 0o600
    assert list(folder.glob(".secret-key-*")) == []


def test_the_key_stays_the_same(tmp_path: Path) -> None:
    assert secret_key(tmp_path) == secret_key(tmp_path)
    assert len(secret_key(tmp_path)) >= 50


def test_a_key_file_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret-key").write_text("short")
    with pytest.raises(ImproperlyConfigured, match="holds 5 characters; expected a random key of at least 50"):
        secret_key(tmp_path)


def test_a_postgresql_address_is_read_part_by_part() -> None:
    found = postgresql("postgresql://me:p%40ss@db.example:6543/audits?sslmode=require")
    parts = ("USER", "PASSWORD", "HOST", "PORT", "NAME")
    assert [found[part] for part in parts] == ["me", "p@ss", "db.example", "6543", "audits"]
    assert found["OPTIONS"] == {"sslmode": "require"}


def test_celery_has_what_a_model_in_a_worker_needs() -> None:
    """The application's own names, so that a misspelt setting is found; see docs/operations.md, Workers."""
    from compliance.celery import app

    wanted = {
        "worker_pool": "prefork",
        "worker_pool_start_method": "spawn",
        "worker_concurrency": 1,
        "worker_proc_alive_timeout": 120,
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": False,  # for Redis only
        "worker_soft_shutdown_timeout": 30,
        "worker_max_tasks_per_child": None,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "broker_connection_retry_on_startup": True,
    }
    assert {name: app.conf[name] for name in wanted} == wanted


def test_redis_makes_a_call_again_long_after_a_chunk_has_ended(tmp_path: Path) -> None:
    from compliance.celery import app

    seconds = broker("redis://host/0", tmp_path)[1]["visibility_timeout"]
    assert app.conf.visibility_timeout == app.conf.result_backend_transport_options["visibility_timeout"] == seconds
    assert seconds == 3600  # a chunk takes seconds on a CPU and minutes on a GPU


def test_a_worker_for_a_device_that_is_not_there_ends_with_one_line(tmp_path: Path) -> None:
    done = manage("worker", PLUMBLINE_DATA=str(tmp_path), PLUMBLINE_DEVICE="cuda:7", CUDA_VISIBLE_DEVICES="")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("PLUMBLINE_DEVICE: is 'cuda:7', and torch 2")
    assert done.stderr.endswith("sees 0 GPUs; expected a CUDA build of torch and a GPU that this process may use\n")


def test_neither_the_site_nor_the_scheduler_nor_a_waiting_worker_holds_torch(tmp_path: Path) -> None:
    code = (
        "import sys, compliance.execution.tasks, compliance.urls, compliance.execution.beat\n"
        "from django.core.checks import run_checks\n"  # as Celery does before it starts
        "assert run_checks() == []\n"
        f"print(sorted({set(LARGE) - {'scipy'}} & set(sys.modules)))"
    )
    done = manage("shell", "-v", "0", "-c", code, PLUMBLINE_DATA=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_what_waits_ticks_or_asks_one_thing_starts_without_the_libraries_of_statistics_and_charts(
    tmp_path: Path,
) -> None:
    loaded = "import sys, compliance.execution.tasks, compliance.execution.beat"
    code = f"{loaded}\nprint(sorted({set(LARGE)} & set(sys.modules)))"
    done = manage("shell", "-v", "0", "-c", code, PLUMBLINE_DATA=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "console.EmailBackend  25 False False"),
        (
            {"PLUMBLINE_MAIL_HOST": "mail.bank", "PLUMBLINE_MAIL_PORT": "587", "PLUMBLINE_MAIL_TLS": "starttls"},
            "smtp.EmailBackend mail.bank 587 True False",
        ),
        (
            {"PLUMBLINE_MAIL_HOST": "mail.bank", "PLUMBLINE_MAIL_PORT": "465", "PLUMBLINE_MAIL_TLS": "tls"},
            "smtp.EmailBackend mail.bank 465 False True",
        ),
    ],
)
def test_mail_goes_to_the_server_that_is_named_and_nowhere_without_one(
    variables: dict[str, str], said: str, tmp_path: Path
) -> None:
    code = (
        "s = settings; print(s.EMAIL_BACKEND.rpartition('.backends.')[2], s.EMAIL_HOST, s.EMAIL_PORT, "
        "s.EMAIL_USE_TLS, s.EMAIL_USE_SSL)"
    )
    done = settings_say(code, PLUMBLINE_DATA=str(tmp_path), **variables)
    assert done.stdout.strip() == said, done.stderr
