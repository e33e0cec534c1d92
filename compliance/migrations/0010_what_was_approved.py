from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("compliance", "0009_stalled_chunks"),
    ]

    operations = [
        migrations.AddField(
            model_name="languagemodel",
            name="approved_sha256",
            field=models.CharField(blank=True, default="", editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name="languagemodel",
            name="approval_note",
            field=models.CharField(blank=True, default="", editable=False, max_length=300),
        ),
    ]
