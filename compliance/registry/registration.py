"""Doing what a registration asks for: importing a model, or having an uploaded table read through its mapping.

``perform_registration`` is what a worker calls, with the row's key. It may be called again at any time: what is in the
register is found there, and a registration that is ready stays as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db.models.functions import Now
from django.utils.translation import gettext_noop

from auditor.applications import Applications
from auditor.data_sources import DEMONSTRATION, load_data
from auditor.decision_sources import is_decision_file, path_in
from auditor.demo_data import loanapp_table
from auditor.exceptions import AuditorError, ModelError
from auditor.language_models.sources import parse_source
from compliance import actions
from compliance.audits.binding import registered_decisions
from compliance.database.patience import passes, patiently
from compliance.exceptions import ComplianceError, StateError
from compliance.execution.heartbeats import Heartbeat
from compliance.execution.watchdog import Watchdog
from compliance.governance.events import Actor
from compliance.models import DataSetVersion, LanguageModelVersion, Registration
from compliance.registry.column_facts import ColumnFacts
from compliance.registry.columns import masked_preview
from compliance.registry.importing import import_bounded
from compliance.registry.mapping_page import lines_shown
from compliance.registry.reading import survey_of
from compliance.registry.system_tables import READERS
from compliance.registry.systems import find_listed
from compliance.sandbox.limits import limited
from compliance.sentences import in_english

log = logging.getLogger(__name__)


@in_english()
def perform_registration(registration_id: int, *, watchdog: Watchdog | None = None) -> None:
    """Do what a waiting registration asks for, and record how it ended: ready, or failed with one line.

    Parameters
    ----------
    registration_id
        Key of the row. One that is not waiting (or left behind by a lost worker) is left alone.
    watchdog
        Ends this process where it does not come back. Without one nobody does: on a command line a person sees it.
    """
    row = Registration.objects.select_related("team", "language_model", "requested_by_user").get(pk=registration_id)
    if not patiently(lambda: actions.begin_registration(registration=row)):
        return
    actor = Actor(name=row.requested_by, role="registration", user=row.requested_by_user)
    # Only while it is this process's: what somebody else has taken over gives its signs there.
    mine = Registration.objects.filter(pk=row.pk, claim_token=row.claim_token)
    try:
        step = {"what": "registering it", "claim_token": row.claim_token}
        watched = nullcontext() if watchdog is None else watchdog.watching(**step)
        with Heartbeat(lambda: mine.update(seen_at=Now()), name=f"registration {row.pk}"), watched:
            _register(row, actor, heartbeat=(lambda: None) if watchdog is None else watchdog.goes_on)
    except StateError:
        log.info("registration %s was settled by another worker", row.pk)


def _register(row: Registration, actor: Actor, *, heartbeat: Callable[[], None]) -> None:
    enter = partial(_import_model if row.kind == Registration.MODEL else _enter_data, heartbeat=heartbeat)

    def fail(line: str) -> None:
        # The line may quote a cell of the table; the event log keeps it for good.
        facts = [ColumnFacts.kept(each) for each in row.look.get("columns", ())]
        (error,) = lines_shown([line], facts, row.mapping)
        (told,) = lines_shown([line], facts, row.mapping, with_ids=False)
        patiently(lambda: actions.fail_registration(registration=row, error=error, told=told, actor=actor))

    try:
        version = patiently(lambda: enter(row, actor))
        patiently(lambda: actions.finish_registration(registration=row, version=version, actor=actor))
    except StateError:
        raise
    except (AuditorError, ComplianceError) as error:
        fail(str(error))
    except Exception as error:
        if passes(error):
            raise  # the database is busy or away: it stays under way, and the sweep comes back to it
        # Whatever it was, the row must say so; the trace is for the log, the line for the page.
        log.exception("registration %s crashed", row.pk)
        line = f"{row.source}: crashed ({type(error).__name__}); the log says where"
        fail(line)


def check_model_source(source: str, *, team_id: int | None = None) -> str:
    """A model source as the site accepts it: well-formed, by path only from the import folder, asked only if listed.

    Parameters
    ----------
    team_id
        Whose register it is for; ``None`` while nobody chose one, and then no system is listed.

    Raises
    ------
    ModelError
        For anything else. A page must not be a way to read the rest of the machine, or to send something from it.
    """
    if source.strip().partition(":")[0] in READERS:
        return find_listed(source, team_id=team_id).source
    if is_decision_file(source.strip()):
        find_decisions(source.strip(), team_id=team_id)
        return source.strip()
    parsed = parse_source(source)
    folder = Path(settings.IMPORT_FOLDER).resolve()
    paths = [*([parsed.path] if parsed.kind in ("dir", "gguf") else []), *parsed.adapter_paths]
    for path in paths:
        if not path.is_absolute() or not path.resolve().is_relative_to(folder):
            raise ModelError(
                f"model source {source!r}",
                gettext_noop("is outside the import folder"),
                gettext_noop("a path below PLUMBLINE_IMPORTS"),
            )
    return source.strip()


def find_decisions(source: str, *, team_id: int | None) -> DataSetVersion:
    """The data set that ``decisions:NAME`` names: the newest version that the team registered under this name.

    Raises
    ------
    ModelError
        If the team has none, or its mapping names no decision.
    """
    where, rows = f"model source {source!r}", DataSetVersion.objects.filter(name=path_in(source))
    found = None if team_id is None else rows.filter(team_id=team_id).order_by("-pk").first()
    if found is None:
        raise ModelError(
            where, gettext_noop("names no data set of this team"), gettext_noop("decisions:NAME of a registered one")
        )
    if not any(item["role"] == "outcome" for item in found.mapping["fields"]):
        raise ModelError(where, gettext_noop("has no outcome in its mapping"), gettext_noop("a data set of decisions"))
    return found


def demonstration_data() -> tuple[Applications, list[list[str]]]:
    """The demonstration's applications, and their first rows as a preview shows them."""
    data = load_data(DEMONSTRATION, "")
    return data, masked_preview(loanapp_table()[0], data.mapping)


