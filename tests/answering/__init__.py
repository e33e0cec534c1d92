"""Audits of systems that answer, against real servers."""
