"""Compare the proxy and a hub list with a bare Django view that passes calls on, in front of the same stub.

1, 8 and 32 clients read a page of five records through one gunicorn process, as `manage.py up` starts it. The bare view
sends the provider the same path and query, and relays what it gets: it knows its credentials without looking them up,
checks nothing, counts nothing, records nothing, and neither reads nor translates the records. The ways are measured in
turn, ROUNDS times, and the medians are shown. The ratio is the median of the rounds' ratios, because each compares what
was measured within a few seconds. The overhead is the difference of the median latencies. Clients send their next
request at once, so with several of them the server is busy, and the overhead is mostly time in its queue.

BENCH_SECONDS (4): how long each figure is measured. BENCH_ROUNDS (3). BENCH_DELAY_MS (0): how long the stub waits.
"""

import os
import secrets
import socket
from collections.abc import Callable
from statistics import median

from bench import load
from bench.api import measure, request_of, say, server
from bench.database import database
from bench.stub import stub
from instances.crypto import sealing

CLIENTS = (1, 8, 32)
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
DELAY_SECONDS = float(os.environ.get("BENCH_DELAY_MS", "0")) / 1000
PATH = "contacts?$top=5&$filter=lastname%20eq%20'de%20Wit'"
HUB_PATH = "contacts?pageSize=5&where=lastname%3D'de%20Wit'"


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with database() as url, stub(DELAY_SECONDS) as provider_port:
        provider = f"http://127.0.0.1:{provider_port}"
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "bench.settings",
            "DATABASE_URL": url,
            "SECRET_KEY": secrets.token_urlsafe(50),
            "ENCRYPTION_KEYS": sealing.generate_key(),
            "PUBLIC_URL": f"http://localhost:{port}",
            "LOG_LEVEL": "WARNING",
            "API_CALLS_PER_MINUTE": "0",
            "DATA_CALLS_PER_INSTANCE": "64",
            "PROVIDER_ALLOWED_PRIVATE_HOSTS": f"127.0.0.1:{provider_port}",
            "BENCH_PROVIDER": provider,
        }
        authorization = _prepare(provider)
        ways = {
            "bare": request_of("GET", f"/bare-proxy/{PATH}", "none"),
            "proxy": request_of("GET", f"/elements/api-v2/proxy/{PATH}", authorization),
            "hub list": request_of("GET", f"/elements/api-v2/hubs/crm/{HUB_PATH}", authorization),
        }
        with server(port) as worker:
            _compare(port, worker, ways)


def _compare(port: int, worker: int, ways: dict[str, bytes]) -> None:
    for sent in ways.values():
        # The first calls load what is only loaded then.
        load.run(port, 1, _always(sent), seconds=3)
    say(f"{'way':8} clients  calls/s  p50 ms  p95 ms  CPU ms   ratio  overhead ms")
    for count in CLIENTS:
        rounds = [
            {way: measure(port, worker, count, _always(sent)) for way, sent in ways.items()}
            for _ in range(ROUNDS)
        ]
        for way in ways:
            ratio = median(one[way][0].rate / one["bare"][0].rate for one in rounds)
            p50, bare_p50 = (
                median(one[name][0].percentile_ms(50) for one in rounds) for name in (way, "bare")
            )
            say(
                f"{way:8} {count:7} {median(one[way][0].rate for one in rounds):8.0f} {p50:7.1f} "
                f"{median(one[way][0].percentile_ms(95) for one in rounds):7.1f} "
                f"{median(one[way][1] for one in rounds):7.2f} {ratio:7.2f} {p50 - bare_p50:12.1f}"
            )


def _always(sent: bytes) -> Callable[[], bytes]:
    return lambda: sent


def _prepare(provider: str) -> str:
    """Create the element and a connected instance; returns the header of its program."""
    import django
    from django.core.management import call_command

    django.setup()
    from instances.models import Element
    from instances.provisioning.access.organizations import create_account
    from instances.provisioning.create import create_draft
    from instances.provisioning.lifecycle.provision import provision_instance

    call_command("migrate", run_syncdb=True, interactive=False, verbosity=0)
    definition = _definition(provider)
    columns = {name: definition[name] for name in ("id", "key", "name", "hub")}
    element = Element.objects.create(source=Element.Source.OWN, definition=definition, **columns)
    account = create_account("Bench", "bench@example.com")
    draft = create_draft(
        account.user,
        element,
        actor="bench",
        name="Acme",
        configuration={
            "oauth.api.key": "client",
            "oauth.api.secret": "client-secret",
            "oauth.user.token": "access-token",
            "oauth.user.refresh_token": "refresh-token",
        },
        external_authentication="initial",
    )
    instance = provision_instance(draft, actor="bench")
    return f"User {account.user_secret}, Element {instance.token.reveal()}"


def _definition(provider: str) -> dict[str, object]:
    """An element whose hub calls become those of Dynamics."""
    from instances.catalogue.loading import SHIPPED_FOLDER, load_element

    dynamics = load_element(SHIPPED_FOLDER / "dynamicscrmadfs.toml")
    return {
        "hub_api": dynamics.hub_api.model_dump(exclude_unset=True) if dynamics.hub_api else None,
        "id": 999_998,
        "key": "bench-proxy",
        "name": "Bench",
        "hub": "crm",
        "description": "An element whose API is the stub.",
        "authentication": [
            {
                "type": "oauth2",
                "grant_type": "authorization_code",
                "authorization_endpoint": f"{provider}/authorize",
                "token_endpoint": f"{provider}/token",
                "fields": [
                    {"key": "oauth.api.key", "label": "Client ID", "secret": True},
                    {"key": "oauth.api.secret", "label": "Client secret", "secret": True},
                ],
                "api": {"base_url": f"{provider}/api", "scheme": "bearer"},
            }
        ],
    }


if __name__ == "__main__":
    main()
