"""The server of llama.cpp is asked wherever it is kept; building it takes a quarter of an hour."""

from __future__ import annotations

from tests.systems.llama_server import kept

collect_ignore = [] if kept().is_file() else ["test_llama_server_is_audited.py"]
