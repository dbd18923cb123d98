"""The API documentation: opened, authorized and tried against the sandbox, with no requests to other origins."""

import json

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


@pytest.mark.slow
def test_the_examples_work_against_the_sandbox_as_they_are(open_browser, program, photograph):
    account = json.loads(
        program.manage(
            *("create_account", "--organization", "Readers", "--user", "reader@example.com"),
            *("--sandbox", "--json"),
        )
    )
    page = open_browser()
    page.goto("/elements/api-v2/docs")
    expect(page.get_by_role("heading", name="platform API v2")).to_be_visible()
    photograph(page, "page")

    page.get_by_role("button", name="Authorize").click()
    scheme = page.locator(".auth-container", has_text="PlatformSecrets")
    scheme.locator("input").fill(
        f"User {account['userSecret']}, Organization {account['organizationSecret']}"
    )
    scheme.get_by_role("button", name="Apply credentials").click()
    page.get_by_role("button", name="Close").last.click()

    for operation, words in {
        "Instances-create_instance": '"valid": true',
        "Elements-read_oauth_url": f"{program.url}/sandbox/",
    }.items():
        block = page.locator(f"#operations-{operation}")
        block.locator(".opblock-summary-control").click()
        block.get_by_role("button", name="Try it out").click()
        block.get_by_role("button", name="Execute").click()
        expect(block.locator(".live-responses-table")).to_contain_text(words)
        photograph(page, operation)
