"""A registration from its request to its end. compliance/models/registrations.py draws its states."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from compliance.actions.permitted import permitted
from compliance.exceptions import OvertakenError, StateError
from compliance.execution.dispatch import enqueue_registration
from compliance.execution.heartbeats import lease, silent
from compliance.governance.events import Actor, append_event, lock_chain
from compliance.models import (
    DataSetVersion,
    Event,
    LanguageModel,
    LanguageModelVersion,
    Registration,
    Team,
)
from compliance.models import RegistrationState as State
from compliance.sentences import in_sentence, one_of

#: What somebody needs who asks for one, describes it, or takes it away.
PERMISSIONS: Mapping[str, str] = MappingProxyType(
    {Registration.MODEL: "add_languagemodelversion", Registration.DATA: "add_datasetversion"}
)
#: How often it is begun without an end before a person has to ask for it once more.
MOST_ATTEMPTS = 3

SOURCES = {
    State.UPLOADING: (State.MAPPING, State.FAILED),
    State.MAPPING: (State.UPLOADING, State.MAPPING, State.FAILED),
    State.WAITING: (State.MAPPING, State.FAILED, State.REGISTERING),
    State.REGISTERING: (State.WAITING, State.REGISTERING),
    State.READY: (State.REGISTERING,),
    State.FAILED: (State.REGISTERING, State.UPLOADING),
}


@transaction.atomic
def request_model(*, language_model: LanguageModel, source: str, actor: Actor) -> Registration:
    """Ask for a model to be imported as a version of a language model; NotPermitted without the permission."""
    row = _ask(
        Registration.MODEL, language_model.team, language_model.name, source, actor, language_model=language_model
    )
    enqueue_registration(row)
    return row


@transaction.atomic
def request_data(*, team: Team, name: str, source: str, actor: Actor) -> Registration:
    """Ask for data at hand, such as the demonstration's, to be entered; NotPermitted without the permission."""
    row = _ask(Registration.DATA, team, name, source, actor)
    enqueue_registration(row)
    return row


@transaction.atomic
def request_upload(*, team: Team, name: str, file_name: str, size: int, actor: Actor) -> Registration:
    """Announce a table of ``size`` bytes; its parts follow. NotPermitted without the permission."""
    row = _ask(Registration.DATA, team, name, file_name, actor, state=State.UPLOADING, size=size)
    Registration.objects.filter(pk=row.pk).update(seen_at=Now())
    return row


@transaction.atomic
def replace_upload(*, registration: Registration, file_name: str, size: int, actor: Actor) -> None:
    """Announce another table of ``size`` bytes in the place of an uploaded one; its parts follow. What was said stays.

    The file before is kept where it is: others may stand on the same content, and the event names it.

    Raises
    ------
    NotPermitted
        Without the permission to register data sets in its team.
    StateError
        If nothing was uploaded here, or it is on its way, or registered: what stands in the register is evidence.
    """
    _allow(registration, actor)
    if registration.at_hand:
        raise StateError(
            _("{registration}: was not uploaded; expected a data set whose file came from a browser").format(
                registration=registration
            )
        )
    before = {"file": registration.file, "source": registration.source}
    _move(
        registration, State.UPLOADING, source=file_name, size=size, received=0, file="", look={}, error="", attempts=0,
        finished_at=None, replaced_bytes=registration.replaced_bytes + (registration.size if registration.file else 0),
    )  # fmt: skip
    Registration.objects.filter(pk=registration.pk).update(seen_at=Now())
    _tell(registration, "registration.file_replaced", actor, {"before": before, "file": file_name, "bytes": size})


@transaction.atomic
def remove_registration(*, registration: Registration, actor: Actor) -> None:
    """Take away an upload that failed or was never described, with its files; the event says what it was.

    A file that something else stands on stays: another upload of the same bytes, or data in the register.

    Raises
    ------
    NotPermitted
        Without the permission to register data sets in its team.
    StateError
        If nothing was uploaded here, or it is on its way, or registered: what stands in the register is evidence.
    """
    _allow(registration, actor)
    if registration.at_hand:
        raise StateError(
            _("{registration}: was not uploaded; expected a data set whose file came from a browser").format(
                registration=registration
            )
        )
    lock_chain()
    described, files = registration.event_object, _files_of(registration)
    payload = {"name": registration.name, "file": registration.source, "bytes": registration.size}
    # By its state: somebody may have asked for it to be registered in the meantime.
    open_states = (State.UPLOADING, State.MAPPING, State.FAILED)
    gone, _by_kind = Registration.objects.filter(pk=registration.pk, state__in=open_states, data_version=None).delete()
    if not gone:
        registration.refresh_from_db(fields=["state"])
        state = in_sentence(State(registration.state).label)
        raise StateError(
            _("{registration}: is {state}; expected one that is not registered and not on its way").format(
                registration=registration, state=state
            )
        )
    append_event(actor=actor, action="registration.removed", object=described, payload=payload, team=registration.team)
    used = {
        *Registration.objects.filter(file__in=files).values_list("file", flat=True),
        *DataSetVersion.objects.filter(file__in=files).values_list("file", flat=True),
    }
    for name in sorted(files - used):
        transaction.on_commit(partial((Path(settings.DATA_FOLDER) / name).unlink, missing_ok=True))


