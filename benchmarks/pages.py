"""How fast the officers' pages answer over 1,000 audits, 20,000 findings and 1,000,000
measurements on SQLite, with 20,000 events. Four audits of five are governed, so that models have a standing.

The findings are those of 5,000 records, in every state, each seen by four audits.

The database is built once, outside the clone, from one simulated audit with evidence; the others are copies of its rows
under other names, spread over forty models, five plans, four years. Beside them stand 300 people with roles, 2,000
notices and one row of every other register; every page that the table of addresses of the tests opens is asked for, the
names below being those of the pages with the most rows. Each page is then asked for through Django's own
client, templates and middleware included; the first request of each is left out.

A section of a report is opened twice: first by a process that has told nothing of that audit yet, then again. The rows
are those of the slowest section.

``python -m benchmarks.pages`` only builds the database, which takes minutes and needs no quiet machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.rows import Row

if TYPE_CHECKING:
    from django.test import Client

AUDITS, FINDINGS, MEASUREMENTS = 1_000, 20_000, 1_000_000
EVENTS = 20_000
PEOPLE, NOTICES = 300, 2_000
MOST_BYTES = 500_000
MODELS, PLANS, DAYS = 40, 5, 1_400
SIGHTINGS = 4
REPEATS = 15
BUILT = "built"
SECTIONS = "/audits/A-0001/sections/"
PAGES = {
    "home": "/",
    "models": "/models/",
    "model": "/models/{model}/",
    "audits": "/audits/",
    "audit": "/audits/A-0001/",
    "findings": "/findings/",
    "finding": "/findings/F-0001/",
    "cases": "/audits/A-0001/cases/",
    "pairs": "/audits/A-0001/cases/?arm=race=White|race=Black",
    "models, narrowed": "/models/?conclusion=DIFFERENCE_FOUND&sort=due&column=conclusion&column=due",
    "audits, searched": "/audits/?q=model-07&state=done&sort=model",
    "audits, last page": "/audits/?page=999999",
    "findings, searched": "/findings/?q=model-07&state=live&sort=due",
    "plans": "/plans/",
    "plan": "/plans/{plan}/",
    "data sets": "/data/",
    "data set": "/data/{data}/",
    "packs": "/packs/",
    "pack": "/packs/{pack}/",
    "releases": "/releases/",
    "workers": "/workers/",
    "events": "/events/",
    "events, searched": "/events/?q=A-0500&from=2020-01-01&sort=oldest",
    "systems": "/systems/",
    "register": "/register/",
    "run an audit": "/audits/request/",
}


def run() -> Iterator[Row]:
    """One row a page."""
    addresses = prepare()
    yield from _asked(addresses)


def prepare() -> dict[str, str]:
    """Set Django up on the database, which is built if it is not there; the address of every page, by its route."""
    folder = _folder()
    built = (folder / BUILT).exists()
    if not built:  # what an earlier build left behind when it was stopped
        shutil.rmtree(folder)
    os.environ["PLUMBLINE_DATA"] = str(folder)
    os.environ.pop("DATABASE_URL", None)
    os.environ["PLUMBLINE_WEBHOOK_NETWORKS"] = "127.0.0.0/8"  # where the row of webhooks points
    os.environ["DJANGO_SETTINGS_MODULE"] = "compliance.settings"
    import django

    django.setup()
    from django.conf import settings

    settings.ALLOWED_HOSTS = ["testserver"]
    if not built:
        (folder / BUILT).write_text(json.dumps(_build()), "utf-8")
    addresses: dict[str, str] = json.loads((folder / BUILT).read_text("utf-8"))
    return addresses


def _asked(addresses: dict[str, str]) -> Iterator[Row]:
    from django.contrib.auth.models import User
    from django.test import Client

    from compliance.dashboard import records
    from compliance.models import Audit, Event, FindingRecord, FindingRow, MeasurementRow, PolicyPackVersion
    from reports import sections

    client = Client()
    client.force_login(User.objects.get(username="benchmark"))
    rows: dict[str, object] = {"audits": Audit.objects.count(), "findings": FindingRow.objects.count()}
    rows["measurements"] = MeasurementRow.objects.count()
    rows["records"] = FindingRecord.objects.count()
    rows["events"] = Event.objects.count()
    newest = Audit.objects.get(serial=AUDITS)
    pack = PolicyPackVersion.objects.order_by("pk").values_list("pk", flat=True)[0]
    keys = {"model": newest.model_id, "plan": newest.plan_id, "data": newest.data_id, "pack": pack}
    named = {name: address.format(**keys) for name, address in PAGES.items()}
    others = {route: address for route, address in addresses.items() if address not in named.values()}
    for name, address in (named | others).items():
        times = [_asked_once(client, address) for _ in range(REPEATS + 1)]
        yield _row(name, times, rows | {"bytes": times[0].size})
    for name, forget in (("section, first", records.story_of.cache_clear), ("section, again", lambda: None)):
        found = {}
        for kind in sections.sections_in(sections.OPENED):
            times = []
            for _ in range(REPEATS + 1):
                forget()
                times.append(_asked_once(client, f"{SECTIONS}{kind.id}/"))
            found[kind.id] = times
        slowest = max(found, key=lambda kind: statistics.median(one.processor for one in found[kind][1:]))
        yield _row(name, found[slowest], rows | {"section": slowest, "sections": len(found)})


@dataclass(frozen=True)
class Took:
    """Milliseconds of one answer, on the clock and of the processor: on a busy machine the second says more.

    ``size`` is how many bytes it has.
    """

    wall: float
    processor: float
    size: int


def _asked_once(client: Client, address: str) -> Took:
    started, worked = time.perf_counter(), time.process_time()
    answer = client.get(address)
    if answer.status_code != 200:
        raise RuntimeError(f"{address}: answered {answer.status_code}")
    size = len(answer.content)
    if size > MOST_BYTES:
        raise RuntimeError(f"{address}: has {size:,} bytes; expected at most {MOST_BYTES:,}")
    return Took(1000 * (time.perf_counter() - started), 1000 * (time.process_time() - worked), size)


def _row(name: str, took: list[Took], extra: dict[str, object]) -> Row:
    times = [one.wall for one in took]
    median = statistics.median(times[1:])
    processor = statistics.median(one.processor for one in took[1:])
    return Row(
        name=name,
        ours=median,
        peer=None,
        ratio=None,
        agreement=None,
        unit="ms",
        n=REPEATS,
        extra={
            "median_ms": median,
            "processor_ms": processor,
            "first_ms": times[0],
            "slowest_ms": max(times[1:]),
            **extra,
        },
    )


def _folder() -> Path:
    """Where the database is kept: named by what it is built from, so that a change of the tables builds another."""
    root = Path(__file__).resolve().parents[1]
    made_of = sorted([*root.glob("compliance/migrations/*.py"), Path(__file__), root / "tests/compliance/finished.py"])
    name = hashlib.sha256(b"".join(path.read_bytes() for path in made_of)).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / "plumbline-benchmarks" / f"pages-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _build() -> dict[str, str]:
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection

    from compliance.models import Audit
    from tests.compliance.finished import finish, simulate

    call_command("migrate", verbosity=0)
    User.objects.create_superuser("benchmark", password="not used: the client logs in without it")
    with tempfile.TemporaryDirectory() as scratch:
        first = finish(simulate(Path(scratch)))
    versions, plans = _versions(first), _plans(first)
    with connection.cursor() as cursor:
        _copy_audits(cursor, first, versions, plans)
        last = Audit.objects.order_by("-pk").values_list("pk", flat=True)[0]
        _copy_rows(cursor, first, "compliance_measurementrow", MEASUREMENTS, last)
        _copy_rows(cursor, first, "compliance_findingrow", FINDINGS, last)
    _enter_records()
    _enter_events(first)
    addresses = _enter_registers(first)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return addresses


def _enter_registers(first: object) -> dict[str, str]:
    """People with roles, notices, a row of every other register; the address of every page of the site, by its route.

    Pages of files are left out: they are not read on the site. So are those that wait for a file of their own.
    """
    from django.contrib.auth.models import User

    from compliance.access.roles import Role
    from compliance.models import Membership, Notice
    from tests.compliance.teams import rows_of
    from tests.compliance.test_access_of_every_address import SITE

    team, roles = first.team, list(Role)  # type: ignore[attr-defined]
    people = User.objects.bulk_create(User(username=f"officer {number}", password="!") for number in range(PEOPLE))
    Membership.objects.bulk_create(
        Membership(team=team, user=user, role=roles[number % len(roles)]) for number, user in enumerate(people)
    )
    reader = User.objects.get(username="benchmark")
    Notice.objects.bulk_create(
        Notice(
            user=reader,
            key=f"event {number}",
            kind="audit_finished",
            team=team,
            subject="audit",
            subject_id=first.pk,  # type: ignore[attr-defined]
            words=f"A-{1 + number % AUDITS:04d} is finished",
            link="/audits/A-0001/",
            made_at=first.finished_at,  # type: ignore[attr-defined]
        )
        for number in range(NOTICES)
    )
    rows = rows_of(team, name="others")
    return {
        route: line.path.format(**rows)
        for route, line in SITE.items()
        if line.method == "get" and line.allowed == 200 and not route.endswith(("files/<key:pk>/", "healthz", "readyz"))
    }


def _enter_records() -> None:
    """Findings that live on: each seen by several audits, in every state, one in five settled."""
    from datetime import timedelta

    from compliance.governance.finding_states import SETTLED, FindingState
    from compliance.models import Audit, FindingRecord, FindingRow, Sighting

    audits = {row.pk: row for row in Audit.objects.select_related("model").defer("run_json", "model__manifest")}
    seen = list(FindingRow.objects.order_by("position", "audit_id").only("audit_id", "title", "severity"))
    states, records, sightings = list(FindingState), [], []
    for number in range(len(seen) // SIGHTINGS):
        rows = seen[number * SIGHTINGS : (number + 1) * SIGHTINGS]
        audit, state = audits[rows[0].audit_id], states[number % len(states)]
        record = FindingRecord(
            pk=number + 1,
            team_id=audit.team_id,
            serial=number + 1,
            language_model_id=audit.model.language_model_id,
            plan_id=audit.plan_id,
            fingerprint=hashlib.sha256(b"record %d" % number).hexdigest(),
            question={},
            title=rows[0].title,
            severity=rows[0].severity,
            severity_rank=rows[0].severity_rank,
            state=state.value,
            settled_rank=rows[0].severity_rank if state in SETTLED else None,
            accepted_until=audit.finished_at.date() + timedelta(days=DAYS)
            if state == FindingState.RISK_ACCEPTED
            else None,
            opened_in=audit,
            opened_at=audit.finished_at,
            first_seen=audit.finished_at,
            last_seen=audits[rows[-1].audit_id].finished_at,
            allowed_until=audit.finished_at.date() + timedelta(days=90),
        )
        records.append(record)
        sightings += [
            Sighting(record=record, audit_id=row.audit_id, finding=row, trend="first" if row is rows[0] else "same")
            for row in rows
        ]
    FindingRecord.objects.bulk_create(records, batch_size=500)
    Sighting.objects.bulk_create(sightings, batch_size=500)


def _enter_events(first: object) -> None:
    """What happened to the audits, as many lines each; nothing here checks that they are a chain."""
    from datetime import UTC, datetime, timedelta

    from compliance.models import ChainHead, Event, EventPayload
    from compliance.models.events import salted_hash

    kinds = ("audit.requested", "audit.running", "audit.finished", *("evidence.viewed",) * 17)
    last = Event.objects.order_by("-seq").values_list("seq", flat=True).first() or 0
    begun = datetime(2023, 1, 1, tzinfo=UTC)
    events, payloads = [], []
    for number in range(EVENTS):
        data = '{"what":"cases/"}'
        sealed = salted_hash(salt="s", data_json=data)
        events.append(
            Event(
                pk=last + number + 1,
                seq=last + number + 1,
                prev="0" * 64,
                ts=(begun + timedelta(hours=number)).isoformat(timespec="microseconds").replace("+00:00", "Z"),
                actor=f"officer {number % 12}",
                team=first.team,  # type: ignore[attr-defined]
                role="site",
                action=kinds[number % len(kinds)],
                object=f"A-{1 + number // len(kinds):04d}",
                payload_sha256=sealed,
                hash=hashlib.sha256(b"event %d" % number).hexdigest(),
            )
        )
        payloads.append(EventPayload(event_id=last + number + 1, salt="s", data_json=data))
    Event.objects.bulk_create(events, batch_size=500)
    EventPayload.objects.bulk_create(payloads, batch_size=500)
    ChainHead.objects.filter(pk=1).update(seq=events[-1].seq, hash=events[-1].hash)  # pages append to it


def _versions(first: object) -> list[int]:
    """Forty models of five versions each, named by their source and revision."""
    from compliance.models import LanguageModel, LanguageModelVersion

    team = first.team  # type: ignore[attr-defined]
    models = [
        LanguageModel.objects.create(team=team, name=f"hf:bank/model-{number:02d}", risk_tier=1 + number % 4)
        for number in range(MODELS)
    ]
    return [
        LanguageModelVersion.objects.create(
            language_model=models[number % MODELS],
            source=f"hf:bank/model-{number % MODELS:02d}@{number // MODELS:08d}",
            sha256=hashlib.sha256(b"model %d" % number).hexdigest(),
            manifest=first.model.manifest,  # type: ignore[attr-defined]
        ).pk
        for number in range(5 * MODELS)
    ]


def _plans(first: object) -> list[int]:
    from auditor.canonical import canonical_json, sha256_bytes
    from compliance.models import PlanVersion

    plans = []
    for number in range(PLANS):
        design = {**first.plan.design, "name": f"plan-{number}"}  # type: ignore[attr-defined]
        design["use"] = {**design["use"], "model_tier": 1 + number % 4}
        text = canonical_json(design)
        row = PlanVersion(team=first.team, name=f"plan-{number}", title=f"Plan {number}", design_json=text.decode())  # type: ignore[attr-defined]
        row.design_sha256 = sha256_bytes(text)
        row.save()
        plans.append(row.pk)
    return plans


def _copy_audits(cursor: object, first: object, versions: list[int], plans: list[int]) -> None:
    from datetime import timedelta

    from compliance.models import Audit

    rows = []
    for number in range(1, AUDITS):
        moment = first.finished_at - timedelta(days=DAYS * (AUDITS - number) / AUDITS)  # type: ignore[attr-defined]
        rows.append(
            Audit(
                team=first.team,  # type: ignore[attr-defined]
                serial=number + 1,
                plan_id=plans[(number % MODELS) % PLANS],
                model_id=versions[number % len(versions)],
                data_id=first.data_id,  # type: ignore[attr-defined]
                run_json=first.run_json,  # type: ignore[attr-defined]
                run_sha256=hashlib.sha256(b"run %d" % number).hexdigest(),
                state="done",
                governed=number % 5 != 0,
                requested_by="benchmark",
                started_at=moment,
                finished_at=moment,
                prompts=first.prompts,  # type: ignore[attr-defined]
                tokens=first.tokens,  # type: ignore[attr-defined]
                prompts_done=first.prompts,  # type: ignore[attr-defined]
            )
        )
    Audit.objects.bulk_create(rows, batch_size=50)


def _copy_rows(cursor: object, first: object, table: str, wanted: int, last: int) -> None:
    """Copy one audit's rows to the others by SQL, again under other keys, until there are as many as wanted."""
    audit = first.pk  # type: ignore[attr-defined]
    run = cursor.execute  # type: ignore[attr-defined]
    fetch = cursor.fetchall  # type: ignore[attr-defined]
    run(f"PRAGMA table_info({table})")
    columns = [row[1] for row in fetch() if row[1] != "id"]
    run(f"SELECT COUNT(*) FROM {table} WHERE audit_id = {audit}")
    own = fetch()[0][0]
    each = wanted // AUDITS
    values = {"audit_id": "a.id", "key": "s.key || '#' || r.value", "position": "s.position + r.value * 10000"}
    chosen = ", ".join(values.get(name, f's."{name}"') for name in columns)
    listed = ", ".join(f'"{name}"' for name in columns)
    # Copies of a primary contrast under another name would not be an audit's: all but the first round are supporting.
    if "role" in columns:
        chosen = chosen.replace('s."role"', "CASE WHEN r.value = 0 THEN s.role ELSE 'supporting' END")
    chosen = chosen.replace(values["key"], "CASE WHEN r.value = 0 THEN s.key ELSE s.key || '#' || r.value END")
    rounds = -(-each // own)
    run(
        f"WITH RECURSIVE r(value) AS (SELECT 0 UNION ALL SELECT value + 1 FROM r WHERE value + 1 < {rounds}) "
        f"INSERT INTO {table} ({listed}) SELECT {chosen} FROM compliance_audit a, r, {table} s "
        f"WHERE s.audit_id = {audit} AND a.id <= {last} AND NOT (a.id = {audit} AND r.value = 0) "
        f"AND s.position + r.value * {own} < {each}"
    )


if __name__ == "__main__":
    prepare()
