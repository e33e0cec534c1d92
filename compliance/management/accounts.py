"""Who works at the terminal, and for which team."""

from __future__ import annotations

import getpass

from auditor.exceptions import InputError
from compliance.governance.events import Actor
from compliance.models import Team, default_team


def command_actor() -> Actor:
    """The account of the operating system."""
    try:
        return Actor(name=getpass.getuser(), role="command line")
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return Actor(name="unnamed account", role="command line")


def team_called(name: str | None) -> Team:
    """The team of that name, the default team without one; InputError if there is none."""
    if name is None:
        return default_team()
    found = Team.objects.filter(name=name).first()
    if found is None:
        names = ", ".join(Team.objects.values_list("name", flat=True)[:8])
        raise InputError(f"--team {name}", "there is no such team", f"one of: {names}")
    return found