def _files_of(registration: Registration) -> set[str]:
    """Every file that was kept for an upload, those that others took the place of too."""
    events = Event.objects.filter(object=registration.event_object, action="registration.uploaded")
    texts = events.filter(team=registration.team_id).values_list("payload__data_json", flat=True)
    found = {str(json.loads(text).get("file", "")) for text in texts if text}
    return (found | {registration.file}) - {""}


def note_received(*, registration: Registration, start: int, stop: int) -> None:
    """Bytes ``start`` to ``stop`` of an upload arrived. No event: they are no evidence yet.

    Raises
    ------
    StateError
        If other bytes were due, such as when a part is sent twice at once.
    """
    rows = Registration.objects.filter(pk=registration.pk, state=State.UPLOADING, received=start, size__gte=stop)
    if not rows.update(received=stop, seen_at=Now()):
        raise StateError(
            _("{registration}: these are not the next bytes; expected the upload to continue where it stopped").format(
                registration=registration
            )
        )
    registration.received = stop


@transaction.atomic
def keep_upload(*, registration: Registration, file: str, actor: Actor) -> None:
    """The whole table arrived and is kept as ``file``, below the data folder; NotPermitted as for its request."""
    _allow(registration, actor)
    _move(registration, State.MAPPING, file=file, error="")
    _tell(registration, "registration.uploaded", actor, {"file": file, "bytes": registration.size})


@transaction.atomic
def end_upload(*, registration: Registration, actor: Actor) -> bool:
    """An upload that rests for too long has failed; false if it is no longer as it was read. Its parts may be removed.

    Whoever still wants it sends the file again, in its place: what was said of it stays.
    """
    lock_chain()
    error = f"{registration.source}: was not finished within a day of its last part; expected the file to be sent again"
    rows = Registration.objects.filter(
        pk=registration.pk, state=State.UPLOADING, received=registration.received, size=registration.size
    )
    if not rows.update(state=State.FAILED, error=error, size=0, received=0, finished_at=timezone.now()):
        return False
    payload = {"file": registration.source, "bytes": registration.size, "received": registration.received}
    _tell(registration, "registration.upload_ended", actor, payload)
    registration.refresh_from_db()
    return True


def keep_look(*, registration: Registration, look: dict[str, Any]) -> None:
    """Keep what was seen of an upload, for its page. No event: it is no evidence. What is on its way is left alone."""
    rows = Registration.objects.filter(pk=registration.pk, state__in=(State.MAPPING, State.FAILED))
    if rows.update(look=look):
        registration.look = look


@transaction.atomic
def keep_mapping(
    *, registration: Registration, mapping: str, ready: bool, read: str | None = None, actor: Actor
) -> None:
    """Keep what somebody said the columns mean, right or wrong; ``ready`` asks for the data set to be registered.

    Parameters
    ----------
    read
        `Registration.revision` of what was read before; ``None`` writes over whatever stands there.

    Raises
    ------
    NotPermitted
        Without the permission to register data sets in its team.
    StateError
        If it is registered, or on its way; `OvertakenError` if somebody else said something, or put another file in
        its place, since it was read.
    """
    _allow(registration, actor)
    lock_chain()  # two who say something at once follow each other
    now = Registration.objects.get(pk=registration.pk)
    if read is not None and now.revision != read and now.mapping != mapping:
        raise OvertakenError(
            _(
                "{registration}: somebody else described its columns in the meantime, or put another file in its "
                "place; expected your changes on top of theirs"
            ).format(registration=registration)
        )
    _move(registration, State.MAPPING, mapping=mapping, error="")
    if ready:
        _move(registration, State.WAITING)
        _tell(registration, "registration.mapped", actor, {})
        enqueue_registration(registration)


@transaction.atomic
def try_again(*, registration: Registration, actor: Actor) -> None:
    """Let a registration wait once more that failed, or that is under way.

    What somebody tries again while a process still works on it is taken from that process: its end no longer counts. So
    this works as well where the process is gone, and nobody has to know which of the two it is.

    Raises
    ------
    NotPermitted
        Without the permission to register what it is of in its team.
    StateError
        If it neither failed nor is under way.
    """
    _allow(registration, actor)
    if not registration.at_hand and not registration.mapping:
        raise StateError(
            _("{registration}: has no mapping; expected one before it is registered").format(registration=registration)
        )
    if registration.state not in (State.FAILED, State.REGISTERING):
        state = in_sentence(State(registration.state).label)
        raise StateError(
            _("{registration}: is {state}; expected one that failed or is being registered").format(
                registration=registration, state=state
            )
        )
    _move(registration, State.WAITING, error="", claim_token="", attempts=0)
    _tell(registration, "registration.tried_again", actor, {})
    enqueue_registration(registration)


