"""Error pages: a sentence and a link, in the program's own look."""

import pytest
from django.test import Client

from tests.support.factories import make_user

NEXT_LINK = 'href="/admin/"'


@pytest.fixture
def visitor(db):
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(make_user("visitor"))
    return client


def test_an_unknown_address(visitor):
    page = visitor.get("/nowhere")
    assert page.status_code == 404
    assert "Page not found" in page.text
    assert NEXT_LINK in page.text


def test_a_page_without_the_permission(visitor):
    page = visitor.get("/admin/instances/instance/")
    assert page.status_code == 403
    assert "do not have permission" in page.text
    assert NEXT_LINK in page.text


def test_an_expired_form(visitor):
    page = visitor.post("/admin/logout/")
    assert page.status_code == 403
    assert "Nothing was changed" in page.text


def test_an_unknown_host(visitor):
    page = visitor.get("/admin/", headers={"Host": "elsewhere.example"})
    assert page.status_code == 400
    assert "Bad request" in page.text


def test_an_internal_error_does_not_reveal_its_cause(visitor, settings):
    settings.ENCRYPTION_KEYS = ["n0t-a-key-at-all"]
    page = visitor.get("/oauth/callback", {"state": "x" * 43})
    assert page.status_code == 500
    assert "the error was logged" in page.text
    assert "n0t-a-key" not in page.text
