"""The tag that leads from the words of a page to the glossary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django import template
from django.conf import settings
from django.template import Context
from django.template.base import NodeList, Parser, Token
from django.template.exceptions import TemplateSyntaxError
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language

from compliance.help.documents import title_of
from compliance.help.fitting import FITTING
from compliance.help.glossary import IN_GERMAN, NAME, Entry, glossary_of
from compliance.help.glossing import gloss

register = template.Library()
PART = "part"


class Glossed(template.Node):
    """What stands in the tag, with links to the glossary; below a whole page its words and the document that fits."""

    def __init__(self, nodelist: NodeList, *, whole: bool) -> None:
        self.nodelist = nodelist
        self.whole = whole

    def render(self, context: Context) -> SafeString:
        """The content, linked for whoever is logged in."""
        html: str = self.nodelist.render(context)
        if not getattr(context.get("user"), "is_authenticated", False):
            return mark_safe(html)  # noqa: S308, as it was rendered
        folder = Path(settings.DOCUMENT_FOLDER)
        used: list[tuple[str, Entry]] = []
        # A German page holds sentences of the record, which is in English: its words lead to the other glossary.
        german = (get_language() or "").startswith("de")
        for name, only in ((IN_GERMAN, ""), (NAME, 'lang="en"')) if german else ((NAME, ""),):
            address = reverse("help_document", args=[name])
            glossed = gloss(html, glossary_of(folder, name), address=address, only=only)
            html = glossed.html
            named = {entry.words.lower() for _, entry in used}
            used += [(address, entry) for entry in glossed.used if entry.words.lower() not in named]
        # Links only: what was escaped still is.
        shown = mark_safe(html)  # noqa: S308
        if not self.whole:
            return shown
        below = {"used": used, **_fitting(context, folder)}
        return shown + render_to_string("help/_below.html", below)


def _fitting(context: Context, folder: Path) -> dict[str, Any]:
    """The document that explains this page, if there is one and it is installed."""
    match = getattr(context.get("request"), "resolver_match", None)
    name, _, anchor = FITTING.get(match.url_name if match else "", "").partition("#")
    title = title_of(folder, name) if name else None
    return {"fitting": name, "fitting_anchor": anchor, "fitting_title": title} if title else {}


@register.tag
def glossed(parser: Parser, token: Token) -> Glossed:
    """``{% glossed %}`` around a page, ``{% glossed part %}`` around what is fetched, to ``{% endglossed %}``."""
    asked = token.split_contents()[1:]
    if asked not in ([], [PART]):
        raise TemplateSyntaxError(f"glossed stands alone or with {PART}")
    nodelist = parser.parse(("endglossed",))
    parser.delete_first_token()
    return Glossed(nodelist, whole=not asked)
