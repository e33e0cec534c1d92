"""Making sure the tables are there before a command works on them."""

from __future__ import annotations

import fcntl

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from auditor.exceptions import InputError, StorageError, reason_of


def ensure_tables() -> None:
    """Bring the embedded database up to date; of a server only ask that somebody did.

    Raises
    ------
    InputError
        If a PostgreSQL database waits for ``migrate``: who migrates a shared database decides when.
    StorageError
        If the database does not answer or cannot be written.
    """
    try:
        if not behind():
            return
        if connection.vendor != "sqlite":
            raise InputError("database", "its tables are not up to date", "python manage.py migrate to have run")
        # Two first commands may start at once; the second waits and then finds nothing left to do.
        with (settings.DATA_FOLDER / "migrate.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if behind():
                call_command("migrate", verbosity=0, interactive=False)
    except DatabaseError as error:
        raise StorageError(f"database: {' '.join(str(error).split())}; expected one that answers") from error
    except OSError as error:
        raise StorageError(
            f"{settings.DATA_FOLDER}: cannot be written: {reason_of(error)}; expected a folder to write"
        ) from error


def behind() -> bool:
    """Whether the database waits for ``migrate``."""
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
