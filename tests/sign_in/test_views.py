"""Signing in to self-service and the admin, the limit on failures, and changing one's password."""

from unittest.mock import Mock

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import MD5PasswordHasher
from django.test import Client

from tests.support.factories import make_organization_user, make_user

PASSWORD = "correct-horse"


def sign_in(client, password=PASSWORD, *, path="/connect/sign-in", **extra):
    return client.post(path, {"username": "ada", "password": password}, **extra)


def test_signing_in_leads_to_the_page_that_was_asked_for(client, db):
    make_user()
    asked = client.get("/connect/catalogue/")
    answer = client.post(asked["Location"], {"username": "ada", "password": PASSWORD})
    assert answer["Location"] == "/connect/catalogue/"


def test_it_never_leads_elsewhere(client, db):
    make_user()
    answer = sign_in(client, path="/connect/sign-in?next=https://elsewhere.example/")
    assert answer["Location"] == "/connect/"


EVERYWHERE = ["/connect/sign-in", "/admin/login/", "/elements/api-v2/authentication"]
PAGES = EVERYWHERE[:2]


@pytest.fixture
def ada(db):
    """A superuser who may sign in everywhere."""
    user = make_user(is_superuser=True)
    make_organization_user(user=user)
    return user


@pytest.fixture(autouse=True)
def _behind_a_proxy(settings, monkeypatch):
    settings.TRUSTED_PROXY_COUNT = 1
    # The window does not end during a test.
    monkeypatch.setattr("instances.passwords.time.time", lambda: 1_800_000_000.0)


def attempt(path, password, *, name="ada", address="203.0.113.5"):
    """Sign in once, with a new browser, through the proxy; returns the response."""
    forwarded = {"x-forwarded-for": f"198.51.100.9, {address}"}
    sent = {"username": name, "password": password}
    browser = Client(headers=forwarded)
    if "api" in path:
        return browser.post(path, sent, content_type="application/json")
    return browser.post(path, sent)


def is_signed_in(answer):
    return answer.status_code == (200 if "api" in answer.request["PATH_INFO"] else 302)


def fail(path, times, *, name="ada", address="203.0.113.5"):
    """Send a wrong password several times; returns the statuses."""
    wrong = [attempt(path, "wr0ng", name=name, address=address) for _ in range(times)]
    assert not any(is_signed_in(answer) for answer in wrong)
    return [answer.status_code for answer in wrong]


@pytest.mark.parametrize("path", EVERYWHERE)
def test_after_five_failures_even_the_right_password_must_wait(ada, path):
    assert 429 not in fail(path, 5)
    refused = attempt(path, PASSWORD)
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 15 * 60
    assert "Too many failed sign-ins. Try again in" in refused.text


@pytest.mark.parametrize("path", EVERYWHERE)
def test_the_right_password_from_another_address_keeps_working(ada, path):
    fail(path, 8)
    assert is_signed_in(attempt(path, PASSWORD, address="203.0.113.6"))


@pytest.mark.parametrize("path", EVERYWHERE)
@pytest.mark.parametrize("other", EVERYWHERE)
def test_failures_count_together_wherever_the_password_was_asked_for(ada, path, other):
    fail(path, 5)
    assert attempt(other, PASSWORD).status_code == 429


@pytest.mark.parametrize("path", EVERYWHERE)
def test_one_address_cannot_try_any_number_of_names(ada, path, settings):
    settings.SIGN_IN_FAILURES_PER_ADDRESS = 6
    tried = [fail(path, 1, name=f"name{number}")[0] for number in range(8)]
    assert (tried[:6].count(429), set(tried[6:])) == (0, {429})
    assert attempt(path, PASSWORD).status_code == 429
    assert is_signed_in(attempt(path, PASSWORD, address="203.0.113.6"))


