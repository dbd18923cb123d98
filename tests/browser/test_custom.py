"""An account connected by username and password, from the first click to the recorded exchange."""

import re

import pytest
from playwright.sync_api import expect

from instances.catalogue.sandbox import SANDBOX_PASSWORD

pytestmark = pytest.mark.browser

WRONG_PASSWORD = "wr0ng-p4ssword-of-the-journey"


def test_an_account_is_connected_and_its_exchanges_can_be_read(operator, photograph):
    page = operator.page
    photograph(page, "signed-in")
    operator.choose_dynamics()
    photograph(page, "second-step")
    operator.fill_in_account("Contoso")
    operator.press("Connect")
    expect(page.get_by_text("Contoso is connected.")).to_be_visible()
    operator.expect_status("Healthy")
    photograph(page, "connected")

    exchange = operator.events.filter(has_text="Get access token")
    expect(exchange).to_contain_text("200")
    expect(exchange).to_contain_text(re.compile(r"\d+ ms"))
    expect(exchange).to_contain_text("/sandbox/organizations/oauth2/token")
    exchange.get_by_text("Headers and bodies").click()
    expect(exchange).to_contain_text("grant_type=password")
    expect(exchange).to_contain_text('"access_token": "[redacted]"')
    photograph(page, "timeline")
    assert SANDBOX_PASSWORD not in page.content()


@pytest.mark.slow
def test_missing_values_are_shown_at_their_fields(operator, photograph):
    operator.choose_dynamics()
    operator.fill("Name", "Half a form")
    operator.press("Connect")
    expect(operator.page.get_by_text("This field is required.")).to_have_count(3)
    photograph(operator.page, "missing")


def test_a_wrong_password_is_explained_and_corrected(operator, photograph):
    page = operator.page
    operator.choose_dynamics()
    operator.fill_in_account("Fabrikam", password=WRONG_PASSWORD)
    operator.press("Connect")
    operator.expect_status("Broken")
    expect(page.get_by_text("Account owner must act.")).to_be_visible()
    photograph(page, "failed")
    assert WRONG_PASSWORD not in page.content()
    instance_id = operator.instance_id

    operator.press("Enter credentials")
    photograph(page, "correct-it")
    operator.fill("User password", SANDBOX_PASSWORD)
    operator.press("Connect")
    operator.expect_status("Healthy")
    photograph(page, "corrected")
    assert operator.instance_id == instance_id
    expect(operator.events.filter(has_text="Get access token")).to_have_count(2)
