"""The application: models, admin, API, commands."""

from django.apps import AppConfig


class InstancesConfig(AppConfig):
    name = "instances"
    verbose_name = "Instance Manager"

    def ready(self) -> None:
        from instances import checks  # noqa: F401 - registers the system checks
