"""What the first steps show: from an installation with nothing in it to the first report, one step at a time.

Every step stands where the rows say it stands; there is no record of its own that could disagree with them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.urls import reverse
from django.utils.translation import gettext as _

from auditor.decision_sources import PREFIX
from auditor.plan import Plan
from compliance.access import permissions as access
from compliance.access.first_run import administrator_exists
from compliance.access.roles import Role, roles_with
from compliance.dates import moment_said
from compliance.execution.job import JobState
from compliance.models import (
    DEFAULT_TEAM,
    Audit,
    DataSetVersion,
    LanguageModelVersion,
    PlanVersion,
    Registration,
    RegistrationState,
    SystemListing,
    SystemState,
    Team,
    Worker,
    default_team,
)
from compliance.plans.depth import Depth, depth_of_source, runnable_tests
from compliance.registry import demonstration
from compliance.sentences import in_sentence
from reports.numbers import count

UNDER_WAY = (RegistrationState.WAITING, RegistrationState.REGISTERING)
PLANS_READ = 50
MARKS = {"done": "✓", "on": "▸", "moving": "▸"}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step: what happens in it, where it stands, and what to press.

    ``stage`` is ``done``, ``moving`` (a worker is at it), ``on`` (the one to do now) or ``todo``. ``post`` is the
    address of its button if that changes something, ``link`` if it opens a page. ``more`` is the page of what it made
    or waits for. ``missing`` says which roles allow it, to somebody who has none of them.
    """

    key: str
    title: str
    words: str
    stage: str = "todo"
    note: str = ""
    error: str = ""
    button: str = ""
    post: str = ""
    link: str = ""
    more: str = ""
    more_words: str = ""
    missing: str = ""
    audit: Audit | None = None

    @property
    def mark(self) -> str:
        """The sign before it."""
        return MARKS.get(self.stage, "·")


@dataclass(frozen=True, kw_only=True)
class FirstSteps:
    """The steps of a team for what it has to audit, and the plans to choose from."""

    team: Team
    steps: tuple[Step, ...]
    plans: dict[str, Plan]
    depth: Depth
    wanted: Depth | None = None

    @property
    def address(self) -> str:
        """Where these steps are looked at again."""
        return reverse("first_steps", query={"depth": self.wanted} if self.wanted else None)

    @property
    def others(self) -> tuple[Depth, ...]:
        """What else there may be to audit."""
        return tuple(item for item in Depth if item is not self.depth)

    @property
    def for_what(self) -> str:
        """What there is to audit, within a sentence."""
        return in_sentence(self.depth.label)

    @property
    def ways(self) -> list[tuple[Depth, str]]:
        """What else there may be to audit, each within a sentence."""
        return [(item, in_sentence(item.label)) for item in self.others]

    @property
    def moving(self) -> bool:
        """Whether something may change without anybody pressing a button, so that the page looks again."""
        return any(step.stage == "moving" or (step.key == "worker" and step.stage == "on") for step in self.steps)

    @property
    def done(self) -> int:
        """How many are done."""
        return sum(step.stage == "done" for step in self.steps)

    @property
    def complete(self) -> bool:
        """Whether there is a report."""
        return self.steps[-1].stage == "done"


def team_for(user: Any) -> Team | None:
    """The team whose first report somebody would bring about: of those they see, one without a report comes first."""
    reported = Audit.objects.filter(team=OuterRef("pk"), state=JobState.DONE)
    teams = Team.objects.for_user(user).annotate(reported=Exists(reported)).order_by("reported", "pk")
    found = sorted(teams, key=lambda team: (team.reported, team.name != DEFAULT_TEAM))
    if found:
        return found[0]
    return default_team() if user.is_superuser else None


