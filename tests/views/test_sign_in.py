"""Signing in to self-service and the admin, giving up on who fails too often, and a password of one's own."""

import pytest
from django.core.cache import cache
from django.test import Client

from tests.factories import make_account


@pytest.fixture(autouse=True)
def _fresh_cache():
    cache.clear()


PASSWORD = "correct-horse"


def sign_in(client, password=PASSWORD, *, path="/connect/sign-in", **extra):
    return client.post(path, {"username": "ada", "password": password}, **extra)


def test_signing_in_leads_to_the_page_that_was_asked_for(client, db):
    make_account()
    asked = client.get("/connect/catalogue/")
    answer = client.post(asked["Location"], {"username": "ada", "password": PASSWORD})
    assert answer["Location"] == "/connect/catalogue/"


def test_it_never_leads_elsewhere(client, db):
    make_account()
    answer = sign_in(client, path="/connect/sign-in?next=https://elsewhere.example/")
    assert answer["Location"] == "/connect/"


@pytest.mark.parametrize("path", ["/connect/sign-in", "/admin/login/"])
def test_after_five_failures_even_the_right_password_has_to_wait(client, db, path):
    make_account(is_superuser=True)
    for _ in range(5):
        assert "Too many" not in sign_in(client, "wr0ng", path=path).text
    refused = sign_in(client, path=path)
    assert "Too many failed sign-ins. Wait 15 minutes" in refused.text
    assert "_auth_user_id" not in client.session
    assert sign_in(Client(), path=path, REMOTE_ADDR="192.0.2.7").status_code == 302


def test_a_success_forgets_the_failures(client, db):
    make_account()
    for _ in range(2):
        for _ in range(4):
            sign_in(client, "wr0ng")
        assert sign_in(Client()).status_code == 302


def test_signing_out_needs_a_post_and_ends_the_session(client, db):
    client.force_login(make_account())
    assert client.get("/connect/sign-out").status_code == 405
    assert client.post("/connect/sign-out")["Location"] == "/connect/sign-in"
    assert client.get("/connect/").status_code == 302


def test_people_change_their_own_password(client, db):
    account = make_account()
    client.force_login(account)
    new = {"new_password1": "n3w-and-long-enough", "new_password2": "n3w-and-long-enough"}
    assert client.post("/connect/password", {"old_password": "wr0ng"} | new).status_code == 200
    page = client.post("/connect/password", {"old_password": PASSWORD} | new, follow=True)
    assert "Your password is changed." in page.text
    account.refresh_from_db()
    assert account.check_password("n3w-and-long-enough")
