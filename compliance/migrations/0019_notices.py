import django.db.models.deletion
import uuid
from typing import Any

from django.conf import settings
from django.db import migrations, models


def begin_now(apps: Any, schema_editor: Any) -> None:
    """Nobody is told of what happened before: of a log that is there, notices begin at its end."""
    newest = apps.get_model('compliance', 'Event').objects.order_by('-seq').values_list('seq', flat=True).first()
    if newest is not None:
        apps.get_model('compliance', 'NoticeCursor').objects.create(pk=1, seq=newest)


class Migration(migrations.Migration):

    dependencies = [
        ('compliance', '0018_calendar'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='MailAddress',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('address', models.EmailField(blank=True, max_length=254)),
                ('asked_at', models.DateTimeField()),
                ('confirmed_at', models.DateTimeField(blank=True, null=True)),
                ('mailed_at', models.DateTimeField(blank=True, null=True)),
                ('user', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='mail_address', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='Notice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=160)),
                ('kind', models.CharField(max_length=40)),
                ('subject', models.CharField(max_length=20)),
                ('subject_id', models.PositiveBigIntegerField()),
                ('permission', models.CharField(blank=True, max_length=60)),
                ('words', models.CharField(max_length=200)),
                ('title', models.CharField(blank=True, max_length=300)),
                ('link', models.CharField(max_length=300)),
                ('on_site', models.BooleanField(default=True)),
                ('made_at', models.DateTimeField()),
                ('read_at', models.DateTimeField(blank=True, null=True)),
                ('team', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='compliance.team')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='notices', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ('-pk',),
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='MailDelivery',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('state', models.CharField(choices=[('waiting', 'Waiting'), ('sent', 'Sent'), ('given_up', 'Given up'), ('dropped', 'Dropped')], default='waiting', max_length=10)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('made_at', models.DateTimeField()),
                ('due_at', models.DateTimeField()),
                ('claimed_until', models.DateTimeField(blank=True, null=True)),
                ('settled_at', models.DateTimeField(blank=True, null=True)),
                ('error', models.CharField(blank=True, max_length=300)),
                ('notice', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='mail', to='compliance.notice')),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='NoticeChoice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=40)),
                ('on_site', models.BooleanField()),
                ('by_mail', models.BooleanField()),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='notice_choices', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='NoticeCursor',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('seq', models.PositiveBigIntegerField(default=0)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('pk', 1)), name='notices_have_one_cursor')],
            },
        ),
        migrations.CreateModel(
            name='Webhook',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=60)),
                ('url', models.CharField(max_length=500)),
                ('networks', models.JSONField(blank=True, default=list, help_text='Private ranges that its host may lie in.')),
                ('kinds', models.JSONField(default=list)),
                ('ring_key', models.CharField(max_length=12)),
                ('sealed', models.BinaryField()),
                ('set_by', models.CharField(max_length=200)),
                ('set_at', models.DateTimeField()),
                ('ended_by', models.CharField(blank=True, max_length=200)),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('team', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='webhooks', to='compliance.team')),
            ],
            options={
                'ordering': ('-pk',),
                'default_permissions': ('add', 'delete', 'view'),
            },
        ),
        migrations.CreateModel(
            name='WebhookDelivery',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('state', models.CharField(choices=[('waiting', 'Waiting'), ('sent', 'Sent'), ('given_up', 'Given up'), ('dropped', 'Dropped')], default='waiting', max_length=10)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('made_at', models.DateTimeField()),
                ('due_at', models.DateTimeField()),
                ('claimed_until', models.DateTimeField(blank=True, null=True)),
                ('settled_at', models.DateTimeField(blank=True, null=True)),
                ('error', models.CharField(blank=True, max_length=300)),
                ('key', models.CharField(max_length=160)),
                ('kind', models.CharField(max_length=40)),
                ('words', models.CharField(max_length=200)),
                ('body', models.TextField()),
                ('webhook', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='deliveries', to='compliance.webhook')),
            ],
            options={
                'ordering': ('-pk',),
                'default_permissions': (),
            },
        ),
        migrations.AddIndex(
            model_name='notice',
            index=models.Index(fields=['user', 'read_at'], name='notice_unread'),
        ),
        migrations.AddConstraint(
            model_name='notice',
            constraint=models.UniqueConstraint(fields=('user', 'key'), name='notice_once'),
        ),
        migrations.AddIndex(
            model_name='maildelivery',
            index=models.Index(fields=['state', 'due_at'], name='mail_due'),
        ),
        migrations.AddConstraint(
            model_name='noticechoice',
            constraint=models.UniqueConstraint(fields=('user', 'kind'), name='notice_choice_once'),
        ),
        migrations.AddIndex(
            model_name='webhookdelivery',
            index=models.Index(fields=['state', 'due_at'], name='webhook_due'),
        ),
        migrations.AddConstraint(
            model_name='webhookdelivery',
            constraint=models.UniqueConstraint(fields=('webhook', 'key'), name='webhook_told_once'),
        ),
        migrations.RunPython(begin_now, migrations.RunPython.noop),
    ]
