"""The pages of an instance in the admin, in every look: axe finds nothing, and nothing is wider than the window."""

import pytest
from playwright.sync_api import expect

from tests.browser.axe import complaints_of_axe
from tests.browser.conftest import in_every_look
from tests.browser.people import Operator

# Slow: these walk through many pages.
pytestmark = [pytest.mark.browser, pytest.mark.slow]

SMALLEST = {"width": 360, "height": 740}
ACTIONS = ["reauthenticate", "link", "edit", "delete", "check"]


def connect(operator, name, **account):
    operator.choose_dynamics()
    operator.fill_in_account(name, **account)
    operator.press("Connect")
    expect(operator.page.get_by_role("heading", name=name)).to_be_visible()
    return operator.page.url


def look(page, photograph, name):
    photograph(page, name)
    assert complaints_of_axe(page) == [], name
    for width in (page.viewport_size["width"], SMALLEST["width"]):
        page.set_viewport_size({"width": width, "height": page.viewport_size["height"]})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)


@in_every_look
def test_every_page_of_an_instance_is_accessible(
    open_browser, password, photograph, viewport, color_scheme
):
    page = open_browser(viewport=viewport, color_scheme=color_scheme)
    operator = Operator(page)
    operator.sign_in("admin", password)

    def show(address, name):
        page.set_viewport_size(viewport)
        page.goto(address)
        look(page, photograph, name)

    broken = connect(operator, "Broken account", password="wr0ng-p4ssword")
    show(broken, "broken")
    for action in ACTIONS:
        show(broken.replace("change/", f"actions/{action}/"), action)
    page.set_viewport_size(viewport)
    page.goto(broken)
    operator.press("Send link to account owner")
    operator.press("Create link")
    look(page, photograph, "link-shown-once")

    healthy = connect(operator, "Healthy account")
    show(healthy, "healthy")
    page.set_viewport_size(viewport)
    page.locator("summary[aria-label='More actions']").click()
    expect(page.locator(".im-menu-item").first).to_be_visible()
    look(page, photograph, "menu")
    page.keyboard.press("Escape")
    expect(page.locator(".im-menu-item").first).not_to_be_visible()
    page.goto(page.url)
    page.get_by_text("Headers and bodies").first.click()
    look(page, photograph, "exchange")


def test_a_secret_that_is_shown_once_is_copied(operator):
    connect(operator, "To be copied")
    page = operator.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    operator.press_in_menu("Reveal Element token")
    operator.press("Reveal Element token")
    token = page.locator(".im-copy pre").inner_text()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == token.strip()
