"""Self-service in a real browser: staff connect an account, a customer uses a link, and axe checks every page."""

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from instances.catalogue.sandbox import SANDBOX_PASSWORD, SANDBOX_USERNAME
from tests.browser.axe import complaints_of_axe
from tests.browser.conftest import PHONE, in_every_look
from tests.browser.people import DEMO_USER, TENANT, Operator, decide, sign_in_at_sandbox

pytestmark = pytest.mark.browser

MAX_PAGE_BYTES = 100_000
EXPIRE_LINKS = """
from django.utils import timezone
from instances.models import AuthorizationLink
AuthorizationLink.objects.update(expires_at=timezone.now())
"""

MAKE_MANY = f"""
from instances.models import Element, OrganizationUser
from instances.provisioning.create import create_draft
user = OrganizationUser.objects.get(email="{DEMO_USER}")
element = Element.objects.get(key="dynamicscrmadfs")
for number in range(60):
    create_draft(user, element, actor="test", name=f"One of many {{number:02}}", is_incomplete=True)
"""
REMOVE_MANY = """
from instances.models import Instance
Instance.objects.filter(name__startswith="One of many").delete()
"""


@pytest.fixture(scope="module")
def many_connections(program, staff_account):
    """Three pages of them."""
    program.manage("shell", "--no-imports", "--command", MAKE_MANY)
    yield
    program.manage("shell", "--no-imports", "--command", REMOVE_MANY)


def press(page, name):
    """Click a button, or a link that looks like one."""
    button = page.get_by_role("button", name=name, exact=True)
    button.or_(page.get_by_role("link", name=name, exact=True)).first.click()


def bytes_of(page):
    """Return the size of what the browser fetched: the page, its styles and its scripts."""
    return page.evaluate(
        """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
                   .reduce((sum, one) => sum + one.decodedBodySize, 0)"""
    )


def draft_for_account_owner(page, name):
    """Staff create a link for a new connection; returns the link."""
    page.goto("/connect/catalogue/dynamicscrmadfs/?way=oauth2")
    page.get_by_label("Name").fill(name)
    page.get_by_label(re.compile("Dynamics CRM URL")).fill(TENANT)
    press(page, "Send a link to someone else")
    page.get_by_label("Note").fill("For the spring report.")
    press(page, "Create link")
    return page.get_by_role("region", name="Link", exact=True).inner_text().strip()


def test_staff_connect_in_three_clicks_by_consent(open_as_staff, photograph):
    page = open_as_staff()
    press(page, "Connect an account")
    page.get_by_role("link", name=re.compile(r"dynamicscrmadfs$")).click()
    page.get_by_label(re.compile("Dynamics CRM URL")).fill(TENANT)
    photograph(page, "connect")
    press(page, "Continue to Microsoft Dynamics CRM")
    sign_in_at_sandbox(page)
    decide(page, "Allow")
    expect(page.get_by_text("Microsoft Dynamics CRM is connected.")).to_be_visible()
    photograph(page, "connected")
    press(page, "Check now")
    expect(page.get_by_text("Microsoft Dynamics CRM works.")).to_be_visible()
    press(page, "Delete")
    photograph(page, "asked-first")
    press(page, "Delete")
    expect(page.get_by_text("Microsoft Dynamics CRM was deleted.")).to_be_visible()


def test_a_customer_uses_a_link_in_a_new_browser(open_as_staff, open_browser, photograph):
    page = open_as_staff()
    link = draft_for_account_owner(page, "Northwind")
    photograph(page, "link")
    customer = open_browser(viewport=PHONE)
    customer.goto(link)
    photograph(customer, "asked")
    expect(customer.get_by_text("Mina Harker of Demo asks you")).to_be_visible()
    press(customer, "Continue to Microsoft Dynamics CRM")
    sign_in_at_sandbox(customer)
    decide(customer, "Deny")
    expect(customer.get_by_role("heading", name="Access declined")).to_be_visible()
    photograph(customer, "denied")
    customer.goto(link)
    press(customer, "Continue to Microsoft Dynamics CRM")
    decide(customer, "Allow")
    expect(customer.get_by_role("heading", name="Thank you")).to_be_visible()
    photograph(customer, "thanks")
    assert customer.goto(link).status == 410
    press(page, "Done")
    expect(page.get_by_text("No action needed.")).to_be_visible()
    photograph(page, "seen-by-staff")


@pytest.mark.slow
def test_a_certificate_is_generated_and_its_public_part_downloaded(open_as_staff):
    page = open_as_staff()
    page.goto("/connect/catalogue/dynamicscrmadfs/?way=oauth2Application")
    page.get_by_label("Name").fill("Server to server")
    press(page, "Generate a certificate")
    expect(page.get_by_text("was saved with a new private key")).to_be_visible()
    with page.expect_download() as downloaded:
        page.get_by_role("link", name="Download", exact=True).click()
    assert downloaded.value.suggested_filename == "server-to-server-certificate.pem"
    text = downloaded.value.path().read_text()
    assert text.startswith("-----BEGIN CERTIFICATE-----")
    assert "PRIVATE" not in text
    assert complaints_of_axe(page) == []


