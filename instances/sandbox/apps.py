"""The sandbox: a provider of our own to try everything against; on a laptop, never in production."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SandboxConfig(AppConfig):
    name = "instances.sandbox"
    label = "sandbox"
    verbose_name = _("Sandbox")
