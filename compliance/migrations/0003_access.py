"""Teams, roles, releases, language models, registrations and policy packs."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

DEFAULT_TEAM = "Default"


def make_default_team(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """The first row of a new table has the key 1, which the columns added below give to the rows there are."""
    apps.get_model("compliance", "Team").objects.create(pk=None, name=DEFAULT_TEAM)


def name_what_is_registered(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Give every model version that is there a language model called like its source."""
    versions = apps.get_model("compliance", "LanguageModelVersion").objects
    if not versions.exists():
        return
    team = apps.get_model("compliance", "Team").objects.get(name=DEFAULT_TEAM)
    table = "compliance_languagemodelversion"
    on = f" ON {table}" if schema_editor.connection.vendor == "postgresql" else ""
    # The end of every migrate puts the trigger back.
    schema_editor.execute(f"DROP TRIGGER IF EXISTS {table}_no_update{on}")
    for source in sorted(set(versions.values_list("source", flat=True))):
        model, _ = apps.get_model("compliance", "LanguageModel").objects.get_or_create(team=team, name=source[:200])
        versions.filter(source=source).update(language_model=model)
    if on:
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")


class Migration(migrations.Migration):
    dependencies = [
        ("compliance", "0002_jobs"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Team",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=120, unique=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ("name",),
            },
        ),
        migrations.RunPython(make_default_team, migrations.RunPython.noop),
        migrations.CreateModel(
            name="LanguageModel",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200)),
                ("owner", models.CharField(blank=True, help_text="Who answers for it.", max_length=200)),
                ("purpose", models.TextField(blank=True, help_text="What it is used for, in one sentence.")),
                (
                    "decision_role",
                    models.CharField(
                        choices=[
                            ("advisory", "Advisory: a person decides"),
                            ("determinative", "Determinative: its answer is the decision"),
                        ],
                        default="advisory",
                        max_length=20,
                    ),
                ),
                (
                    "risk_tier",
                    models.PositiveSmallIntegerField(
                        choices=[(1, "Tier 1"), (2, "Tier 2"), (3, "Tier 3"), (4, "Tier 4")], default=2
                    ),
                ),
                (
                    "access",
                    models.CharField(
                        choices=[("internals", "Weights: outputs and internals"), ("outputs", "Outputs only")],
                        default="internals",
                        max_length=20,
                        verbose_name="access level",
                    ),
                ),
                (
                    "approval",
                    models.CharField(
                        choices=[
                            ("proposed", "Proposed"),
                            ("approved", "Approved for its purpose"),
                            ("retired", "Retired"),
                        ],
                        default="proposed",
                        editable=False,
                        max_length=20,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "verbose_name": "language model",
                "ordering": ("name",),
                "permissions": (("approve_languagemodel", "Can approve or retire a language model"),),
            },
        ),
        migrations.AddField(
            model_name="languagemodel",
            name="team",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="language_models", to="compliance.team"
            ),
        ),
        migrations.AddField(
            model_name="languagemodelversion",
            name="language_model",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="versions",
                to="compliance.languagemodel",
            ),
        ),
        migrations.RunPython(name_what_is_registered, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="languagemodelversion",
            name="language_model",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="versions", to="compliance.languagemodel"
            ),
        ),
        migrations.CreateModel(
            name="FirstRunLink",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("secret_sha256", models.CharField(max_length=64, unique=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField()),
                ("used_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Membership",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("model_owner", "Model owner"),
                            ("developer", "Developer"),
                            ("compliance_officer", "Compliance officer"),
                            ("validator", "Validator"),
                            ("approver", "Approver"),
                            ("counsel", "Counsel"),
                            ("internal_audit", "Internal audit"),
                            ("examiner_readonly", "Examiner"),
                            ("admin", "Administrator"),
                        ],
                        max_length=20,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ("team", "user", "role"),
            },
        ),
        migrations.CreateModel(
            name="PolicyPackReview",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("reviewer", models.CharField(max_length=200)),
                ("note", models.TextField()),
                ("due", models.DateField(help_text="The day by which it is to be reviewed again.")),
                ("reviewed_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "verbose_name": "policy pack review",
                "ordering": ("-reviewed_at", "-pk"),
            },
        ),
        migrations.CreateModel(
            name="PolicyPackVersion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("pack_id", models.CharField(db_index=True, max_length=80, verbose_name="pack")),
                ("version", models.CharField(max_length=40)),
                ("name", models.CharField(max_length=300)),
                ("jurisdiction", models.CharField(blank=True, max_length=80)),
                ("status", models.CharField(blank=True, max_length=60)),
                ("as_of", models.DateField(help_text="The day its sources were read.")),
                ("content_json", models.TextField(verbose_name="content")),
                ("sha256", models.CharField(max_length=64, unique=True, verbose_name="SHA-256")),
                ("loaded_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "verbose_name": "policy pack",
                "ordering": ("pack_id", "-loaded_at", "-pk"),
                "permissions": (("review_policypackversion", "Can review a policy pack"),),
            },
        ),
        migrations.CreateModel(
            name="Registration",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("public_id", models.UUIDField(editable=False, unique=True)),
                ("kind", models.CharField(choices=[("model", "Language model"), ("data", "Data set")], max_length=8)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("uploading", "Uploading"),
                            ("mapping", "Columns to be described"),
                            ("waiting", "Waiting"),
                            ("registering", "Registering"),
                            ("ready", "Ready"),
                            ("failed", "Failed"),
                        ],
                        max_length=12,
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("source", models.CharField(max_length=500)),
                ("error", models.TextField(blank=True)),
                ("size", models.PositiveBigIntegerField(default=0, help_text="Bytes of an upload.")),
                ("received", models.PositiveBigIntegerField(default=0, help_text="Bytes that arrived.")),
                ("file", models.CharField(blank=True, help_text="Below the data folder.", max_length=200)),
                ("mapping", models.TextField(blank=True, help_text="What the columns mean, as TOML.")),
                ("requested_by", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ("-created_at", "-pk"),
            },
        ),
        migrations.CreateModel(
            name="Release",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("reason", models.CharField(max_length=500)),
                ("released_by", models.CharField(max_length=200)),
                ("released_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField()),
                ("withdrawn_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ("-released_at",),
            },
        ),
        migrations.AlterModelOptions(
            name="languagemodelversion",
            options={"ordering": ("-imported_at", "-pk"), "verbose_name": "model version"},
        ),
        migrations.AddField(
            model_name="datasetversion",
            name="file",
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AddField(
            model_name="datasetversion",
            name="preview",
            field=models.JSONField(blank=True, default=list),
        ),
        migrations.AlterField(
            model_name="datasetversion",
            name="fingerprint",
            field=models.CharField(db_index=True, max_length=64),
        ),
        migrations.AlterField(
            model_name="languagemodelversion",
            name="sha256",
            field=models.CharField(db_index=True, max_length=64, verbose_name="SHA-256"),
        ),
        migrations.AlterField(
            model_name="planversion",
            name="design_sha256",
            field=models.CharField(db_index=True, max_length=64, verbose_name="SHA-256"),
        ),
        migrations.AddConstraint(
            model_name="languagemodelversion",
            constraint=models.UniqueConstraint(fields=("language_model", "sha256"), name="model_version_once"),
        ),
        migrations.AddField(
            model_name="membership",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="memberships", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="policypackreview",
            name="reviewer_user",
            field=models.ForeignKey(
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="policypackreview",
            name="pack",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="reviews", to="compliance.policypackversion"
            ),
        ),
        migrations.AddField(
            model_name="registration",
            name="data_version",
            field=models.ForeignKey(
                blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to="compliance.datasetversion"
            ),
        ),
        migrations.AddField(
            model_name="registration",
            name="language_model",
            field=models.ForeignKey(
                blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to="compliance.languagemodel"
            ),
        ),
        migrations.AddField(
            model_name="registration",
            name="model_version",
            field=models.ForeignKey(
                blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to="compliance.languagemodelversion"
            ),
        ),
        migrations.AddField(
            model_name="registration",
            name="requested_by_user",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="registrations",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="release",
            name="audit",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="releases", to="compliance.audit"
            ),
        ),
        migrations.AddField(
            model_name="release",
            name="reader",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="releases", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="registration",
            name="team",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="registrations", to="compliance.team"
            ),
        ),
        migrations.AddField(
            model_name="membership",
            name="team",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="memberships", to="compliance.team"
            ),
        ),
        migrations.AddField(
            model_name="audit",
            name="team",
            field=models.ForeignKey(
                default=1, on_delete=django.db.models.deletion.PROTECT, related_name="audits", to="compliance.team"
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="datasetversion",
            name="team",
            field=models.ForeignKey(
                default=1, on_delete=django.db.models.deletion.PROTECT, related_name="data_sets", to="compliance.team"
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="event",
            name="team",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="events",
                to="compliance.team",
            ),
        ),
        migrations.AddField(
            model_name="planversion",
            name="team",
            field=models.ForeignKey(
                default=1, on_delete=django.db.models.deletion.PROTECT, related_name="plans", to="compliance.team"
            ),
            preserve_default=False,
        ),
        migrations.AddConstraint(
            model_name="datasetversion",
            constraint=models.UniqueConstraint(fields=("team", "fingerprint"), name="data_set_once"),
        ),
        migrations.AddConstraint(
            model_name="planversion",
            constraint=models.UniqueConstraint(fields=("team", "design_sha256"), name="plan_once"),
        ),
        migrations.AddIndex(
            model_name="release",
            index=models.Index(fields=["reader", "expires_at"], name="release_reader"),
        ),
        migrations.AddIndex(
            model_name="registration",
            index=models.Index(fields=["state", "created_at"], name="registration_state"),
        ),
        migrations.AddConstraint(
            model_name="registration",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["uploading", "mapping", "waiting", "registering", "ready", "failed"])
                ),
                name="registration_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="registration",
            constraint=models.CheckConstraint(
                condition=models.Q(("received__lte", models.F("size"))), name="registration_bounded"
            ),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.UniqueConstraint(fields=("team", "user", "role"), name="membership_once"),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "role__in",
                        [
                            "model_owner",
                            "developer",
                            "compliance_officer",
                            "validator",
                            "approver",
                            "counsel",
                            "internal_audit",
                            "examiner_readonly",
                            "admin",
                        ],
                    )
                ),
                name="membership_role_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="languagemodel",
            constraint=models.UniqueConstraint(fields=("team", "name"), name="language_model_once"),
        ),
    ]
