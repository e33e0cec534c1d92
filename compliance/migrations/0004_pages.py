from django.db import migrations, models


class Migration(migrations.Migration):
    """Indexes that the first page reads instead of the rows, which hold frozen runs and are large."""

    dependencies = [
        ("compliance", "0003_access"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="audit",
            index=models.Index(
                fields=["state", "-serial", "finished_at", "plan", "model"],
                name="audit_standing",
            ),
        ),
        migrations.RemoveIndex(
            model_name="measurementrow",
            name="measurement_conclusion",
        ),
        migrations.AddIndex(
            model_name="measurementrow",
            index=models.Index(fields=["audit", "role", "conclusion"], name="measurement_role"),
        ),
    ]
