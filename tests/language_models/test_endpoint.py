"""An endpoint answers as itself, is tried again when busy, and gets nothing unless an administrator listed it."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.exceptions import ModelError
from auditor.language_models.endpoint import FILE, PAUSES, Endpoint, EndpointTextModel, read_endpoint
from tests.language_models.endpoints import Reply, said, serving


def listed(folder: Path, text: str) -> Path:
    (folder / FILE).write_text(text, encoding="utf-8")
    return folder / FILE


def refused(folder: Path, text: str, name: str = "describer") -> str:
    with pytest.raises(ModelError) as caught:
        read_endpoint(listed(folder, text), name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_it_is_asked_greedily_for_the_listed_model_with_the_key_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret-1\n", encoding="utf-8")
    with serving(lambda prompt: said(f"an answer to {prompt}")) as served:
        text = f'[describer]\nurl = "{served.url}/"\nmodel = "m-1"\nkey_file = "{tmp_path / "key"}"\n'
        endpoint = read_endpoint(listed(tmp_path, text), "describer")
        with EndpointTextModel("describer", endpoint) as model:
            assert model.answer("what?", tokens=7) == "an answer to what?"
            assert model.identity == {"endpoint": "describer", "url": served.url, "model": "m-1"}
    [(path, headers, content)] = served.asked
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer secret-1"
    assert content == {
        "model": "m-1",
        "messages": [{"role": "user", "content": "what?"}],
        "max_tokens": 7,
        "temperature": 0,
        "seed": 0,
    }


def asked_through(replies: list[Reply]) -> tuple[str, int, list[float]]:
    """The answer or the error, the number of requests, and the pauses between them."""
    left, pauses = list(replies), list[float]()
    with serving(lambda _: left.pop(0)) as served:
        endpoint = Endpoint(url=served.url, model="m")
        with EndpointTextModel("x", endpoint, sleep=pauses.append) as model:
            try:
                result = model.answer("?", tokens=1)
            except ModelError as error:
                result = str(error)
    return result, len(served.asked), pauses


def test_a_busy_server_is_asked_again_after_a_pause() -> None:
    assert asked_through([(503, {}), (429, {}), said("yes")]) == ("yes", 3, list(PAUSES))


def test_after_three_tries_it_gives_up_in_one_line() -> None:
    trouble, tries, _ = asked_through([(500, {})] * 3)
    assert trouble == "endpoint:x: answered 500 Internal Server Error; expected an OpenAI-compatible server"
    assert tries == 3


@pytest.mark.parametrize(
    ("reply", "trouble"),
    [
        ((401, {}), "answered 401 Unauthorized"),
        ((302, {}), "answered 302 Found"),  # a redirect would carry applications to an address nobody listed
        ((200, {"choices": []}), "answered in another form"),
        ((200, []), "answered in another form"),
        (said(None), "answered in another form"),
    ],
)
def test_what_is_no_answer_is_not_asked_for_again(reply: Reply, trouble: str) -> None:
    found, tries, _ = asked_through([reply])
    assert found.startswith(f"endpoint:x: {trouble}; expected")
    assert tries == 1


def test_nobody_at_the_address_is_one_line() -> None:
    endpoint = Endpoint(url="http://127.0.0.1:9/v1", model="m", seconds=2.0)
    with (
        EndpointTextModel("x", endpoint, sleep=lambda _: None) as model,
        pytest.raises(ModelError, match=r"^endpoint:x: did not answer \(.*\); expected an OpenAI-compatible server$"),
    ):
        model.answer("?", tokens=1)


def test_an_endpoint_nobody_listed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^endpoint:x: no administrator has listed it; expected a table \[x\]"):
        read_endpoint(tmp_path / FILE, "x")
    assert "no administrator has listed it" in refused(tmp_path, '[other]\nurl = "https://a/v1"\nmodel = "m"\n')


@pytest.mark.parametrize(
    ("table", "trouble"),
    [
        ('url = "http://models.example/v1"\nmodel = "m"', "url: expected an https:// address, or http:// on this"),
        ('url = "https://user:pw@a/v1"\nmodel = "m"', "url: expected an address without a user"),
        ('url = "file:///etc/passwd"\nmodel = "m"', "url: expected an address with a host"),
        ('url = "https:///v1"\nmodel = "m"', "url: expected an address with a host"),
        ('url = "https://a:99999x/v1"\nmodel = "m"', "url: Port could not be cast to integer"),
        ('url = "https://a:99999/v1"\nmodel = "m"', "url: Port out of range"),
        ('url = "http://[::1"\nmodel = "m"', "url: Invalid IPv6 URL"),
        ('url = "https://a/v1"', "model: Field required"),
        ('url = "https://a/v1"\nmodel = "m"\nkey = "k"', "key: Extra inputs are not permitted"),
        ('url = "https://a/v1"\nmodel = "m"\nseconds = 0.0', "seconds: Input should be greater than 0"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_its_key(tmp_path: Path, table: str, trouble: str) -> None:
    assert refused(tmp_path, f"[describer]\n{table}\n").startswith(f"{FILE}: describer.{trouble}")


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, "[describer").startswith(f"{FILE}: cannot be read")


@pytest.mark.parametrize("content", [None, "", "two\nlines", "ümlaut"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "key").write_text(content, encoding="utf-8")
    endpoint = Endpoint(url="https://a/v1", model="m", key_file=str(tmp_path / "key"))
    with pytest.raises(ModelError, match="endpoint:x: its key_file") as caught:
        EndpointTextModel("x", endpoint)
    assert not content or content not in str(caught.value)
