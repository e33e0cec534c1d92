from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("compliance", "0008_registration_look"),
    ]

    operations = [
        migrations.AddField(
            model_name="auditchunk",
            name="stalled",
            field=models.PositiveSmallIntegerField(default=0),
        ),
    ]
