"""Health endpoints: `/healthz`, `/readyz` and `/metrics`.

They say whether this process responds, whether it can serve requests, and what is due, overdue and failing.
"""

import hmac
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from functools import cache

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Count, Min, Q
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound, JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_tasks_db.models import DBTaskResult
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from instances.models import Instance, ProcessBeat
from instances.models.process_beats import ALIVE_FOR
from instances.provisioning.keys.quarantine import has_readable_secrets
from instances.queries.database_clock import MAX_SKEW, clock_skew, database_now

type GetResponse = Callable[[HttpRequest], HttpResponseBase]


def answer_probes(get_response: GetResponse) -> GetResponse:
    """Middleware: answer `/healthz`, `/readyz` and `/metrics`, whatever host the request names.

    Process monitors call a process by its IP address, which ALLOWED_HOSTS would refuse.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        probe = _PROBES.get(request.path_info)
        return probe(request) if probe else get_response(request)

    return middleware


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Respond without using the database or a provider."""
    return HttpResponse("ok\n", content_type="text/plain; charset=utf-8")


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Return 200 if this process can serve requests, else 503.

    It says nothing about scheduler and workers: no web process serves better for being taken out of a balancer because
    they are busy. No secret is shown.
    """
    parts = dict.fromkeys(("database", "migrations", "encryption_keys", "clock"), False)
    with suppress(DatabaseError):
        parts["database"] = _is_writable()
        parts["migrations"] = _is_migrated()
        if parts["migrations"]:
            # A few unreadable secrets do not make this process unready, but keys that read none of them do.
            parts["encryption_keys"] = has_readable_secrets()
            parts["clock"] = abs(clock_skew()) <= MAX_SKEW
    return JsonResponse(parts, status=200 if all(parts.values()) else 503)


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Return metrics for Prometheus to callers with METRICS_TOKEN, else 404."""
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    token = settings.METRICS_TOKEN
    if not token or not hmac.compare_digest(given.encode(), token.encode()):
        return HttpResponseNotFound("Not found\n", content_type="text/plain; charset=utf-8")
    registry = CollectorRegistry()
    registry.register(_InstanceCollector())
    return HttpResponse(generate_latest(registry), content_type="text/plain; version=0.0.4")


_PROBES: dict[str, GetResponse] = {"/healthz": healthz, "/readyz": readyz, "/metrics": metrics}


def background_health() -> dict[str, bool]:
    """Return which of the processes behind the web server work: scheduler, worker and their clocks.

    A worker counts as missing if a task has waited for a minute, and none was started or finished in that minute; a
    Celery worker, if it has sent no heartbeat for that long. Raises DatabaseError.
    """
    alive = set(ProcessBeat.objects.alive().values_list("kind", flat=True))
    if settings.TASKS_BACKEND == "celery":
        has_worker = ProcessBeat.Kind.WORKER in alive
    else:
        a_minute_ago = database_now() - ALIVE_FOR
        oldest = _oldest_waiting_task()
        has_worker = oldest is None or oldest > a_minute_ago or _is_task_run(since=a_minute_ago)
    return {
        "scheduler": ProcessBeat.Kind.SCHEDULER in alive,
        "worker": has_worker,
        "clock": ProcessBeat.Kind.WRONG_CLOCK not in alive,
    }


def _is_writable() -> bool:
    """Whether the database accepts writes: a server in recovery, or a full disk, still answers reads."""
    try:
        with transaction.atomic():
            ProcessBeat.objects.filter(kind="").update(at=Now())
    except DatabaseError:
        return False
    return True


def _is_migrated() -> bool:
    applied = set(MigrationRecorder(connection).applied_migrations())
    return applied >= _newest_migrations()


@cache
def _newest_migrations() -> frozenset[tuple[str, str]]:
    """The last migration of each app that this process was started with."""
    return frozenset(MigrationLoader(None).graph.leaf_nodes())


class _InstanceCollector(Collector):
    """Gauges that are read from the database, so that every process returns the same."""

    def collect(self) -> Iterable[Metric]:
        now = database_now()
        rows = Instance.objects.order_by()
        states = GaugeMetricFamily("instances", "Instances by state", labels=["state"])
        for row in rows.values("state").annotate(n=Count("id")):
            states.add_metric([row["state"]], row["n"])
        failing = GaugeMetricFamily("instances_failing", "Instances by cause", labels=["cause"])
        for cause in rows.exclude(cause="").values("cause").annotate(n=Count("id")):
            failing.add_metric([cause["cause"]], cause["n"])
        due = Instance.objects.due_for_refresh(at=now)
        overdue = Instance.objects.overdue_for_refresh(at=now)
        oldest = Instance.objects.due_for_work(at=now).aggregate(at=Min("next_action_at"))["at"]
        beats = dict(ProcessBeat.objects.values_list("kind", "at"))
        yield from (states, failing)
        yield GaugeMetricFamily("refreshes_due", "Token refreshes that are due", due.count())
        yield GaugeMetricFamily(
            "refreshes_overdue", "Token refreshes that have been due for 5 minutes", overdue.count()
        )
        yield GaugeMetricFamily(
            "oldest_due_work_seconds", "Age of the oldest due work", _age(oldest, now)
        )
        yield GaugeMetricFamily(
            "oldest_waiting_task_seconds",
            "Age of the oldest task that is waiting for a worker",
            _age(_oldest_waiting_task(), now),
        )
        yield GaugeMetricFamily(
            "scheduler_beat_age_seconds",
            "Time since the scheduler last ran",
            _age(beats.get(ProcessBeat.Kind.SCHEDULER), now),
        )
        yield _skews()
        if settings.TASKS_BACKEND == "celery":
            yield GaugeMetricFamily(
                "worker_beat_age_seconds",
                "Time since a worker last reached the broker",
                _age(beats.get(ProcessBeat.Kind.WORKER), now),
            )


def _skews() -> Metric:
    skews = GaugeMetricFamily(
        "clock_skew_seconds",
        "How far a process's clock is ahead of the database's",
        labels=["process"],
    )
    skews.add_metric(["web"], clock_skew().total_seconds())
    for kind, seconds in ProcessBeat.objects.alive().values_list("kind", "clock_skew_seconds"):
        skews.add_metric([kind], seconds)
    return skews


def _oldest_waiting_task() -> datetime | None:
    """Return when the oldest waiting task of the database backend was enqueued."""
    at: datetime | None = DBTaskResult.objects.ready().aggregate(at=Min("enqueued_at"))["at"]
    return at


def _is_task_run(*, since: datetime) -> bool:
    """Whether a worker started or finished a task of the database backend since then."""
    is_recent = Q(started_at__gte=since) | Q(finished_at__gte=since)
    return DBTaskResult.objects.filter(is_recent).exists()


def _age(at: datetime | None, now: datetime) -> float:
    return (now - at).total_seconds() if at else 0.0
