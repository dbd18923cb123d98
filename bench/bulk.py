"""`make bench`: measure the rows per second that a bulk job provisions, on SQLite and on PostgreSQL.

`python -m bench.bulk sqlite` or `postgresql` measures one of them. The targets are 0.7 and 0.9 of the plain pool.

Compared with the ideal rate (concurrency divided by latency), with a pool of threads that sends the same requests and
stores nothing, and with `xargs -P curl`. All share this machine with the stub and the database.

BENCH_ROWS (4000), BENCH_CONCURRENCY (32), BENCH_LATENCY_MS (50): for the first comparison.
BENCH_PAIRS (1): how often plain pool and bulk job take turns; the medians are compared.
BENCH_WORKERS: also compare this many processes on one job with a single one, at 200 ms, so that latency is the limit; and
one and as many processes with the plain pool, with BENCH_CONCURRENCY rows at once in all.
BENCH_MEMORY_ROWS: also compare the peak memory for this many rows, for example 100000, with that for 1,000.
"""

import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import django
import requests
from django.core.management import call_command

from bench.database import database, sqlite_database
from bench.stub import stub
from instances.crypto import sealing

if TYPE_CHECKING:
    from resource import struct_rusage

    from instances.models import BulkJob, OrganizationUser

PROJECT = Path(__file__).resolve().parent.parent
ROWS = int(os.environ.get("BENCH_ROWS", "4000"))
CONCURRENCY = int(os.environ.get("BENCH_CONCURRENCY", "32"))
DELAY_SECONDS = float(os.environ.get("BENCH_LATENCY_MS", "50")) / 1000
PAIRS = int(os.environ.get("BENCH_PAIRS", "1"))
DATABASES = {"sqlite": sqlite_database, "postgresql": database}
WORKERS = int(os.environ.get("BENCH_WORKERS", "1"))
MEMORY_ROWS = int(os.environ.get("BENCH_MEMORY_ROWS", "0"))
WORKERS_DELAY_SECONDS = 0.2
FEW_ROWS = 1000
HEADER = "name,element,tags,user,password,site"
ROW = "Account {0},bench,bench;acme,user-{0},password-of-{0},acme-{0}.example.com"
EMAIL = "bench@example.com"
AUTHORIZATION = f"User {'u' * 44}, Organization {'0' * 32}"
FIELDS = ("user", "password", "site")
DEFINITION = {
    "id": 999_997,
    "key": "bench",
    "name": "Bench",
    "hub": "general",
    "description": "An element whose credentials a remote platform accepts.",
    "authentication": [
        {
            "type": "basic",
            "fields": [
                {"key": key, "label": key, "required": True, "secret": key == "password"}
                for key in FIELDS
            ],
        }
    ],
}
_sessions = threading.local()


def main() -> None:
    match sys.argv[1:]:
        case []:
            for name in DATABASES:
                subprocess.run([sys.executable, "-m", "bench.bulk", name], check=True)  # noqa: S603
        case [name]:
            with DATABASES[name]() as url:
                _measure(name, url)


def _measure(name: str, url: str) -> None:
    with stub(DELAY_SECONDS) as near, stub(WORKERS_DELAY_SECONDS) as far:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATABASE_URL": url,
            "SECRET_KEY": secrets.token_urlsafe(50),
            "ENCRYPTION_KEYS": sealing.generate_key(),
            "PROVIDER_ALLOWED_PRIVATE_HOSTS": f"127.0.0.1:{near},127.0.0.1:{far}",
            "LOG_LEVEL": "WARNING",
        }
        django.setup()
        _prepare()
        _compare(name, near)
        if MEMORY_ROWS:
            _compare_memory(near)
        if WORKERS > 1:
            _compare_workers(far)
            _compare_with_plain(near)


def _prepare() -> None:
    from instances.models import Element

    call_command("migrate", interactive=False, verbosity=0)
    columns = {name: DEFINITION[name] for name in ("id", "key", "name", "hub")}
    Element.objects.create(source=Element.Source.OWN, definition=DEFINITION, **columns)


def _user(port: int) -> "OrganizationUser":
    """Create another organization each time, since the stub may repeat ids."""
    from instances.provisioning.access.organizations import create_account

    platform = f"http://127.0.0.1:{port}"
    name = f"Bench {secrets.token_hex(4)}"
    return create_account(
        name,
        EMAIL,
        platform_url=platform,
        organization_secret=secrets.token_hex(16),
        user_secret=secrets.token_hex(22),
    ).user


