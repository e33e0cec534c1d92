"""What the second administrator sees of a proposed system is what would be asked: nothing is unseen, nothing turned."""

from __future__ import annotations

import pytest

from auditor.exceptions import ModelError
from compliance import actions
from compliance.exceptions import StateError
from compliance.models import SystemListing
from compliance.registry.system_tables import read_table
from tests.compliance.teams import listing_text
from tests.compliance.test_systems_are_listed_by_two import admin, propose

UNSEEN = {"turned": "\u202e", "no width": "\u200b", "a soft hyphen": "\u00ad", "a return": "\r", "delete": "\u009f"}
REST = ", which is not seen; expected marks that can be read"


@pytest.mark.parametrize("name", UNSEEN)
def test_marks_that_are_not_seen_are_refused(name: str) -> None:
    mark = UNSEEN[name]
    with pytest.raises(ModelError) as refused:
        read_table(listing_text("x") + f"# for{mark}you\n")
    assert str(refused.value) == f"table: holds U+{ord(mark):04X}{REST}"
    for line in ('extra = {{a = ["x{}"]}}', 'extra = {{"x{}" = 1}}'):
        with pytest.raises(ModelError) as refused:
            read_table(listing_text("x") + line.format(f"\\u{ord(mark):04x}"))
        assert str(refused.value) == f"endpoint.x: holds U+{ord(mark):04X}{REST}"


@pytest.mark.parametrize("path", ["v\u0661", "\uff0e\uff0e/v1", "caf\u00e9"])
def test_an_address_is_ascii_in_its_path_too(path: str) -> None:
    with pytest.raises(ModelError, match="is not an address; expected https:// and a host"):
        read_table(listing_text("x", url=f"https://models.example/{path}"))


@pytest.mark.django_db
def test_reasons_too_are_read_as_they_stand() -> None:
    ann, bob = admin("ann"), admin("bob")
    with pytest.raises(StateError, match=r"endpoint:underwriter: reason: holds U\+202E, which is not seen"):
        actions.propose_system(
            team=ann.user.memberships.get().team,  # type: ignore[union-attr]
            text=listing_text("underwriter"), reason="To be \u202eaudited.", actor=ann,
        )  # fmt: skip
    assert not SystemListing.objects.exists()
    row = propose(ann)
    with pytest.raises(StateError, match=r"reason: holds U\+0007"):
        actions.approve_system(listing=row, reason="Read.\a", actor=bob)
    actions.approve_system(listing=row, reason="Read:\r\nall of it, pr\u00fcfend.", actor=bob)
    assert row.approval_reason == "Read:\nall of it, pr\u00fcfend."
