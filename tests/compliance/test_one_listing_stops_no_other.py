"""A table that would cost much is refused before it is parsed, and no system is read through another's table."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from django.conf import LazySettings

from auditor.exceptions import ModelError
from auditor.systems.listing import read_listed
from compliance.models import SystemListing, SystemState, default_team
from compliance.registry.system_tables import read_table, text_sha256, with_prices
from compliance.registry.systems import listed_systems
from tests.compliance.teams import listing_text
from tests.compliance.test_systems_are_listed_by_two import admin, listed

DEEP = "table: is nested deeper than 20; expected one table"
DEEPLY = "x = " + "[" * 20_000
MANY = "table: has more than 300 keys; expected one table"
COSTLY = {
    "dots": (".".join("a" * 20_000) + " = 1", DEEP),
    "dots of names in quotes": (".".join(['"a"'] * 2_000) + " = 1", DEEP),
    "dots with blanks": (" . ".join("a" * 2_000) + " = 1", DEEP),
    "a header": ("[" + ".".join("a" * 2_000) + "]", DEEP),
    "brackets": ("x = " + "[" * 20_000, DEEP),
    "braces": ("x = " + "{a = " * 2_000, DEEP),
    "dots and brackets": ("extra = " + "{a.a.a.a.a.a.a.a = " * 4 + "1" + "}" * 4, DEEP),
    "keys": ("extra = {" + ", ".join(f"a{n} = 1" for n in range(4_000)) + "}", MANY),
    "headers": ("\n".join(f"[endpoint.x.extra.a{n}]" for n in range(1_500)), MANY),
    "an unclosed string": ('x = "' + r"\"" * 20_000, "table: is not valid TOML"),
    "unclosed strings": ('x = "' + '\n"""\'' * 8_000, "table: is not valid TOML"),
}


@pytest.mark.parametrize("name", COSTLY)
def test_a_table_made_to_cost_much_is_refused_at_once(name: str) -> None:
    more, line = COSTLY[name]
    for read in (read_table, lambda text: with_prices(text, {"currency": "USD"})):
        begun = time.process_time()
        with pytest.raises(ModelError) as refused:
            read(listing_text("x") + more)
        assert time.process_time() - begun < 3, read
        assert str(refused.value).startswith(line)


def test_marks_in_strings_and_comments_do_not_count() -> None:
    marks = "." * 50 + "[" * 50 + "=" * 400
    text = listing_text("x") + f"# {marks}\nextra = {{a = \"{marks}\", b = '{marks}', c = '''{marks}''', d = 0.5}}\n"
    assert read_table(text).plain["endpoint"]["x"]["extra"]["a"] == marks


@pytest.mark.django_db
def test_a_row_that_nobody_can_read_stops_no_other_system(settings: LazySettings, tmp_path: Path) -> None:
    settings.DATA_FOLDER = tmp_path
    row = listed(admin("ann"), admin("bob"))
    SystemListing.objects.create(
        team=default_team(), kind="endpoint", name="deep", version=1, text=DEEPLY, text_sha256=text_sha256(DEEPLY),
        reason="x", proposed_by="ann", state=SystemState.LISTED, approved_by="bob",
        approved_by_user=row.approved_by_user, approved_at=row.approved_at, approval_reason="x",
        proposed_by_user=row.proposed_by_user,
    )  # fmt: skip
    assert (
        read_listed(listed_systems("endpoint:underwriter", team_id=row.team_id), "underwriter").model == "underwriter"
    )
    with pytest.raises(ModelError):
        read_listed(listed_systems("endpoint:deep", team_id=row.team_id), "deep")
