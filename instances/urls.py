"""Paths of the pages and the API."""

from django.conf import settings
from django.urls import URLPattern, URLResolver, include, path

from instances.api.urls import api
from instances.views.health import healthz, metrics, readyz
from instances.views.oauth_callback import oauth_callback

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("oauth/callback", oauth_callback, name="oauth_callback"),
    path("elements/api-v2/", api.urls),
]

if settings.SANDBOX_ENABLED:
    urlpatterns.append(path("sandbox/", include("instances.sandbox.urls")))
