import time

import pytest
from django.urls import reverse

from instances.sandbox.models import Behaviour, Grant
from tests.sandbox.conftest import RESOURCE, WHO_AM_I, authorize_url, query_of

HOME = "/sandbox/"
SWITCHES = "/sandbox/behaviour"


def test_a_newcomer_reads_what_the_sandbox_is_and_how_to_reach_it(browser):
    page = browser.get(HOME).text
    for text in ("user@sandbox.example", "sandbox-password", "sandbox-client-secret"):
        assert text in page
    assert "http://localhost:8000/sandbox/organizations/oauth2/v2.0/authorize" in page
    assert page.count("<h1>") == 1


def test_the_front_page_counts_grants_and_tokens(browser, program, tokens):
    program.refresh(tokens["refresh_token"])
    context = browser.get(HOME).context
    assert (context["grant_count"], context["token_count"]) == (1, 2)


def test_a_visitor_sees_no_switches_and_can_flip_none(browser, django_user_model):
    visitor = django_user_model.objects.create_user("visitor")
    for person in (None, visitor):
        if person:
            browser.force_login(person)
        assert 'name="switch"' not in browser.get(HOME).text
        answer = browser.post(SWITCHES, {"switch": "fail"})
        assert answer["Location"].startswith(reverse("admin:login"))
    assert Behaviour.current().fault == Behaviour.Fault.NONE


def test_staff_sees_and_flips_the_switches(staff):
    assert staff.get(HOME).text.count('name="switch"') == 9
    page = staff.post(SWITCHES, {"switch": "fail"}, follow=True).text
    assert 'role="status"' in page
    assert "status 500" in page


def test_the_next_authorization_is_denied_and_the_one_after_is_not(staff, signed_in):
    staff.post(SWITCHES, {"switch": "deny"})
    denied = query_of(signed_in.post(authorize_url(), {"decision": "allow"}))
    allowed = query_of(signed_in.post(authorize_url(), {"decision": "allow"}))
    assert denied["error"] == "access_denied"
    assert allowed["code"]


def test_expired_access_tokens_are_refreshed(staff, program, tokens):
    staff.post(SWITCHES, {"switch": "expire"})
    assert program.get(WHO_AM_I, tokens["access_token"]).status_code == 401
    fresh = program.refresh(tokens["refresh_token"]).json()
    assert program.get(WHO_AM_I, fresh["access_token"]).status_code == 200


def test_revoked_grants_are_dead_and_new_ones_are_not(staff, program, tokens):
    staff.post(SWITCHES, {"switch": "revoke"})
    assert program.get(WHO_AM_I, tokens["access_token"]).status_code == 401
    assert program.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert Grant.objects.live().count() == 0
    assert program.sign_in().status_code == 200


def test_a_failing_sandbox_answers_500_in_microsofts_shape(staff, program, tokens):
    staff.post(SWITCHES, {"switch": "fail"})
    for answer in (program.sign_in(), program.get(WHO_AM_I, tokens["access_token"])):
        assert answer.status_code == 500
        assert answer.json()["error"] == "server_error"
    assert staff.get(authorize_url()).status_code == 200


def test_an_html_page_comes_where_json_was_due(staff, program):
    staff.post(SWITCHES, {"switch": "html"})
    answer = program.sign_in()
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/html")
    assert RESOURCE not in answer.text


def test_a_slow_sandbox_answers_late_and_rightly(staff, program):
    staff.post(SWITCHES, {"switch": "slow", "seconds": "1"})
    began = time.monotonic()
    assert program.sign_in().status_code == 200
    assert time.monotonic() - began >= 1


def test_back_to_normal_undoes_everything(staff, signed_in, program):
    for switch in ("deny", "html", "slow"):
        staff.post(SWITCHES, {"switch": switch, "seconds": "60"})
    staff.post(SWITCHES, {"switch": "normal"})
    assert program.sign_in().json()["access_token"]
    assert query_of(signed_in.post(authorize_url(), {"decision": "allow"}))["code"]


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"switch": "explode"},
        {"switch": "slow"},
        {"switch": "slow", "seconds": "0"},
        {"switch": "slow", "seconds": "61"},
        {"switch": "slow", "seconds": "soon"},
    ],
)
def test_a_switch_that_makes_no_sense_changes_nothing(staff, form):
    assert staff.post(SWITCHES, form).status_code == 400
    assert Behaviour.current().delay_seconds == 0
