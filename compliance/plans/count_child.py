"""The child process in which a model's tokenizer counts: its file may hold a pattern that never ends."""

from __future__ import annotations

import json
import sys

from compliance.sandbox.bounds import bind

WRITTEN = 1 << 20


def main() -> int:
    """Read a job; answer how many distinct tokens each group of texts has, and how many tokens each text alone."""
    job = json.load(sys.stdin)
    bind(memory=job["memory"], seconds=job["seconds"], written=WRITTEN)
    from tokenizers import Tokenizer

    from auditor.language_models.trie import distinct_tokens

    tokenizer = Tokenizer.from_file(job["tokenizer"])
    distinct = [distinct_tokens([encoded.ids for encoded in tokenizer.encode_batch(group)]) for group in job["groups"]]
    lengths = [len(tokenizer.encode(text).ids) for text in job["texts"]]
    json.dump({"distinct": distinct, "lengths": lengths}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
