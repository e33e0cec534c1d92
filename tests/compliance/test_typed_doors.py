"""What the types of the site rest on where they cannot say it: it is looked at when it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django import forms
from django.apps import apps
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.test import RequestFactory

from compliance.form_fields import field_of
from compliance.governance.events import site_actor
from compliance.models import PlanVersion
from compliance.models.evidence import Evidence, EvidenceQuerySet
from compliance.models.versions import number_of, standing_of

ROOT = Path(__file__).parents[2]


def test_every_kind_of_evidence_finds_its_rows_by_what_refuses_changes() -> None:
    kinds = [model for model in apps.get_app_config("compliance").get_models() if issubclass(model, Evidence)]
    assert len(kinds) >= 9
    loose = [kind.__name__ for kind in kinds if not isinstance(kind._default_manager.all(), EvidenceQuerySet)]
    assert loose == []


def test_a_row_read_without_its_number_or_standing_is_not_taken_for_one_that_has_it() -> None:
    plan = PlanVersion(name="cards", design_sha256="ab" * 32)
    with pytest.raises(LookupError, match="was read without its number"):
        number_of(plan)
    with pytest.raises(LookupError, match="was read without its design_state"):
        standing_of(plan)


def test_nobody_acts_without_an_account() -> None:
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    with pytest.raises(PermissionDenied, match="nobody is signed in"):
        site_actor(request)


def test_a_field_of_another_kind_is_refused() -> None:
    class Form(forms.Form):
        name = forms.CharField()

    assert field_of(Form(), "name", forms.CharField).required
    with pytest.raises(TypeError, match="name: is a CharField; expected a ChoiceField"):
        field_of(Form(), "name", forms.ChoiceField)


def test_the_type_checker_reads_no_installation_and_leaves_no_file_behind(tmp_path: Path) -> None:
    here, temporary = tmp_path / "here", tmp_path / "temporary"
    here.mkdir()
    temporary.mkdir()
    installation = {"DATABASE_URL": "postgresql://me:x@nowhere/y", "PLUMBLINE_LEASE_SECONDS": "never"}
    code = "from compliance.typing_settings import DATABASES; print(DATABASES['default']['ENGINE'])"
    done = subprocess.run(
        [sys.executable, "-B", "-c", code],
        check=False,
        cwd=here,
        env={**os.environ, **installation, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)},
        text=True,
        capture_output=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("django.db.backends.sqlite3\n", "")
    assert [*here.iterdir(), *temporary.iterdir()] == []
