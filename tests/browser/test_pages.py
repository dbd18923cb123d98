"""The main pages on desktop and phone, light and dark, and by keyboard."""

import re

import pytest

from tests.browser.conftest import in_every_look
from tests.browser.people import Operator, press_enter, sign_in_at_sandbox, tab_to

# Slow: these walk through many pages.
pytestmark = [pytest.mark.browser, pytest.mark.slow]

ADMIN = "/admin/instances"
PAGES = {
    "index": "/admin/",
    "instances": f"{ADMIN}/instance/",
    "add-instance": f"{ADMIN}/instance/add/",
    "bulk-jobs": f"{ADMIN}/bulkjob/",
    "add-bulk-job": f"{ADMIN}/bulkjob/add/",
    "interactions": f"{ADMIN}/interaction/",
    "authorizations": f"{ADMIN}/authorization/",
    "elements": f"{ADMIN}/element/?q=dynamics",
    "oauth-apps": f"{ADMIN}/oauthapp/",
    "add-oauth-app": f"{ADMIN}/oauthapp/add/",
    "organizations": f"{ADMIN}/organization/",
    "add-organization": f"{ADMIN}/organization/add/",
    "organization-users": f"{ADMIN}/organizationuser/",
    "sandbox": "/sandbox/",
    "callback": "/oauth/callback",
    "not-found": "/admin/instances/instance/987654321/change/",
}
# Lists of which the test opens the first row.
OPENED = {
    "element": f"{ADMIN}/element/?q=dynamicscrmadfs",
    "interaction": f"{ADMIN}/interaction/",
    "oauth-app": f"{ADMIN}/oauthapp/",
    "organization": f"{ADMIN}/organization/",
    "organization-user": f"{ADMIN}/organizationuser/",
    "user": "/admin/auth/user/",
}


@in_every_look
def test_no_page_is_wider_than_its_window(
    open_browser, password, photograph, viewport, color_scheme
):
    page = open_browser(viewport=viewport, color_scheme=color_scheme)
    operator = Operator(page)

    def look(name):
        photograph(page, name)
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], name

    page.goto("/admin/")
    look("sign-in")
    operator.sign_in("admin", password)
    operator.choose_dynamics()
    look("configure")
    operator.fill_in_account("Phone and desk", password="wr0ng-p4ssword")
    operator.press("Connect")
    operator.expect_status("Broken")
    look("instance")
    operator.press("Enter credentials")
    look("re-authenticate")
    page.go_back()
    operator.press("Delete")
    look("confirmation")
    operator.choose_dynamics()
    operator.choose_oauth("Consent")
    look("sandbox-sign-in")
    sign_in_at_sandbox(page)
    look("consent")
    for name, path in PAGES.items():
        page.goto(path)
        look(name)
    for name, path in OPENED.items():
        page.goto(path)
        page.locator("#result_list tbody th a").first.click()
        page.wait_for_url("**/change/**")
        look(name)


def test_the_next_step_is_taken_by_keyboard(operator, open_browser, password, photograph):
    operator.choose_dynamics()
    operator.fill_in_account("Keyboard")
    operator.press("Save as draft")
    # Wide enough for the sidebar.
    page = open_browser(viewport={"width": 1440, "height": 900})
    page.goto("/admin/")
    tab_to(page, "Username (required)")
    page.keyboard.type("admin")
    tab_to(page, "Password (required)")
    page.keyboard.type(password)
    press_enter(page)
    # The first one's text begins with the theme's icon and ends with the number of instances that need action.
    for name in (re.compile(r"Instances(\s+\d+)?$"), "Keyboard", "Connect"):
        tab_to(page, name)
        press_enter(page)
    Operator(page).expect_status("Healthy")
    photograph(page, "connected")
