"""The request a system would be sent for one application, as it would go out: method, address and body.

The body is made by the code that makes it in a run. Keys are masked; they are no part of a body, and stand here only so
that nobody believes none is sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext as _

from auditor.answering.asking import requests_of
from auditor.answering.fields import fields_of
from auditor.answering.reading import answers_alike, how_read
from auditor.plan import Plan
from auditor.recognition import MASK
from auditor.records import Case
from auditor.systems.dialects import DIALECTS
from auditor.systems.endpoint import body_of
from auditor.systems.listing import Listed
from auditor.systems.service_listing import ListedService
from auditor.systems.service_templates import fill, fill_path
from compliance.audits.asked_estimates import listed_table
from compliance.models import LanguageModelVersion


@dataclass(frozen=True, kw_only=True)
class ShownRequest:
    """One request: where it goes, how its key is carried, and its body as JSON; ``body`` is empty for one without."""

    line: str
    key: str
    body: str


def requests_shown(plan: Plan, model: LanguageModelVersion, case: Case, *, where: str) -> tuple[ShownRequest, ...]:
    """The requests about one case; the prompt of the case is what stands in them, masked or not.

    Raises
    ------
    InputError
        If the system is not listed any more, or cannot be asked or read as the plan wants it.
    """
    identity = model.described.identity.system
    if identity is None:
        return ()
    listed = listed_table(model).listed
    how = how_read(plan, identity, deterministic=answers_alike(model.described), where=where)
    if isinstance(listed, ListedService):
        return tuple(_steps(listed, fields_of(case.prompt)))
    (request,) = requests_of([case], plan=plan, how=how)
    dialect = DIALECTS[listed.dialect]
    key = _key(listed, header=dialect.key_header, prefix=dialect.key_prefix)
    address = f"{listed.url.rstrip('/')}{dialect.path}"
    return (ShownRequest(line=f"POST {address}", key=key, body=_json(body_of(listed, request))),)


def with_words(case: Case, text: str) -> Case:
    """The case with another prompt."""
    return replace(case, prompt=text)


def _steps(listed: ListedService, fields: Mapping[str, Any]) -> Sequence[ShownRequest]:
    shown, values = [], dict(fields)
    key = _key(listed, header="Authorization", prefix="Bearer ")
    for step in listed.steps:
        path = fill_path(step.path, values)
        body = "" if step.body is None else _json(fill(step.body, values))
        shown.append(ShownRequest(line=f"{step.method} {listed.url.rstrip('/')}{path}", key=key, body=body))
        # What a later step takes from the answer to this one is not known before it is asked.
        values |= {name: f"({name} of the answer)" for name in step.take}
    return shown


def _key(listed: Listed, *, header: str, prefix: str) -> str:
    if listed.oauth is not None:
        return _("Authorization: Bearer {mask}, a token fetched from {address}").format(
            mask=MASK, address=listed.oauth.token_url
        )
    return f"{listed.key_header}: {MASK}" if listed.key_header else f"{header}: {prefix}{MASK}"


def _json(body: Any) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False)
