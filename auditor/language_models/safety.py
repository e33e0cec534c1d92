"""What is checked about model files before any library opens them: names, links, configs and safetensors headers.

Nothing here imports torch or transformers. Every refusal is one ``ModelError``: where, what, what was expected.
"""

from __future__ import annotations

import json
import math
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.exceptions import ModelError, reason_of

CONFIG_FILE = "config.json"
SINGLE_WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_FILES = (
    TOKENIZER_FILE,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
)
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
TRAINING_RECORD = "training-record.json"

#: Weights in forms that can run code when they are opened. Nothing here ever opens one.
PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill"})
#: Files named one by one among those that are left behind.
LOOSE_NAMED = 12
LARGEST_JSON_BYTES = 64 << 20
#: What configs call the number of their layers.
LAYER_COUNTS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_decoder_layers")
POINTER = b"version https://git-lfs"
LARGEST_HEADER_BYTES = 100_000_000
ITEM_BYTES = {
    **dict.fromkeys(("F64", "I64", "U64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2"), 1),
}

#: LoRA options that are honoured. Any other option that is set is refused, because leaving it out changes the model.
ADAPTER_OPTIONS = (
    "r",
    "lora_alpha",
    "target_modules",
    "exclude_modules",
    "fan_in_fan_out",
    "bias",
    "use_rslora",
    "use_dora",
    "lora_bias",
    "layers_to_transform",
    "layers_pattern",
    "rank_pattern",
    "alpha_pattern",
    "modules_to_save",
    "trainable_token_indices",
    "target_parameters",
)
#: Options without effect on a merged model: names, training settings, and defaults of switched-off features.
ADAPTER_IDLE_OPTIONS = frozenset(
    {
        "peft_type",
        "task_type",
        "auto_mapping",
        "peft_version",
        "base_model_name_or_path",
        "revision",
        "inference_mode",
        "init_lora_weights",
        "lora_dropout",
        "megatron_core",
        "qalora_group_size",
        "runtime_config",
        "ensure_weight_tying",
    }
)


@dataclass(frozen=True, slots=True)
class TensorHeader:
    """What a safetensors header says about one tensor."""

    dtype: str
    shape: tuple[int, ...]


def check_model_folder(folder: Path) -> list[str]:
    """Check a folder of safetensors weights, and say which of its files make up the model.

    Parameters
    ----------
    folder
        A folder as the hub and ``save_pretrained`` lay it out.

    Returns
    -------
    list of str
        Sorted file names: config, weights, their index, tokenizer, chat template. Anything else is left behind.

    Raises
    ------
    ModelError
        For whatever is missing, damaged or could run code.
    """
    check_folder(folder)
    if not (folder / CONFIG_FILE).exists() and (folder / ADAPTER_CONFIG).exists():
        raise ModelError(
            str(folder), "this is an adapter, not a model", "the model it was trained on, with +adapter:PATH"
        )
    config = check_config(folder / CONFIG_FILE)
    if (folder / ADAPTER_CONFIG).exists():
        # transformers would follow the base model named in it instead of reading the weights beside it.
        raise ModelError(str(folder / ADAPTER_CONFIG), "an adapter is among the model's files", "+adapter:PATH")
    weights = check_weights(folder)
    check_layers(folder / CONFIG_FILE, config, tensors=_tensors(folder, weights))
    if not (folder / TOKENIZER_FILE).is_file():
        raise ModelError(str(folder), "the tokenizer is missing", f"a {TOKENIZER_FILE}")
    read_json(folder / TOKENIZER_FILE)
    present = [name for name in (*TOKENIZER_FILES, "generation_config.json") if (folder / name).exists()]
    for name in set(present) - {TOKENIZER_FILE, "added_tokens.json", "chat_template.jinja"}:
        check_no_code(folder / name, read_json(folder / name))
    return sorted({CONFIG_FILE, *weights, *present})


def check_folder(folder: Path) -> None:
    """Refuse a folder that is missing, or that holds odd files or links that lead out of its repository."""
    mode = _mode(folder)
    if mode is None or not stat.S_ISDIR(mode):
        raise ModelError(str(folder), "there is no such folder", "a folder of model or adapter files")
    home = repository_of(folder)
    for path in _walk(folder):
        try:
            inside = path.resolve().is_relative_to(home)
        except (OSError, RuntimeError) as error:  # a link to itself
            raise ModelError(str(path), "is a link to nothing", "files inside the folder") from error
        if not inside:
            raise ModelError(str(path), "is a link out of the model's folder", "files inside the folder")
        if not path.is_dir():
            check_file(path, "plain files only")


