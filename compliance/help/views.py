"""The documents, for everybody who is logged in."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.safestring import mark_safe

from compliance.dashboard.pages import page
from compliance.help.documents import INDEX, PICTURE, documents_in, rendered

KINDS = {".png": "image/png", ".svg": "image/svg+xml"}


@page
def index(request: HttpRequest) -> HttpResponseBase:
    """Where to read what, and every document by title."""
    listed = [document for document in documents_in(Path(settings.DOCUMENT_FOLDER)) if document.name != INDEX]
    return _shown(request, INDEX, "help/index.html", {"documents": listed})


@page
def document(request: HttpRequest, name: str) -> HttpResponseBase:
    """One document."""
    return _shown(request, name, "help/document.html", {})


def _shown(request: HttpRequest, name: str, template: str, context: dict[str, object]) -> HttpResponseBase:
    read = rendered(Path(settings.DOCUMENT_FOLDER), name)
    if read is None and name != INDEX:
        raise Http404(f"no document is called {name}")
    # Rendered without raw HTML: compliance.help.documents.
    html = mark_safe(read.html) if read else ""  # noqa: S308
    return render(request, template, {**context, "document": read, "html": html, "name": name})


@page
def picture(request: HttpRequest, name: str) -> HttpResponseBase:
    """A picture of a document."""
    path = Path(settings.DOCUMENT_FOLDER) / "pictures" / name
    if not PICTURE.fullmatch(f"pictures/{name}") or not path.is_file():
        raise Http404(f"no picture is called {name}")
    return HttpResponse(path.read_bytes(), content_type=KINDS[path.suffix])