def _import_model(row: Registration, actor: Actor, *, heartbeat: Callable[[], None]) -> LanguageModelVersion:
    if row.source.partition(":")[0] in READERS:
        find_listed(row.source, team_id=row.team_id)  # it may have been withdrawn since somebody asked
    if is_decision_file(row.source):
        data = find_decisions(row.source, team_id=row.team_id)
        # Read in this process, since what is read of it is kept here: bounded as the preparing of a run is.
        with limited(
            f"{row.source}: registering its decisions",
            seconds=settings.PREPARE_SECONDS,
            memory=settings.PREPARE_MEMORY,
        ):
            file = registered_decisions(data, source=row.source)
        return actions.register_model(
            source=row.source,
            sha256=file.fingerprint,
            manifest=file.manifest,
            language_model=row.language_model,
            actor=actor,
        )
    stored = import_bounded(row.source, team_id=row.team_id, heartbeat=heartbeat)
    return actions.register_model(
        source=row.source,
        sha256=stored.sha256,
        manifest=stored.record,
        language_model=row.language_model,
        actor=actor,
    )


def _enter_data(row: Registration, actor: Actor, *, heartbeat: Callable[[], None]) -> DataSetVersion:
    if row.source == DEMONSTRATION:
        data, preview = demonstration_data()
        row.look = {"lines": data.counts.lines()}
        return actions.register_data(data=data, team=row.team, preview=preview, actor=actor)
    found, preview, lines = survey_of(row, heartbeat=heartbeat)
    # What is known of the columns stays: a plan that is written from the table counts its groups by it.
    row.look = {"lines": lines, "columns": row.look.get("columns", [])}
    return actions.register_data(data=found, team=row.team, file=row.file, preview=preview, actor=actor)