def repository_of(folder: Path) -> Path:
    """The folder that links may lead to: the folder itself, or for a snapshot in a hub's cache its repository.

    A cache keeps ``models--ORG--NAME/snapshots/COMMIT/FILE`` as links to ``models--ORG--NAME/blobs/HASH``.
    """
    real = folder.resolve()
    repository = real.parent.parent
    cached = (
        real.parent.name == "snapshots" and repository.name.startswith("models--") and (repository / "blobs").is_dir()
    )
    return repository if cached else real


def left_behind(folder: Path, taken: list[str]) -> str:
    """One line on the files of a folder that are not part of the model: they are neither copied nor opened.

    Parameters
    ----------
    folder
        A checked folder.
    taken
        The files that are.

    Returns
    -------
    str
        For example ``left behind unopened: optimizer.pt, original/ (3 files)``; empty if nothing was.
    """
    loose, below = [], Counter[str]()
    for path in _walk(folder):
        name = path.relative_to(folder)
        if path.is_dir() or str(name) in taken:
            continue
        if len(name.parts) > 1:
            below[name.parts[0]] += 1
        else:
            loose.append(str(name))
    groups = [f"{name}/ ({count} file{'s' if count > 1 else ''})" for name, count in sorted(below.items())]
    names = [*loose[:LOOSE_NAMED], *groups]
    if len(loose) > LOOSE_NAMED:
        names.append(f"{len(loose) - LOOSE_NAMED} more")
    return f"left behind unopened: {', '.join(names)}" if names else ""


def check_file(path: Path, expected: str) -> None:
    """Refuse a path that is missing, unreadable or no regular file (reading a pipe would wait for ever)."""
    mode = _mode(path)
    if mode is None:
        raise ModelError(str(path), "there is no such file", expected)
    if not stat.S_ISREG(mode):
        raise ModelError(str(path), "is not a regular file", expected)


def _mode(path: Path) -> int | None:
    """File type and permissions; ``None`` if there is nothing at that path."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise ModelError(str(path), f"cannot be read: {reason_of(error)}", "a readable path") from error


def _walk(folder: Path) -> Iterator[Path]:
    """Every path below ``folder`` in sorted order; links are reported, never followed."""
    try:
        children = sorted(folder.iterdir())
    except OSError as error:
        raise ModelError(str(folder), f"cannot be read: {reason_of(error)}", "a readable folder") from error
    for child in children:
        yield child
        if child.is_dir() and not child.is_symlink():
            yield from _walk(child)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of bounded size."""
    try:
        if path.stat().st_size > LARGEST_JSON_BYTES:
            raise ModelError(str(path), "the file is too large", f"at most {LARGEST_JSON_BYTES >> 20} MiB of JSON")
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(str(path), f"cannot be read: {reason_of(error)}", "a readable file") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(str(path), "is not valid JSON", "a JSON object") from error
    if not isinstance(value, dict):
        raise ModelError(str(path), f"holds a JSON {type(value).__name__}", "a JSON object")
    return value


def check_config(path: Path) -> dict[str, Any]:
    """Check a model's config.json: a causal language model of a known architecture, plain weights, no code.

    Whether transformers knows the architecture is found out by `auditor.language_models.weights.read_config`.
    """
    config = read_json(path)
    check_no_code(path, config)
    if not isinstance(config.get("model_type"), str):
        raise ModelError(str(path), "model_type is missing", "the name of a decoder-only architecture")
    architectures = config.get("architectures")
    if not isinstance(architectures, list) or len(architectures) != 1 or not isinstance(architectures[0], str):
        raise ModelError(str(path), "architectures does not name one model class", "for example LlamaForCausalLM")
    if config.get("is_encoder_decoder"):
        raise ModelError(str(path), f"{architectures[0]} is an encoder-decoder", "a decoder-only causal language model")
    # A model that also reads pictures (Gemma 3) is published under the last name; `read_config` asks transformers
    # whether a causal language model stands behind it.
    if not architectures[0].endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")):
        raise ModelError(
            str(path), f"{architectures[0]} is not a causal language model", "a class ending in ForCausalLM"
        )
    if config.get("quantization_config"):
        raise ModelError(str(path), "the weights are quantised", "float weights in safetensors, or a GGUF file")
    return config


def check_layers(path: Path, config: dict[str, Any], *, tensors: int) -> None:
    """Refuse a config with more layers than the weights have tensors: a library would build them all to find out."""
    inner = config.get("text_config")
    for part in (config, inner if isinstance(inner, dict) else {}):
        for name in LAYER_COUNTS:
            count = part.get(name)
            if isinstance(count, (int, float)) and not count <= tensors:
                shown = f"{count:,}" if abs(count) < 10**15 else "more than can be counted"
                raise ModelError(f"{path}, {name}", f"is {shown}, the weights have {tensors:,} tensors", "its layers")


