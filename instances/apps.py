"""The application's configuration."""

from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.db.models.signals import post_migrate, pre_delete


class InstancesConfig(AppConfig):
    name = "instances"
    verbose_name = "Instance Manager"

    def ready(self) -> None:
        from instances import checks  # noqa: F401 - registers the system checks
        from instances.bulk import registration

        # Packages that extend the core register with it; it imports none of them.
        registration.register()

        # After Django's own receiver, which creates the permissions that the groups need.
        post_migrate.connect(_create_groups, sender=self)
        pre_delete.connect(_keep_log_entries, sender=settings.AUTH_USER_MODEL)


def _keep_log_entries(**signal: Any) -> None:
    from instances.provisioning.access.offboarding import keep_log_entries

    keep_log_entries(signal["instance"])


def _create_groups(**_: Any) -> None:
    from instances.provisioning.access.permissions import create_groups

    create_groups()
