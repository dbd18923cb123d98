"""The sandbox: a practice provider for development, never for production."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SandboxConfig(AppConfig):
    name = "instances.sandbox"
    label = "sandbox"
    verbose_name = _("Sandbox")