def _tensors(folder: Path, weights: list[str]) -> int:
    """How many tensors the checked weights have."""
    if WEIGHTS_INDEX in weights:
        return len(read_json(folder / WEIGHTS_INDEX)["weight_map"])
    return len(read_safetensors_header(folder / SINGLE_WEIGHTS))


def check_no_code(path: Path, value: Any, key: str = "") -> None:
    """Refuse settings by which a config could fetch or run code, at any depth."""
    if isinstance(value, dict):
        for name, inner in value.items():
            where = f"{key}.{name}" if key else str(name)
            if name in ("auto_map", "trust_remote_code", "custom_pipelines", "custom_generate"):
                raise ModelError(f"{path}, {where}", "asks for code from elsewhere", "an architecture transformers has")
            if name.endswith("_implementation_internal"):
                raise ModelError(f"{path}, {where}", "is an internal switch that can load code", "a config without it")
            if name.endswith("_implementation") and not _is_plain_name(inner):
                raise ModelError(f"{path}, {where}", f"names a kernel to fetch: {inner!r}", "eager or sdpa")
            check_no_code(path, inner, where)
    elif isinstance(value, list):
        for inner in value:
            check_no_code(path, inner, key)


def _is_plain_name(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_plain_name(inner) for inner in value.values())
    return value is None or (isinstance(value, str) and value.replace("_", "").isalnum())


