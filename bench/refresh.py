"""`make bench`: measure the tokens per second that a sweep refreshes.

The provider takes 200 ms per request.

Compared with the ideal rate (concurrency divided by latency), and with as many threads that send the same requests and
store nothing.
"""

import http.client
import os
import resource
import secrets
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import django
from django.core.management import call_command
from django.utils import timezone

from bench.database import database
from bench.stub import stub
from instances.crypto import sealing

COUNT = 500
DELAY_SECONDS = 0.2
CLIENT = {"oauth.api.key": "client", "oauth.api.secret": "client-secret"}
FORM = urlencode({"grant_type": "refresh_token", "refresh_token": "refresh-token", **CLIENT})
HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}
_connections = threading.local()


def main() -> None:
    with database() as url, stub(DELAY_SECONDS) as port:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATABASE_URL": url,
            "SECRET_KEY": secrets.token_urlsafe(50),
            "ENCRYPTION_KEYS": sealing.generate_key(),
            "PROVIDER_ALLOWED_PRIVATE_HOSTS": f"127.0.0.1:{port}",
            "LOG_LEVEL": "WARNING",
        }
        django.setup()
        call_command("migrate", interactive=False, verbosity=0)
        _measure(port)


def _measure(port: int) -> None:
    from instances.provisioning.lifecycle.sweeps import (
        CONCURRENCY_PER_PROVIDER,
        refresh_due_instances,
    )

    _make_due_instances(port)
    ideal = CONCURRENCY_PER_PROVIDER / DELAY_SECONDS
    plain = _plain_rate(port, CONCURRENCY_PER_PROVIDER)
    before = time.monotonic()
    report = refresh_due_instances(limit=COUNT)
    sweep = COUNT / (time.monotonic() - before)
    if report.succeeded != COUNT:
        raise RuntimeError(f"{len(report.failures)} refreshes failed: {report.failures}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    lines = [
        f"refresh  {COUNT} due instances, {CONCURRENCY_PER_PROVIDER} at once, {DELAY_SECONDS * 1000:.0f} ms each",
        f"         sweep {sweep:7.1f}/s",
        f"         plain {plain:7.1f}/s   ratio {sweep / plain:.2f}",
        f"         ideal {ideal:7.1f}/s   ratio {sweep / ideal:.2f}",
        f"         peak memory {peak} MiB",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


def _plain_rate(port: int, concurrency: int) -> float:
    with ThreadPoolExecutor(concurrency) as pool:
        before = time.monotonic()
        list(pool.map(_refresh, [port] * COUNT))
        return COUNT / (time.monotonic() - before)


def _refresh(port: int) -> None:
    if not hasattr(_connections, "to_stub"):
        _connections.to_stub = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    _connections.to_stub.request("POST", "/token", FORM, HEADERS)
    _connections.to_stub.getresponse().read()


def _make_due_instances(port: int) -> None:
    from instances.models import Element, Instance
    from instances.platforms.base import TokenSet
    from instances.provisioning.access.organizations import create_account

    definition = _definition(port)
    columns = {name: definition[name] for name in ("id", "key", "name", "hub")}
    element = Element.objects.create(source=Element.Source.OWN, definition=definition, **columns)
    user = create_account("Bench", "bench@example.com").user
    rows = []
    for number in range(COUNT):
        row = Instance(
            organization_user=user,
            element=element,
            name=f"Number {number}",
            authentication_type="oauth2",
            configuration={"oauth.callback.url": "https://app.example/callback"},
            state=Instance.State.CONNECTED,
            refresh_due_at=timezone.now() - timedelta(minutes=1),
        )
        row.secret_configuration = CLIENT
        row.tokens = TokenSet("access-token", f"refresh-token-of-{number}").to_json()
        row.token = f"element-token-{number}"
        rows.append(row)
    Instance.objects.bulk_create(rows)


def _definition(port: int) -> dict[str, Any]:
    fields = ("oauth.api.key", "oauth.api.secret", "oauth.callback.url")
    return {
        "id": 999_998,
        "key": "refreshed",
        "name": "Refreshed",
        "hub": "general",
        "description": "An element whose tokens the stub refreshes.",
        "authentication": [
            {
                "type": "oauth2",
                "grant_type": "authorization_code",
                "fields": [
                    {"key": key, "label": key, "required": True, "secret": key in CLIENT}
                    for key in fields
                ],
                "authorization_endpoint": f"http://127.0.0.1:{port}/authorize",
                "token_endpoint": f"http://127.0.0.1:{port}/token",
            }
        ],
    }


if __name__ == "__main__":
    main()
