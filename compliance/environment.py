"""What the surroundings may set: the typed environment variables behind ``compliance.settings``.

Nothing here needs Django's registry, so a bad value is found before anything else runs.
"""

from __future__ import annotations

import os
import re
import secrets
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured
from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from auditor.exceptions import reason_of

SECRET_KEY_FILE = "secret-key"  # noqa: S105, the name of a file
VISIBILITY_SECONDS = 3600
FILE_QUEUE = "plumbline-files"  # the scheme of compliance/execution/file_queue.py
POSTGRESQL_SCHEMES = ("postgresql", "postgres")
PREFIX = "PLUMBLINE_"
#: Roles (compliance/access/roles.py), and who administers the installation; and those of them that decide.
HOLDERS = (
    "model_owner", "developer", "compliance_officer", "validator", "approver", "counsel", "internal_audit",
    "examiner_readonly", "admin", "superuser",
)  # fmt: skip
WHO_DECIDE = ("validator", "approver", "counsel", "admin", "superuser")
DECIDING = "deciding"
ADDRESSES = ("DATABASE_URL", "REDIS_URL")  # the variables that have no such prefix


def _listed(text: object) -> object:
    return [part.strip() for part in text.split(",") if part.strip()] if isinstance(text, str) else text


class Environment(BaseSettings):
    """The environment variables Plumbline reads; docs/operations.md explains each.

    ``PLUMBLINE_SECRETS`` may name a folder in which files called like the variables hold their values.
    """

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, hide_input_in_errors=False)

    data: Path = Field(Path("data"), validation_alias="PLUMBLINE_DATA")
    models: Path | None = Field(None, validation_alias="PLUMBLINE_MODELS")
    systems: Path | None = Field(None, validation_alias="PLUMBLINE_SYSTEMS")
    debug: bool = Field(False, validation_alias="PLUMBLINE_DEBUG")
    https: bool = Field(False, validation_alias="PLUMBLINE_HTTPS")
    hosts: Annotated[list[str], NoDecode, BeforeValidator(_listed)] = Field(
        ["127.0.0.1", "localhost", "[::1]"], validation_alias="PLUMBLINE_HOSTS"
    )
    secret_key: SecretStr | None = Field(None, validation_alias="PLUMBLINE_SECRET_KEY")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", validation_alias="PLUMBLINE_LOG_LEVEL")
    lease_seconds: Annotated[int, Field(ge=2, le=3600)] = Field(60, validation_alias="PLUMBLINE_LEASE_SECONDS")
    database_seconds: Annotated[int, Field(ge=1, le=300)] = Field(20, validation_alias="PLUMBLINE_DATABASE_SECONDS")
    device: str = Field("cpu", validation_alias="PLUMBLINE_DEVICE")
    imports: Path | None = Field(None, validation_alias="PLUMBLINE_IMPORTS")
    plans: Path | None = Field(None, validation_alias="PLUMBLINE_PLANS")
    keys_file: Path | None = Field(None, validation_alias="PLUMBLINE_KEYS_FILE")
    certificates: Path | None = Field(None, validation_alias="PLUMBLINE_CERTIFICATES")
    upload_megabytes: Annotated[int, Field(ge=1, le=256)] = Field(256, validation_alias="PLUMBLINE_UPLOAD_MB")
    team_upload_megabytes: Annotated[int, Field(ge=1, le=1 << 24)] = Field(
        10_240, validation_alias="PLUMBLINE_TEAM_UPLOAD_MB"
    )
    unfinished_uploads: Annotated[int, Field(ge=1, le=1_000)] = Field(
        20, validation_alias="PLUMBLINE_UNFINISHED_UPLOADS"
    )
    # What the files attached to findings may take: those of one finding, and of all findings of a team.
    finding_files_megabytes: Annotated[int, Field(ge=3, le=1 << 20)] = Field(
        60, validation_alias="PLUMBLINE_FINDING_FILES_MB"
    )
    team_finding_files_megabytes: Annotated[int, Field(ge=3, le=1 << 24)] = Field(
        2_048, validation_alias="PLUMBLINE_TEAM_FINDING_FILES_MB"
    )
    session_hours: Annotated[int, Field(ge=1, le=24 * 7)] = Field(12, validation_alias="PLUMBLINE_SESSION_HOURS")
    # Who may do nothing before they have set up a second factor.
    second_factor: Annotated[list[str], NoDecode, BeforeValidator(_listed)] = Field(
        [], validation_alias="PLUMBLINE_SECOND_FACTOR"
    )
    # The most a table may be or cost. The engine reads no larger ones (auditor/tables.py): these only lower its limits.
    table_seconds: Annotated[int, Field(ge=5, le=600)] = Field(60, validation_alias="PLUMBLINE_TABLE_SECONDS")
    table_megabytes: Annotated[int, Field(ge=512, le=65_536)] = Field(2_048, validation_alias="PLUMBLINE_TABLE_MB")
    table_rows: Annotated[int, Field(ge=1, le=1_000_000)] = Field(1_000_000, validation_alias="PLUMBLINE_TABLE_ROWS")
    table_cells: Annotated[int, Field(ge=1, le=20_000_000)] = Field(
        20_000_000, validation_alias="PLUMBLINE_TABLE_CELLS"
    )
    table_characters: Annotated[int, Field(ge=1, le=256 << 20)] = Field(
        256 << 20, validation_alias="PLUMBLINE_TABLE_CHARACTERS"
    )
    import_seconds: Annotated[int, Field(ge=5, le=86_400)] = Field(3_600, validation_alias="PLUMBLINE_IMPORT_SECONDS")
    import_megabytes: Annotated[int, Field(ge=1_024, le=4_194_304)] = Field(
        16_384, validation_alias="PLUMBLINE_IMPORT_MB"
    )
    prepare_seconds: Annotated[int, Field(ge=5, le=86_400)] = Field(900, validation_alias="PLUMBLINE_PREPARE_SECONDS")
    prepare_megabytes: Annotated[int, Field(ge=512, le=4_194_304)] = Field(
        8_192, validation_alias="PLUMBLINE_PREPARE_MB"
    )
    step_seconds: Annotated[int, Field(ge=5, le=86_400)] = Field(3_600, validation_alias="PLUMBLINE_STEP_SECONDS")
    # Months from one validation of a model to the next in tiers 1 to 4: no law sets them, an institution does.
    revalidation_months: Annotated[list[int], NoDecode, BeforeValidator(_listed)] = Field(
        [12, 24, 36, 36], validation_alias="PLUMBLINE_REVALIDATION_MONTHS"
    )
    proxies: Annotated[int, Field(ge=0, le=9)] = Field(0, validation_alias="PLUMBLINE_PROXIES")
    url: str = Field("", validation_alias="PLUMBLINE_URL")
    mail_host: str = Field("", validation_alias="PLUMBLINE_MAIL_HOST")
    mail_port: Annotated[int, Field(ge=1, le=65_535)] = Field(25, validation_alias="PLUMBLINE_MAIL_PORT")
    mail_user: str = Field("", validation_alias="PLUMBLINE_MAIL_USER")
    mail_password: SecretStr = Field(SecretStr(""), validation_alias="PLUMBLINE_MAIL_PASSWORD")
    mail_tls: Literal["off", "starttls", "tls"] = Field("off", validation_alias="PLUMBLINE_MAIL_TLS")
    mail_from: str = Field("plumbline@localhost", validation_alias="PLUMBLINE_MAIL_FROM")
    # The ranges beyond the public net that teams may lead webhooks to.
    webhook_networks: Annotated[list[str], NoDecode, BeforeValidator(_listed)] = Field(
        [], validation_alias="PLUMBLINE_WEBHOOK_NETWORKS"
    )
    database_url: SecretStr = Field(SecretStr(""), validation_alias="DATABASE_URL")
    redis_url: SecretStr = Field(SecretStr(""), validation_alias="REDIS_URL")

    @field_validator("secret_key")
    @classmethod
    def _long_enough(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and len(key.get_secret_value()) < 50:
            raise ValueError("is shorter than 50 characters")
        return key

    @field_validator("second_factor")
    @classmethod
    def _are_holders(cls, names: list[str]) -> list[str]:
        unknown = [name for name in names if name not in (DECIDING, *HOLDERS)]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not known: expected {DECIDING}, or some of {', '.join(HOLDERS)}")
        return [name for name in HOLDERS if name in names or (DECIDING in names and name in WHO_DECIDE)]

    @field_validator("device")
    @classmethod
    def _is_device(cls, name: str) -> str:
        if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
            raise ValueError("expected cpu, cuda or cuda:NUMBER")
        return name

    @field_validator("url")
    @classmethod
    def _is_origin(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment):
            raise ValueError("expected an address such as https://plumbline.example.org")
        return url.rstrip("/")

    @field_validator("mail_from")
    @classmethod
    def _is_sender(cls, text: str) -> str:
        if "@" not in text or not text.isprintable():
            raise ValueError("expected an address such as plumbline@example.org")
        return text

    @field_validator("webhook_networks")
    @classmethod
    def _are_ranges(cls, texts: list[str]) -> list[str]:
        try:
            return [str(ip_network(text)) for text in texts]
        except ValueError as error:
            raise ValueError("expected ranges such as 10.20.0.0/16, with commas between several") from error

    @field_validator("revalidation_months")
    @classmethod
    def _one_a_tier(cls, months: list[int]) -> list[int]:
        if len(months) != 4 or not all(1 <= item <= 120 for item in months):
            raise ValueError("expected four numbers of months from 1 to 120, one a tier")
        return months

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, url: SecretStr) -> SecretStr:
        text = url.get_secret_value()
        if text and urlsplit(text).scheme not in ("redis", "rediss", "unix"):
            raise ValueError("is not a redis:// address")
        return url


