"""Self-service and links by keyboard: every step is reached with Tab, has a visible focus, and works with Enter."""

import re

import pytest
from playwright.sync_api import Page, expect

from instances.catalogue.sandbox import SANDBOX_PASSWORD, SANDBOX_USERNAME
from tests.browser.conftest import STAFF_PASSWORD, STAFF_USERNAME
from tests.browser.people import TENANT, press_enter, tab_to

# Slow: these walk through many pages.
pytestmark = [pytest.mark.browser, pytest.mark.slow]

PROVIDER = "Continue to Microsoft Dynamics CRM"
CREDENTIALS = {
    "User Name (required)": SANDBOX_USERNAME,
    "User password (required)": SANDBOX_PASSWORD,
    "Dynamics CRM URL (required)": TENANT,
}


def reach(page: Page, name: str | re.Pattern[str]) -> None:
    """Press Tab up to a control, and check that its focus is visible."""
    tab_to(page, name)
    outline = page.evaluate(
        """() => { const style = getComputedStyle(document.activeElement)
                   return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 }"""
    )
    assert outline, f"the focus on {name} is not visible"


def take(page: Page, name: str | re.Pattern[str]) -> None:
    reach(page, name)
    press_enter(page)


def choose(page: Page, name: str) -> None:
    """Open the menu of further actions, and take one."""
    reach(page, "More actions")
    page.keyboard.press("Enter")
    take(page, name)


def enter(page: Page, values: dict[str, str]) -> None:
    for label, value in values.items():
        reach(page, label)
        page.keyboard.type(value)


def allow_at_sandbox(page: Page) -> None:
    enter(page, {"User name (required)": SANDBOX_USERNAME, "Password (required)": SANDBOX_PASSWORD})
    press_enter(page)
    take(page, "Allow")


@pytest.fixture
def page(open_browser, staff_account):
    """A page of self-service, signed in by keyboard."""
    page = open_browser()
    page.goto("/connect/")
    enter(page, {"Username (required)": STAFF_USERNAME, "Password (required)": STAFF_PASSWORD})
    press_enter(page)
    expect(page.get_by_role("heading", name="My connections")).to_be_visible()
    return page


def test_connect_by_consent_check_and_disconnect(page):
    take(page, "Connect an account")
    reach(page, "Name")
    page.keyboard.type("dynamicscrmadfs")
    press_enter(page)
    take(page, re.compile("dynamicscrmadfs$"))
    enter(page, {"Name": "By consent", "Dynamics CRM URL": TENANT})
    take(page, PROVIDER)
    allow_at_sandbox(page)
    expect(page.get_by_text("By consent is connected.")).to_be_visible()
    take(page, "Check now")
    expect(page.get_by_text("By consent works.")).to_be_visible()
    take(page, "Delete")
    take(page, "Delete")
    expect(page.get_by_text("By consent was deleted.")).to_be_visible()


def test_connect_by_credentials_and_reconnect_with_others(page):
    page.goto("/connect/catalogue/dynamicscrmadfs/?way=custom")
    enter(page, {"Name": "By keyboard"} | CREDENTIALS)
    take(page, "Connect")
    expect(page.get_by_text("By keyboard is connected.")).to_be_visible()
    choose(page, "Enter credentials")
    enter(page, {"User password": "wr0ng-password"})
    take(page, "Connect")
    expect(page.get_by_text("By keyboard is connected.")).not_to_be_visible()
    choose(page, "Enter credentials")
    enter(page, {"User password": SANDBOX_PASSWORD})
    take(page, "Connect")
    expect(page.get_by_text("By keyboard is connected.")).to_be_visible()


def test_create_a_link_and_use_it(page, open_browser):
    page.goto("/connect/catalogue/dynamicscrmadfs/?way=oauth2")
    enter(page, {"Name": "By link", "Dynamics CRM URL": TENANT})
    take(page, "Send a link to someone else")
    enter(page, {"Note": "For the report."})
    take(page, "Create link")
    reach(page, re.compile("^Copy"))
    customer = open_browser()
    customer.goto(page.get_by_role("region", name="Link", exact=True).inner_text().strip())
    take(customer, PROVIDER)
    allow_at_sandbox(customer)
    expect(customer.get_by_role("heading", name="Thank you")).to_be_visible()
    take(page, "Done")
    expect(page.get_by_text("No action needed.")).to_be_visible()


def test_the_first_tab_skips_the_navigation(page):
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    reach(page, "Connect an account")


def test_the_focus_is_on_the_first_error(page):
    page.goto("/connect/catalogue/dynamicscrmadfs/?way=custom")
    enter(page, {"Name": "Incomplete", "User Name (required)": SANDBOX_USERNAME})
    take(page, "Connect")
    expect(page.get_by_label("User password (required)")).to_be_focused()
