"""Paths of the pages and the API."""

from django.conf import settings
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = []

if settings.SANDBOX_ENABLED:
    urlpatterns.append(path("sandbox/", include("instances.sandbox.urls")))
