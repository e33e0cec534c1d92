"""The database's own refusal to change evidence, for whoever goes round the models.

Triggers are put in place after every ``migrate`` rather than by one migration: SQLite drops them when it rebuilds a
table. A database owner can still remove them; the hash chain and the anchored heads show that (THREAT_MODEL.md).
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import connections

WRITTEN_ONCE = (
    "Event",
    "MeasurementRow",
    "FindingRow",
    "FindingNote",
    "Sighting",
    "LanguageModelVersion",
    "DataSetVersion",
    "PlanVersion",
    "PlanDecision",
    "VersionDecision",
    "PolicyPackVersion",
    "PolicyPackReview",
)
FROZEN_RUN_COLUMNS = ("run_json", "run_sha256")  # from the moment they are filled
FROZEN_AUDIT_COLUMNS = (
    "serial",
    "plan_id",
    "model_id",
    "data_id",
    "governed",
    "design_decision_id",
    "requested_by",
    "team_id",
)
#: What a second administrator approves.
FROZEN_LISTING_COLUMNS = (
    "team_id",
    "kind",
    "name",
    "version",
    "text",
    "text_sha256",
    "reason",
    "proposed_by",
    "proposed_by_user_id",
    "proposed_at",
)

#: What tells a finding from every other one.
FROZEN_FINDING_COLUMNS = ("serial", "team_id", "language_model_id", "plan_id", "fingerprint", "question", "first_seen")

POSTGRESQL_FUNCTION = """
CREATE OR REPLACE FUNCTION compliance_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '%: evidence cannot be changed or deleted', TG_TABLE_NAME; END $$
"""


def protect_evidence(*, using: str, **_: Any) -> None:
    """Put every trigger in place; a second call changes nothing. A receiver of ``post_migrate``."""
    connection = connections[using]
    # post_migrate also follows a migration back to before the tables were there.
    present = set(connection.introspection.table_names())
    statements: list[tuple[str, ...]] = [(POSTGRESQL_FUNCTION,)] if connection.vendor == "postgresql" else []
    for name in WRITTEN_ONCE:
        table = apps.get_model("compliance", name)._meta.db_table
        if table in present:
            statements += [_trigger(connection.vendor, table, "UPDATE"), _trigger(connection.vendor, table, "DELETE")]
    audits = apps.get_model("compliance", "Audit")._meta.db_table
    if audits in present:
        with connection.cursor() as cursor:
            columns = {column.name for column in connection.introspection.get_table_description(cursor, audits)}
        changed, frozen = (
            f"UPDATE OF {', '.join(name for name in names if name in columns)}"
            for names in (FROZEN_AUDIT_COLUMNS, FROZEN_RUN_COLUMNS)
        )
        statements += [_trigger(connection.vendor, audits, changed), _trigger(connection.vendor, audits, "DELETE")]
        statements += [_trigger(connection.vendor, audits, frozen, when="OLD.run_sha256 <> ''", name="refreeze")]
    listings = apps.get_model("compliance", "SystemListing")._meta.db_table
    if listings in present:
        changed = f"UPDATE OF {', '.join(FROZEN_LISTING_COLUMNS)}"
        statements += [_trigger(connection.vendor, listings, changed), _trigger(connection.vendor, listings, "DELETE")]
    records = apps.get_model("compliance", "FindingRecord")._meta.db_table
    if records in present:
        changed = f"UPDATE OF {', '.join(FROZEN_FINDING_COLUMNS)}"
        statements += [_trigger(connection.vendor, records, changed), _trigger(connection.vendor, records, "DELETE")]
    with connection.cursor() as cursor:
        for statement in statements:
            for part in statement:
                cursor.execute(part)


def _trigger(vendor: str, table: str, event: str, *, when: str = "", name: str = "") -> tuple[str, ...]:
    name = f"{table}_no_{name or event.split(maxsplit=1)[0].lower()}"
    if vendor == "postgresql":
        condition = f"WHEN ({when}) " if when else ""
        return (
            f"CREATE OR REPLACE TRIGGER {name} BEFORE {event} ON {table} "
            f"FOR EACH ROW {condition}EXECUTE FUNCTION compliance_refuse()",
        )
    condition = f"WHEN {when} " if when else ""
    # Dropped first: an earlier version of the same trigger may be in place.
    return (
        f"DROP TRIGGER IF EXISTS {name}",
        f"CREATE TRIGGER {name} BEFORE {event} ON {table} {condition}"
        f"BEGIN SELECT RAISE(ABORT, '{table}: evidence cannot be changed or deleted'); END",
    )