def first_steps(user: Any, team: Team, *, wanted: Depth | None = None) -> FirstSteps:
    """Where a team stands on the way to its first report, as somebody may see and do it.

    Parameters
    ----------
    wanted
        What somebody says there is to audit; by default what was registered last, else weights.
    """
    made = {kind: _newest(kind, user, team) for kind in (LanguageModelVersion, DataSetVersion, PlanVersion)}
    model, data, plan = made.values()
    depth = wanted or (depth_of_source(model.source) if model is not None else Depth.WEIGHTS)
    if wanted is not None:  # what was registered for another depth is no step on this way
        model = _newest_at(depth, user, team)
        plan = _newest_plan_at(depth, user, team)
        made |= {LanguageModelVersion: model, PlanVersion: plan}
    asked = _asked(user, team)
    audits = Audit.objects.for_user(user).filter(team=team).defer("run_json")
    if wanted is not None:
        audits = audits.filter(_at(wanted, "model__source"))
    newest, reported = audits.first(), audits.filter(state=JobState.DONE).first()
    steps = (
        _administrator(user, team),
        _worker(),
        *_registered(
            user,
            depth,
            data,
            with_model=_model(team, model, asked.get(Registration.MODEL)),
            with_data=_data(team, data, asked.get(Registration.DATA)),
        ),
        _plan(team, plan, depth),
        _run(made, newest, reported),
        _report(reported),
    )
    allowed = (_allowed(step, user, team) for step in steps)
    plans = demonstration.ready_made(depth)
    return FirstSteps(team=team, steps=tuple(_one_at_a_time(allowed)), plans=plans, depth=depth, wanted=wanted)


def _newest_at(depth: Depth, user: Any, team: Team) -> LanguageModelVersion | None:
    rows = LanguageModelVersion.objects.for_user(user).filter(_at(depth, "source"), language_model__team=team)
    return rows.select_related("language_model").defer("manifest").first()


def _at(depth: Depth, field: str) -> Q:
    """Rows whose source is of this depth."""
    decisions = Q(**{f"{field}__startswith": PREFIX})
    answers = Q(**{f"{field}__startswith": "endpoint:"}) | Q(**{f"{field}__startswith": "service:"})
    return {Depth.RECORD: decisions, Depth.ANSWERS: answers, Depth.WEIGHTS: ~(decisions | answers)}[depth]


def _newest_plan_at(depth: Depth, user: Any, team: Team) -> PlanVersion | None:
    """The newest design that a run at this depth can have."""
    names = set(runnable_tests(depth))
    rows = PlanVersion.objects.for_user(user).filter(team=team)
    return next((row for row in rows[:PLANS_READ] if names.issuperset(row.design["tests"]["run"])), None)


def _registered(
    user: Any, depth: Depth, data: DataSetVersion | None, *, with_model: Step, with_data: Step
) -> tuple[Step, Step]:
    """The two steps that register, for what there is to audit; decisions are data first, then what is audited."""
    if depth is Depth.WEIGHTS:
        return with_model, with_data
    if depth is Depth.ANSWERS:
        return _system(user, with_model), with_data
    own = replace(
        with_data,
        title=_("Upload the decisions"),
        words=_(
            "A table with a row an application: what was decided, and whatever else was recorded. Its columns are "
            "described on the page, and personal data are masked there."
        ),
        button=_("Upload a table"),
        link=reverse("register_data"),
        post="",
        more=with_data.more if with_data.stage != "todo" else "",
    )
    return own, _decisions(data, with_model)


def _system(user: Any, step: Step) -> Step:
    """The model step for a system that answers: listed by two administrators, then probed."""
    if step.stage != "todo":
        return step
    rows = SystemListing.objects.for_user(user).current()
    listed = next((row for row in rows if row.state == SystemState.LISTED), None)
    base = replace(
        step,
        title=_("Register a system that answers"),
        words=_(
            "An endpoint or a decision service is listed by two administrators of the team. Registering probes it: a "
            "worker asks it questions that hold nothing of an applicant, and what it shows is its version."
        ),
        post="",
        more="",
    )
    if listed is None:
        return replace(base, button=_("List a system"), link=reverse("systems"))
    address = f"{reverse('register_model')}?{urlencode({'source': listed.source})}"
    return replace(base, button=_("Register {name}").format(name=listed.source), link=address)


