"""Threads of data calls share few database connections."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection, connections, transaction
from django.test import RequestFactory

from config.connections import with_connection_slot
from instances.models import Element
from instances.queries import connection_slots
from instances.queries.connection_slots import (
    connection_slot,
    release_connection,
    share_connections,
    trust_recent_connection,
)

pytestmark = pytest.mark.django_db(transaction=True)


def in_thread(work):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result(timeout=30)


def test_no_more_threads_than_slots_use_the_database():
    most, using, lock = 0, 0, threading.Lock()
    begin = threading.Barrier(3 * connection_slots.SLOTS)

    def work(_):
        nonlocal most, using
        begin.wait(30)
        with connection_slot():
            with lock:
                using += 1
                most = max(most, using)
            Element.objects.exists()
            with lock:
                using -= 1
        connection.close()

    with ThreadPoolExecutor(3 * connection_slots.SLOTS) as pool:
        list(pool.map(work, range(3 * connection_slots.SLOTS)))
    assert 1 <= most <= connection_slots.SLOTS


def test_a_thread_that_waits_holds_neither_slot_nor_connection():
    def work():
        with connection_slot():
            Element.objects.exists()
            release_connection()
            others = [in_thread(take) for _ in range(connection_slots.SLOTS)]
            closed = connection.connection is None
            # What comes after the wait may use the database again.
            Element.objects.exists()
        connection.close()
        return closed, others

    def take():
        with connection_slot():
            found = Element.objects.exists()
        connection.close()
        return found

    closed, others = in_thread(work)
    assert closed
    assert others == [False] * connection_slots.SLOTS


def test_only_some_threads_keep_their_connection(monkeypatch):
    monkeypatch.setattr(connection_slots, "KEPT", 1)
    monkeypatch.setattr(connection_slots, "_keepers", set())
    begin = threading.Barrier(3)

    def work(_):
        begin.wait(30)
        with connection_slot():
            Element.objects.exists()
        kept = connection.connection is not None
        begin.wait(30)
        connection.close()
        return kept

    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(work, range(3))) == [False, False, True]


@pytest.mark.parametrize(("seconds", "times"), [(60.0, 0), (-1.0, 2)], ids=["recent", "idle"])
def test_a_connection_that_was_just_used_is_not_asked_whether_it_works(monkeypatch, seconds, times):
    """Fails if Django calls its flags anything else."""
    monkeypatch.setattr(connection_slots, "TRUSTED_SECONDS", seconds)
    monkeypatch.setattr(connection_slots, "_keepers", set())
    asked: list[int] = []

    def work():
        wrapper: Any = connections["default"]

        def is_usable(_):
            asked.append(1)
            return True

        monkeypatch.setattr(type(wrapper), "is_usable", is_usable)
        for _ in range(3):
            with connection_slot():
                # As at the beginning of each request.
                wrapper.health_checks_enabled, wrapper.health_check_done = True, False
                trust_recent_connection()
                Element.objects.exists()
        connection.close()

    in_thread(work)
    assert len(asked) == times


def test_without_a_free_slot_the_answer_is_503(monkeypatch):
    monkeypatch.setattr(connection_slots, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(connection_slots, "_slots", threading.BoundedSemaphore(1))
    application: Any = with_connection_slot(WSGIHandler())
    environ = RequestFactory().get("/elements/api-v2/instances").environ

    def call():
        share_connections()
        answers: list[tuple[str, dict[str, str]]] = []
        body = b"".join(
            application(environ, lambda status, fields: answers.append((status, dict(fields))))
        )
        connection.close()
        return *answers[0], json.loads(body)

    def hold():
        with connection_slot():
            return in_thread(call)

    status, fields, document = in_thread(hold)
    assert (status[:3], fields["Retry-After"]) == ("503", "1")
    assert document["requestId"] == fields["Elements-Request-Id"]
    # Once it is free again, any number of calls are answered one after the other.
    assert [in_thread(call)[0][:3] for _ in range(3)] == ["401"] * 3


def test_inside_a_transaction_the_connection_stays():
    with transaction.atomic():
        release_connection()
        assert Element.objects.count() == 0
