"""A service account's key file, chosen in a real browser, connects an account."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.axe import complaints_of_axe
from tests.support.assertion_provider import AssertionProvider, Registered
from tests.support.signing_keys import pem, rsa_key

pytestmark = [pytest.mark.browser, pytest.mark.slow]

EMAIL = "robot@acme.iam.example"
SEND_THERE = """
from instances.models import Organization
demo = Organization.objects.get(name="Demo")
demo.endpoint_overrides["googledrive"] = {{
    "https://oauth2.googleapis.com": "{url}", "https://www.googleapis.com": "{url}"
}}
demo.private_hosts["googledrive"] = ["{netloc}"]
demo.save()
"""
SEND_NOTHING_THERE = """
from instances.models import Instance, Organization
Instance.objects.filter(element__key="googledrive").delete()
demo = Organization.objects.get(name="Demo")
del demo.endpoint_overrides["googledrive"], demo.private_hosts["googledrive"]
demo.save()
"""


@pytest.fixture
def google(program):
    """A provider that knows the service account and verifies its assertions."""
    with AssertionProvider() as provider:
        provider.clients[EMAIL] = Registered(rsa_key().public_key(), {"alg": "RS256", "kid": "k-7"})
        there = SEND_THERE.format(url=provider.url, netloc=provider.netloc)
        program.manage("shell", "--no-imports", "--command", there)
        yield provider
        program.manage("shell", "--no-imports", "--command", SEND_NOTHING_THERE)


def key_file(key):
    document = {"private_key": pem(key), "private_key_id": "k-7", "client_email": EMAIL}
    text = json.dumps({"type": "service_account"} | document)
    return {"name": "acme-robot.json", "mimeType": "application/json", "buffer": text.encode()}


def test_a_service_account_is_connected_by_its_key_file(open_as_staff, google, photograph):
    page = open_as_staff()
    page.goto("/connect/catalogue/googledrive/?way=oauth2Application")
    page.get_by_label("Name").first.fill("Acme files")
    page.get_by_text("Advanced settings").click()
    page.get_by_label(re.compile("User to act for")).fill("ada@acme.example")
    page.get_by_label(re.compile("Document Root Folder")).fill("/")
    photograph(page, "form")
    page.locator("input[type=file]").set_input_files(key_file(rsa_key(number=2)))
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.get_by_text("Google Drive rejected the username, password or key.")).to_be_visible()
    photograph(page, "another-key")
    assert google.refusals == ["wrong signature"]
    page.get_by_role("link", name="Enter credentials").click()
    page.locator("input[type=file]").set_input_files(key_file(rsa_key()))
    photograph(page, "again")
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.get_by_text("Acme files is connected.")).to_be_visible()
    photograph(page, "connected")
    assert (google.grants[-1]["iss"], google.grants[-1]["sub"]) == (EMAIL, "ada@acme.example")
    shown = page.locator("main")
    for fact in ("Access token valid until", "ada@acme.example", "Key of the service account"):
        expect(shown).to_contain_text(fact)
    assert pem(rsa_key()).splitlines()[1] not in page.content()
    assert complaints_of_axe(page) == []
