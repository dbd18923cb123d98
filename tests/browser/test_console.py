"""The admin's start page in a real browser: from a problem to its cause and its repair, and checked by axe."""

import json
import re

import pytest
from playwright.sync_api import expect

from instances.catalogue.sandbox import SANDBOX_PASSWORD, SANDBOX_USERNAME
from tests.browser.axe import complaints_of_axe
from tests.browser.conftest import in_every_look
from tests.browser.people import DEMO_USER, TENANT, Operator, press_enter, tab_to

pytestmark = pytest.mark.browser

INSTANCES = "/admin/instances/instance/"
PAGES = {
    "start-page": "/admin/",
    "all-causes": "/admin/?causes=all",
    "broken": f"{INSTANCES}?status=broken",
    "instances": INSTANCES,
    "instances-of-a-cause": f"{INSTANCES}?state__exact=failed&cause=credentials_rejected",
    "nothing-found": f"{INSTANCES}?q=nothing-like-it",
    "interactions": "/admin/instances/interaction/",
}


def fail(operator, name):
    """Connect an account with a wrong password."""
    operator.choose_dynamics()
    operator.fill_in_account(name, password="wr0ng-p4ssword")
    operator.press("Connect")
    operator.expect_status("Broken")


@pytest.fixture
def connected(program, tmp_path):
    """An instance that works, so that the console replaces the first run."""
    file = tmp_path / "account.json"
    account = {"user.username": SANDBOX_USERNAME, "user.password": SANDBOX_PASSWORD}
    configuration = account | {"dynamics.tenant": TENANT}
    row = {"name": "Works", "element": {"key": "dynamicscrmadfs"}, "configuration": configuration}
    file.write_text(json.dumps([row]))
    program.manage("provision_instances", str(file), "--user", DEMO_USER, "--skip-existing")


def rejected(page):
    """Return the group of instances whose credentials were rejected."""
    heading = page.get_by_role("heading", name="Credentials rejected")
    return page.get_by_role("listitem").filter(has=heading)


@pytest.mark.usefixtures("connected")
def test_the_cause_of_a_problem_is_two_clicks_away(operator, photograph):
    fail(operator, "Broken")
    page = operator.page
    page.goto("/admin/")
    group = rejected(page)
    expect(group.get_by_text("Account owner must act.")).to_be_visible()
    photograph(page, "start-page")
    group.get_by_role("link", name=re.compile(r"^Show \d+ instance")).click()
    photograph(page, "its-instances")
    page.locator("#result_list").get_by_role("link", name="Broken", exact=True).click()
    operator.expect_status("Broken")
    expect(page.get_by_text("rejected the username, password or key").first).to_be_visible()
    photograph(page, "its-cause")


@pytest.mark.slow
@pytest.mark.usefixtures("connected")
def test_a_repair_begins_within_four_clicks(operator, photograph):
    fail(operator, "To be repaired")
    page = operator.page
    page.goto("/admin/")
    rejected(page).get_by_role("link", name=re.compile(r"^Repair")).click()
    page.get_by_role("link", name="To be repaired", exact=True).click()
    operator.press("Enter credentials")
    expect(page.get_by_label("User password")).to_be_visible()
    photograph(page, "repair")


@pytest.mark.slow
@pytest.mark.usefixtures("connected")
def test_the_cause_is_reached_without_a_mouse(operator, photograph):
    fail(operator, "By keyboard alone")
    page = operator.page
    page.goto("/admin/")
    link = rejected(page).get_by_role("link", name=re.compile(r"^Repair"))
    tab_to(page, link.inner_text())
    photograph(page, "at-the-group")
    press_enter(page)
    tab_to(page, "By keyboard alone")
    press_enter(page)
    operator.expect_status("Broken")


@pytest.mark.slow
@pytest.mark.usefixtures("connected")
def test_an_instance_is_found_by_its_element_token_alone(operator):
    operator.choose_dynamics()
    operator.fill_in_account("Has a token")
    operator.press("Connect")
    operator.expect_status("Healthy")
    found = operator.page.url
    operator.press_in_menu("Reveal Element token")
    operator.press("Reveal Element token")
    token = operator.page.locator(".im-copy pre").inner_text()
    seen = []
    operator.page.on("request", lambda request: seen.append(request.url))
    operator.page.goto("/admin/")
    operator.fill("Find an instance", token)
    operator.page.keyboard.press("Enter")
    expect(operator.page).to_have_url(found)
    assert [url for url in seen if token[:12] in url] == []


@pytest.mark.slow
@pytest.mark.usefixtures("connected")
@in_every_look
def test_axe_finds_nothing_and_no_page_is_wider_than_its_window(
    open_browser, password, photograph, viewport, color_scheme
):
    page = open_browser(viewport=viewport, color_scheme=color_scheme)
    operator = Operator(page)
    operator.sign_in("admin", password)
    fail(operator, f"Seen by axe at {viewport['width']}, {color_scheme}")
    for name, path in PAGES.items():
        page.goto(path)
        photograph(page, name)
        assert complaints_of_axe(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], name
