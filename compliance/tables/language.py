"""Files of tables are in English, whoever takes them away: two files of the same rows hold the same words."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation

from compliance.tables.html import AS


def files_in_english(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware, after the one that chooses the language of pages. Rows are read after it too, as they are sent."""

    def answer(request: HttpRequest) -> HttpResponse:
        if AS in request.GET:
            translation.activate(settings.LANGUAGE_CODE)
        return get_response(request)

    return answer
