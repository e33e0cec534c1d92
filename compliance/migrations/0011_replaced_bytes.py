from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("compliance", "0010_what_was_approved"),
    ]

    operations = [
        migrations.AddField(
            model_name="registration",
            name="replaced_bytes",
            field=models.PositiveBigIntegerField(default=0, help_text="Bytes of files that others took the place of."),
        ),
    ]
