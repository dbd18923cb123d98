"""The account owner's decision in the sandbox."""

from urllib.parse import urlsplit

from django.test import Client

from instances.catalogue.sandbox import SANDBOX_PASSWORD, SANDBOX_USERNAME

TENANT = {"configuration.dynamics.tenant": "yourcompanyname.crm.dynamics.com"}


def decide(provider_url, decision):
    """Sign in to the sandbox and decide there; returns the callback's path and query."""
    parts = urlsplit(provider_url)
    path = f"{parts.path}?{parts.query}"
    holder = Client(SERVER_NAME=parts.hostname, SERVER_PORT=str(parts.port))
    holder.post(path, {"username": SANDBOX_USERNAME, "password": SANDBOX_PASSWORD})
    back = urlsplit(holder.post(path, {"decision": decision})["Location"])
    return f"{back.path}?{back.query}"
