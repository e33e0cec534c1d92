"""A model is named by one line of text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.exceptions import ModelError
from auditor.language_models.sources import FORMS, ModelSource, parse_source

COMMIT = "12fd25f77366fa6b3b4b768ec3050bf629380bac"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("demo:smollm2", ModelSource("demo", "smollm2")),
        ("demo:underwriter", ModelSource("demo", "underwriter")),
        ("dir:/models/credit", ModelSource("dir", "/models/credit")),
        ("dir:models/with spaces: and colons", ModelSource("dir", "models/with spaces: and colons")),
        ("gguf:~/m.Q4_1.gguf", ModelSource("gguf", "~/m.Q4_1.gguf")),
        (f"hf:org/name@{COMMIT}", ModelSource("hf", "org/name", COMMIT)),
        ("hf:org/name-1.5@v2.0", ModelSource("hf", "org/name-1.5", "v2.0")),
        ("endpoint:gateway-1", ModelSource("endpoint", "gateway-1")),
        ("  demo:smollm2\n", ModelSource("demo", "smollm2")),
        ("dir:/m+adapter:/a", ModelSource("dir", "/m", None, ("/a",))),
        ("demo:smollm2+adapter:/a+adapter:/b", ModelSource("demo", "smollm2", None, ("/a", "/b"))),
        (f"hf:org/name@{COMMIT}+adapter:/a", ModelSource("hf", "org/name", COMMIT, ("/a",))),
    ],
)
def test_every_form_is_read(text: str, expected: ModelSource) -> None:
    assert parse_source(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "smollm2",
        "demo:",
        "demo:gpt5",
        "dir:",
        "dir: ",
        "gguf:",
        "s3:bucket/model",
        "hf:org/name",
        "hf:org/name@",
        "hf:name@main",
        "hf:org/../x@main",
        "hf:org/name@../main",
        "hf:https://hub/org/name@main",
        "endpoint:",
        "endpoint:http://localhost",
        "endpoint:gateway+adapter:/a",
        "dir:/m+adapter:",
        "dir:/m\nrm",
        "dir:/m\x00",
        "+adapter:/a",
    ],
)
def test_any_other_text_is_refused_in_one_line_that_names_the_forms(text: str) -> None:
    with pytest.raises(ModelError) as caught:
        parse_source(text)
    assert FORMS in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_home_directory_is_expanded_in_the_path_but_kept_in_the_text() -> None:
    source = parse_source("dir:~/models")
    assert source.path == Path.home() / "models"
    assert str(source) == "dir:~/models"


def test_a_home_directory_that_nobody_has_is_left_as_written() -> None:
    source = parse_source("dir:~no-such-user/m+adapter:~no-such-user/a")
    assert source.path == Path("~no-such-user/m")
    assert source.adapter_paths == (Path("~no-such-user/a"),)


@given(st.text(max_size=60))
def test_parsing_gives_a_source_that_parses_to_itself_or_a_model_error(text: str) -> None:
    try:
        source = parse_source(text)
    except ModelError:
        return
    assert parse_source(str(source)) == source
