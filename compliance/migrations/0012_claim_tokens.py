from django.db import migrations


class Migration(migrations.Migration):
    """Columns by the names that the code uses: the claim token, and how often the sweep enqueued it."""

    dependencies = [("compliance", "0011_replaced_bytes")]

    operations = [
        migrations.RenameField(model_name=name, old_name=old, new_name=new)
        for name in ("audit", "registration")
        for old, new in (("keeper", "claim_token"), ("calls", "enqueues"))
    ]