@pytest.mark.slow
def test_an_expired_link_says_so_and_whom_to_ask(open_as_staff, open_browser, program):
    link = draft_for_account_owner(open_as_staff(), "Too late")
    program.manage("shell", "--no-imports", "--command", EXPIRE_LINKS)
    customer = open_browser(viewport=PHONE)
    assert customer.goto(link).status == 410
    expect(customer.get_by_role("heading", name="This link no longer works")).to_be_visible()
    expect(customer.get_by_text("Ask the person who sent it for a new one.")).to_be_visible()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("locale", "form"), [("en-GB", "%Y-%m-%d %H:"), ("de-DE", "%d.%m.%Y, %H:")], ids=["en", "de"]
)
def test_a_time_is_in_the_readers_zone_and_the_same_on_the_first_page_and_later(
    open_as_staff, open_browser, locale, form
):
    link = draft_for_account_owner(open_as_staff(), "Tokyo")
    guest = open_browser(timezone_id="Asia/Tokyo", locale=locale)
    expires = datetime.now(ZoneInfo("Asia/Tokyo")) + timedelta(days=7)
    guest.goto(link)
    shown = guest.get_by_role("time")
    expect(shown).to_contain_text(expires.strftime(form))
    assert shown.get_attribute("title").endswith("UTC")
    on_the_first_page = shown.inner_text()
    guest.reload()
    assert shown.get_attribute("data-zone") == "Asia/Tokyo"
    assert shown.inner_text() == on_the_first_page


@pytest.mark.slow
def test_times_in_lists_are_in_the_readers_zone(open_as_staff, open_browser, password):
    draft_for_account_owner(open_as_staff(), "Listed")
    admin = Operator(open_browser(timezone_id="Asia/Tokyo"))
    admin.sign_in("admin", password)
    admin.page.goto("/admin/instances/authorizationlink/")
    made = datetime.now(ZoneInfo("Asia/Tokyo"))
    rows = admin.page.locator("#result_list tbody")
    expect(rows.get_by_text(re.compile(f"^{made:%H}:..$")).first).to_be_visible()


@pytest.mark.slow
def test_a_button_shows_progress_and_works_once(open_as_staff):
    page = open_as_staff()
    page.goto("/connect/catalogue/dynamicscrmadfs/?way=custom")
    page.get_by_label("Name").first.fill("Twice")
    page.get_by_label(re.compile("User Name")).fill(SANDBOX_USERNAME)
    page.get_by_label(re.compile("User password")).fill(SANDBOX_PASSWORD)
    page.get_by_label(re.compile("Dynamics CRM URL")).fill(TENANT)
    # Both clicks come before the response. The second one must not send the form again.
    status = page.evaluate(
        """async () => {
             const button = document.querySelector("main button[data-busy]")
             button.click(); button.click()
             await new Promise((resolve) => setTimeout(resolve))
             return document.querySelector("[role=status].im-working").textContent
           }"""
    )
    assert status == "Connecting …"
    expect(page.get_by_text("Twice is connected.")).to_be_visible()
    page.goto("/connect/?q=Twice")
    expect(page.get_by_role("heading", name="Twice")).to_have_count(1)


@pytest.mark.slow
@in_every_look
def test_axe_finds_nothing_and_every_page_is_light(
    open_as_staff, open_browser, photograph, many_connections, viewport, color_scheme
):
    look = {"viewport": viewport, "color_scheme": color_scheme}
    page = open_as_staff(**look)
    link = draft_for_account_owner(page, "Waiting")
    press(page, "Done")
    connection = page.url
    guest = open_browser(**look)
    pages = {
        page: {
            "connections": "/connect/",
            "between-pages": "/connect/?q=many&page=after-0One+of+many+24-1",
            "nothing-found": "/connect/?q=nothing-like-it",
            "catalogue": "/connect/catalogue/",
            "connect-oauth": "/connect/catalogue/dynamicscrmadfs/",
            "connect-custom": "/connect/catalogue/dynamicscrmadfs/?way=custom",
            "connection": connection,
            "edit": f"{connection}edit/",
            "make-link": f"{connection}link/",
            "reconnect": f"{connection}reauthenticate/",
            "remove": f"{connection}delete/",
            "password": "/connect/password",
        },
        guest: {"sign-in": "/connect/sign-in", "authorize": link},
    }
    for audience, paths in pages.items():
        for name, path in paths.items():
            audience.goto(path)
            photograph(audience, name)
            assert complaints_of_axe(audience) == [], name
            assert bytes_of(audience) < MAX_PAGE_BYTES, name
            assert audience.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