def _decisions(data: DataSetVersion | None, step: Step) -> Step:
    """The model step for a file of decisions: the data set, registered as what is audited."""
    if step.stage != "todo":
        return step
    base = replace(
        step,
        title=_("Register them as what is audited"),
        words=_("The data set is model and data at once: nobody is asked, and what it cannot show its report says."),
        post="",
        more="",
        button="",
    )
    if data is None:
        return base
    address = f"{reverse('register_model')}?{urlencode({'source': f'{PREFIX}{data.name}'})}"
    return replace(base, button=_("Register {name}").format(name=f"{PREFIX}{data.name}"), link=address)


def _newest(kind: Any, user: Any, team: Team) -> Any:
    path = getattr(kind, "team_path", "team")
    rows = kind.objects.for_user(user).filter(**{path: team})
    rows = rows.select_related("language_model") if kind is LanguageModelVersion else rows
    return rows.defer(
        *{"manifest", "mapping", "preview", "design_json"} & {field.name for field in kind._meta.fields}
    ).first()


def _asked(user: Any, team: Team) -> dict[str, Registration]:
    """What is on its way into the team's register, the newest of each kind."""
    rows = Registration.objects.for_user(user).filter(team=team).exclude(state=RegistrationState.READY)
    return {row.kind: row for row in reversed(rows[:20])}


def _administrator(user: Any, team: Team) -> Step:
    if user.is_superuser:
        who = _(
            "You administer this installation, so every step is open to you; colleagues get accounts and roles later."
        )
    else:
        held = ", ".join(sorted(in_sentence(role.label) for role in access.roles_of(user).get(team.pk, ())))
        line = _("In the team {team} you are {roles}.") if held else _("You have no role in the team {team}.")
        who = line.format(team=team, roles=held)
    there = administrator_exists()
    nobody = _("Nobody administers this installation: `python manage.py first_admin` prints the way in.")
    words = who if there else nobody
    note = _("You are {user}").format(user=user.get_username())
    return Step(
        key="administrator", title=_("Administrator"), words=words, note=note, stage="done" if there else "todo"
    )


def _worker() -> Step:
    heard = Worker.objects.listening(settings.CELERY_TASK_DEFAULT_QUEUE)
    words = _("A worker is the process that imports models, reads data and runs audits; `serve` brings one along.")
    step = Step(key="worker", title=_("A worker listens"), words=words)
    if heard:
        return replace(
            step,
            stage="done",
            note=_("{number} listening").format(number=len(heard))
            if len(heard) > 1
            else _("1 listening, on {host}").format(host=heard[0].host),
        )
    return replace(
        step,
        note=_("None is listening. Start one with `python manage.py worker`; a new one takes some seconds."),
        button=_("Look again"),
        link=reverse("first_steps"),
    )


def _model(team: Team, made: LanguageModelVersion | None, asked: Registration | None) -> Step:
    step = Step(
        key="model",
        title=_("Register a model"),
        words=_(
            "Copies the demonstration's small mortgage underwriter into the model store and hashes every file; that "
            "takes about a minute, and nothing leaves this machine."
        ),
        button=_("Register {name}").format(name=demonstration.MODEL),
        post=reverse("first_steps_model", args=[team.pk]),
        more=reverse("register_model"),
        more_words=_("Another model"),
    )
    if made is not None:
        page = reverse("admin:compliance_languagemodelversion_change", args=[made.pk])
        note = f"{made.language_model.name}, {made.source}"
        words = step.words if made.source == demonstration.MODEL else _("What your team registered to be audited.")
        return replace(step, stage="done", words=words, note=note, more=page, more_words=_("Its record"))
    return _on_its_way(step, asked)


def _data(team: Team, made: DataSetVersion | None, asked: Registration | None) -> Step:
    step = Step(
        key="data",
        title=_("Register data"),
        words=_(
            "Enters the demonstration's 1,989 real mortgage applications (Boston, 1990–91) with the meaning of every "
            "field."
        ),
        button=_("Register {name}").format(name=demonstration.DATA),
        post=reverse("first_steps_data", args=[team.pk]),
        more=reverse("register_data"),
        more_words=_("Another table"),
    )
    if made is not None:
        page = reverse("admin:compliance_datasetversion_change", args=[made.pk])
        note = _("{name}, {rows} applications").format(name=made.name, rows=count(made.rows))
        words = (
            step.words
            if made.source == demonstration.DATA
            else _("The table that your team registered last, with the meaning of its fields.")
        )
        return replace(step, stage="done", words=words, note=note, more=page, more_words=_("Its record"))
    return _on_its_way(step, asked)


