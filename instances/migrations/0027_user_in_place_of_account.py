from django.db import migrations, models

ONCE_PER_ORGANIZATION = models.UniqueConstraint(
    fields=["organization", "user"],
    name="membership_once_per_organization",
    violation_error_message="This user is already a member of the organization.",
)


class Migration(migrations.Migration):
    dependencies = [("instances", "0026_reword_labels")]

    operations = [
        # Renaming a field does not rename it in a constraint.
        migrations.RemoveConstraint("membership", "membership_once_per_organization"),
        migrations.RenameField("membership", "account", "user"),
        migrations.AddConstraint("membership", ONCE_PER_ORGANIZATION),
        migrations.RenameField("organizationuser", "account", "user"),
    ]
