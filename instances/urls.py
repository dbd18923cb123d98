"""Paths of the pages and the API."""

from django.conf import settings
from django.urls import URLPattern, URLResolver, include, path

from instances.views.health import healthz

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", healthz, name="healthz"),
]

if settings.SANDBOX_ENABLED:
    urlpatterns.append(path("sandbox/", include("instances.sandbox.urls")))
