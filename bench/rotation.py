"""`make bench`: measure key rotation in secrets per second, and slowed readers.

Compared with bare UPDATEs of the same columns and rows without decryption or encryption, and with the same API reads
while no rotation is running.
"""

import os
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import batched
from typing import Any

import django
from django.core.management import call_command
from django.db import connection

from bench.database import database
from instances.crypto import sealing

COUNT = int(os.environ.get("BENCH_ROTATION_ROWS", "5000"))
# A reader without a pause would only measure the CPU.
PAUSE_SECONDS = 0.01
QUIET_READS = 300
BATCH_ROWS = 250


def main() -> None:
    with database() as url:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATABASE_URL": url,
            "SECRET_KEY": secrets.token_urlsafe(50),
            "ENCRYPTION_KEYS": sealing.generate_key(),
            "API_CALLS_PER_MINUTE": "1000000",
            "LOG_LEVEL": "WARNING",
        }
        django.setup()
        call_command("migrate", interactive=False, verbosity=0)
        _measure()


def _measure() -> None:
    from instances.provisioning.keys.rotation import rotate_encryption_keys

    read = _reader(*_make_instances())
    bare = _rate(_update_bare, 3 * COUNT)
    _put_first(sealing.generate_key())
    rotated = _rate(rotate_encryption_keys, 3 * COUNT)
    quiet = [_timed(read) for _ in range(QUIET_READS)]
    _put_first(sealing.generate_key())
    busy = _read_while_rotating(read)
    quiet += [_timed(read) for _ in range(QUIET_READS)]
    lines = [
        f"rotation {COUNT} instances, {3 * COUNT} secrets",
        f"         rotation {rotated:8.0f} secrets/s",
        f"         bare     {bare:8.0f} secrets/s   ratio {rotated / bare:.2f}",
        f"         readers' p95 {_p95(quiet) * 1000:.1f} ms, while rotating {_p95(busy) * 1000:.1f} ms"
        f"   ratio {_p95(busy) / _p95(quiet):.2f} ({len(busy)} reads)",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


def _rate(work: Callable[[], object], count: int) -> float:
    before = time.monotonic()
    work()
    return count / (time.monotonic() - before)


def _timed(work: Callable[[], object]) -> float:
    time.sleep(PAUSE_SECONDS)
    before = time.monotonic()
    work()
    return time.monotonic() - before


def _p95(durations: list[float]) -> float:
    return statistics.quantiles(durations, n=20)[-1]


def _put_first(key: str) -> None:
    from django.conf import settings

    settings.ENCRYPTION_KEYS = [key, *settings.ENCRYPTION_KEYS]
    os.environ["ENCRYPTION_KEYS"] = ",".join(settings.ENCRYPTION_KEYS)


def _read_while_rotating(read: Callable[[], object]) -> list[float]:
    command = [sys.executable, "manage.py", "rotate_encryption_keys", "--json"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as rotation:  # noqa: S603
        durations = []
        while rotation.poll() is None:
            durations.append(_timed(read))
    if rotation.returncode:
        raise RuntimeError("The rotation failed.")
    return durations


def _reader(address: str, header: str) -> Callable[[], object]:
    from django.test import Client

    client = Client()

    def read() -> None:
        response = client.get(address, headers={"Authorization": header, "Host": "localhost"})
        if response.status_code != 200:
            raise RuntimeError(f"{address} answered {response.status_code}.")

    return read


def _update_bare() -> None:
    """Write back the same columns of the same rows, in batches of the same size."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, secret_configuration, tokens, token, token_digest FROM instances_instance"
        )
        for rows in batched(cursor.fetchall(), BATCH_ROWS):
            values = ", ".join(["(%s, %s, %s, %s, %s)"] * len(rows))
            cursor.execute(
                "UPDATE instances_instance SET secret_configuration = new.column2, tokens = new.column3, "  # noqa: S608
                "token = new.column4, token_digest = new.column5 "
                f"FROM (VALUES {values}) AS new WHERE id = new.column1",
                [value for row in rows for value in row],
            )


def _make_instances() -> tuple[str, str]:
    """Create the instances; returns the URL of a page and an Authorization header."""
    from instances.models import Element, Instance
    from instances.platforms.base import TokenSet
    from instances.provisioning.access.organizations import create_account
    from instances.provisioning.elements import sync_elements

    sync_elements()
    element = Element.objects.get(key="dynamicscrmadfs")
    account = create_account("Bench", "bench@example.com")
    rows = [_instance(number, account.user, element, TokenSet) for number in range(COUNT)]
    Instance.objects.bulk_create(rows, batch_size=BATCH_ROWS)
    return (
        "/elements/api-v2/instances?pageSize=20",
        f"User {account.user_secret}, Organization {account.organization_secret}",
    )


def _instance(number: int, user: Any, element: Any, token_set: Any) -> Any:
    from instances.models import Instance

    row = Instance(
        organization_user=user,
        element=element,
        name=f"Number {number}",
        authentication_type="custom",
        configuration={"dynamics.tenant": "acme.crm.dynamics.com"},
        secret_keys=["user.password"],
        has_refresh_token=True,
        state=Instance.State.CONNECTED,
    )
    row.secret_configuration = {"user.password": f"password {number}"}
    row.tokens = token_set("access-token" * 20, f"refresh-token-of-{number}" * 5).to_json()
    row.token = secrets.token_urlsafe(32)
    return row


if __name__ == "__main__":
    main()