def begin_registration(*, registration: Registration) -> bool:
    """Start on it; false if it neither waits nor was left behind. Importing twice is harmless.

    Begun too often without an end it has failed, with the reason on its page: what it asks for ends whoever does it.
    """
    left_behind = Q(state=State.REGISTERING) & (Q(claim_token="") | silent("seen_at", lease()))
    # One registration may be enqueued twice; the second worker finds a claim that is alive.
    rows = Registration.objects.filter(Q(state=State.WAITING) | left_behind, pk=registration.pk)
    fresh = {"state": State.REGISTERING, "claim_token": secrets.token_hex(16)}
    if rows.filter(attempts__lt=MOST_ATTEMPTS).update(**fresh, seen_at=Now(), attempts=F("attempts") + 1):
        registration.state, registration.claim_token = State.REGISTERING, fresh["claim_token"]
        return True
    _give_up(registration, rows.filter(attempts__gte=MOST_ATTEMPTS))
    return False


@transaction.atomic
def _give_up(registration: Registration, rows: QuerySet[Registration]) -> None:
    noted = Registration.objects.filter(pk=registration.pk).values_list("error", flat=True).get()
    error = (
        f"{registration}: {noted}; it was begun {MOST_ATTEMPTS} times and will not be tried again by itself"
        if noted
        else f"{registration}: registering it ended its process {MOST_ATTEMPTS} times without a word; it will not be "
        "tried again by itself"
    )
    if rows.update(state=State.FAILED, error=error, finished_at=timezone.now(), claim_token=""):
        actor = Actor(name="worker", role="worker")
        _tell(registration, "registration.failed", actor, {"error": error, "attempts": MOST_ATTEMPTS})


@transaction.atomic
def finish_registration(
    *, registration: Registration, version: LanguageModelVersion | DataSetVersion, actor: Actor
) -> None:
    """It is in the register, as ``version``; ``look`` of the row says what became of the rows of a table."""
    kind = "model_version" if isinstance(version, LanguageModelVersion) else "data_version"
    done = {"finished_at": timezone.now(), "error": "", "attempts": 0, "look": registration.look, kind: version}
    _move(registration, State.READY, held={"claim_token": registration.claim_token}, **done)
    _tell(registration, "registration.finished", actor, {"version": version.event_object})


@transaction.atomic
def fail_registration(*, registration: Registration, error: str, told: str = "", actor: Actor) -> None:
    """It cannot be entered as it is. What was uploaded and written is kept.

    Parameters
    ----------
    error
        The line that its page shows.
    told
        The same as the event log keeps it, where that is less: no ids.
    """
    held = {"claim_token": registration.claim_token}
    _move(registration, State.FAILED, held=held, finished_at=timezone.now(), error=error, attempts=0)
    _tell(registration, "registration.failed", actor, {"error": told or error})


def _ask(
    kind: str, team: Team, name: str, source: str, actor: Actor, *, state: State = State.WAITING, **fields: Any
) -> Registration:
    permitted(actor, PERMISSIONS[kind], team.pk)
    row = Registration.objects.create(
        public_id=uuid.uuid4(),
        team=team,
        kind=kind,
        state=state,
        name=name,
        source=source,
        requested_by=actor.name,
        requested_by_user=actor.user,
        **fields,
    )
    upload = {"file": source, "bytes": row.size} if state == State.UPLOADING else {"source": source}
    _tell(row, "registration.requested", actor, upload)
    return row


def _allow(row: Registration, actor: Actor) -> None:
    permitted(actor, PERMISSIONS[row.kind], row.team_id)


def _move(row: Registration, to: State, *, held: Mapping[str, Any] = MappingProxyType({}), **fields: Any) -> None:
    """One conditional UPDATE: whoever comes second finds the state, or what they ``held``, changed and is refused."""
    if not Registration.objects.filter(pk=row.pk, state__in=SOURCES[to], **held).update(state=to, **fields):
        row.refresh_from_db(fields=["state"])
        expected = one_of(sorted((source.label for source in SOURCES[to]), key=str), between=", ")
        raise StateError(
            _("{row}: is {state}; expected one of: {expected}").format(
                row=row, state=in_sentence(State(row.state).label), expected=expected
            )
        )
    row.state = to
    for name, value in fields.items():
        setattr(row, name, value)


def _tell(row: Registration, action: str, actor: Actor, payload: dict[str, Any]) -> None:
    lock_chain()
    append_event(actor=actor, action=action, object=row.event_object, payload=payload, team=row.team)
