"""“Try it” shows some records of an instance, and stores none of them."""

import json
import threading
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from instances.hubs import metadata_cache, reading
from instances.models import Instance, Interaction
from instances.provisioning.lifecycle.provision import provision_instance
from tests.support.factories import (
    CUSTOM_CONFIGURATION,
    make_element,
    make_instance,
    make_organization,
    make_organization_user,
)
from tests.support.provider import ORGANIZATION_SECRET, USER_SECRET
from tests.support.provider_api import ProviderApi, Reply

PAGES = {"admin": "admin:instances_instance_action", "self-service": "connection_action"}
ASKED = {"resource": "contacts", "where": "lastname = 'de Wit'", "rows": "5"}


@pytest.fixture
def crm(sandbox, dynamics):
    """An instance that is connected to the sandbox."""
    metadata_cache.forget_all()
    instance = make_instance(
        organization_user=sandbox,
        element=dynamics,
        name="Contoso",
        authentication_type="custom",
        configuration=CUSTOM_CONFIGURATION,
    )
    return provision_instance(instance, actor="test")


@pytest.fixture
def try_it(person):
    """Submit the form as an operator: try_it(instance, frame="admin", **fields)."""
    browsers: dict[str, Client] = {}

    def try_it(instance, *, frame="admin", **fields):
        if not browsers:
            operator = person("operator", of=instance.organization)
            operator.user.is_staff = True
            operator.user.save()
            browsers["operator"] = operator.browser
        url = reverse(PAGES[frame], args=[instance.pk, "try-it"])
        return browsers["operator"].post(url, ASKED | fields)

    return try_it


@pytest.mark.parametrize("frame", PAGES)
def test_rows_are_shown_and_nothing_of_them_is_stored(crm, try_it, frame):
    page = try_it(crm, frame=frame)
    assert page.status_code == 200
    assert page.text.count("de Wit") >= 5
    assert "5 rows in" in page.text
    assert page.context["found"].columns[:4] == ["id", "firstname", "lastname", "fullname"]
    assert "No records were stored." in page.text
    call = Interaction.objects.get(kind="data", url__endswith="/contacts")
    assert (call.operation, call.actor, call.status) == ("Hub call", "operator", 200)
    assert "Wit" not in str(vars(call))
    assert (call.request_body, call.response_body) == ("", "")


def test_the_same_request_is_shown_as_curl_without_secrets(crm, try_it):
    page = try_it(crm)
    shown = page.context["curl"]
    assert "/elements/api-v2/hubs/crm/contacts?pageSize=5&where=lastname+%3D+%27de+Wit%27" in shown
    assert "User $USER_SECRET, Element $ELEMENT_TOKEN" in shown
    for secret in (crm.token.reveal(), crm.organization_user.secret.reveal()):
        assert secret not in page.text


def test_a_condition_cannot_end_the_command(crm, try_it):
    page = try_it(crm, where="lastname = 'a' ; $(id) `id` \\ \"")
    command, header = page.context["curl"].split(" \\\n  ")
    url = command.removeprefix("curl ")
    assert (url[0], url[-1]) == ("'", "'")
    assert not set(url[1:-1]) & set("';$`\\\" ")
    assert header.startswith("-H ")


def test_the_next_rows_follow(crm, try_it):
    first = try_it(crm)
    second = try_it(crm, next_page=first.context["found"].next_page)
    rows = [page.context["found"].rows for page in (first, second)]
    assert len(rows[1]) == 5
    assert rows[0] != rows[1]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"where": "lastname ="}, "Error parsing query"),
        ({"where": "nosuchfield = 1"}, "nosuchfield"),
        ({"resource": "nosuch"}, "Select a valid choice."),
    ],
)
def test_what_is_wrong_is_a_sentence(crm, try_it, fields, sentence):
    page = try_it(crm, **fields)
    assert page.status_code == 200
    assert sentence in page.text
    assert page.context["found"] is None


def test_a_disabled_instance_is_not_tried(crm, try_it):
    Instance.objects.update(is_disabled=True)
    page = try_it(crm)
    assert "This instance is disabled." in page.text
    assert not Interaction.objects.filter(kind="data").exists()


def test_while_calls_are_traced_the_page_says_so(crm, try_it):
    until = timezone.now() + timedelta(minutes=5)
    Instance.objects.update(is_trace_logging=True, trace_logging_until=until)
    page = try_it(crm)
    assert "Trace logging is on" in page.text
    assert "No records were stored." not in page.text


def test_slow_providers_do_not_hold_the_threads_of_pages(crm, try_it, monkeypatch):
    monkeypatch.setattr(reading, "_reads", threading.BoundedSemaphore(1))
    for where in ("lastname =", "", ""):
        assert "Others are trying" not in try_it(crm, where=where).text
    with reading._reads:
        assert "Others are trying instances" in try_it(crm).text


@pytest.mark.parametrize("frame", PAGES)
def test_whoever_may_only_look_does_not_read_records(person, frame):
    instance = make_instance()
    viewer = person("viewer", of=instance.organization)
    viewer.user.is_staff = True
    viewer.user.save()
    url = reverse(PAGES[frame], args=[instance.pk, "try-it"])
    assert viewer.browser.post(url, ASKED).status_code == 403
    assert Client().post(url, ASKED).status_code == 302


def test_a_remote_platform_is_asked_without_showing_its_secrets(db, settings, try_it):
    with ProviderApi() as platform:
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [platform.netloc]
        organization = make_organization(platform_url=platform.url, secret=ORGANIZATION_SECRET)
        user = make_organization_user(organization=organization, secret=USER_SECRET)
        instance = make_instance(organization_user=user, element=make_element())
        document = {"id": 7, "token": "token-of-7", "name": "x", "element": {"key": "keyed"}}
        path = "/elements/api-v2"
        platform.replies[f"{path}/instances"] = lambda _: Reply(200, json.dumps(document).encode())
        provision_instance(instance, actor="test")
        rows = [{"id": str(number), "name": f"Row {number}"} for number in range(5)]
        headers = {"Elements-Next-Page-Token": "next"}
        contacts = f"{path}/hubs/crm/contacts"
        platform.replies[contacts] = lambda _: Reply(200, json.dumps(rows).encode(), headers)
        page = try_it(instance)
        assert "Row 4" in page.text
        assert page.context["found"].next_page == "next"
        assert platform.last.target.startswith(f"{contacts}?pageSize=5&where=lastname")
        refusal = {"message": f"No contacts for {USER_SECRET} and token-of-7"}
        platform.replies[contacts] = lambda _: Reply(404, json.dumps(refusal).encode())
        page = try_it(instance)
        assert "The remote platform rejected the request (HTTP 404)" in page.text
        assert "No contacts for" in page.text
        assert USER_SECRET not in page.text
        assert "token-of-7" not in page.text
        echo = [{"id": "1", "name": f"{USER_SECRET} and token-of-7"}]
        platform.replies[contacts] = lambda _: Reply(200, json.dumps(echo).encode())
        page = try_it(instance)
        assert (USER_SECRET in page.text, "token-of-7" in page.text) == (False, False)
        deep = json.loads('[{"id": ' + "[" * 2000 + "]" * 2000 + "}]")
        platform.replies[contacts] = lambda _: Reply(200, json.dumps(deep).encode())
        assert "nested too deeply" in try_it(instance).text
        platform.replies[contacts] = lambda _: Reply(200, json.dumps(rows * 2).encode())
        assert "more records than were asked for" in try_it(instance).text
        platform.replies[contacts] = lambda _: Reply(200, b"<html>")
        assert "a response that is not a list" in try_it(instance).text
