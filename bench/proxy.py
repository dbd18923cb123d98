"""Compare the proxy with a bare Django view that passes calls on, in front of the same stub.

1, 8 and 32 clients read a page of five records through one gunicorn process, as `manage.py up` starts it. Both ways are
measured alternately, ROUNDS times, and the medians are shown. The overhead is the difference of the median latencies.

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
        ours = request_of("GET", f"/elements/api-v2/proxy/{PATH}", authorization)
        bare = request_of("GET", f"/bare-proxy/{PATH}", "none")
        with server(port) as worker:
            _compare(port, worker, ours, bare)


def _compare(port: int, worker: int, ours: bytes, bare: bytes) -> None:
    for sent in (ours, bare):
        # The first calls load what is only loaded then.
        load.run(port, 1, _always(sent), seconds=3)
    say(
        "proxy   clients  proxy/s  p50 ms  p95 ms  CPU ms   bare/s  p50 ms  CPU ms   ratio  overhead ms"
    )
    for count in CLIENTS:
        rounds = []
        for _ in range(ROUNDS):
            pair = [measure(port, worker, count, _always(sent)) for sent in (ours, bare)]
            rounds.append(pair)
        proxied, plain = (list(column) for column in zip(*rounds, strict=True))
        p50, plain_p50 = (
            median(result.percentile_ms(50) for result, _ in column) for column in (proxied, plain)
        )
        rate, plain_rate = (
            median(result.rate for result, _ in column) for column in (proxied, plain)
        )
        say(
            f"{'':7} {count:7} {rate:8.0f} {p50:7.1f} "
            f"{median(result.percentile_ms(95) for result, _ in proxied):7.1f} "
            f"{median(cpu for _, cpu in proxied):7.2f} {plain_rate:8.0f} {plain_p50:7.1f} "
            f"{median(cpu for _, cpu in plain):7.2f} {rate / plain_rate:7.2f} {p50 - plain_p50:12.1f}"
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
    return {
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
