"""The demonstration as an installation enters it: one model, one data set, and the plans that are ready for both.

The command line, ``make serve`` and the first steps on the site enter the same rows: files, data and designs that a
team has already are found by their hashes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache

from django.conf import settings
from django.db import transaction

from auditor.data_sources import DEMONSTRATION
from auditor.exceptions import InputError
from auditor.plan import Plan, read_plan
from compliance import actions
from compliance.governance.events import Actor, lock_chain
from compliance.model_store import model_store
from compliance.models import Audit, Registration, RegistrationState, Team, default_team
from compliance.models.versions import DecisionRole, RiskTier
from compliance.plans.depth import Depth, depth_of_source
from compliance.registry.registration import demonstration_data

MODEL = "demo:underwriter"
DATA = DEMONSTRATION
FIRST_PLAN = "quick"  # proposed for the first report: two minutes
MAIN_PLAN = "mortgage-hmda"  # that of `make demo`
NAMES = {Registration.MODEL: "Demonstration underwriter", Registration.DATA: "Demonstration applications"}
SOURCES = {Registration.MODEL: MODEL, Registration.DATA: DATA}
logger = logging.getLogger(__name__)

DESCRIPTION = {
    "name": NAMES[Registration.MODEL],
    "purpose": "Shows what an audit does: it recommends on home purchase mortgages, and no lender uses it.",
    "decision_role": DecisionRole.ADVISORY,
    "risk_tier": RiskTier.TWO,
}


@cache
def ready_made(depth: Depth = Depth.WEIGHTS) -> dict[str, Plan]:
    """The ready-made plans by the names of their files: of weights those for the demonstration, the proposed one first.

    A file that is no plan is left out and told in the log.
    """
    plans = {}
    for path in sorted(settings.PLAN_FOLDER.glob("*.toml"), key=lambda path: (path.stem != FIRST_PLAN, path.stem)):
        try:
            plan = read_plan(path)
        except InputError as error:
            logger.warning("ready-made plan left out: %s", error)
            continue
        fits = depth_of_source(plan.run.model) is depth
        if fits and (depth is not Depth.WEIGHTS or (plan.run.model, plan.run.data) == (MODEL, DATA)):
            plans[path.stem] = plan
    return plans


@transaction.atomic
def ask_for(kind: str, *, team: Team, actor: Actor) -> Registration:
    """Ask for the demonstration's model or data to be registered for a team.

    Whoever asks again, in two clicks or ten, gets what is under way; what failed is tried again.
    """
    lock_chain()
    row = last_asked(kind, team=team)
    if row is None:
        if kind == Registration.DATA:
            return actions.request_data(team=team, name=NAMES[kind], source=DATA, actor=actor)
        language_model = actions.open_language_model(team=team, description=DESCRIPTION, actor=actor)
        return actions.request_model(language_model=language_model, source=MODEL, actor=actor)
    if row.state == RegistrationState.FAILED:
        actions.try_again(registration=row, actor=actor)
    return row


def last_asked(kind: str, *, team: Team) -> Registration | None:
    """The newest registration of the demonstration's model or data for a team."""
    return Registration.objects.filter(team=team, kind=kind, source=SOURCES[kind]).first()


def ask_for_audit(*, actor: Actor, say: Callable[[str], None]) -> Audit | None:
    """Ask for the demonstration's audit where there is none of anything yet; a worker then runs it.

    Returns
    -------
    Audit or None
        The audit that waits for a worker; ``None`` if this installation has audits, of the demonstration or others.

    Raises
    ------
    InputError
        If the demonstration's model, data or plan is not installed.
    """
    if Audit.objects.exists():
        return None
    plan = ready_made().get(MAIN_PLAN)
    if plan is None:
        raise InputError(str(settings.PLAN_FOLDER / f"{MAIN_PLAN}.toml"), "is missing", "the plans of this software")
    say(f"Importing {MODEL}; once, about a minute")
    stored = model_store().import_model(MODEL)
    data, preview = demonstration_data()
    team = default_team()
    with transaction.atomic():
        language_model = actions.open_language_model(team=team, description=DESCRIPTION, actor=actor)
        return actions.request_audit(
            plan=actions.register_plan(plan=plan, team=team, actor=actor),
            model=actions.register_model(
                source=MODEL,
                sha256=stored.sha256,
                manifest=stored.manifest,
                language_model=language_model,
                actor=actor,
            ),
            data=actions.register_data(data=data, team=team, preview=preview, actor=actor),
            queue=settings.CELERY_TASK_DEFAULT_QUEUE,
            request_key="demonstration",  # two calls at once meet in one audit
            actor=actor,
        )