@pytest.mark.parametrize("path", EVERYWHERE)
def test_guesses_at_one_name_from_everywhere_are_slowed(ada, path, settings):
    settings.SIGN_IN_FAILURES_PER_NAME = 6
    addresses = [f"203.0.113.{number}" for number in range(10, 18)]
    tried = [fail(path, 1, address=address)[0] for address in addresses]
    assert (tried[:6].count(429), set(tried[6:])) == (0, {429})
    assert attempt(path, PASSWORD, address="203.0.113.200").status_code == 429


@pytest.mark.parametrize("path", EVERYWHERE)
def test_guesses_from_everywhere_do_not_lock_out_a_known_network(ada, path, settings):
    settings.SIGN_IN_FAILURES_PER_NAME = 6
    home = {"address": "2001:db8:1:2::3"}
    assert is_signed_in(attempt(path, PASSWORD, **home))
    for number in range(10, 17):
        fail(path, 1, address=f"203.0.113.{number}")
    # The same network, but another address.
    assert is_signed_in(attempt(path, PASSWORD, address="2001:db8:1:2:aaaa::9"))
    fail(path, 5, **home)
    assert attempt(path, PASSWORD, **home).status_code == 429


@pytest.mark.parametrize("path", EVERYWHERE)
def test_guesses_from_elsewhere_are_slowed_for_whoever_signed_in_at_home(ada, path, settings):
    settings.SIGN_IN_FAILURES_PER_NAME = 6
    assert is_signed_in(attempt(path, PASSWORD, address="2001:db8:1:2::3"))
    addresses = [f"203.0.113.{number}" for number in range(10, 18)]
    tried = [fail(path, 1, address=address)[0] for address in addresses]
    assert (tried[:6].count(429), set(tried[6:])) == (0, {429})


@pytest.mark.parametrize("path", PAGES)
def test_addresses_that_a_client_makes_up_do_not_help_it(ada, path, settings):
    settings.TRUSTED_PROXY_COUNT = 0
    fail(path, 5, address="203.0.113.5")
    assert attempt(path, PASSWORD, address="203.0.113.6").status_code == 429


@pytest.mark.parametrize("path", EVERYWHERE)
def test_a_success_resets_the_failures(ada, path):
    for _ in range(2):
        assert 429 not in fail(path, 4)
        assert is_signed_in(attempt(path, PASSWORD))


@pytest.mark.parametrize("path", EVERYWHERE)
def test_the_name_counts_however_it_is_written(ada, path):
    for name in ("ADA", "Ada", "aDa", "adA", "\uff41da"):
        attempt(path, "wr0ng", name=name)
    assert attempt(path, PASSWORD).status_code == 429


def test_a_right_password_without_access_is_not_a_failure(db):
    visitor = make_user()
    visitor.is_staff = False
    visitor.save()
    for _ in range(8):
        assert attempt("/admin/login/", PASSWORD).status_code == 200
    assert is_signed_in(attempt("/connect/sign-in", PASSWORD))


def at_once(path, passwords, monkeypatch):
    """Make attempts of which each starts before any other has ended; returns the statuses."""
    statuses, waiting = [], list(passwords)

    def check(request, **credentials):
        if waiting:
            statuses.append(attempt(path, waiting.pop()).status_code)
        return authenticate(request, **credentials)

    monkeypatch.setattr("instances.passwords.authenticate", check)
    statuses.append(attempt(path, waiting.pop()).status_code)
    return statuses


@pytest.mark.parametrize("path", EVERYWHERE)
def test_many_guesses_at_once_get_no_more_attempts_than_one_by_one(ada, path, monkeypatch):
    statuses = at_once(path, [f"guess {number}" for number in range(12)], monkeypatch)
    assert (statuses[:5].count(429), set(statuses[5:])) == (0, {429})


@pytest.mark.parametrize("path", EVERYWHERE)
def test_the_right_one_of_many_guesses_at_once_is_too_late(ada, path, monkeypatch):
    statuses = at_once(path, [*(["wr0ng"] * 8), PASSWORD], monkeypatch)
    assert set(statuses[5:]) == {429}


