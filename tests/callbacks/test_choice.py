"""After a first consent, the person who came back chooses which environment to connect, and is sent on for that one."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.urls import reverse

from instances.models import Authorization, Instance
from instances.sandbox import crm
from tests.support.consent import TENANT, decide

CONNECT = "/connect/catalogue/dynamicscrmadfs/?way=oauth2"
TEST = "https://contoso-test.crm4.dynamics.com"


@pytest.fixture
def leave(staff, sandbox):
    """leave(): where staff is sent to if they enter no address."""

    def leave(**entered):
        answer = staff.browser.post(CONNECT, {"name": "Northwind", "connect": "yes"} | entered)
        assert answer.status_code == 302, answer.text
        return answer["Location"]

    return leave


def scope_of(url):
    return parse_qs(urlsplit(url).query)["scope"][0]


def choose(browser, chosen=TEST):
    trip = Authorization.objects.latest("pk")
    return browser.post(reverse("choose", args=[trip.pk]), {"chosen": chosen})


def test_staff_chooses_from_the_environments_of_the_account(staff, leave):
    url = leave()
    assert scope_of(url) == "https://globaldisco.crm.dynamics.com/user_impersonation offline_access"
    page = staff.browser.get(decide(url, "allow"))
    for text in ("Contoso (test)", TEST, "https://yourcompanyname.crm.dynamics.com"):
        assert text in page.text
    assert Instance.objects.get().state == "awaiting_authorization"
    away = choose(staff.browser)["Location"]
    assert scope_of(away) == f"{TEST}/user_impersonation offline_access"
    staff.browser.get(decide(away, "allow"))
    instance = Instance.objects.get()
    assert (instance.state, instance.configuration["dynamics.tenant"]) == ("connected", TEST)


def test_who_enters_an_address_is_not_asked(leave):
    url = leave(**TENANT)
    assert scope_of(url).startswith("https://yourcompanyname.crm.dynamics.com/")


def test_the_only_environment_is_taken_at_once(staff, leave, monkeypatch):
    monkeypatch.setattr(crm, "ENVIRONMENTS", [("Contoso", TEST)])
    away = staff.browser.get(decide(leave(), "allow"))["Location"]
    assert scope_of(away) == f"{TEST}/user_impersonation offline_access"
    staff.browser.get(decide(away, "allow"))
    assert Instance.objects.get().state == "connected"


def test_no_token_of_the_first_consent_is_kept(staff, leave):
    staff.browser.get(decide(leave(), "allow"))
    assert not Instance.objects.get().tokens
    assert not Authorization.objects.get().other_account


HOSTILE = [
    [("Evil", "https://crm.dynamics.com.evil.example")],
    [("In clear", "http://contoso.crm.dynamics.com")],
    [("Text", "contoso"), (7, None), ({}, [])],
    [("Blank", "https://a b.crm.dynamics.com"), ("User", "https://u@a.crm.dynamics.com")],
    [("Long", f"https://{'a.' * 200}crm.dynamics.com")],
    [],
]


@pytest.mark.parametrize("listed", HOSTILE, ids=["host", "clear", "types", "form", "long", "none"])
def test_nothing_else_than_environments_is_offered(staff, leave, monkeypatch, listed):
    monkeypatch.setattr(crm, "ENVIRONMENTS", listed)
    page = staff.browser.get(decide(leave(), "allow"))
    assert page.status_code == 400
    assert "lists nothing that the account may use" in page.text
    assert "evil.example" not in page.text
    instance = Instance.objects.get()
    assert (instance.state, instance.cause) == ("failed", "access_forbidden")


def test_only_the_browser_that_consented_may_choose(staff, leave, person):
    staff.browser.get(decide(leave(), "allow"))
    for stranger in (Client(), person("staff", name="other").browser):
        answer = choose(stranger)
        assert answer.status_code == 403
        assert "Northwind" not in answer.text
    assert Authorization.objects.count() == 1


def test_what_was_chosen_is_not_chosen_again(staff, leave):
    staff.browser.get(decide(leave(), "allow"))
    first = Authorization.objects.get()
    choose(staff.browser)
    again = staff.browser.post(reverse("choose", args=[first.pk]), {"chosen": TEST})
    assert again.status_code == 400
    assert "nothing to choose any more" in again.text


@pytest.mark.parametrize(
    "chosen",
    [
        "",
        "https://a b.crm.dynamics.com",
        "https://u:p@contoso.crm.dynamics.com",
        "https://evil.example\\.crm.dynamics.com",
        "https://contoso.crm.dynamics.com/../x?y",
        "https://contoso.crm.dynamics.com:99999",
    ],
)
def test_a_forged_choice_changes_nothing(staff, leave, chosen):
    staff.browser.get(decide(leave(), "allow"))
    assert choose(staff.browser, chosen).status_code == 400
    assert "dynamics.tenant" not in Instance.objects.get().configuration
    assert choose(staff.browser)["Location"]


def test_a_page_that_was_never_shown_chooses_nothing(staff, leave):
    leave()
    answer = choose(staff.browser)
    assert (answer.status_code, Instance.objects.get().configuration.get("dynamics.tenant")) == (
        400,
        None,
    )
    assert staff.browser.post(reverse("choose", args=[4711])).status_code == 400
    assert staff.browser.get(reverse("choose", args=[4711])).status_code == 405


def test_an_account_owner_chooses_by_a_link(staff, sandbox, dynamics):
    drafted = staff.browser.post(CONNECT, {"name": "Northwind", "link": "yes"})
    shown = staff.browser.post(drafted["Location"], {"note": ""})
    instance = Instance.objects.get()
    link = next(iter(shown.context["secrets"].values()))
    owner, path = Client(), urlsplit(link).path
    page = owner.get(path)
    assert "choose from a list after you sign in" in page.text
    away = owner.post(path, {"visit": page.context["visit"], "configuration.dynamics.tenant": ""})
    page = owner.get(decide(away["Location"], "allow"))
    assert "Contoso (test)" in page.text
    refused = choose(owner, "https://evil.example")
    assert refused.status_code == 400
    done = owner.get(decide(choose(owner)["Location"], "allow"))
    assert done.status_code == 200
    instance.refresh_from_db()
    assert (instance.state, instance.configuration["dynamics.tenant"]) == ("connected", TEST)


@pytest.mark.parametrize(
    "changes", [{"configuration.authentication.variant": "entra-v1"}, {"is_remote": True}]
)
def test_without_a_list_the_address_is_required(staff, sandbox, dynamics, changes):
    if changes.pop("is_remote", False):
        sandbox.organization.platform_url = "https://platform.example"
        sandbox.organization.save()
    page = staff.browser.post(CONNECT, {"name": "Northwind", "connect": "yes"} | changes)
    assert "This field is required." in page.text
    assert not Instance.objects.exists()


def test_a_scope_of_the_operators_own_needs_the_address(staff, sandbox, dynamics):
    sandbox.organization.oauth_apps.update(scope="https://acme.crm.dynamics.com/.default")
    page = staff.browser.post(CONNECT, {"name": "Northwind", "connect": "yes"})
    assert "This field is required." in page.text
