"""What a table of 1,000,000 applications costs on the site: uploaded, looked at, registered, and its pages opened.

A made-up table of twelve columns, as CSV and as Parquet, goes through Django's own client into an empty SQLite database
in a temporary folder. Nothing is left out: the upload is written to disk and hashed, the table is read in its own
process twice (once for the page that describes it, once for the register).

One row for the import (seconds; memory of the process that reads and of this one, in MiB) and one for the slowest page.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.rows import Row

ROWS = 1_000_000
REPEATS = 5
# In a process of its own, so that this one's memory stays what the site takes.
MAKE = """
import sys
import numpy as np
import polars as pl
count, path = int(sys.argv[1]), sys.argv[2]
draw = np.random.default_rng(1)
frame = pl.DataFrame({
    "loan_id": [f"L{index:07d}" for index in range(count)],
    "race": draw.choice(["White", "Black", "Asian"], count),
    "sex": draw.choice(["male", "female"], count),
    "age": draw.integers(18, 90, count),
    "income": draw.integers(10, 900, count) * 1000,
    "loan_amount": (draw.random(count) * 1e6).round(2),
    "debt_to_income": (draw.random(count) * 60).round(3),
    "loan_to_value": (draw.random(count) * 100).round(2),
    "purpose": draw.choice(["purchase", "refinance", "improvement"], count),
    "term": draw.choice([180, 240, 360], count),
    "county": draw.choice([f"C{index:03d}" for index in range(300)], count),
    "approved": draw.choice([0, 1], count),
})
frame.write_csv(path) if path.endswith(".csv") else frame.write_parquet(path)
"""


def run() -> Iterator[Row]:
    """Two rows a format."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _prepare(folder)
        for kind in ("csv", "parquet"):
            path = folder / f"loans.{kind}"
            subprocess.run([sys.executable, "-c", MAKE, str(ROWS), str(path)], check=True)
            yield from _rows(path, kind)


def _prepare(folder: Path) -> None:
    os.environ["PLUMBLINE_DATA"] = str(folder / "site")
    os.environ["PLUMBLINE_LOG_LEVEL"] = "ERROR"
    os.environ.pop("DATABASE_URL", None)
    os.environ["DJANGO_SETTINGS_MODULE"] = "compliance.settings"
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    settings.ALLOWED_HOSTS = ["testserver"]
    call_command("migrate", verbosity=0)


def _rows(path: Path, kind: str) -> Iterator[Row]:
    from django.contrib.auth import get_user_model
    from django.test import Client

    from compliance.models import Registration, default_team
    from compliance.registry.registration import perform_registration

    client = Client()
    client.force_login(get_user_model().objects.create_superuser(f"bench-{kind}"))
    worked = sum(os.times()[:4])
    begun = time.perf_counter()
    with path.open("rb") as stream:
        form = {"team": default_team().pk, "name": kind, "file": stream}
        answer = client.post("/register/data/", form)
    uploaded = time.perf_counter() - begun
    row = Registration.objects.get(name=kind)
    if row.look["refused"]:
        raise RuntimeError(row.look["refused"])
    client.post(answer["Location"], {"mapping": row.look["mapping"], "register": ""})
    begun = time.perf_counter()
    perform_registration(row.pk)
    registered = time.perf_counter() - begun
    worked = sum(os.times()[:4]) - worked
    row.refresh_from_db()
    version = row.data_version
    if version is None or version.rows != ROWS:
        raise RuntimeError(f"{kind}: was not registered: {row.error}")
    yield Row(
        name=f"import: {ROWS:,} rows of {kind}",
        ours=uploaded + registered,
        peer=None,
        ratio=None,
        agreement=None,
        unit="s",
        n=1,
        extra={
            "uploaded_and_looked_at_s": round(uploaded, 2),
            "registered_s": round(registered, 2),
            # Of this process and the two that read: what stays of the time where other work takes the cores.
            "processor_s": round(worked, 2),
            # Of all processes so far: the larger of the two formats stands in the later row too.
            "reading_process_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
            "file_mib": path.stat().st_size >> 20,
        },
    )
    pages = {
        "registration": answer["Location"],
        "registrations": "/register/",
        "data sets": "/admin/compliance/datasetversion/",
        "data set": f"/admin/compliance/datasetversion/{version.pk}/change/",
        "front page": "/",
    }
    times = {name: _slowest(client, address) for name, address in pages.items()}
    slowest = max(times, key=lambda name: times[name])
    yield Row(
        name=f"pages beside {ROWS:,} rows of {kind}",
        ours=times[slowest],
        peer=None,
        ratio=None,
        agreement=None,
        unit="s",
        n=REPEATS,
        extra={"slowest": slowest},
    )


def _slowest(client: object, address: str) -> float:
    longest = 0.0
    for _ in range(REPEATS):
        begun = time.perf_counter()
        answer = client.get(address)  # type: ignore[attr-defined]
        longest = max(longest, time.perf_counter() - begun)
        if answer.status_code != 200:
            raise RuntimeError(f"{address}: {answer.status_code}")
    return longest
