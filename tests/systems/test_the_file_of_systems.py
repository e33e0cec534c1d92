"""The file that an administrator writes is read whole or refused in one line with its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.exceptions import ModelError
from auditor.systems.listing import FILE, read_listed
from auditor.systems.prices import MILLION

GOOD = 'dialect = "chat_completions"\nurl = "https://models.example/v1"\nmodel = "m"'


def read(folder: Path, text: str) -> object:
    (folder / FILE).write_text(text)
    return read_listed(folder / FILE, "x")


def test_every_key_of_the_documents_is_read(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "systems.md").read_text(encoding="utf-8")
    example = text.split("```toml\n", 1)[1].split("```", 1)[0]
    (tmp_path / FILE).write_text(example)
    found = read_listed(tmp_path / FILE, "underwriter")
    assert found.prices is not None
    conduct = found.conduct()
    assert conduct.most_money == int(25 * MILLION)
    assert conduct.most_requests == 20_000
    assert found.without == ("max_tokens",)


@pytest.mark.parametrize(
    ("lines", "trouble"),
    [
        ("", "url: Field required"),
        (
            GOOD.replace("chat_completions", "chat"),
            "dialect: expected one of anthropic_messages, chat_completions, completions, responses",
        ),
        (f"{GOOD}\nkey = 'k'", "key: Extra inputs are not permitted"),
        (f"{GOOD}\nconcurrency = 0", "concurrency: Input should be greater than or equal to 1"),
        (f"{GOOD}\nconcurrency = '8'", "concurrency: Input should be a valid integer"),
        (f"{GOOD}\nmost_money = 5.0", "expected prices, since most_money is given"),
        (f"{GOOD}\nextra = {{stream = true}}", "extra: expected answers in one piece"),
        (f"{GOOD}\nextra = {{n = 3}}", "extra: expected one answer a request"),
        (f"{GOOD}\nheaders = {{Host = 'a'}}", "headers: expected a header of one's own; 'Host' is none"),
        (f'{GOOD}\nheaders = {{X-A = "b\\r\\nX-C: d"}}', "headers: expected a header of one's own"),
        (f"{GOOD}\nheaders = {{X-Api-Key = 'a'}}", "headers: expected no keys here"),
        (f"{GOOD}\nprices = {{currency = 'dollars'}}", "prices.currency: String should match pattern"),
        (
            f"{GOOD}\nkey_file = 'a'\noauth = {{token_url = 'https://a', client_id = 'b', secret_file = 'c'}}",
            "expected key_file or oauth, not both",
        ),
        (f"{GOOD}\ncertificate_key_file = 'a'", "expected certificate_file"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_key(tmp_path: Path, lines: str, trouble: str) -> None:
    with pytest.raises(ModelError) as caught:
        read(tmp_path, f"[endpoint.x]\n{lines}\n")
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith(f"{FILE}: endpoint.x")
    assert trouble in said


def test_what_nobody_listed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"^endpoint:x: no administrator has listed it; expected a table \[endpoint.x\]"
    ):
        read_listed(tmp_path / FILE, "x")
    for text in ("", "[endpoint.y]\n", "endpoint = 3\n", "[endpoint]\nx = 3\n"):
        with pytest.raises(ModelError, match="no administrator has listed it"):
            read(tmp_path, text)
    with pytest.raises(ModelError, match=rf"^{FILE}: cannot be read"):
        read(tmp_path, "[endpoint")
