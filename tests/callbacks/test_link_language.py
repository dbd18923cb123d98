"""Links and their mails speak German or English; operators and staff read English."""

import re

import pytest
from django.core import mail
from django.test import Client

from instances.provisioning.oauth.links import make_link
from tests.support.consent import TENANT, decide
from tests.support.factories import make_instance

GERMAN = {"accept-language": "de-AT,de;q=0.9,en;q=0.5"}


@pytest.fixture
def german():
    return Client(headers=GERMAN)


@pytest.fixture
def make(staff, sandbox, dynamics):
    def make(way):
        instance = make_instance(
            name="Contoso",
            organization_user=sandbox,
            element=dynamics,
            authentication_type=way,
            is_incomplete=True,
        )
        return make_link(instance, user=staff.user).url.partition("/authorize/")[2]

    return make


def test_a_link_speaks_the_language_of_the_browser(make, german):
    path = f"/authorize/{make('oauth2')}"

    page = german.get(path)

    assert '<html lang="de">' in page.text
    assert "Verbinden Sie Ihr Konto bei Microsoft Dynamics CRM" in page.text
    assert page["Content-Language"] == "de"
    assert "Accept-Language" in page["Vary"]
    assert "Connect your Microsoft Dynamics CRM account" in Client().get(path).text


def test_a_language_without_a_translation_is_answered_in_english(make):
    page = Client(headers={"accept-language": "fr"}).get(f"/authorize/{make('oauth2')}")

    assert '<html lang="en">' in page.text


def test_errors_of_fields_are_in_german(make, german):
    page = german.post(f"/authorize/{make('custom')}", {})

    assert "Dieses Feld ist erforderlich." in page.text


@pytest.mark.parametrize(
    ("decision", "heading"), [("allow", "Vielen Dank"), ("deny", "Zugriff abgelehnt")]
)
def test_the_way_back_from_the_provider_is_in_german(make, german, decision, heading):
    away = german.post(f"/authorize/{make('oauth2')}", TENANT)

    page = german.get(decide(away["Location"], decision))

    assert f"<h1>{heading}</h1>" in page.text
    assert page["Content-Language"] == "de"


def test_a_link_that_does_not_exist_says_so_in_german(german, db):
    assert "Diesen Link gibt es nicht." in german.get("/authorize/nobody-made-this").text


def test_staff_read_english_whatever_their_browser_prefers(staff):
    page = staff.browser.get("/connect/", headers=GERMAN)

    assert '<html lang="en">' in page.text
    assert "My connections" in page.text


def test_a_mail_is_sent_in_the_chosen_language(staff, sandbox, dynamics, settings):
    settings.CAN_SEND_EMAIL = True
    instance = make_instance(
        name="Contoso",
        organization_user=sandbox,
        element=dynamics,
        authentication_type="oauth2",
        is_incomplete=True,
    )
    sent = {"note": "", "email": "ada@example.com", "language": "de"}

    page = staff.browser.post(f"/connect/{instance.pk}/link/", sent)

    assert "The link was sent to ada@example.com." in page.text
    assert mail.outbox[0].subject == (
        "mina bittet Sie, Ihr Konto bei Microsoft Dynamics CRM zu verbinden"
    )
    assert "Öffnen Sie diesen Link" in mail.outbox[0].body
    assert re.search(r"\d\d\.\d\d\.\d{4}, \d\d:\d\d UTC", str(mail.outbox[0].body))