def _compare(name: str, port: int) -> None:
    ideal = CONCURRENCY / DELAY_SECONDS
    curl_rows = min(ROWS, FEW_ROWS)
    curl = _curl_rate(port, curl_rows)
    plains, bulks, milliseconds, peak = [_plain_rate(port)], [], [], 0
    for _ in range(PAIRS):
        job, usage = _provision(port, ROWS)
        bulks.append(ROWS / _seconds(job))
        milliseconds.append(1000 * (usage.ru_utime + usage.ru_stime) / ROWS)
        peak = max(peak, usage.ru_maxrss // 1024)
        plains.append(_plain_rate(port))
    bulk, plain = median(bulks), median(plains)
    _say(
        f"bulk     {ROWS} rows on {name}, {CONCURRENCY} at once, {DELAY_SECONDS * 1000:.0f} ms each",
        f"         bulk  {bulk:7.1f}/s   {median(milliseconds):.2f} ms of CPU time per row",
        f"         plain {plain:7.1f}/s   ratio {bulk / plain:.2f}",
        f"         ideal {ideal:7.1f}/s   ratio {bulk / ideal:.2f}",
        f"         curl  {curl:7.1f}/s   ratio {bulk / curl:.2f}",
        f"         peak memory {peak} MiB",
    )


def _compare_memory(port: int) -> None:
    _, before = _provision(port, FEW_ROWS)
    job, after = _provision(port, MEMORY_ROWS)
    few, many = before.ru_maxrss // 1024, after.ru_maxrss // 1024
    rate = MEMORY_ROWS / _seconds(job)
    _say(f"memory   {few} MiB for {FEW_ROWS} rows, {many} MiB for {MEMORY_ROWS}, {rate:.1f} rows/s")


def _compare_workers(port: int) -> None:
    single = _workers_rate(port, 1)
    many = _workers_rate(port, WORKERS)
    _say(
        f"workers  1: {single:.1f}/s, {WORKERS}: {many:.1f}/s, ratio {many / single:.2f} "
        f"({WORKERS_DELAY_SECONDS * 1000:.0f} ms, {CONCURRENCY} at once in each)"
    )


def _compare_with_plain(port: int) -> None:
    """Compare what several processes do of one job with the plain pool; each figure without the start of processes."""
    rates: dict[int, list[float]] = {1: [], WORKERS: []}
    plains = [_plain_rate(port)]
    for _ in range(PAIRS):
        for count, found in rates.items():
            found.append(_workers_rate(port, count, concurrency=CONCURRENCY // count))
        plains.append(_plain_rate(port))
    plain = median(plains)
    for count, found in rates.items():
        _say(
            f"shared   {count} processes {median(found):7.1f}/s   of the plain pool {median(found) / plain:.2f}"
        )


def _provision(port: int, count: int) -> "tuple[BulkJob, struct_rusage]":
    """Provision rows with the command; returns the job, and the CPU time and memory that its process used."""
    from instances.models import BulkJob

    user = _user(port)
    with tempfile.TemporaryFile("w+") as file:
        file.write(f"{HEADER}\n")
        file.writelines(f"{ROW.format(number)}\n" for number in range(count))
        file.seek(0)
        options = ["--user", EMAIL, "--organization", user.organization.name]
        options += ["--concurrency", str(CONCURRENCY)]
        command = _begin("provision_instances", "-", *options, stdin=file.fileno())
        _, status, usage = os.wait4(command.pid, 0)
    job = BulkJob.objects.filter(organization_user=user).get()
    if status or job.rows.filter(outcome="succeeded").count() != count:
        raise RuntimeError(f"{job.rows.exclude(outcome='succeeded').count()} rows failed.")
    return job, usage


def _seconds(job: "BulkJob") -> float:
    if job.started_at is None or job.finished_at is None:
        raise RuntimeError(f"{job} is {job.state}.")
    return (job.finished_at - job.started_at).total_seconds()


def _workers_rate(port: int, worker_count: int, *, concurrency: int = CONCURRENCY) -> float:
    """Measure the rate from the first finished row to the last one.

    So it does not include starting the processes.
    """
    from instances.bulk.files.lines import FileRow
    from instances.bulk.jobs import start_bulk_job
    from instances.bulk.reading import read_bulk_job
    from instances.models import Instance

    user = _user(port)
    bodies = (FileRow(number, _body(number)) for number in range(1, ROWS + 1))
    job = start_bulk_job(read_bulk_job(user, bodies, actor="bench", concurrency=concurrency))
    workers = [_begin("resume_bulk_job", str(job.pk)) for _ in range(worker_count)]
    statuses = [worker.wait() for worker in workers]
    if any(statuses):
        raise RuntimeError("A worker failed. See the output above.")
    ends = Instance.objects.filter(organization_user=user, state="connected")
    ended_at = sorted(ends.values_list("state_changed_at", flat=True))
    # From the first finished row of any process to the last one of all.
    return len(ended_at) / (ended_at[-1] - ended_at[0]).total_seconds()


def _begin(*arguments: str, stdin: int | None = None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.Popen(command, cwd=PROJECT, stdin=stdin, stdout=subprocess.DEVNULL)  # noqa: S603


def _plain_rate(port: int) -> float:
    url = f"http://127.0.0.1:{port}/elements/api-v2/instances"
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        before = time.monotonic()
        list(pool.map(lambda number: _post(url, number), range(ROWS)))
        return ROWS / (time.monotonic() - before)


def _post(url: str, number: int) -> int:
    if not hasattr(_sessions, "session"):
        _sessions.session = requests.Session()
    answer = _sessions.session.post(url, json=_body(number), headers=_headers(), timeout=10)
    answer.raise_for_status()
    return int(answer.json()["id"])


def _curl_rate(port: int, count: int) -> float:
    url = f"http://127.0.0.1:{port}/elements/api-v2/instances"
    headers = [part for name, value in _headers().items() for part in ("-H", f"{name}: {value}")]
    curl = ["curl", "-sf", "-o", "/dev/null", *headers, "-d", '{"name":"Account {}"}', url]
    numbers = "\n".join(map(str, range(count)))
    command = ["xargs", "-P", str(CONCURRENCY), "-I", "{}", *curl]
    before = time.monotonic()
    subprocess.run(command, input=numbers, text=True, check=True)  # noqa: S603
    return count / (time.monotonic() - before)


def _headers() -> dict[str, str]:
    return {
        "Accept": "application/json",
        "Content-Type": "application/json",
        "Authorization": AUTHORIZATION,
    }


def _body(number: int) -> dict[str, object]:
    values = dict(zip(HEADER.split(","), ROW.format(number).split(","), strict=True))
    return {
        "element": {"key": values["element"]},
        "name": values["name"],
        "tags": values["tags"].split(";"),
        "configuration": {key: values[key] for key in FIELDS},
    }


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
