"""Pages as their writers wrote them, for tests that look for a sentence.

Every page goes through the glossary, as on any installation; what the test client reads is then freed of the links,
which stand in the middle of sentences, and of the list of words. Real browsers get pages whole, and so does who sends
``X-Glossed``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

LINK = re.compile(rb'<a class="term"[^>]*>(.*?)</a>', re.DOTALL)
BELOW = re.compile(rb'\s*<div class="words">.*?</div>', re.DOTALL)


def unglossed(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware of the tests' settings."""

    def freed(request: HttpRequest) -> HttpResponseBase:
        answer = get_response(request)
        asked = request.META.get("SERVER_NAME") == "testserver" and "HTTP_X_GLOSSED" not in request.META
        if asked and isinstance(answer, HttpResponse) and answer.get("Content-Type", "").startswith("text/html"):
            answer.content = BELOW.sub(b"", LINK.sub(rb"\1", answer.content))
            answer.headers.pop("Content-Length", None)
        return answer

    return freed
