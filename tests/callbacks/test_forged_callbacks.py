"""Callbacks without a known authorization: answered, rate-limited, and only a sample recorded."""

from datetime import timedelta

import pytest
from django.core.cache import caches
from django.test import Client
from django.utils import timezone

from instances import counters
from instances.crypto import sealing
from instances.deadlines import Deadline
from instances.models import Authorization, Interaction
from tests.support.factories import make_instance, make_user

pytestmark = pytest.mark.django_db

CALLBACK = "/oauth/callback"
BROWSER_SECRET = "what-the-browser-is-known-by"


@pytest.fixture(autouse=True)
def _behind_a_proxy(settings, monkeypatch):
    settings.TRUSTED_PROXY_COUNT = 1
    # The minute does not end during a test.
    monkeypatch.setattr("instances.callbacks.oauth_callback.time.time", lambda: 1_800_000_000.0)


def forge(number, *, address="203.0.113.5", **query):
    query = {"state": f"forged-{number}", "code": "c0de"} | query
    return Client().get(CALLBACK, query, headers={"x-forwarded-for": address})


@pytest.fixture
def trip():
    """An authorization in progress; its state is `known`."""
    return Authorization.objects.create(
        instance=make_instance(),
        started_by=make_user(),
        state_digest=sealing.digest("known"),
        browser_digest=sealing.digest(BROWSER_SECRET),
        expires_at=timezone.now() + timedelta(minutes=9),
    )


def test_one_address_is_rate_limited(trip):
    answers = [forge(number) for number in range(25)]
    assert {answer.status_code for answer in answers[:5]} == {400}
    last = answers[-1]
    assert last.status_code == 429
    assert 0 < int(last["Retry-After"]) <= 60
    assert "c0de" not in last.text
    assert last["Referrer-Policy"] == "strict-origin"
    assert forge(41, address="203.0.113.6").status_code == 400


def test_forged_callbacks_of_any_number_of_addresses_are_sampled():
    for number in range(30):
        answer = forge(number, address=f"203.0.{number}.5")
        assert answer.status_code == 400
    assert 1 <= Interaction.objects.count() <= 10


@pytest.mark.parametrize("query", [{}, {"state": ""}, {"error": "access_denied"}])
def test_those_without_a_state_are_sampled_too(query):
    for number in range(20):
        Client().get(CALLBACK, query, headers={"x-forwarded-for": f"203.0.{number}.5"})
    assert 1 <= Interaction.objects.count() <= 10


def test_a_made_up_cookie_has_no_effect():
    for number in range(20):
        browser = Client()
        browser.cookies["oauth_browser"] = browser.cookies["__Host-oauth_browser"] = "made-up"
        browser.get(CALLBACK, {"state": "x"}, headers={"x-forwarded-for": f"203.0.{number}.5"})
    assert Interaction.objects.count() <= 10


def test_callbacks_of_a_known_authorization_are_recorded_in_any_flood(trip):
    for number in range(25):
        forge(number)
    before = Interaction.objects.count()
    for _ in range(3):
        assert forge(0, state="known").status_code == 403  # another browser
    recorded = Interaction.objects.all()[:3]
    assert Interaction.objects.count() == before + 3
    assert {one.instance for one in recorded} == {trip.instance}


@pytest.mark.parametrize("query", [{"code": "c0de"}, {"state": "garbled", "code": "c0de"}])
def test_a_browser_with_a_known_authorization_is_recorded_in_any_flood(trip, query):
    for number in range(25):
        forge(number)
    before = Interaction.objects.count()
    browser = Client()
    browser.cookies["oauth_browser"] = BROWSER_SECRET
    answer = browser.get(CALLBACK, query, headers={"x-forwarded-for": "203.0.113.5"})
    assert answer.status_code == 403  # the user who started it is signed out
    assert Interaction.objects.count() == before + 1
    assert Interaction.objects.first().instance == trip.instance


def test_callbacks_of_signed_in_users_are_recorded_in_any_flood():
    for number in range(25):
        forge(number)
    before = Interaction.objects.count()
    browser = Client()
    browser.force_login(make_user())
    assert browser.get(CALLBACK, {"state": "x"}).status_code == 400
    assert Interaction.objects.count() == before + 1


def test_without_the_shared_cache_forged_callbacks_are_limited_all_the_same(monkeypatch):
    monkeypatch.setattr(counters, "_left_alone", Deadline(timedelta(0)))
    monkeypatch.setattr(caches["default"], "add", lambda *args, **kwargs: 1 / 0)
    caches["memory"].clear()
    statuses = [forge(number).status_code for number in range(25)]
    assert (statuses[0], statuses[-1]) == (400, 429)
    assert Interaction.objects.count() < 25
