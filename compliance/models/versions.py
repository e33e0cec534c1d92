"""What an audit binds together: a model, a data set and a plan, each named by the hash of its content."""

from __future__ import annotations

import json
from typing import Any

from django.db import models

from compliance.models.evidence import Evidence


class LanguageModelVersion(Evidence):
    """One language model, exactly: ``sha256`` names its files, ``manifest`` lists them."""

    source = models.CharField(max_length=500, help_text="The source it was imported from, such as demo:underwriter.")
    sha256 = models.CharField("SHA-256", max_length=64, unique=True)
    manifest = models.JSONField()
    imported_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-imported_at", "-pk")
        verbose_name = "language model"

    def __str__(self) -> str:
        return f"{self.source} ({self.sha256[:12]})"


class DataSetVersion(Evidence):
    """One set of applications with the mapping that gives it meaning; ``fingerprint`` covers both."""

    name = models.CharField(max_length=200)
    source = models.CharField(max_length=500)
    fingerprint = models.CharField(max_length=64, unique=True)
    mapping = models.JSONField()
    rows = models.PositiveIntegerField()
    registered_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-registered_at", "-pk")
        verbose_name = "data set"

    def __str__(self) -> str:
        return f"{self.name} ({self.fingerprint[:12]})"


class PlanVersion(Evidence):
    """One design. ``design_json`` is the canonical JSON whose SHA-256 people approve, kept byte for byte."""

    name = models.CharField(max_length=80)
    title = models.CharField(max_length=300)
    design_json = models.TextField("design")
    design_sha256 = models.CharField("SHA-256", max_length=64, unique=True)
    registered_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-registered_at", "-pk")
        verbose_name = "plan"

    def __str__(self) -> str:
        return f"{self.name} ({self.design_sha256[:12]})"

    @property
    def design(self) -> dict[str, Any]:
        """The design as plain data."""
        return dict(json.loads(self.design_json))
