"""The timeline of an instance: changes and exchanges in one list, in which repeated successes are one line."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from instances.models import StateChange
from instances.pages.timeline import PER_PAGE
from tests.support.factories import make_instance, make_interaction, make_user

NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def instance(db):
    return make_instance(name="Acme")


@pytest.fixture
def browser(client, db):
    client.force_login(make_user("root", is_superuser=True))
    return client


def exchanged(instance, operation="check", *, minute=0, **columns):
    columns = {"status": 200, "error": "", "actor": "scheduler"} | columns
    at = NOON + timedelta(minutes=minute)
    return make_interaction(instance=instance, operation=operation, started_at=at, **columns)


def changed(instance, reason, *, minute=0):
    change = StateChange.objects.create(
        instance=instance, from_state="draft", to_state="failed", actor="olga", reason=reason
    )
    StateChange.objects.filter(pk=change.pk).update(at=NOON + timedelta(minutes=minute))


def events_of(page):
    return page.context["timeline"].events


def page_of(browser, instance, **query):
    return browser.get(reverse("connection", args=[instance.pk]), query)


def test_changes_and_exchanges_are_in_one_list_latest_first(browser, instance):
    StateChange.objects.all().delete()
    exchanged(instance, "first")
    changed(instance, "second", minute=1)
    exchanged(instance, "third", minute=2)
    titles = [event.title for event in events_of(page_of(browser, instance))]
    assert titles == ["Third", "Draft → Failed", "First"]


def test_repeated_successes_are_one_line_with_their_number_and_times(browser, instance):
    for minute in range(3):
        exchanged(instance, "refresh token", minute=minute)
    page = page_of(browser, instance)
    event = events_of(page)[-1]
    assert (event.title, event.since, event.at) == (
        "Refresh token, 3 times",
        NOON,
        NOON + timedelta(minutes=2),
    )
    assert "12:00\N{EN DASH}12:02" in page.text


@pytest.mark.parametrize(
    "other",
    [
        {"status": 500},
        {"error": "No answer."},
        {"actor": "olga"},
        {"operation": "refresh token"},
        {"minute": 24 * 60},
    ],
)
def test_what_differs_has_a_line_of_its_own(browser, instance, other):
    exchanged(instance)
    exchanged(instance, **({"minute": 1} | other))
    events = events_of(page_of(browser, instance))
    assert [event.since for event in events if event.exchange] == [None, None]


def test_a_failure_between_successes_is_not_folded_away(browser, instance):
    exchanged(instance)
    exchanged(instance, minute=1, status=401, error="It was refused.")
    exchanged(instance, minute=2)
    page = page_of(browser, instance)
    assert [event.code for event in events_of(page)][-3:] == ["200", "401", "200"]
    assert "It was refused." in page.text


def test_every_event_is_on_exactly_one_page(browser, instance):
    StateChange.objects.all().delete()
    for minute in range(PER_PAGE + 5):
        exchanged(instance, f"exchange {minute}", minute=minute)
        if minute % 5 == 0:
            changed(instance, f"change {minute}", minute=minute)
    found, position = [], ""
    for _page in range(3):
        page = page_of(browser, instance, before=position)
        found += [event.detail or event.title for event in events_of(page)]
        position = page.context["timeline"].older
        if not position:
            break
    assert len(found) == len(set(found)) == PER_PAGE + 5 + (PER_PAGE + 5) // 5
    assert "Newest" in page.text


@pytest.mark.parametrize("position", ["x", "1", "-", "1-x", "²-1", "9" * 30 + "-1"])
def test_a_position_that_is_none_shows_the_first_page(browser, instance, position):
    page = page_of(browser, instance, before=position)
    assert page.status_code == 200
    assert events_of(page)


def test_the_number_of_queries_does_not_grow(browser, instance, django_assert_num_queries):
    exchanged(instance, "exchange")
    with CaptureQueriesContext(connection) as few:
        page_of(browser, instance)
    for minute in range(20):
        exchanged(instance, f"exchange {minute}", minute=minute)
    with django_assert_num_queries(len(few)):
        page_of(browser, instance)


def test_exchanges_need_their_own_permission(client, instance):
    exchanged(instance, "refresh token")
    viewer = make_user("viewer", permissions=("view_instance",))
    instance.organization.memberships.create(user=viewer, role="viewer")
    client.force_login(viewer)
    page = page_of(client, instance)
    assert page.status_code == 200
    assert "Refresh token" not in page.text
