"""An authorization at a provider: sign-in, consent, and every way that it can end."""

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.people import decide, sign_in_at_sandbox

pytestmark = pytest.mark.browser


def is_callback(response):
    return urlsplit(response.url).path == "/oauth/callback"


def allow_and_stay(page):
    """Allow access, but keep the browser from following the redirect; returns the callback's address."""
    sent_to = []

    def hold(route):
        sent_to.append(route.fetch(max_redirects=0).headers["location"])
        route.fulfill(body="held")

    page.route("**/authorize?*", hold)
    decide(page, "Allow")
    expect(page.get_by_text("held")).to_be_visible()
    return sent_to[0]


def test_consent_connects_the_account(operator, photograph):
    page = operator.page
    operator.choose_dynamics()
    operator.choose_oauth("Northwind")
    photograph(page, "sandbox-sign-in")
    sign_in_at_sandbox(page)
    photograph(page, "consent")
    with page.expect_response(is_callback) as came_back:
        decide(page, "Allow")
    expect(page.get_by_text("Northwind is connected.")).to_be_visible()
    operator.expect_status("Healthy")
    expect(operator.timeline).to_contain_text("OAuth callback")
    photograph(page, "connected")

    replayed = page.goto(came_back.value.url)
    assert replayed.status == 409
    expect(page.get_by_role("heading", name="Already completed")).to_be_visible()
    photograph(page, "replayed")
    operator.press("Back to Northwind")
    operator.expect_status("Healthy")


def test_the_environment_is_chosen_after_the_consent(operator, photograph):
    page = operator.page
    operator.choose_dynamics()
    operator.press("OAuth 2.0")
    operator.fill("Name", "Fabrikam")
    photograph(page, "form")
    operator.press("Continue to Microsoft Dynamics CRM")
    sign_in_at_sandbox(page)
    decide(page, "Allow")
    expect(page.get_by_role("heading", name="Choose what to connect")).to_be_visible()
    photograph(page, "choice")
    operator.press("Contoso (test)")
    decide(page, "Allow")
    expect(page.get_by_text("Fabrikam is connected.")).to_be_visible()


@pytest.mark.slow
def test_after_a_denial_the_same_instance_is_authorized_again(operator, photograph):
    page = operator.page
    operator.choose_dynamics()
    operator.choose_oauth("Tailspin")
    sign_in_at_sandbox(page)
    with page.expect_response(is_callback) as came_back:
        decide(page, "Deny")
    assert came_back.value.status == 403
    expect(page.get_by_role("heading", name="Access declined")).to_be_visible()
    photograph(page, "denied")
    operator.press("Back to Tailspin")
    operator.expect_status("Broken")
    photograph(page, "failed")
    instance_id, seen = operator.instance_id, operator.events.count()

    operator.press("Authorize")
    decide(page, "Allow")
    operator.expect_status("Healthy")
    photograph(page, "connected")
    assert operator.instance_id == instance_id
    assert operator.events.count() > seen


@pytest.mark.slow
def test_an_answer_behind_the_number_sign_is_read(operator):
    page = operator.page
    operator.choose_dynamics()
    operator.choose_oauth("Fabrikam")
    at_provider = urlsplit(page.url)
    callback = f"{at_provider.scheme}://{at_provider.netloc}/oauth/callback"
    page.goto(f"{callback}#error=access_denied&error_description=No")
    expect(page.get_by_role("heading", name="Access declined")).to_be_visible()
    operator.press("Back to Fabrikam")


@pytest.mark.slow
def test_a_callback_in_another_browser_is_rejected_and_changes_nothing(
    operator, open_browser, photograph
):
    page = operator.page
    operator.choose_dynamics()
    operator.choose_oauth("Wingtip")
    sign_in_at_sandbox(page)
    callback_url = allow_and_stay(page)

    other = open_browser()
    refused = other.goto(callback_url)
    assert refused.status == 403
    expect(other.get_by_text("in another browser").first).to_be_visible()
    photograph(other, "another-browser")

    page.goto(callback_url)
    operator.expect_status("Healthy")
