from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("compliance", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Worker",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=40, unique=True)),
                ("host", models.CharField(max_length=200)),
                ("queues", models.JSONField(default=list)),
                ("stopping", models.BooleanField(default=False)),
                ("started_at", models.DateTimeField(auto_now_add=True)),
                ("seen_at", models.DateTimeField(db_index=True)),
            ],
            options={
                "ordering": ("-seen_at",),
            },
        ),
        migrations.AlterModelOptions(
            name="audit",
            options={
                "ordering": ("-serial",),
                "permissions": (("run_audit", "Can run audits"), ("cancel_audit", "Can stop audits")),
            },
        ),
        migrations.RemoveConstraint(
            model_name="audit",
            name="audit_state_known",
        ),
        migrations.AddField(
            model_name="audit",
            name="forced",
            field=models.BooleanField(default=False, editable=False),
        ),
        migrations.AddField(
            model_name="audit",
            name="keeper",
            field=models.CharField(blank=True, editable=False, max_length=40),
        ),
        migrations.AddField(
            model_name="audit",
            name="priority",
            field=models.SmallIntegerField(
                choices=[(-1, "After the others"), (0, "In turn"), (1, "Before the others")], default=0
            ),
        ),
        migrations.AddField(
            model_name="audit",
            name="queue",
            field=models.CharField(blank=True, max_length=40),
        ),
        migrations.AddField(
            model_name="audit",
            name="request_key",
            field=models.CharField(blank=True, editable=False, max_length=64, null=True, unique=True),
        ),
        migrations.AddField(
            model_name="audit",
            name="seen_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="audit",
            name="stop_requested_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="auditchunk",
            name="done_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name="audit",
            name="prompts",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AlterField(
            model_name="audit",
            name="run_json",
            field=models.TextField(blank=True, verbose_name="frozen run"),
        ),
        migrations.AlterField(
            model_name="audit",
            name="run_sha256",
            field=models.CharField(blank=True, db_index=True, max_length=64, verbose_name="SHA-256 of the run"),
        ),
        migrations.AlterField(
            model_name="audit",
            name="state",
            field=models.CharField(
                choices=[
                    ("requested", "Requested"),
                    ("queued", "Queued"),
                    ("running", "Running"),
                    ("cancelling", "Stopping"),
                    ("cancelled", "Stopped"),
                    ("failed", "Failed"),
                    ("done", "Done"),
                ],
                default="queued",
                max_length=12,
            ),
        ),
        migrations.AlterField(
            model_name="audit",
            name="tokens",
            field=models.PositiveBigIntegerField(default=0),
        ),
        migrations.AddConstraint(
            model_name="audit",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["requested", "queued", "running", "cancelling", "cancelled", "failed", "done"])
                ),
                name="audit_state_known",
            ),
        ),
    ]