@pytest.mark.parametrize("path", EVERYWHERE)
def test_programs_that_sign_in_at_once_with_the_right_password_all_succeed(ada, path, monkeypatch):
    assert set(at_once(path, [PASSWORD] * 12, monkeypatch)) <= {200, 302}


def test_waiting_ends(ada, monkeypatch):
    monkeypatch.setattr("instances.passwords.time.time", lambda: 1_800_000_000.0)
    fail("/connect/sign-in", 5)
    wait = int(attempt("/connect/sign-in", PASSWORD)["Retry-After"])
    monkeypatch.setattr("instances.passwords.time.time", lambda: 1_800_000_000.0 + wait)
    assert is_signed_in(attempt("/connect/sign-in", PASSWORD))


def test_an_unknown_name_costs_a_whole_password_check(ada, monkeypatch):
    encode = Mock(wraps=MD5PasswordHasher().encode)
    monkeypatch.setattr(MD5PasswordHasher, "encode", encode)
    for name in ("ada", "nobody"):
        encode.reset_mock()
        fail("/connect/sign-in", 1, name=name)
        assert encode.call_count == 1


def test_signing_out_needs_a_post_and_ends_the_session(client, db):
    client.force_login(make_user())
    assert client.get("/connect/sign-out").status_code == 405
    assert client.post("/connect/sign-out")["Location"] == "/connect/sign-in"
    assert client.get("/connect/").status_code == 302


def test_people_change_their_own_password(client, db):
    user = make_user()
    client.force_login(user)
    new = {"new_password1": "n3w-and-long-enough", "new_password2": "n3w-and-long-enough"}
    assert client.post("/connect/password", {"old_password": "wr0ng"} | new).status_code == 200
    page = client.post("/connect/password", {"old_password": PASSWORD} | new, follow=True)
    assert "Your password was changed." in page.text
    user.refresh_from_db()
    assert user.check_password("n3w-and-long-enough")


@pytest.mark.parametrize(("is_staff", "path"), [(True, "/admin/"), (False, "/connect/")])
def test_the_first_page_is_that_of_the_role(client, db, is_staff, path):
    user = make_user()
    user.is_staff = is_staff
    user.save()
    asked = client.get("/")
    assert asked["Location"] == "/connect/sign-in?next=/"
    answer = client.post(asked["Location"], {"username": "ada", "password": PASSWORD}, follow=True)
    assert answer.redirect_chain[-1][0] == path


def test_the_admin_has_the_same_sign_in_page(client, db):
    make_user()
    asked = client.get("/admin/instances/organization/")
    page = client.get(asked["Location"])
    assert 'class="im-sheet"' in page.text
    assert "<style" not in page.text
    assert "unsafe" not in page["Content-Security-Policy"]
    assert 'name="next" value="/admin/instances/organization/"' in page.text
    answer = client.post(
        asked["Location"],
        {"username": "ada", "password": PASSWORD, "next": "/admin/instances/organization/"},
    )
    assert answer["Location"] == "/admin/instances/organization/"


def test_a_user_without_access_to_the_admin_reads_so_and_is_led_on(client, db):
    visitor = make_user()
    visitor.is_staff = False
    visitor.save()
    client.force_login(visitor)
    page = client.get("/admin/", follow=True)
    assert page.redirect_chain == [("/admin/login/?next=/admin/", 302)]
    assert "You are signed in as ada, who may not use the admin." in page.text
    assert 'href="/connect/"' in page.text


def test_leaving_the_admin_and_changing_ones_password_there_are_the_same_pages(client, db):
    client.force_login(make_user())
    assert client.get("/admin/password_change/")["Location"] == "/connect/password"
    assert client.post("/admin/logout/")["Location"] == "/connect/sign-in"
