"""Files that could run code, or that are not what they claim, are refused before a library opens them."""

from __future__ import annotations

import math
import multiprocessing
import os
import pickle
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.exceptions import ModelError
from auditor.language_models.safety import ITEM_BYTES, check_model_folder, left_behind, read_safetensors_header
from tests.language_models.tiny import edit_json, raw_safetensors, save_tiny

NOBODY = 65534


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("original") / "model")


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "model"))


def refusal(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        check_model_folder(folder)
    text = str(caught.value)
    assert "\n" not in text
    assert "; expected " in text
    return text


def test_a_clean_folder_names_exactly_the_files_of_the_model(folder: Path) -> None:
    (folder / "README.md").write_text("left behind")
    assert check_model_folder(folder) == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    assert "there is no such folder" in refusal(tmp_path / "nowhere")


def test_a_folder_without_weights_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert "there are no weights" in refusal(folder)


def test_a_folder_without_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    assert "the tokenizer is missing" in refusal(folder)


PICKLES = [
    "pytorch_model.bin",
    "training_args.bin",
    "optimizer.pt",
    "rng_state.pth",
    "scheduler.PTH",
    "m.pkl",
    "m.ckpt",
]
LEFT = [*PICKLES, "original/consolidated.00.pth", "events.out.tfevents.1", ".DS_Store", ".git/HEAD", "README.md"]
CODE = ["modeling_x.py", "custom/tokenization.py", "kernel.so"]


@pytest.mark.parametrize("name", [*LEFT, *CODE])
def test_files_that_are_not_the_models_are_left_behind_unopened_and_said(folder: Path, name: str) -> None:
    """They are neither copied nor opened, so they cannot do harm; folders of trainers and hubs are full of them."""
    expected = check_model_folder(folder)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(pickle.dumps(Trap()))
    assert check_model_folder(folder) == expected
    shown = name if "/" not in name else f"{name.partition('/')[0]}/ (1 file)"
    assert left_behind(folder, expected) == f"left behind unopened: {shown}"


class Trap:
    """Unpickled, it would end the process."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.abort, ())


def test_a_line_on_many_files_stays_short(folder: Path) -> None:
    for number in range(40):
        (folder / f"log-{number:02d}.txt").write_text("")
    line = left_behind(folder, check_model_folder(folder))
    assert line.startswith("left behind unopened: log-00.txt, ")
    assert line.endswith("log-11.txt, 28 more")


def test_weights_that_are_only_pickled_are_refused_by_name(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "its weights are pickled (pytorch_model.bin): opening them can run code" in refusal(folder)


def test_a_pickle_named_safetensors_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(pickle.dumps({"weight": [0.0] * 100}))
    assert "the header claims" in refusal(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"auto_map": {"AutoModelForCausalLM": "modeling_x.X"}},
        {"trust_remote_code": True},
        {"trust_remote_code": False},
        {"_attn_implementation_internal": "sdpa"},
        {"_experts_implementation_internal": "eager"},
        {"_attn_implementation": "org/kernel"},
        {"attn_implementation": "org/kernel@main:function"},
        {"attn_implementation": {"text_config": "org/kernel"}},
        {"text_config": {"auto_map": {"AutoConfig": "x.X"}}},
        {"nested": [{"_attn_implementation_internal": "org/kernel"}]},
    ],
)
def test_configs_that_could_fetch_code_are_refused(folder: Path, changes: dict[str, Any]) -> None:
    edit_json(folder / "config.json", **changes)
    assert "config.json" in refusal(folder)


def test_plain_attention_names_are_allowed(folder: Path) -> None:
    edit_json(folder / "config.json", _attn_implementation="sdpa", _attn_implementation_autoset=True)
    assert "config.json" in check_model_folder(folder)


@pytest.mark.parametrize("name", ["tokenizer_config.json", "generation_config.json"])
def test_an_auto_map_beside_the_config_is_refused(folder: Path, name: str) -> None:
    edit_json(folder / name, auto_map={"AutoTokenizer": ["x.X", None]})
    assert name in refusal(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architectures": ["BertForMaskedLM"]}, "is not a causal language model"),
        ({"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True}, "is an encoder-decoder"),
        ({"architectures": None}, "architectures does not name one model class"),
        ({"model_type": None}, "model_type is missing"),
        ({"quantization_config": {"quant_method": "gptq"}}, "the weights are quantised"),
    ],
)
def test_models_of_another_kind_are_refused(folder: Path, changes: dict[str, Any], message: str) -> None:
    edit_json(folder / "config.json", **changes)
    assert message in refusal(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_a_config_that_is_no_json_object_is_refused(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    assert "JSON" in refusal(folder)


def test_an_adapter_among_the_model_files_is_refused(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "org/other"}')
    assert "+adapter:PATH" in refusal(folder)


@pytest.mark.parametrize("target", ["/etc/hostname", "../outside.json"])
def test_a_link_that_leaves_the_folder_is_refused(folder: Path, target: str) -> None:
    (folder.parent / "outside.json").write_text("{}")
    (folder / "added_tokens.json").symlink_to(target)
    assert "is a link out of the model's folder" in refusal(folder)


def test_a_link_inside_the_folder_is_followed(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "blob.safetensors")
    (folder / "model.safetensors").symlink_to("blob.safetensors")
    assert "model.safetensors" in check_model_folder(folder)


def hub_cache(root: Path, folder: Path) -> Path:
    """A repository as the hub's cache keeps it: files by hash, and a snapshot of links to them."""
    repository = root / "models--org--name"
    snapshot = repository / "snapshots" / "0123456789abcdef0123456789abcdef01234567"
    (repository / "blobs").mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for number, path in enumerate(sorted(folder.iterdir())):
        blob = repository / "blobs" / f"{number:040x}"
        path.rename(blob)
        (snapshot / path.name).symlink_to(Path("..", "..", "blobs", blob.name))
    return snapshot


def test_a_snapshot_in_a_hubs_cache_is_read_through_its_links(folder: Path, tmp_path: Path) -> None:
    expected = check_model_folder(folder)
    assert check_model_folder(hub_cache(tmp_path / "cache", folder)) == expected


def test_a_link_of_a_snapshot_that_leaves_its_repository_is_refused(folder: Path, tmp_path: Path) -> None:
    snapshot = hub_cache(tmp_path / "cache", folder)
    (tmp_path / "cache" / "other.json").write_text("{}")
    (snapshot / "added_tokens.json").symlink_to(Path("..", "..", "..", "other.json"))
    assert "is a link out of the model's folder" in refusal(snapshot)


def test_links_of_a_folder_that_only_looks_like_a_cache_may_not_leave_it(folder: Path, tmp_path: Path) -> None:
    """``../../blobs`` is followed where the folder is a snapshot of a cached repository, and nowhere else."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "x.json").write_text("{}")
    (tmp_path / "snapshots").mkdir()
    moved = folder.rename(tmp_path / "snapshots" / "x")
    (moved / "added_tokens.json").symlink_to(Path("..", "..", "blobs", "x.json"))
    assert "is a link out of the model's folder" in refusal(moved)


def test_a_link_to_itself_is_refused(folder: Path) -> None:
    (folder / "loop").symlink_to("loop")
    assert "is a link to nothing" in refusal(folder)


def test_a_link_to_nothing_is_refused(folder: Path) -> None:
    (folder / "added_tokens.json").symlink_to("nothing.json")
    assert "added_tokens.json: there is no such file" in refusal(folder)


@pytest.mark.parametrize("name", ["x" * 300, "model.safetensors/inside"])
def test_a_path_that_cannot_exist_is_refused(folder: Path, name: str) -> None:
    refusal(folder / name)


def refusal_to_nobody(folder: Path) -> str:
    os.setuid(NOBODY)
    return refusal(folder)


def test_an_unreadable_folder_is_refused(original: Path) -> None:
    # Root may read everything, so there the check is made by an account that owns nothing, in a process of its own.
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        folder = Path(shutil.copytree(original, Path(place) / "model"))
        folder.chmod(0)
        if os.geteuid() == 0:
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                said = pool.submit(refusal_to_nobody, folder).result()
        else:
            said = refusal(folder)
        folder.chmod(0o755)
    assert "cannot be read: permission denied" in said


def test_a_linked_folder_that_leads_out_is_refused(folder: Path) -> None:
    (folder / "more").symlink_to(folder.parent)
    assert "is a link out of the model's folder" in refusal(folder)


def test_a_pipe_is_refused_without_being_opened(folder: Path) -> None:
    os.mkfifo(folder / "chat_template.jinja")
    assert "is not a regular file" in refusal(folder)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "sharded", max_shard_size="20KB")
    shard = sorted(folder.glob("*.safetensors"))[1]
    shard.unlink()
    assert f"{shard.name}: this shard is missing" in refusal(folder)


def test_an_index_that_points_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "sharded", max_shard_size="20KB")
    edit_json(folder / "model.safetensors.index.json", weight_map={"a": "../model.safetensors"})
    assert "a lies in '../model.safetensors'" in refusal(folder)


def test_a_shard_that_lacks_a_tensor_of_the_index_is_refused(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "sharded", max_shard_size="20KB")
    first, second = sorted(folder.glob("*.safetensors"))[:2]
    first.write_bytes(second.read_bytes())
    assert "the index and the shard disagree about" in refusal(folder)


@pytest.mark.parametrize("cut", [1, 7, 9, 200, -1, -1000])
def test_a_truncated_file_is_refused(folder: Path, cut: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:cut])
    refusal(folder)


def test_bytes_after_the_last_tensor_are_refused(folder: Path) -> None:
    with (folder / "model.safetensors").open("ab") as stream:
        stream.write(b"\x80\x04")
    assert "the tensors need" in refusal(folder)


GOOD = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        (b"{not json", b"", "not valid JSON"),
        ([GOOD], b"", "not a JSON object"),
        ({}, b"", "holds no tensor"),
        ({"a": GOOD, "b": GOOD}, bytes(8), "b starts at byte 0 instead of 8"),
        ({"a": GOOD, "b": {**GOOD, "data_offsets": [4, 12]}}, bytes(12), "b starts at byte 4 instead of 8"),
        ({"a": {**GOOD, "data_offsets": [8, 16]}}, bytes(16), "a starts at byte 8 instead of 0"),
        ({"a": {**GOOD, "data_offsets": [0, 80]}}, bytes(8), "claims 80 bytes"),
        ({"a": {**GOOD, "shape": [2000], "data_offsets": [0, 8000]}}, bytes(8), "the tensors need 8000 bytes"),
        ({"a": {**GOOD, "data_offsets": [8, 0]}}, bytes(8), "claims -8 bytes"),
        ({"a": {**GOOD, "shape": [-2]}}, bytes(8), "malformed"),
        ({"a": {**GOOD, "shape": [2.0]}}, bytes(8), "malformed"),
        ({"a": {**GOOD, "shape": [True, 2]}}, bytes(8), "malformed"),
        ({"a": {**GOOD, "data_offsets": [0]}}, bytes(8), "malformed"),
        ({"a": 3}, bytes(8), "malformed"),
        ({"a": {**GOOD, "dtype": "OBJECT"}}, bytes(8), "has the type 'OBJECT'"),
        (b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{}}', bytes(1), "not valid JSON"),
    ],
)
def test_a_header_that_does_not_describe_the_file_is_refused(
    tmp_path: Path, header: Any, data: bytes, message: str
) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(raw_safetensors(header, data))
    with pytest.raises(ModelError, match=message):
        read_safetensors_header(path)


def test_a_header_longer_than_the_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes((1 << 62).to_bytes(8, "little") + b"{}")
    with pytest.raises(ModelError, match="the header claims 4611686018427387904 bytes"):
        read_safetensors_header(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(position=st.integers(0, 400), byte=st.integers(0, 255))
def test_a_changed_header_byte_gives_another_header_or_a_model_error(
    original: Path, tmp_path: Path, position: int, byte: int
) -> None:
    content = bytearray((original / "model.safetensors").read_bytes())
    content[position] = byte
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    try:
        header = read_safetensors_header(path)
    except ModelError:
        return
    claimed = sum(math.prod(tensor.shape) * ITEM_BYTES[tensor.dtype] for tensor in header.values())
    assert claimed == len(content) - 8 - int.from_bytes(content[:8], "little")
