"""What officers fill in to register something."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from auditor.exceptions import InputError
from compliance.access import permissions as access
from compliance.form_fields import field_of
from compliance.models import LanguageModel, Team
from compliance.refusals import refusal_said
from compliance.registry.registration import check_model_source

KINDS = ".csv,.tsv,.txt,.parquet,.xlsx,.zip,.gz"


def teams_for(user: Any, permission: str) -> QuerySet[Any]:
    """The teams in which somebody holds a permission."""
    teams = access.teams_where(user, permission)
    return Team.objects.all() if teams is None else Team.objects.filter(pk__in=teams)


class TeamForm(forms.Form):
    """A form for one of the teams in which somebody may do this."""

    permission = ""
    team = forms.ModelChoiceField(queryset=Team.objects.none(), label=_("Team"), empty_label=None)

    def __init__(self, *args: Any, user: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        teams = teams_for(user, self.permission)
        field = field_of(self, "team", forms.ModelChoiceField)
        field.queryset, field.initial = teams, teams.first()


class ModelForm(TeamForm):
    """A model: where it comes from, and what it is used for."""

    permission = "add_languagemodelversion"
    source = forms.CharField(
        max_length=500,
        label=_("Source"),
        help_text=_(
            "demo:underwriter, dir:PATH, gguf:PATH or hf:ORG/NAME@REVISION; +adapter:PATH adds an adapter. "
            "endpoint:NAME or service:NAME if the team has listed it, decisions:NAME for decisions in a data set."
        ),
    )
    name = forms.CharField(
        label=_("Name"), max_length=200, help_text=_("A name the team uses already makes this a new version of it.")
    )
    owner = forms.CharField(label=_("Owner"), max_length=200, help_text=_("Who answers for it."))
    purpose = forms.CharField(
        label=_("Purpose"), widget=forms.Textarea(attrs={"rows": 3}), help_text=_("What it is used for.")
    )
    decision_role = LanguageModel._meta.get_field("decision_role").formfield()
    risk_tier = LanguageModel._meta.get_field("risk_tier").formfield()
    access = LanguageModel._meta.get_field("access").formfield()

    def clean(self) -> dict[str, Any]:
        """A source the site may import into the register of that team."""
        said: dict[str, Any] = super().clean() or self.cleaned_data
        if "source" in said:
            team = said.get("team")
            try:
                said["source"] = check_model_source(said["source"], team_id=team.pk if team else None)
            except InputError as error:
                self.add_error("source", refusal_said(error))
        return said


def table_field() -> forms.FileField:
    """The field for a table."""
    return forms.FileField(
        label=_("File"),
        allow_empty_file=True,
        help_text=_(
            "Text with commas, semicolons, tabs or bars (.csv, .tsv, .txt), Parquet or Excel (.xlsx), or one of "
            "them in a .zip or .gz. A file without column names is given them on the next page."
        ),
        widget=forms.FileInput(attrs={"accept": KINDS}),
    )


class DataForm(TeamForm):
    """A table of decision records."""

    permission = "add_datasetversion"
    name = forms.CharField(
        label=_("Name"), max_length=200, required=False, help_text=_("If left empty, it takes the name of the file.")
    )
    file = table_field()


class FileForm(forms.Form):
    """Another table in the place of an uploaded one."""

    file = table_field()


class UploadForm(TeamForm):
    """The announcement of a table that comes in parts."""

    permission = "add_datasetversion"
    name = forms.CharField(label=_("Name"), max_length=200, required=False)
    file_name = forms.CharField(label=_("File name"), max_length=500)
    size = forms.IntegerField(label=_("Size"))


class MappingForm(forms.Form):
    """What the columns mean."""

    mapping = forms.CharField(
        label=_("Mapping"),
        max_length=400_000,
        required=False,  # emptied, it asks for the proposal again
        strip=False,
        widget=forms.Textarea(attrs={"rows": 24, "spellcheck": "false"}),
    )
