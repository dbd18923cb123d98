from django.db import migrations, models


class Migration(migrations.Migration):
    """Where secrets may be sent: the operators' lists, and the hosts that stored secrets were entered for."""

    dependencies = [
        ("instances", "0019_quarantined_secrets"),
    ]

    operations = [
        migrations.AddField(
            model_name="instance",
            name="secret_hosts",
            field=models.JSONField(default=None, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="oauthapp",
            name="hosts",
            field=models.JSONField(
                blank=True,
                default=list,
                help_text="Hosts that the client secret may be sent to, beside the element's own: one a line, for example crm.example.com or *.example.com.",
                verbose_name="additional hosts",
            ),
        ),
        migrations.AddField(
            model_name="organization",
            name="private_hosts",
            field=models.JSONField(
                blank=True,
                default=dict,
                help_text='On-premise hosts of this organization, which may have private addresses: {"element key": ["crm.example.internal", "10.0.0.5:8443"]}. Secrets may be sent to them.',
                verbose_name="private hosts",
            ),
        ),
    ]
