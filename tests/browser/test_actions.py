"""Actions on existing instances, each with its confirmation page."""

import json

import pytest
from playwright.sync_api import expect

from tests.browser.people import Operator
from tests.support.factories import CUSTOM_CONFIGURATION

pytestmark = pytest.mark.browser

LIST = "/admin/instances/instance/"
MAKE_CLERK = """
from django.contrib.auth.models import Permission, User
from instances.models import Membership, Organization
clerk = User.objects.create_user("clerk", password="clerk-password", is_staff=True)
clerk.user_permissions.set(
    Permission.objects.filter(codename__in=["view_instance", "change_instance"])
)
Membership.objects.create(
    user=clerk, organization=Organization.objects.get(name="Demo"), role="operator"
)
"""


@pytest.fixture
def connect(program, tmp_path):
    """Provision instances of these names by command; returns their ids."""

    def connect(*names):
        file = tmp_path / "instances.json"
        element = {"element": {"key": "dynamicscrmadfs"}, "configuration": CUSTOM_CONFIGURATION}
        file.write_text(json.dumps([element | {"name": name} for name in names]))
        output = program.manage(
            "provision_instances", str(file), "--user", "demo@example.com", "--json"
        )
        return [row["id"] for row in json.loads(output)["rows"]]

    return connect


def test_an_instance_is_checked_disabled_enabled_revealed_and_deleted(
    operator, connect, photograph
):
    page = operator.page
    page.goto(f"{LIST}{connect('Adatum')[0]}/change/")
    operator.press("Check now")
    expect(page.get_by_text("Adatum works.")).to_be_visible()
    operator.press("Disable")
    photograph(page, "ask-disable")
    operator.press("Disable")
    expect(page.get_by_text("Adatum is disabled.")).to_be_visible()
    operator.expect_status("Paused")
    photograph(page, "disabled")
    operator.press("Enable")
    expect(page.get_by_text("Adatum is enabled.")).to_be_visible()

    operator.press_in_menu("Reveal Element token")
    photograph(page, "ask-reveal")
    operator.press("Reveal Element token")
    token = page.locator(".im-copy pre").inner_text()
    assert len(token) > 20
    photograph(page, "reveal")
    operator.press("Done")
    expect(operator.timeline).to_contain_text("Reveal Element token")
    assert token not in page.content()

    operator.press("Delete")
    photograph(page, "ask-delete")
    operator.press("Delete")
    expect(page.get_by_text("Adatum was deleted.")).to_be_visible()
    assert page.url.endswith(LIST)
    photograph(page, "deleted")


@pytest.mark.slow
def test_users_without_the_permission_cannot_reveal_tokens(
    program, connect, open_browser, photograph
):
    program.manage("shell", "-c", MAKE_CLERK)
    clerk = Operator(open_browser())
    clerk.sign_in("clerk", "clerk-password")
    instance_id = connect("Trey")[0]
    clerk.page.goto(f"{LIST}{instance_id}/change/")
    clerk.expect_status("Healthy")
    expect(clerk.page.get_by_role("button", name="Check now")).to_be_visible()
    expect(clerk.page.get_by_role("link", name="Reveal Element token")).to_have_count(0)
    expect(clerk.page.get_by_role("link", name="Delete")).to_have_count(0)
    photograph(clerk.page, "fewer-buttons")
    refused = clerk.page.goto(f"{LIST}{instance_id}/actions/reveal/")
    assert refused
    assert refused.status == 403
    expect(clerk.page.get_by_text("do not have permission")).to_be_visible()
    photograph(clerk.page, "refused")


@pytest.mark.slow
def test_a_bulk_action_runs_on_several_instances(operator, connect, photograph):
    page = operator.page
    connect("Litware one", "Litware two", "Litware three")
    page.goto(f"{LIST}?q=Litware")
    for name in ("Litware one", "Litware two"):
        page.get_by_role("row", name=name).get_by_role("checkbox").check()
    expect(page.get_by_text("2 selected")).to_be_visible()
    photograph(page, "chosen")
    page.locator(".im-bulk summary").click()
    operator.press("Disable")
    expect(page.get_by_role("listitem").filter(has_text="Litware")).to_have_count(2)
    photograph(page, "ask")
    operator.press("Disable")
    expect(page.get_by_text("2 instances in progress")).to_be_visible()
    photograph(page, "in-progress")
    for name, status in [("one", "paused"), ("two", "paused"), ("three", "healthy")]:
        row = page.get_by_role("row", name=f"Litware {name}")
        for _ in range(20):
            if status in row.inner_text().lower():
                break
            page.wait_for_timeout(500)
            page.goto(f"{LIST}?q=Litware")
        expect(row).to_contain_text(status, ignore_case=True)
    photograph(page, "done")
