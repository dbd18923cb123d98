"""`make bench`: compare the platform API with a bare Django view.

1, 8 and 32 clients create and read instances of an element without a probe, against one gunicorn process with threads,
as `manage.py up` starts it. The database is created on the server of DATABASE_URL, and dropped at the end.

BENCH_SECONDS (4): how long each figure is measured.
"""

import itertools
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import django
from django.core.management import call_command

from bench import load
from bench.database import database
from instances.crypto import sealing

PROJECT = Path(__file__).resolve().parent.parent
SECONDS = float(os.environ.get("BENCH_SECONDS", "4"))
CLIENTS = (1, 8, 32)
BODY = {
    "element": {"key": "bench"},
    "name": "Acme",
    "tags": ["acme"],
    "configuration": {"user": "ada", "password": "s3cret-of-ada", "site": "acme.example.com"},
}
ELEMENT = {
    "id": 999_999,
    "key": "bench",
    "name": "Bench",
    "hub": "general",
    "description": "An element whose credentials are taken on trust.",
    "authentication": [
        {
            "type": "basic",
            "fields": [
                {"key": "user", "label": "User", "type": "string", "required": True},
                {
                    "key": "password",
                    "label": "Password",
                    "type": "password",
                    "required": True,
                    "secret": True,
                },
                {"key": "site", "label": "Site", "type": "string", "required": True},
            ],
        }
    ],
}


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with database() as url:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "bench.settings",
            "DATABASE_URL": url,
            "SECRET_KEY": secrets.token_urlsafe(50),
            "ENCRYPTION_KEYS": sealing.generate_key(),
            "PUBLIC_URL": f"http://localhost:{port}",
            "LOG_LEVEL": "WARNING",
            "API_CALLS_PER_MINUTE": "0",
        }
        authorization = _prepare()
        with server(port) as worker:
            _compare("create", port, worker, *_creates(authorization))
            _compare("read", port, worker, *_reads(authorization))
            say(f"peak memory of the server process: {_peak_mebibytes(worker)} MiB")


def _compare(
    name: str, port: int, worker: int, ours: Callable[[], bytes], bare: Callable[[], bytes]
) -> None:
    say(f"{name:7} clients   API/s  p50 ms  p95 ms  CPU ms   bare/s  CPU ms   ratio")
    for requests in (ours, bare):
        load.run(port, max(CLIENTS), requests, seconds=1)
    for count in CLIENTS:
        api, api_cpu = measure(port, worker, count, ours)
        plain, plain_cpu = measure(port, worker, count, bare)
        say(
            f"{'':7} {count:7} {api.rate:7.0f} {api.percentile_ms(50):7.1f} {api.percentile_ms(95):7.1f} "
            f"{api_cpu:7.2f} {plain.rate:8.0f} {plain_cpu:7.2f} {api.rate / plain.rate:7.2f}"
        )


def measure(
    port: int, worker: int, count: int, requests: Callable[[], bytes]
) -> tuple[load.Result, float]:
    """Measure what clients see, and the server's CPU time per request in ms."""
    before = _processor_seconds(worker)
    result = load.run(port, count, requests, seconds=SECONDS)
    used = _processor_seconds(worker) - before
    return result, used / len(result.latencies) * 1000


def _creates(authorization: str) -> tuple[Callable[[], bytes], Callable[[], bytes]]:
    body = json.dumps(BODY)
    ours = request_of("POST", "/elements/api-v2/instances", authorization, body)
    bare = request_of("POST", "/bare", authorization, body)
    return lambda: ours, lambda: bare


def _reads(authorization: str) -> tuple[Callable[[], bytes], Callable[[], bytes]]:
    """Build requests that cycle through the instances and rows that _creates() made."""
    from bench.models import BareRow
    from instances.models import Instance

    def around(path: str, ids: list[int]) -> Callable[[], bytes]:
        requests = [request_of("GET", f"{path}/{number}", authorization) for number in ids]
        turn = itertools.cycle(requests)
        return lambda: next(turn)

    instances = Instance.objects.values_list("pk", flat=True)[:1000]
    rows = BareRow.objects.values_list("pk", flat=True)[:1000]
    return around("/elements/api-v2/instances", list(instances)), around("/bare", list(rows))


def request_of(method: str, path: str, authorization: str, body: str = "") -> bytes:
    head = [
        f"{method} {path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: {authorization}",
        "Accept: application/json",
    ]
    if body:
        head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", body]).encode()


def _prepare() -> str:
    """Create all rows; returns the organization user's Authorization header."""
    django.setup()
    from instances.models import Element
    from instances.provisioning.access.organizations import create_account

    call_command("migrate", run_syncdb=True, interactive=False, verbosity=0)
    columns = {name: ELEMENT[name] for name in ("id", "key", "name", "hub")}
    Element.objects.create(source=Element.Source.OWN, definition=ELEMENT, **columns)
    account = create_account("Bench", "bench@example.com")
    return f"User {account.user_secret}, Organization {account.organization_secret}"


@contextmanager
def server(port: int) -> Iterator[int]:
    """Run gunicorn; yields the process id of its only worker."""
    from instances.management.commands.up import web_server_command

    process = subprocess.Popen(  # noqa: S603  our own program, no shell
        [sys.executable, "-m", *web_server_command("127.0.0.1", port, workers=1)], cwd=PROJECT
    )
    try:
        _wait(port, process)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        yield int(children.split()[0])
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("The server did not start. See the output above.")


def _peak_mebibytes(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def _processor_seconds(process: int) -> float:
    """Return the user and system time so far: fields 14 and 15 of proc(5) stat.

    Fields are counted from the end of the process name, since it may contain blanks.
    """
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