def check_weights(folder: Path) -> list[str]:
    """Check a folder's safetensors weights; return their file names, with the index where there is one."""
    if (folder / SINGLE_WEIGHTS).exists():
        read_safetensors_header(folder / SINGLE_WEIGHTS)
        return [SINGLE_WEIGHTS]
    if not (folder / WEIGHTS_INDEX).exists():
        if pickled := sorted(path.name for path in folder.iterdir() if path.suffix.lower() in PICKLES):
            what = f"its weights are pickled ({pickled[0]}): opening them can run code, so they are never opened"
            raise ModelError(str(folder), what, f"{SINGLE_WEIGHTS}, or {WEIGHTS_INDEX} with its shards")
        raise ModelError(str(folder), "there are no weights", f"{SINGLE_WEIGHTS} or {WEIGHTS_INDEX} with its shards")
    weight_map = read_json(folder / WEIGHTS_INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(str(folder / WEIGHTS_INDEX), "weight_map is missing", "tensor names and their shards")
    shards: dict[str, set[str]] = {}
    for tensor, shard in weight_map.items():
        if not isinstance(shard, str) or Path(shard).name != shard or not shard.endswith(".safetensors"):
            raise ModelError(
                str(folder / WEIGHTS_INDEX), f"{tensor} lies in {shard!r}", "a .safetensors file beside it"
            )
        shards.setdefault(shard, set()).add(tensor)
    for shard, tensors in sorted(shards.items()):
        if not (folder / shard).is_file():
            raise ModelError(str(folder / shard), "this shard is missing", f"every shard that {WEIGHTS_INDEX} names")
        found = read_safetensors_header(folder / shard).keys()
        if found != tensors:
            odd = min(found ^ tensors)
            raise ModelError(str(folder / shard), f"the index and the shard disagree about {odd}", "the same tensors")
    return [WEIGHTS_INDEX, *sorted(shards)]


def read_safetensors_header(path: Path) -> dict[str, TensorHeader]:
    """Read and check a safetensors header without touching the tensors.

    Returns
    -------
    dict
        Tensor name to dtype and shape.

    Raises
    ------
    ModelError
        If the header is cut, no JSON, or if the tensors do not fill the file exactly, without gap or overlap.
    """
    expected = "an undamaged safetensors file"
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            first = stream.read(8)
            length = int.from_bytes(first, "little")
            if first == POINTER[:8]:
                raise ModelError(str(path), "is a Git LFS pointer to a file that was not fetched", "the file itself")
            if size < 8 or length > min(size - 8, LARGEST_HEADER_BYTES):
                raise ModelError(str(path), f"the header claims {length} bytes, the file has {size}", expected)
            raw = stream.read(length)
    except OSError as error:
        raise ModelError(str(path), f"cannot be read: {reason_of(error)}", "a readable file") from error
    try:
        header = json.loads(raw, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ModelError(str(path), "the header is not valid JSON", expected) from error
    if not isinstance(header, dict):
        raise ModelError(str(path), "the header is not a JSON object", expected)
    header.pop("__metadata__", None)
    tensors, ranges = {}, []
    for name, entry in header.items():
        tensor, start, end = _tensor(path, name, entry)
        tensors[name] = tensor
        ranges.append((start, end, name))
    position = 0
    for start, end, name in sorted(ranges):
        if start != position:
            raise ModelError(str(path), f"{name} starts at byte {start} instead of {position}", expected)
        position = end
    if position != size - 8 - length:
        raise ModelError(str(path), f"the tensors need {position} bytes, the file holds {size - 8 - length}", expected)
    if not tensors:
        raise ModelError(str(path), "it holds no tensor", expected)
    return tensors


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _tensor(path: Path, name: str, entry: Any) -> tuple[TensorHeader, int, int]:
    """One header entry, with the range of bytes it claims."""
    try:
        dtype, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        whole = all(type(number) is int and number >= 0 for number in (*shape, start, end))
    except (KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise ModelError(str(path), f"the header's entry for {name} is malformed", "dtype, shape and data_offsets")
    if dtype not in ITEM_BYTES:
        raise ModelError(str(path), f"{name} has the type {dtype!r}", "one of " + ", ".join(sorted(ITEM_BYTES)))
    if end - start != math.prod(shape) * ITEM_BYTES[dtype]:
        raise ModelError(str(path), f"{name} claims {end - start} bytes for shape {shape} of {dtype}", "its exact size")
    return TensorHeader(dtype, tuple(shape)), start, end


def check_adapter_folder(folder: Path) -> list[str]:
    """Check a PEFT adapter's folder; return the names of the files that make up the adapter.

    So are its own tokenizer and chat template, where it brings them, and a training record: that lists the rows the
    model has seen, and no audit may call them unseen.
    """
    check_folder(folder)
    if not (folder / ADAPTER_CONFIG).is_file():
        raise ModelError(str(folder), f"there is no {ADAPTER_CONFIG}", "a PEFT adapter's folder")
    check_adapter_config(folder)
    if not (folder / ADAPTER_WEIGHTS).is_file():
        pickled = [path.name for path in sorted(folder.iterdir()) if path.suffix.lower() in PICKLES]
        more = f" but {pickled[0]}, which can run code and is never opened" if pickled else ""
        raise ModelError(str(folder), f"there are no adapter weights{more}", ADAPTER_WEIGHTS)
    read_safetensors_header(folder / ADAPTER_WEIGHTS)
    names = [ADAPTER_CONFIG, ADAPTER_WEIGHTS, *_adapter_tokenizer(folder)]
    if not (folder / TRAINING_RECORD).is_file():
        return names
    rows = read_json(folder / TRAINING_RECORD).get("rows")
    if not isinstance(rows, list):
        raise ModelError(
            f"{folder / TRAINING_RECORD}, rows", "is not a list", "the ids of the rows the adapter has seen"
        )
    return [*names, TRAINING_RECORD]


def _adapter_tokenizer(folder: Path) -> list[str]:
    """The files of an adapter's own tokenizer: it was trained with that one, so it is asked with it."""
    present = [name for name in TOKENIZER_FILES if (folder / name).is_file()]
    if present and TOKENIZER_FILE not in present:
        what = f"{present[0]} is there without {TOKENIZER_FILE}: the tokenizer it was trained with is not complete"
        raise ModelError(str(folder), what, f"{TOKENIZER_FILE} beside it, or no file of a tokenizer")
    for name in set(present) - {"added_tokens.json", "chat_template.jinja"}:
        check_no_code(folder / name, read_json(folder / name))
    return present


def check_adapter_config(folder: Path) -> dict[str, Any]:
    """Check adapter_config.json; return the LoRA options that shape the merged model."""
    path = folder / ADAPTER_CONFIG
    config = read_json(path)
    check_no_code(path, config)
    if config.get("peft_type") != "LORA":
        raise ModelError(f"{path}, peft_type", f"is {config.get('peft_type')!r}", "LORA")
    if config.get("task_type") not in (None, "CAUSAL_LM"):
        raise ModelError(f"{path}, task_type", f"is {config['task_type']!r}", "CAUSAL_LM")
    if config.get("init_lora_weights", True) not in (True, False, "gaussian", "orthogonal"):
        # PiSSA, OLoRA and their kin change the base weights at start: the adapter alone does not say how.
        raise ModelError(
            f"{path}, init_lora_weights", f"is {config['init_lora_weights']!r}", "true, false, gaussian or orthogonal"
        )
    if (
        not isinstance(config.get("r"), int)
        or config["r"] < 1
        or not (config.get("target_modules") or config.get("target_parameters"))
    ):
        raise ModelError(str(path), "r or target_modules is missing", "a LoRA rank and the modules it changes")
    for name, value in config.items():
        if value and name not in ADAPTER_OPTIONS and name not in ADAPTER_IDLE_OPTIONS:
            raise ModelError(f"{path}, {name}", "this option is not supported", "plain LoRA")
    return {name: config[name] for name in ADAPTER_OPTIONS if config.get(name) is not None}
