"""Pages without a sign-in at the narrowest and the widest window: axe, size, skip link, and German."""

import pytest
from playwright.sync_api import expect

from tests.browser.axe import complaints_of_axe
from tests.browser.test_connect import MAX_PAGE_BYTES, bytes_of, draft_for_account_owner, press

pytestmark = pytest.mark.browser

NARROW = {"width": 360, "height": 740}
WIDEST = {"width": 1440, "height": 900}
GUEST_PAGES = {
    "sign-in": "/connect/sign-in",
    "unknown-link": "/authorize/nobody-made-this",
    "callback": "/oauth/callback",
    "not-found": "/connect/catalogue/nothing-like-it/nowhere",
    "sandbox": "/sandbox/",
}


@pytest.mark.parametrize(
    ("viewport", "color_scheme"),
    [
        pytest.param(NARROW, "dark", id="narrow-dark"),
        pytest.param(WIDEST, "light", id="widest-light"),
        pytest.param(NARROW, "light", id="narrow-light", marks=pytest.mark.slow),
        pytest.param(WIDEST, "dark", id="widest-dark", marks=pytest.mark.slow),
    ],
)
def test_every_page_of_a_guest_is_accessible_light_and_as_wide_as_its_window(
    open_browser, photograph, viewport, color_scheme
):
    page = open_browser(viewport=viewport, color_scheme=color_scheme)
    for name, path in GUEST_PAGES.items():
        page.goto(path)
        photograph(page, name)
        assert complaints_of_axe(page) == [], name
        assert bytes_of(page) < MAX_PAGE_BYTES, name
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], name
        expect(page.get_by_role("heading", level=1)).to_have_count(1)


@pytest.mark.parametrize("path", GUEST_PAGES.values(), ids=GUEST_PAGES)
def test_the_skip_link_leads_to_the_content(open_browser, path):
    page = open_browser()
    page.goto(path)
    page.get_by_role("link", name="Skip to content").press("Enter")

    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.slow
def test_a_customer_with_a_german_browser_reads_german(open_as_staff, open_browser, photograph):
    link = draft_for_account_owner(open_as_staff(), "Hafen")
    customer = open_browser(viewport=NARROW, locale="de-DE")

    customer.goto(link)
    photograph(customer, "german")

    expect(customer.get_by_role("heading", level=1)).to_have_text(
        "Verbinden Sie Ihr Konto bei Microsoft Dynamics CRM"
    )
    assert complaints_of_axe(customer) == []
    press(customer, "Weiter zu Microsoft Dynamics CRM")
    expect(customer.get_by_role("heading", name="Sign in")).to_be_visible()
