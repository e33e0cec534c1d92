"""Putting what somebody had written back into the form of a page that is shown to them again.

It works on the finished page, so that every form of the site and of the administration can be filled, and no view has
to know of it. Passwords, files and tokens are never filled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

TICKED = ("checkbox", "radio")
NEVER = ("password", "file", "submit", "button", "image", "reset")
TOKEN = "csrfmiddlewaretoken"  # noqa: S105, the name of a field
KEPT = "kept"


@dataclass
class _Box:
    """A place at which something is filled in: ``start`` and ``end`` are offsets of what is replaced."""

    kind: str
    name: str
    start: int
    end: int
    attributes: dict[str, str | None]
    options: list[_Box] = field(default_factory=list)


@dataclass
class _Form:
    action: str
    start: int
    boxes: list[_Box] = field(default_factory=list)


class _Forms(HTMLParser):
    """Finds the forms of a page, their boxes, and where the page's own part begins."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.page, self.forms, self.main = page, list[_Form](), 0
        self._lines: list[int] = [0]
        self._form: _Form | None = None
        self._inside: _Box | None = None

    def read(self, html: str) -> None:
        """Read a whole page."""
        for line in html.split("\n"):  # as the parser counts them
            self._lines.append(self._lines[-1] + len(line) + 1)
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        start = self._here()
        end, given = start + len(self.get_starttag_text() or ""), dict(attrs)
        if tag == "main":
            self.main = self.main or end
        elif tag == "form":
            action = urljoin(self.page, given.get("action") or "")
            self._form = _Form(action=urlsplit(action).path, start=end)
            if (given.get("method") or "").lower() == "post":
                self.forms.append(self._form)
        elif self._form is not None and tag in ("input", "textarea", "select"):
            box = _Box(tag, given.get("name") or "", start, end, given)
            self._form.boxes.append(box)
            if tag != "input":
                self._inside = box
        elif tag == "option" and self._inside is not None and self._inside.kind == "select":
            self._inside.options.append(_Box(tag, "", start, end, given))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "textarea" and self._inside is not None:
            self._inside.start, self._inside.end = self._inside.end, self._here()
            self._inside = None
        elif tag == "select":
            self._inside = None

    def _here(self) -> int:
        line, column = self.getpos()
        return self._lines[line - 1] + column


def filled(
    html: str, *, page: str, target: str, fields: Mapping[str, Sequence[str]], key: int, note: str
) -> tuple[str, bool]:
    """The page with the form that goes to ``target`` filled in, and whether such a form stands on it.

    Parameters
    ----------
    html, page
        The page and its own address.
    fields
        The values of each field, in order. A tick box that is not among them is cleared.
    key
        Goes along with the form, so that what was kept is let go of once it is sent.
    note
        What is said at the top of the page, as HTML.
    """
    parser = _Forms(page)
    parser.read(html)
    fitting = [form for form in parser.forms if form.action == urlsplit(target).path]
    # Several forms may go to one address: the one whose hidden fields say the same is the one that was filled in.
    form = max(fitting, key=lambda item: _likeness(item, fields), default=None)
    edits = [(parser.main, parser.main, note)]
    if form is not None:
        edits.append((form.start, form.start, f'<input type="hidden" name="{KEPT}" value="{key}">'))
        edits += _edits(form, html, fields)
    for start, end, text in sorted(edits, key=lambda item: item[0], reverse=True):
        html = html[:start] + text + html[end:]
    return html, form is not None


def _likeness(form: _Form, fields: Mapping[str, Sequence[str]]) -> tuple[int, int]:
    hidden = [box for box in form.boxes if (box.attributes.get("type") or "").lower() == "hidden" and box.name != TOKEN]
    same = sum((box.attributes.get("value") or "") in fields.get(box.name, ()) for box in hidden)
    return same, len({box.name for box in form.boxes} & set(fields))


def _edits(form: _Form, html: str, fields: Mapping[str, Sequence[str]]) -> Iterable[tuple[int, int, str]]:
    left = {name: list(values) for name, values in fields.items()}
    for box in form.boxes:
        kind = (box.attributes.get("type") or "text").lower()
        if not box.name or box.name in (TOKEN, KEPT) or (box.kind == "input" and kind in NEVER):
            continue
        values = left.get(box.name)
        if box.kind == "input" and kind in TICKED:
            ticked = (box.attributes.get("value") or "on") in fields.get(box.name, ())
            yield box.start, box.end, _tag("input", box.attributes, checked=ticked)
        elif not values:
            continue
        elif box.kind == "select":
            chosen = fields[box.name]
            for option in box.options:
                value = option.attributes.get("value")
                if value is not None:
                    yield option.start, option.end, _tag("option", option.attributes, selected=value in chosen)
        elif box.kind == "textarea":
            # The first line break after the tag belongs to the tag.
            yield box.start, box.end, "\n" + escape(values.pop(0))
        else:
            yield box.start, box.end, _tag("input", {**box.attributes, "value": values.pop(0)})


def _tag(name: str, attributes: Mapping[str, str | None], **flags: bool) -> str:
    written = "".join(
        f" {key}" if value is None else f' {key}="{escape(value)}"'
        for key, value in attributes.items()
        if key not in flags
    )
    return f"<{name}{written}{''.join(f' {flag}' for flag, on in flags.items() if on)}>"
