"""Every page at the usual widths, light and dark: axe, no sideways scrolling, no complaint of the browser."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.axe import complaints_of_axe
from tests.browser.people import Operator, press_enter, sign_in_at_sandbox, tab_to

# Slow: these walk through many pages.
pytestmark = [pytest.mark.browser, pytest.mark.slow]

ADMIN = "/admin/instances"
PAGES = {
    "index": "/admin/",
    "all-models": f"{ADMIN}/",
    "instances": f"{ADMIN}/instance/",
    "filtered-instances": f"{ADMIN}/instance/?status=broken&tag=demo&question=never-checked",
    "long-filter": f"{ADMIN}/instance/?question=by-leavers&account_of=1&oauth_app=1",
    "no-instances": f"{ADMIN}/instance/?q=nothing-like-it",
    "add-instance": f"{ADMIN}/instance/add/",
    "bulk-jobs": f"{ADMIN}/bulkjob/",
    "add-bulk-job": f"{ADMIN}/bulkjob/add/",
    "interactions": f"{ADMIN}/interaction/",
    "authorizations": f"{ADMIN}/authorization/",
    "authorization-links": f"{ADMIN}/authorizationlink/",
    "element-requests": f"{ADMIN}/elementrequest/",
    "elements": f"{ADMIN}/element/?q=dynamics",
    "add-element": f"{ADMIN}/element/add/",
    "oauth-apps": f"{ADMIN}/oauthapp/",
    "add-oauth-app": f"{ADMIN}/oauthapp/add/",
    "organizations": f"{ADMIN}/organization/",
    "add-organization": f"{ADMIN}/organization/add/",
    "organization-history": f"{ADMIN}/organization/1/history/",
    "delete-organization": f"{ADMIN}/organization/1/delete/",
    "rotate-secret": f"{ADMIN}/organization/1/rotate-secret/",
    "organization-users": f"{ADMIN}/organizationuser/",
    "add-organization-user": f"{ADMIN}/organizationuser/add/",
    "hand-over": f"{ADMIN}/organizationuser/1/handover/",
    "memberships": f"{ADMIN}/membership/",
    "add-membership": f"{ADMIN}/membership/add/",
    "users": "/admin/auth/user/",
    "add-user": "/admin/auth/user/add/",
    "password-of-user": "/admin/auth/user/1/password/",
    "connections-of-user": "/admin/auth/user/1/connections/",
    "groups": "/admin/auth/group/",
    "group": "/admin/auth/group/1/change/",
    "not-found": f"{ADMIN}/instance/987654321/change/",
    "connections": "/connect/",
    "catalogue": "/connect/catalogue/",
    "no-service": "/connect/catalogue/?q=nothing-like-it",
    "password": "/connect/password",
    "sandbox": "/sandbox/",
    "callback": "/oauth/callback",
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
# Tables that scroll sideways within their frame.
SCROLLING = """() => [...document.querySelectorAll(".im-scroll")]
                      .filter(frame => frame.scrollWidth > frame.clientWidth).length"""


@pytest.mark.parametrize(
    ("viewport", "color_scheme"),
    [
        pytest.param({"width": 360, "height": 740}, "light", id="small-phone"),
        pytest.param({"width": 390, "height": 844}, "dark", id="phone-dark"),
        pytest.param({"width": 1440, "height": 900}, "light", id="desk"),
        pytest.param({"width": 1440, "height": 900}, "dark", id="desk-dark"),
    ],
)
def test_axe_finds_nothing_and_nothing_scrolls_sideways_on_any_page(
    open_browser, password, photograph, viewport, color_scheme
):
    page = open_browser(viewport=viewport, color_scheme=color_scheme)
    operator = Operator(page)
    found = {}

    def look(name):
        photograph(page, name)
        complaints = complaints_of_axe(page)
        if page.evaluate("document.documentElement.scrollWidth") > viewport["width"]:
            complaints.append(("wider than its window", []))
        if page.evaluate(SCROLLING):
            complaints.append(("a table scrolls sideways", []))
        if complaints:
            found[name] = complaints

    page.goto("/admin/login/")
    look("sign-in")
    operator.sign_in("admin", password)
    operator.choose_dynamics()
    look("configure")
    operator.press("Connect")
    look("configure-with-errors")
    operator.choose_dynamics()
    operator.fill_in_account("Phone and desk", password="wr0ng-p4ssword")
    operator.press("Connect")
    operator.expect_status("Broken")
    look("instance")
    operator.press("Enter credentials")
    look("re-authenticate")
    page.go_back()
    operator.press("Send link to account owner")
    look("send-link")
    operator.press("Create link")
    look("link")
    page.go_back()
    page.go_back()
    operator.press("Delete")
    look("confirmation")
    page.goto(f"{ADMIN}/instance/")
    page.locator("#result_list tbody input").first.check()
    look("selected")
    page.get_by_role("button", name="Filters", exact=True).click()
    expect(page.get_by_role("button", name="Apply Filters")).to_be_visible()
    look("filters")
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
    page.goto(f"{ADMIN}/element/?q=dynamicscrmadfs")
    page.locator("#result_list tbody th a").first.click()
    page.wait_for_url("**/change/**")
    page.goto(page.url.replace("/change/", "/organizations/"))
    look("offer")
    assert found == {}


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
