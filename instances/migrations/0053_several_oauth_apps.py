import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("instances", "0052_oauth_app_secret_ends")]

    operations = [
        migrations.AddField(
            model_name="oauthapp",
            name="name",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="To tell several apps of the same element apart.",
                max_length=100,
                verbose_name="name",
            ),
        ),
        migrations.AddField(
            model_name="oauthapp",
            name="is_default",
            field=models.BooleanField(
                db_default=True, default=True, editable=False, verbose_name="default"
            ),
        ),
        migrations.AddField(
            model_name="oauthapp",
            name="shared_with",
            field=models.ManyToManyField(
                blank=True,
                help_text="Other organizations that connect accounts with this app. They never see its secret, and "
                "cannot decide which hosts get it.",
                related_name="shared_oauth_apps",
                to="instances.organization",
                verbose_name="shared with",
            ),
        ),
        migrations.AddConstraint(
            model_name="oauthapp",
            constraint=models.UniqueConstraint(
                fields=("organization", "element", "name"),
                name="oauth_app_name_unique",
                violation_error_message="This organization already has an OAuth app with this name for this element. "
                "Enter another name.",
            ),
        ),
        migrations.AddConstraint(
            model_name="oauthapp",
            constraint=models.UniqueConstraint(
                fields=("organization", "element"),
                condition=Q(is_default=True),
                name="oauth_app_one_default",
            ),
        ),
        migrations.RemoveConstraint(model_name="oauthapp", name="oauth_app_one_per_element"),
        migrations.AddField(
            model_name="instance",
            name="oauth_app",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="instances",
                to="instances.oauthapp",
                verbose_name="OAuth app",
            ),
        ),
    ]
