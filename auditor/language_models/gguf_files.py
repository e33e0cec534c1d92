"""Reading GGUF files: every field and every tensor they declare, in one part or in several, without transformers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.exceptions import ModelError, reason_of
from auditor.language_models.safety import check_file

#: How llama.cpp names the parts of a file it split.
_PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")
#: Counts of the container itself, which the reader lists among the fields.
_CONTAINER = "GGUF."


@dataclass(frozen=True)
class GgufFile:
    """What a GGUF file declares.

    Attributes
    ----------
    path
        The file as its user named it, for errors.
    parts
        All its parts in order; one for a file that is not split.
    architecture
        ``general.architecture``.
    fields
        Every metadata key and its value.
    tensors
        Every tensor by name, as the ``gguf`` package reads it: type, shape, raw data on the disk.
    """

    path: Path
    parts: tuple[Path, ...]
    architecture: str
    fields: Mapping[str, Any]
    tensors: Mapping[str, Any]

    @property
    def tensor_types(self) -> dict[str, int]:
        """Tensor type to number of tensors, for example ``{"F32": 61, "Q4_1": 210}``."""
        return dict(sorted(Counter(tensor.tensor_type.name for tensor in self.tensors.values()).items()))

    def values(self, name: str) -> Any:
        """A tensor's values as a float32 array, dequantised by the ``gguf`` package, rows first."""
        import gguf
        import numpy as np

        tensor = self.tensors[name]
        return np.asarray(gguf.dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)


def gguf_parts(path: Path) -> tuple[Path, ...]:
    """The files that make up a GGUF: itself, or all parts of the file that it is a part of.

    Raises
    ------
    ModelError
        If a part is missing, or the file given is not the first part.
    """
    check_file(path, "a GGUF file")
    named = _PART.fullmatch(path.name)
    if named is None:
        return (path,)
    number, count = int(named["number"]), int(named["count"])
    if not 1 <= number <= count:
        raise ModelError(str(path), f"is named part {number} of {count}", "parts that are counted from 1")
    parts = [path.with_name(f"{named['stem']}-{part:05d}-of-{count:05d}.gguf") for part in range(1, count + 1)]
    if number != 1:
        raise ModelError(str(path), f"this is part {number} of {count}", f"the first part, {parts[0].name}")
    for part in parts:
        check_file(part, f"all {count} parts of the file beside each other")
    return tuple(parts)


def read_gguf(path: Path) -> GgufFile:
    """Read what a GGUF file declares, all its parts together.

    Raises
    ------
    ModelError
        If it is no GGUF file, is damaged, or its parts do not belong together.
    """
    parts = gguf_parts(path)
    fields, tensors = _read_part(parts[0])
    _check_split(path, parts, 0, fields)
    for number, part in enumerate(parts[1:], start=1):
        more_fields, more_tensors = _read_part(part)
        _check_split(part, parts, number, more_fields)
        for key, value in more_fields.items():
            # Only the first part has to have the fields; what others repeat must say the same.
            if not key.startswith("split.") and fields.setdefault(key, value) != value:
                raise ModelError(str(part), f"{key} is not what {parts[0].name} says", "parts of one file")
        if both := sorted(tensors.keys() & more_tensors.keys()):
            raise ModelError(str(part), f"the tensor {both[0]} stands in an earlier part too", "parts of one file")
        tensors.update(more_tensors)
    declared = fields.get("split.tensors.count")
    if len(parts) > 1 and declared != len(tensors):
        what = f"split.tensors.count is {declared}, its {len(parts)} parts hold {len(tensors)} tensors"
        raise ModelError(str(path), what, "all tensors that the file declares")
    layers = [value for key, value in fields.items() if key.endswith(".block_count")]
    if any(isinstance(count, int) and count > len(tensors) for count in layers):
        what = f"names {max(layers):,} layers for {len(tensors):,} tensors"
        raise ModelError(str(path), what, "the layers it has")  # a library would build them all to find out
    architecture = fields.get("general.architecture")
    if not isinstance(architecture, str):
        raise ModelError(str(path), "general.architecture is missing", "the name of an architecture")
    return GgufFile(path, parts, architecture, fields, tensors)


def join_parts(file: GgufFile, target: Path) -> None:
    """Write a split file as one, its tensors byte for byte."""
    import gguf

    writer = gguf.GGUFWriter(target, file.architecture)
    readers = [gguf.GGUFReader(part) for part in file.parts]
    for key, field in readers[0].fields.items():
        if not key.startswith((_CONTAINER, "split.", "general.architecture")):
            inner = field.types[1] if len(field.types) > 1 else None
            writer.add_key_value(key, field.contents(), field.types[0], sub_type=inner)
    for reader in readers:
        for tensor in reader.tensors:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _read_part(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    expected = "an undamaged GGUF file"
    try:
        with path.open("rb") as stream:
            magic = stream.read(4)
    except OSError as error:
        raise ModelError(str(path), f"cannot be read: {reason_of(error)}", "a GGUF file") from error
    if magic != b"GGUF":
        raise ModelError(str(path), "is not a GGUF file", expected)
    import gguf

    try:
        reader = gguf.GGUFReader(path)
        fields = {key: field.contents() for key, field in reader.fields.items() if not key.startswith(_CONTAINER)}
        return fields, {tensor.name: tensor for tensor in reader.tensors}
    except Exception as error:  # whatever the reader makes of a bad file, users get one line
        if any(words in str(error) for words in ("its size must be a divisor", "out of bounds", "cannot reshape")):
            # The reader slices the file without a look at its end.
            raise ModelError(str(path), "is damaged, or ends before its last tensor does", expected) from error
        said = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
        raise ModelError(str(path), f"the header cannot be read: {said}", expected) from error


def _check_split(path: Path, parts: tuple[Path, ...], number: int, fields: Mapping[str, Any]) -> None:
    """Refuse a part whose own words about the split are not those of its name."""
    count = fields.get("split.count", 1)
    if count in (0, 1) and len(parts) == 1:
        return
    if len(parts) == 1:
        what = f"split.count is {count}: this is part {int(fields.get('split.no', 0)) + 1} of a file in {count} parts"
        raise ModelError(str(path), what, f"all parts, named …-00001-of-{count:05d}.gguf and on")
    if count != len(parts) or fields.get("split.no") != number:
        what = f"split.no is {fields.get('split.no')} and split.count {count}"
        raise ModelError(str(path), what, f"{number} and {len(parts)}, as its name says")
