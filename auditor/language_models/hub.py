"""The one place that reaches the Hugging Face hub, and only for an ``hf:`` import that somebody asked for."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from auditor.exceptions import ModelError
from auditor.language_models.safety import CONFIG_FILE, TOKENIZER_FILES
from auditor.language_models.sources import ModelSource
from auditor.language_models.weights import one_line

#: What is fetched. Pickles and code are never even downloaded.
PATTERNS = (
    CONFIG_FILE,
    "generation_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    *TOKENIZER_FILES,
)
TIMEOUT_SECONDS = 20

#: Errors of the disk the download goes to; every other one is the network's or the hub's.
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)
_COMMIT = re.compile(r"[0-9a-f]{40}")


def resolve_commit(source: ModelSource) -> str:
    """The commit a source names. A tag or branch is looked up each time, because it may move."""
    revision = source.revision or ""
    return revision if _COMMIT.fullmatch(revision) else _ask(source, revision)


def download(source: ModelSource, commit: str, folder: Path) -> None:
    """Fetch a model's config, safetensors weights and tokenizer at one commit into an empty folder.

    Raises
    ------
    ModelError
        If the hub cannot be reached or has no such model and commit.
    OSError
        If the folder cannot be written.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    _ask(source, commit)  # fails at once where the download itself would first try for half a minute
    disable_progress_bars()
    try:
        snapshot_download(source.location, revision=commit, local_dir=folder, allow_patterns=list(PATTERNS))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise
        raise _unreachable(source, error) from error


def _ask(source: ModelSource, revision: str) -> str:
    """Ask the hub which commit a revision is."""
    from huggingface_hub import HfApi

    try:
        commit = HfApi().model_info(source.location, revision=revision, timeout=TIMEOUT_SECONDS).sha
    except Exception as error:
        raise _unreachable(source, error) from error
    if not commit or not _COMMIT.fullmatch(commit):
        raise ModelError(str(source), "the hub named no commit for this revision", "a commit, tag or branch")
    return commit


def _unreachable(source: ModelSource, error: Exception) -> ModelError:
    what = f"the hub did not deliver it: {one_line(error)}"
    return ModelError(str(source), what, "a reachable hub, or the model's folder by dir:PATH")
