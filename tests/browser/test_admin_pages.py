"""The operators' pages on a desktop and a small phone, checked by axe, and by keyboard alone."""

import json
import re

import pytest
from playwright.sync_api import expect

from instances.catalogue.sandbox import SANDBOX_PASSWORD, SANDBOX_USERNAME
from tests.browser.axe import complaints_of_axe
from tests.browser.people import DEMO_USER, TENANT, Operator, press_enter, tab_to

# Slow: these walk through many pages.
pytestmark = [pytest.mark.browser, pytest.mark.slow]

ADMIN = "/admin/instances"
PAGES = {
    "console": "/admin/",
    "all-causes": "/admin/?causes=all",
    "instances": f"{ADMIN}/instance/",
    "broken-instances": f"{ADMIN}/instance/?status=broken",
    "bulk-jobs": f"{ADMIN}/bulkjob/",
    "bulk-upload": f"{ADMIN}/bulkjob/add/",
    "organization": f"{ADMIN}/organization/1/change/",
    "organization-user": f"{ADMIN}/organizationuser/1/change/",
}
NEWCOMER, NEWCOMERS_PASSWORD = "nora", "tall-oak-lantern"
# An operator of an organization without instances, and the failures of the last bulk job.
MAKE_NEWCOMER = f"""
from django.contrib.auth.models import Group, User
from instances.models import Membership, Organization
user, is_new = User.objects.get_or_create(username="{NEWCOMER}", is_staff=True)
user.set_password("{NEWCOMERS_PASSWORD}")
user.save()
user.groups.add(Group.objects.get(name="operator"))
organization, is_new = Organization.objects.get_or_create(name="Newcomers")
Membership.objects.get_or_create(user=user, organization=organization, role="operator")
"""
FAIL_ROWS = """
from instances.models import BulkJob
BulkJob.objects.latest("pk").rows.update(outcome="failed", cause="credentials_rejected", error="It was rejected.")
"""

at_both_ends = pytest.mark.parametrize(
    ("viewport", "color_scheme"),
    [
        pytest.param({"width": 1440, "height": 900}, "light", id="desk"),
        pytest.param({"width": 360, "height": 740}, "dark", id="small-phone"),
    ],
)


@pytest.fixture
def failed_job(program, tmp_path):
    """The path of a finished bulk job with failures; its instance is connected."""
    file = tmp_path / "accounts.json"
    account = {"user.username": SANDBOX_USERNAME, "user.password": SANDBOX_PASSWORD}
    configuration = account | {"dynamics.tenant": TENANT}
    row = {"name": "Of a job", "element": {"key": "dynamicscrmadfs"}}
    file.write_text(json.dumps([row | {"configuration": configuration}]))
    program.manage("provision_instances", str(file), "--user", DEMO_USER, "--allow-duplicates")
    program.manage("shell", "-c", FAIL_ROWS)


@pytest.fixture
def newcomer(program):
    program.manage("shell", "--no-imports", "--command", MAKE_NEWCOMER)


def open_last_job(page):
    page.goto(f"{ADMIN}/bulkjob/")
    page.locator("#result_list tbody th a").first.click()
    expect(page.get_by_text("Finished with failures")).to_be_visible()


@pytest.mark.usefixtures("failed_job")
@at_both_ends
def test_axe_finds_nothing_and_nothing_scrolls_sideways(
    open_browser, password, photograph, viewport, color_scheme
):
    page = open_browser(viewport=viewport, color_scheme=color_scheme)
    Operator(page).sign_in("admin", password)

    def look(name):
        photograph(page, name)
        assert complaints_of_axe(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], name

    for name, path in PAGES.items():
        page.goto(path)
        look(name)
    page.goto(f"{ADMIN}/element/?q=dynamicscrmadfs")
    page.locator("#result_list tbody th a").first.click()
    expect(page.get_by_role("heading", name="Details")).to_be_visible()
    look("element")
    open_last_job(page)
    look("bulk-job")


@pytest.mark.usefixtures("newcomer")
@at_both_ends
def test_a_newcomer_is_led_to_the_first_instance(open_browser, photograph, viewport, color_scheme):
    page = open_browser(viewport=viewport, color_scheme=color_scheme)
    page.goto("/")
    page.get_by_label("Username").fill(NEWCOMER)
    page.get_by_label("Password").fill(NEWCOMERS_PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Set up your first connection")).to_be_visible()
    photograph(page, "first-run")
    assert complaints_of_axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    tab_to(page, "Connect an account")
    press_enter(page)
    expect(page).to_have_url(re.compile("/instance/add/$"))


@pytest.mark.usefixtures("failed_job")
def test_the_failed_rows_of_a_job_are_reached_without_a_mouse(operator):
    page = operator.page
    open_last_job(page)
    tab_to(page, re.compile("^Show rows"))
    press_enter(page)
    tab_to(page, "Of a job")
    press_enter(page)
    expect(page.get_by_role("heading", name="Of a job", level=1)).to_be_visible()
