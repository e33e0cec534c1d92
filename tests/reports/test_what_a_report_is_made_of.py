"""What a report is made of: whoever adds to it what no report is written with, and seals it again, is named."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import pikepdf
import pytest

from reports.pdf.shape import beside_a_report
from reports.verification import verify
from tests.reports.forging import resealed


def said_of(report: Path, change: Callable[[pikepdf.Pdf], None]) -> str:
    """What ``verify`` says, in one line, of a report that somebody changed and sealed again."""
    with pikepdf.open(report) as pdf:
        change(pdf)
        out = io.BytesIO()
        pdf.save(out)
    report.write_bytes(resealed(out.getvalue()))
    (found,) = verify([report])
    return str(found)


def _acting(pdf: pikepdf.Pdf) -> pikepdf.Dictionary:
    return pikepdf.Dictionary(S=pikepdf.Name.URI, URI=pikepdf.String("https://evil.example/"))


def bookmark_that_acts(pdf: pikepdf.Pdf) -> None:
    pdf.Root.Outlines.First.Next.A = _acting(pdf)


def bookmarks_in_a_circle(pdf: pikepdf.Pdf) -> None:
    pdf.Root.Outlines.First.Next.Next = pdf.Root.Outlines.First


def link_that_leads_out(pdf: pikepdf.Pdf) -> None:
    link = next(note for page in pdf.pages for note in page.obj.get("/Annots", ()))
    link.PA = _acting(pdf)


def second_associated_file(pdf: pikepdf.Pdf) -> None:
    pdf.Root.AF.append(pikepdf.AttachedFileSpec(pdf, b"{}", filename="result.json").obj)


def file_for_other_readers(pdf: pikepdf.Pdf) -> None:
    pdf.attachments["result.json"].obj.EF.UF = pdf.make_stream(b"{}")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (bookmark_that_acts, "bookmarks: found /A;"),
        (bookmarks_in_a_circle, "bookmarks: found more than 50,000;"),
        (link_that_leads_out, "found a link with /PA;"),
        (second_associated_file, "attachments: found an associated file that is not the attached one;"),
        (file_for_other_readers, "attachments: found a file that is another one for other readers;"),
    ],
)
def test_what_readers_would_do_or_show_beside_the_pages_is_refused_also_when_sealed_again(
    files: dict[str, Path], change: Callable[[pikepdf.Pdf], None], words: str
) -> None:
    assert words in said_of(files["report"], change)


def catalogue(**entries: object) -> Callable[[pikepdf.Pdf], None]:
    def change(pdf: pikepdf.Pdf) -> None:
        for name, value in entries.items():
            pdf.Root[f"/{name}"] = value

    return change


def contents_elsewhere(pdf: pikepdf.Pdf) -> None:
    pdf.pages[0].obj.Contents["/F"] = pikepdf.String("https://evil.example/page")


def result_elsewhere(pdf: pikepdf.Pdf) -> None:
    pdf.attachments["result.json"].obj.EF.F["/F"] = pikepdf.String("https://evil.example/result.json")


def result_by_address(pdf: pikepdf.Pdf) -> None:
    pdf.attachments["result.json"].obj["/FS"] = pikepdf.Name.URL


def result_by_two_names(pdf: pikepdf.Pdf) -> None:
    pdf.attachments["result.json"].obj["/UF"] = pikepdf.String("verdict.exe")


def file_in_a_branch(pdf: pikepdf.Pdf) -> None:
    """Behind the leaf that the PDF library reads; others follow the branches."""
    other = pikepdf.AttachedFileSpec(pdf, b"{}", filename="verdict.json")
    leaf = pikepdf.Dictionary(Names=pikepdf.Array([pikepdf.String("verdict.json"), other.obj]))
    pdf.Root.Names.EmbeddedFiles["/Kids"] = pikepdf.Array([pdf.make_indirect(leaf)])


def script_of_every_page(pdf: pikepdf.Pdf) -> None:
    pdf.Root.Pages["/AA"] = pikepdf.Dictionary(O=pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS="1"))


def other_text_for_the_ear(pdf: pikepdf.Pdf) -> None:
    spoken = pikepdf.Dictionary(S=pikepdf.Name.P, ActualText=pikepdf.String("No difference"))
    pdf.Root["/StructTreeRoot"] = pikepdf.Dictionary(Type=pikepdf.Name.StructTreeRoot, K=spoken)


def words_over_a_link(pdf: pikepdf.Pdf) -> None:
    link = next(note for page in pdf.pages for note in page.obj.get("/Annots", ()))
    link.Contents = pikepdf.String("No difference was found")


def layer_of_a_font(pdf: pikepdf.Pdf) -> None:
    next(iter(pdf.pages[0].obj.Resources.Font.values()))["/OC"] = pikepdf.Dictionary(Type=pikepdf.Name.OCG)


def pages_that_fly(pdf: pikepdf.Pdf) -> None:
    pdf.pages[0].obj["/Trans"] = pikepdf.Dictionary(Type=pikepdf.Name.Trans)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (catalogue(PageLabels=pikepdf.Dictionary()), "found /PageLabels;"),
        (catalogue(MarkInfo=pikepdf.Dictionary()), "found /MarkInfo;"),
        (contents_elsewhere, "found content that is in another file (/F);"),
        (result_elsewhere, "found content that is in another file (/F);"),
        (result_by_address, "found /FS;"),
        (result_by_two_names, "attachments: found one file by the names result.json, verdict.exe;"),
        (file_in_a_branch, "attachments: found a tree of more than one file;"),
        (script_of_every_page, "found /AA;"),
        (other_text_for_the_ear, "found /StructTreeRoot;"),
        (words_over_a_link, "page 1: found a link with words of its own;"),
        (layer_of_a_font, "found /OC;"),
        (pages_that_fly, "what stands under /Trans: found a change of pages that moves;"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_no_report_is_written_with_is_refused_wherever_it_stands(
    files: dict[str, Path], change: Callable[[pikepdf.Pdf], None], words: str
) -> None:
    assert words in said_of(files["report"], change)


def second_revision(data: bytes) -> bytes:
    """An update in the old form, which changes nothing yet and could change everything."""
    end = re.search(rb"startxref\s+(\d+)\s+%%EOF\s*$", data)
    root = re.search(rb"/Root (\d+ \d+ R)", data)
    assert end is not None
    assert root is not None
    body = data + b"999 0 obj\n<</Type/Page>>\nendobj\n"
    table = b"xref\n999 1\n%010d 00000 n \n" % len(data)
    return body + table + b"trailer\n<</Size 1000/Prev %s/Root %s>>\nstartxref\n%d\n%%%%EOF\n" % (
        end[1], root[1], len(body)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (second_revision, "revisions: found 2; what is appended can replace pages;"),
        (lambda data: b"%PDF-1.4\n" + data, "byte 0: found another beginning than a report has;"),
        (lambda data: data + b"\n", "found another end than a report has;"),
    ],
    ids=["an update", "before", "after"],
)
def test_a_report_is_one_revision_also_where_a_forger_sealed_it_again(
    files: dict[str, Path], change: Callable[[bytes], bytes], words: str
) -> None:
    files["report"].write_bytes(resealed(change(files["report"].read_bytes())))
    (found,) = verify([files["report"]])
    assert words in str(found)


def test_an_object_that_nothing_refers_to_is_named(files: dict[str, Path]) -> None:
    """Hidden in the one revision: no page shows it, and whoever appends a few bytes later can."""
    with pikepdf.open(files["report"]) as pdf:
        pdf.make_indirect(pikepdf.Dictionary(Type=pikepdf.Name.Page))
        assert beside_a_report(pdf) == (f"object {pdf.objects[-1].objgen[0]}", "an object that nothing refers to")
    with pikepdf.open(files["report"]) as pdf:
        assert beside_a_report(pdf) is None
