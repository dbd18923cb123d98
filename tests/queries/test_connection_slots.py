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
    NoConnectionSlotError,
    connection_again,
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


@pytest.fixture(autouse=True)
def kept(monkeypatch):
    """The connections that are kept, none at first. They are closed at the end."""
    kept: list[Any] = []
    monkeypatch.setattr(connection_slots, "_kept", kept)
    yield kept
    for one in kept:
        one.connection.close()


def test_a_thread_goes_on_with_the_connection_that_another_one_gave_up(kept):
    def work():
        with connection_slot():
            Element.objects.exists()
            used = connection.connection
            release_connection()
            others = in_thread(take)
        return used, others

    def take():
        with connection_slot():
            return connection.connection, Element.objects.exists()

    used, (taken, _) = in_thread(work)
    assert used is taken
    assert len(kept) == 1


def test_no_more_connections_are_kept_than_allowed(kept, monkeypatch):
    monkeypatch.setattr(connection_slots, "KEPT", 1)
    begin = threading.Barrier(3)

    def work(_):
        with connection_slot():
            Element.objects.exists()
            begin.wait(30)
        return connection.connection is None

    with ThreadPoolExecutor(3) as pool:
        assert all(pool.map(work, range(3)))
    assert len(kept) == 1


def test_a_connection_that_nobody_needs_is_closed_after_a_while(kept, monkeypatch):
    begin = threading.Barrier(2)

    def work(_):
        with connection_slot():
            Element.objects.exists()
            begin.wait(30)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))
    assert len(kept) == 2
    monkeypatch.setattr(connection_slots, "IDLE_SECONDS", -1.0)
    in_thread(release_connection)
    assert not kept


def test_after_the_wait_a_thread_waits_for_a_slot_again(kept, monkeypatch):
    monkeypatch.setattr(connection_slots, "_slots", threading.BoundedSemaphore(1))
    monkeypatch.setattr(connection_slots, "WAIT_SECONDS", 0.01)

    def work():
        share_connections()
        with connection_slot():
            Element.objects.exists()
            used = connection.connection
            release_connection()
            with connection_again():
                again = connection.connection
            with connection_slots._slots, pytest.raises(NoConnectionSlotError), connection_again():
                pass
        return used is again

    assert in_thread(work)
    assert len(kept) == 1


def test_what_was_opened_after_a_slot_is_closed_by_the_next_one(kept):
    def work():
        with connection_slot():
            Element.objects.exists()
        # As while a response is sent.
        Element.objects.exists()
        own: Any = connections["default"]
        with connection_slot():
            return own.connection

    assert in_thread(work) is None


def test_a_connection_in_a_transaction_is_not_handed_on(kept):
    def work():
        with connection_slot():
            transaction.atomic().__enter__()
        return connection.connection is None or connection.closed_in_transaction

    assert in_thread(work)
    assert not kept


@pytest.mark.parametrize(("seconds", "times"), [(60.0, 0), (-1.0, 2)], ids=["recent", "idle"])
def test_a_connection_that_was_just_used_is_not_asked_whether_it_works(
    kept, monkeypatch, seconds, times
):
    """Fails if Django calls its flags anything else."""
    monkeypatch.setattr(connection_slots, "TRUSTED_SECONDS", seconds)
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
