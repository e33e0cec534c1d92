"""The engine: audits of language models that take part in financial decisions. No Django, usable from a notebook."""

__version__ = "0.1.0"
