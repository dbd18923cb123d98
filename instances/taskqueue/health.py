"""Health endpoints: `/healthz`, `/readyz` and `/metrics`.

They say whether this process responds, whether the installation can work, and what is due, overdue and failing.
"""

import hmac
from collections.abc import Iterable
from datetime import datetime

from django.conf import settings
from django.core.checks import run_checks
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Min
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_tasks_db.models import DBTaskResult
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from instances.models import Instance, ProcessBeat
from instances.models.process_beats import ALIVE_FOR
from instances.queries.database_clock import MAX_SKEW, clock_skew, database_now


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Respond without using the database or a provider."""
    return HttpResponse("ok\n", content_type="text/plain; charset=utf-8")


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Return 200 if this installation is ready, else 503.

    Database, migrations, keys, clocks, scheduler and worker are checked.

    A worker counts as missing if a task has waited for a minute; a Celery worker, if it has sent no heartbeat for that
    long. No secret is shown.
    """
    parts = {"database": True} | dict.fromkeys(
        ("migrations", "encryption_keys", "clock", "scheduler", "worker"), False
    )
    try:
        executor = MigrationExecutor(connection)
        parts["migrations"] = not executor.migration_plan(executor.loader.graph.leaf_nodes())
        if parts["migrations"]:
            problems = run_checks(tags=["encryption"], databases=[DEFAULT_DB_ALIAS])
            # A few unreadable secrets do not make this process unready, but keys that read none of them do.
            parts["encryption_keys"] = not any(
                problem.is_serious() or problem.id == "instances.W003" for problem in problems
            )
            now = database_now()
            alive = set(ProcessBeat.objects.alive().values_list("kind", flat=True))
            is_ours_right = abs(clock_skew()) <= MAX_SKEW
            parts["clock"] = is_ours_right and ProcessBeat.Kind.WRONG_CLOCK not in alive
            parts["scheduler"] = ProcessBeat.Kind.SCHEDULER in alive
            parts["worker"] = _age(_oldest_waiting_task(), now) < ALIVE_FOR.total_seconds()
            if settings.TASKS_BACKEND == "celery":
                parts["worker"] = ProcessBeat.Kind.WORKER in alive
    except DatabaseError:
        parts["database"] = False
    return JsonResponse(parts, status=200 if all(parts.values()) else 503)


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Return metrics for Prometheus to callers with METRICS_TOKEN, else 404."""
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    token = settings.METRICS_TOKEN
    if not token or not hmac.compare_digest(given.encode(), token.encode()):
        raise Http404
    registry = CollectorRegistry()
    registry.register(_InstanceCollector())
    return HttpResponse(generate_latest(registry), content_type="text/plain; version=0.0.4")


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


def _age(at: datetime | None, now: datetime) -> float:
    return (now - at).total_seconds() if at else 0.0