def read_environment() -> Environment:
    """Read and check the environment.

    Raises
    ------
    ImproperlyConfigured
        One line naming the variable, what is wrong and, unless it is a secret, what was found.
    """
    # Where to look is no field: pydantic takes it beside them, which the types it declares do not say.
    beside: dict[str, Any] = {"_secrets_dir": os.environ.get("PLUMBLINE_SECRETS")}
    try:
        return Environment(**beside)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "environment"
        secret = name in ("PLUMBLINE_SECRET_KEY", "PLUMBLINE_MAIL_PASSWORD", *ADDRESSES)
        found = "" if secret else f"{str(first['input'])[:80]!r}: "
        message = str(first["msg"]).removeprefix("Value error, ")
        raise ImproperlyConfigured(f"{name}: {found}{message[:1].lower()}{message[1:]}") from error


def data_folder(path: Path) -> Path:
    """Make the data folder, readable by its owner only, and return its absolute path.

    Raises
    ------
    ImproperlyConfigured
        If it cannot be made or written.
    """
    path = path.expanduser().absolute()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"PLUMBLINE_DATA: {path}: cannot be made: {reason_of(error)}; expected a folder to write"
        ) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise ImproperlyConfigured(
            f"PLUMBLINE_DATA: {path}: cannot be written: permission denied; expected a folder to write"
        )
    return path


