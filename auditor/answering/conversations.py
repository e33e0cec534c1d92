"""Cases in, answers out: a language model is asked prompts, a service is handed fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from auditor.answering.asking import occasion, requests_of
from auditor.answering.deciding import decide, decide_service
from auditor.answering.fields import fields_of
from auditor.answering.rows import SystemAnswer
from auditor.plan import Plan
from auditor.records import Case
from auditor.run_record import HowRead
from auditor.systems.endpoint import EndpointSystem
from auditor.systems.service import Service, ServiceRequest


class Conversation(Protocol):
    """What a run needs of an opened system."""

    def ask(self, cases: Sequence[Case], *, moment: str) -> list[SystemAnswer]:
        """What is read of its answers about these cases, in their order; ``moment`` of a re-ask of the control."""


class WithEndpoint:
    """A conversation with a language model."""

    def __init__(self, system: EndpointSystem, plan: Plan, how: HowRead) -> None:
        self._system, self._plan, self._how = system, plan, how

    def ask(self, cases: Sequence[Case], *, moment: str) -> list[SystemAnswer]:
        """See ``Conversation``."""
        requests = requests_of(cases, plan=self._plan, how=self._how, moment=moment)
        return [
            decide(
                response,
                case_id=case.id,
                moment=moment,
                request=self._system.errand(request).key,
                plan=self._plan,
                how=self._how,
            )
            for case, request, response in zip(cases, requests, self._system.ask(requests), strict=True)
        ]


class WithService:
    """A conversation with a decision service."""

    def __init__(self, system: Service, plan: Plan, how: HowRead) -> None:
        self._system, self._plan, self._how = system, plan, how

    def ask(self, cases: Sequence[Case], *, moment: str) -> list[SystemAnswer]:
        """See ``Conversation``."""
        requests = [ServiceRequest(fields=fields_of(case.prompt), occasion=occasion(case, moment)) for case in cases]
        answers = self._system.ask(requests)
        return [
            decide_service(answer, case_id=case.id, moment=moment, plan=self._plan, how=self._how)
            for case, answer in zip(cases, answers, strict=True)
        ]


def conversation(system: EndpointSystem | Service, *, plan: Plan, how: HowRead) -> Conversation:
    """How this system is talked with."""
    return WithService(system, plan, how) if isinstance(system, Service) else WithEndpoint(system, plan, how)