def _on_its_way(step: Step, asked: Registration | None) -> Step:
    if asked is None:
        return step
    seen = replace(
        step,
        note=asked.get_state_display(),
        more=reverse("registration", args=[asked.public_id]),
        more_words=_("Registration of {name}").format(name=asked.name),
    )
    if asked.state in UNDER_WAY:
        return replace(seen, stage="moving", note=_("{state}: a worker does it").format(state=seen.note))
    return replace(seen, error=asked.error)


def _plan(team: Team, made: PlanVersion | None, depth: Depth) -> Step:
    step = Step(
        key="plan",
        title=_("Register a plan"),
        words=_(
            "Keeps the design, which says what is asked and what counts as a difference, under its hash; once "
            "registered it is never changed."
        ),
        button=_("Register this plan"),
        post=f"{reverse('first_steps_plan', args=[team.pk])}?depth={depth}",
        more=reverse("plan_new"),
        more_words=_("Write another plan"),
    )
    if made is None:
        return step
    page = reverse("admin:compliance_planversion_change", args=[made.pk])
    return replace(step, stage="done", note=made.title, more=page, more_words=_("Its record"))


def _run(made: dict[Any, Any], newest: Audit | None, reported: Audit | None) -> Step:
    step = Step(
        key="run",
        title=_("Run the audit"),
        words=_("Shows what the audit costs in prompts, minutes and memory; a second button there starts it."),
    )
    if reported is not None:
        return replace(step, stage="done", note=_("{audit} is finished").format(audit=reported))
    if newest is not None:
        page = newest.get_absolute_url()
        if newest.active:
            note = f"{newest}: {in_sentence(newest.get_state_display())}"
            return replace(step, stage="moving", note=note, more=page, more_words=_("Watch it"), audit=newest)
        error = newest.error.splitlines()[0] if newest.error else f"{newest}: {in_sentence(newest.get_state_display())}"
        return replace(step, error=error, button=_("Go on with {audit}").format(audit=newest), link=page)
    if not all(made.values()):
        return step
    model, data, plan = (row.pk for row in made.values())
    address = f"{reverse('audit_request')}?plans={plan}&models={model}&data={data}"
    return replace(step, button=_("Estimate the audit"), link=address)


def _report(reported: Audit | None) -> Step:
    step = Step(
        key="report",
        title=_("Read the report"),
        words=_(
            "The verdict, the findings and every number with the cases behind it, and a PDF that can be verified "
            "without this site."
        ),
    )
    if reported is None:
        return step
    return replace(
        step,
        stage="done",
        note=_("Finished {when}").format(when=moment_said(reported.finished_at)) if reported.finished_at else "",
        button=_("Open {audit}").format(audit=reported),
        link=reported.get_absolute_url(),
        more=reverse("download", args=[reported.number, "report.pdf"]) if "report.pdf" in reported.files else "",
        more_words=_("Download report.pdf"),
    )


NEEDED = {
    "model": "add_languagemodel",
    "data": "add_datasetversion",
    "plan": "add_planversion",
    "run": "run_audit",
}


def _allowed(step: Step, user: Any, team: Team) -> Step:
    """The step as it is, or without its button and with the roles it needs."""
    needed = NEEDED.get(step.key)
    if needed is None or step.stage == "done" or access.may(user, needed, team.pk):
        return step
    roles = ", ".join(sorted(str(Role(role).label) for role in roles_with(needed)))
    line = _("Open to: {roles}. Whoever administers the installation gives roles, under Memberships.")
    return replace(step, missing=line.format(roles=roles), button="", post="", link="")


def _one_at_a_time(steps: Any) -> Any:
    """Make the first step that can be done the one to do."""
    found = False
    for step in steps:
        if not found and step.stage == "todo" and (step.button or step.missing):
            found = True
            yield replace(step, stage="on")
        else:
            yield step