def secret_key(folder: Path) -> str:
    """The key kept in the data folder; made at random, readable by its owner only, when there is none.

    Raises
    ------
    ImproperlyConfigured
        If the file cannot be read or written, or holds less than 50 characters.
    """
    path = folder / SECRET_KEY_FILE
    try:
        # Two processes may start at once on a new folder. The key is written elsewhere and linked, so the name appears
        # with the whole key behind it, and whoever comes second reads the first one's.
        if not path.exists():
            draft = folder / f".{SECRET_KEY_FILE}-{secrets.token_hex(8)}"
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as stream:
                stream.write(secrets.token_urlsafe(64))
            try:
                os.link(draft, path)
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        key = path.read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(
            f"{path}: cannot be opened: {reason_of(error)}; expected a key file to read or write"
        ) from error
    if len(key) < 50:
        raise ImproperlyConfigured(f"{path}: holds {len(key)} characters; expected a random key of at least 50")
    return key


def sqlite(path: Path, *, wait: int = 20) -> dict[str, Any]:
    """Django's settings for the SQLite database at ``path``.

    Writers queue for ``wait`` seconds instead of failing: every transaction takes the write lock at its start.
    """
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": wait,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }


def broker(redis_url: str, folder: Path) -> tuple[str, dict[str, Any]]:
    """Celery's broker and its options: Redis if it is named, else files below the data folder.

    A call that nobody finished within ``VISIBILITY_SECONDS`` is made again by Redis. Chunks take minutes, and whoever
    comes a second time finds in the rows what there is to do, so that is harmless.
    """
    if redis_url:
        return redis_url, {
            "visibility_timeout": VISIBILITY_SECONDS,
            "socket_keepalive": True,
            "health_check_interval": 30,
        }
    queue = data_folder(folder / "queue")
    places = {name: str(data_folder(queue / name)) for name in ("messages", "delivered", "control")}
    return f"{FILE_QUEUE}://localhost", {  # the host means nothing; without one every connection warns
        "data_folder_in": places["messages"],
        "data_folder_out": places["messages"],
        # Without it delivered messages go through the system's folder for temporary files, maybe on another disk.
        "store_processed": True,
        "processed_folder": places["delivered"],
        "control_folder": places["control"],
        "polling_interval": 0.1,
    }


def postgresql(url: str) -> dict[str, Any]:
    """Django's settings for ``postgresql://user:password@host:port/name?option=value``.

    Raises
    ------
    ImproperlyConfigured
        If the address is of another kind or names no database. The address is not repeated: it may hold a password.
    """
    expected = "expected postgresql://USER:PASSWORD@HOST:PORT/NAME"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ImproperlyConfigured(f"DATABASE_URL: {error}; {expected}") from error
    if parts.scheme not in POSTGRESQL_SCHEMES:
        raise ImproperlyConfigured(f"DATABASE_URL: is not a PostgreSQL address; {expected}")
    name = unquote(parts.path.lstrip("/"))
    if not name:
        raise ImproperlyConfigured(f"DATABASE_URL: names no database; {expected}")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(port or ""),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": dict(parse_qsl(parts.query)),
    }
