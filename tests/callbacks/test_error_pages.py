"""What a browser gets when there is no page for it: a sentence and a way on, in the program's own look."""

import pytest
from django.test import Client

from tests.support.factories import make_account

WAY_ON = 'href="/admin/"'


@pytest.fixture
def visitor(db):
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(make_account("visitor"))
    return client


def test_what_is_not_there(visitor):
    page = visitor.get("/nowhere")
    assert page.status_code == 404
    assert "There is nothing here" in page.text
    assert WAY_ON in page.text


def test_what_the_account_may_not_see(visitor):
    page = visitor.get("/admin/instances/instance/")
    assert page.status_code == 403
    assert "lacks the permission" in page.text
    assert WAY_ON in page.text


def test_a_form_that_is_too_old(visitor):
    page = visitor.post("/admin/logout/")
    assert page.status_code == 403
    assert "Nothing was changed" in page.text


def test_a_host_that_is_not_ours(visitor):
    page = visitor.get("/admin/", headers={"Host": "elsewhere.example"})
    assert page.status_code == 400
    assert "This request was refused" in page.text


def test_a_fault_of_our_own_says_nothing_of_its_cause(visitor, settings):
    settings.ENCRYPTION_KEYS = ["n0t-a-key-at-all"]
    page = visitor.get("/oauth/callback", {"state": "x" * 43})
    assert page.status_code == 500
    assert "it was logged" in page.text
    assert "n0t-a-key" not in page.text
