"""Browsers that come back from a provider in every way that providers have: by a link, and as an operator."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from instances.models import Authorization, AuthorizationLink, Interaction
from instances.provisioning.oauth.links import revoke_link
from instances.provisioning.plan import default_callback_url
from tests.cases.trips import as_operator, by_link
from tests.support.factories import make_instance, make_user

CLIENT = {"oauth.api.key": "client-id-1", "oauth.api.secret": "client-secret-1"}
SECRETS = ["the-code", "client-secret-1"]
WORDS = "The app may not request scope b."

# Slow: long tables. make test has examples of them elsewhere.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def instance(connect):
    def instance(case):
        connect.api.user.user = make_user("ada", is_superuser=True)
        connect.api.user.save()
        return make_instance(
            organization_user=connect.api.user,
            element=connect.element("stub-code"),
            name="Contoso",
            configuration=CLIENT
            | {"stub.case": case, "oauth.callback.url": default_callback_url()},
        )

    return instance


@pytest.fixture(params=[by_link, as_operator])
def begin(request):
    return request.param


def outcome_of(browser):
    """The page that a browser ends on, its authorization, and the last recorded callback."""
    page = browser.come_back()
    trip = Authorization.objects.select_related("instance").get()
    recorded = Interaction.objects.filter(operation="OAuth callback").first()
    assert recorded.instance == trip.instance
    everything = str([vars(one) for one in Interaction.objects.all()]) + page.text
    assert not [secret for secret in SECRETS if secret in everything]
    return page, trip, recorded


@pytest.mark.parametrize(
    ("case", "status", "outcome", "cause", "words"),
    [
        ("80-error-without-state", 502, "failed", "authorization_error", WORDS),
        ("80b-denied-without-state", 403, "denied", "authorization_denied", "end-user denied"),
        ("80c-error-in-fragment", 502, "failed", "authorization_error", WORDS),
        (
            "80d-denied-in-fragment-without-state",
            403,
            "denied",
            "authorization_denied",
            "end-user denied",
        ),
        ("80e-error-with-garbled-state", 502, "failed", "authorization_error", WORDS),
        ("81a-linkedin-cancel-login", 403, "denied", "authorization_denied", "cancelled the login"),
        ("81b-linkedin-cancel-authorize", 403, "denied", "authorization_denied", "cancelled the"),
        ("81c-aad-consent-declined", 403, "denied", "authorization_denied", "AADSTS65004"),
        ("81d-aad-declined-in-words", 403, "denied", "authorization_denied", "AADSTS65004"),
        ("81e-facebook-denied", 403, "denied", "authorization_denied", "Permissions error"),
        ("83b-form-post-denied", 403, "denied", "authorization_denied", "end-user denied"),
        ("84e-code-9000", 502, "failed", "authorization_error", ""),
        ("90a-nul-in-error", 502, "failed", "authorization_error", "servererror: x"),
        ("90b-nul-in-description", 502, "failed", "authorization_error", "invalid_scope: ab"),
        ("91-neither-code-nor-error", 502, "failed", "authorization_error", ""),
        ("91b-nothing-at-all", 502, "failed", "authorization_error", ""),
        (
            "92-temporarily-unavailable",
            503,
            "failed",
            "authorization_unavailable",
            "temporarily_unavailable: Try later",
        ),
        ("97-error-reason-facebook", 502, "failed", "authorization_error", "App Not Set Up"),
    ],
)
def test_a_callback_without_a_usable_code_ends_the_trip_on_a_clear_page(
    begin, instance, stub, case, status, outcome, cause, words
):
    page, trip, recorded = outcome_of(begin(instance(case)))
    assert (page.status_code, trip.outcome) == (status, outcome)
    assert (trip.instance.state, trip.instance.cause) == ("failed", cause)
    assert trip.instance.cause_interaction_id == recorded.pk
    assert recorded.error
    assert words in page.text
    way_back = "open the link from your message again" if begin is by_link else "Back to Contoso"
    assert way_back in page.text
    assert not stub.requests_to("token", "authorization_code")


@pytest.mark.parametrize("query", [{}, {"state": "garbled"}, {"error": "access_denied"}])
def test_a_code_without_the_right_state_changes_nothing(begin, instance, stub, query):
    browser = begin(instance("85-trailing-slash"))
    forged = browser.client.get("/oauth/callback", {"code": "x", **query})
    assert forged.status_code == 400
    trip = Authorization.objects.select_related("instance").get()
    assert (trip.outcome, trip.used_at) == ("pending", None)
    assert (trip.instance.state, trip.instance.cause) == ("awaiting_authorization", "")
    assert not stub.requests_to("token", "authorization_code")
    browser.come_back()
    assert Authorization.objects.get().outcome == "completed"


def test_the_code_alone_of_a_provider_without_state_changes_nothing(begin, instance, stub):
    page, trip, recorded = outcome_of(begin(instance("82-code-without-state")))
    assert (page.status_code, trip.outcome) == (400, "pending")
    assert trip.instance.state == "awaiting_authorization"
    assert "returned no state parameter" in recorded.error
    assert not stub.requests_to("token", "authorization_code")


@pytest.mark.parametrize(
    ("case", "is_stored"),
    [
        ("80-error-without-state", False),
        ("80b-denied-without-state", False),
        ("80e-error-with-garbled-state", False),
        ("81c-aad-consent-declined", True),
    ],
)
def test_words_without_the_state_are_shown_and_not_stored(begin, instance, case, is_stored):
    page, trip, recorded = outcome_of(begin(instance(case)))
    words = page.text.partition("“")[2].partition("”")[0]
    assert words
    reason = trip.instance.state_changes.first().reason
    for stored in (trip.instance.cause_message, recorded.error, reason):
        assert (words in stored) == is_stored
        assert ("without this authorization's state" in stored) != is_stored


@pytest.mark.parametrize(
    ("case", "code"),
    [
        ("83-form-post", "the-code"),
        ("83c-code-in-fragment", "the-code"),
        ("84-code-4007", "c" * 4007),
        ("84-code-5000", "c" * 5000),
        ("84-code-8192", "c" * 8192),
        ("85-trailing-slash", "the-code"),
        ("97b-code-beside-a-message", "the-code"),
    ],
)
def test_a_code_connects_however_it_comes_back(begin, instance, stub, case, code):
    page, trip, _ = outcome_of(begin(instance(case)))
    assert (trip.instance.state, trip.outcome) == ("connected", "completed")
    assert page.status_code == (200 if begin is by_link else 302)
    [token] = stub.requests_to("token", "authorization_code")
    assert token.form["code"] == code


def test_a_browser_that_comes_back_too_late_ends_the_trip(begin, instance, stub):
    browser = begin(instance("85-trailing-slash"))
    Authorization.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    page, trip, recorded = outcome_of(browser)
    assert (page.status_code, trip.outcome) == (410, "failed")
    assert (trip.instance.state, trip.instance.cause) == ("failed", "state_expired")
    assert trip.instance.cause_interaction == recorded
    assert browser.come_back().status_code == 409
    assert not stub.requests_to("token", "authorization_code")


def test_a_revoked_link_ends_the_trip_that_began_with_it(instance, stub):
    row = instance("85-trailing-slash")
    browser = by_link(row)
    revoke_link(AuthorizationLink.objects.get(), user=row.organization_user.user)
    page, trip, _ = outcome_of(browser)
    assert (page.status_code, trip.outcome, trip.instance.state) == (410, "failed", "failed")
    assert not stub.requests_to("token", "authorization_code")


def test_a_connected_instance_stays_connected_whatever_a_second_trip_brings(instance):
    row = instance("97b-code-beside-a-message")
    as_operator(row).come_back()
    row.refresh_from_db()
    again = as_operator(row)
    denied = again.client.get("/oauth/callback", {"error": "access_denied"})
    assert denied.status_code == 403
    row.refresh_from_db()
    assert row.state == "connected"
    assert Authorization.objects.first().outcome == "denied"


def test_an_error_without_state_ends_the_trip_of_this_browser_alone(begin, instance):
    browser = begin(instance("80-error-without-state"))
    query = {"error": "invalid_scope", "error_description": WORDS}
    page = Client().get("/oauth/callback", query)
    assert page.status_code == 400
    assert WORDS not in page.text
    assert Authorization.objects.get().outcome == "pending"
    assert browser.come_back().status_code == 502
