"""What an audit said: its measurements and findings, as rows. Field by field those of auditor.records."""

from __future__ import annotations

from django.db import models

from compliance.models.audits import Audit
from compliance.models.evidence import AuditEvidenceQuerySet, Evidence


class MeasurementRow(Evidence):
    """One number of an audit (auditor.records.Measurement)."""

    audit = models.ForeignKey(Audit, on_delete=models.PROTECT, related_name="measurements")
    key = models.CharField("id", max_length=300)
    position = models.PositiveIntegerField(help_text="Its place in result.json.")
    test = models.CharField(max_length=80)
    metric = models.CharField(max_length=80)
    role = models.CharField(max_length=20)
    subject = models.JSONField(default=dict)
    unit = models.CharField(max_length=40)
    reference = models.CharField(max_length=200, null=True)  # noqa: DJ001, "no reference" is not the group called ""
    estimate = models.FloatField(null=True)
    low = models.FloatField(null=True)
    high = models.FloatField(null=True)
    level = models.FloatField()
    higher_is_better = models.BooleanField(null=True)
    n = models.PositiveBigIntegerField()
    sd_units = models.FloatField(null=True)
    p_value = models.FloatField(null=True)
    p_adjusted = models.FloatField(null=True)
    family = models.CharField(max_length=80, null=True)  # noqa: DJ001, null is "in no family"
    conclusion = models.CharField(max_length=40, null=True)  # noqa: DJ001, null is "none is drawn"
    checks = models.JSONField(default=list)
    cases = models.CharField(max_length=500, blank=True)
    conclusion_reason = models.TextField(null=True)  # noqa: DJ001, null is "none is drawn"
    missing_reason = models.TextField(null=True)  # noqa: DJ001, null is "nothing is missing"
    method = models.TextField(blank=True)
    counts = models.JSONField(default=dict)

    objects = AuditEvidenceQuerySet.as_manager()

    class Meta:
        ordering = ("audit", "position")
        verbose_name = "measurement"
        constraints = (models.UniqueConstraint(fields=["audit", "key"], name="measurement_once"),)
        indexes = (
            models.Index(fields=["audit", "test", "metric"], name="measurement_test"),
            models.Index(fields=["audit", "role", "conclusion"], name="measurement_role"),
            models.Index(fields=["test", "metric", "audit"], name="measurement_over_audits"),
        )

    def __str__(self) -> str:
        return f"{self.audit} {self.key}"


class FindingRow(Evidence):
    """One finding of an audit (auditor.records.Finding)."""

    audit = models.ForeignKey(Audit, on_delete=models.PROTECT, related_name="findings")
    key = models.CharField("id", max_length=300)
    position = models.PositiveIntegerField(help_text="Its place in result.json.")
    title = models.TextField()
    severity = models.CharField(max_length=20)
    severity_rank = models.PositiveSmallIntegerField()
    rule = models.TextField()
    condition = models.TextField()
    criteria = models.JSONField(default=list)
    cause = models.TextField(blank=True)
    effect = models.TextField(blank=True)
    recommendation = models.TextField(blank=True)
    measurement_keys = models.JSONField(default=list)
    cases = models.CharField(max_length=500, blank=True)
    conclusion = models.CharField(max_length=40, null=True)  # noqa: DJ001, null is "none is drawn"

    objects = AuditEvidenceQuerySet.as_manager()

    class Meta:
        ordering = ("audit", "position")
        verbose_name = "finding"
        constraints = (models.UniqueConstraint(fields=["audit", "key"], name="finding_once"),)
        indexes = (models.Index(fields=["audit", "-severity_rank"], name="finding_severity"),)

    def __str__(self) -> str:
        return f"{self.audit} {self.key}"
