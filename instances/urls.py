"""URLs of the pages and the API."""

from django.conf import settings
from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, URLResolver, include, path

from instances.api.urls import api
from instances.callbacks.authorize_link import authorize
from instances.callbacks.choice import choose
from instances.callbacks.oauth_callback import oauth_callback
from instances.callbacks.other_account import other_account
from instances.selfservice import catalogue, connections
from instances.sign_in.views import PasswordView, SignInView, home

self_service: list[URLPattern | URLResolver] = [
    path("", connections.connections, name="connections"),
    path("sign-in", SignInView.as_view(), name="sign_in"),
    path("sign-out", LogoutView.as_view(), name="sign_out"),
    path("password", PasswordView.as_view(), name="password"),
    path("catalogue/", catalogue.catalogue, name="catalogue"),
    path("catalogue/<str:key>/", catalogue.connect, name="connect"),
    path("catalogue/<str:key>/request", catalogue.request_set_up, name="request_set_up"),
    path("links/<int:pk>/revoke/", connections.revoke, name="revoke_link"),
    path("<int:pk>/", connections.connection, name="connection"),
    path("<int:pk>/<slug:name>/", connections.action, name="connection_action"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    # First, because it is called most often and Django tries the patterns in order.
    path("elements/api-v2/", api.urls),
    path("oauth/callback", oauth_callback, name="oauth_callback"),
    # Registered with a slash, or with one that a provider added.
    path("oauth/callback/", oauth_callback, name="oauth_callback_with_slash"),
    path("oauth/choose/<int:pk>", choose, name="choose"),
    path("oauth/other-account/<int:pk>", other_account, name="other_account"),
    path("authorize/<str:token>", authorize, name="authorize"),
    path("connect/", include(self_service)),
    path("", home, name="home"),
]

if settings.SANDBOX_ENABLED:
    urlpatterns.append(path("sandbox/", include("instances.sandbox.urls")))
