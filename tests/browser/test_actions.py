"""What can be done to instances that are there: each asked about first."""

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
    account=clerk, organization=Organization.objects.get(name="Demo"), role="operator"
)
"""


@pytest.fixture
def connect(program, tmp_path):
    """Provisions instances of these names by command; their ids."""

    def connect(*names):
        file = tmp_path / "instances.json"
        element = {"element": {"key": "dynamicscrmadfs"}, "configuration": CUSTOM_CONFIGURATION}
        file.write_text(json.dumps([element | {"name": name} for name in names]))
        told = program.manage(
            "provision_instances", str(file), "--user", "demo@example.com", "--json"
        )
        return [row["id"] for row in json.loads(told)["rows"]]

    return connect


def test_an_instance_is_checked_disabled_enabled_revealed_and_deleted(
    operator, connect, photograph
):
    page = operator.page
    page.goto(f"{LIST}{connect('Adatum')[0]}/change/")
    for action, outcome in [
        ("Check", "Adatum works."),
        ("Disable", "Adatum is disabled."),
        ("Enable", "Adatum is enabled."),
    ]:
        operator.press(action)
        expect(page.get_by_role("heading", name=action, level=2)).to_be_visible()
        photograph(page, f"ask-{action}")
        operator.press(action)
        expect(page.get_by_text(outcome)).to_be_visible()
        photograph(page, action)

    operator.press("Reveal Element token")
    photograph(page, "ask-reveal")
    operator.press("Reveal Element token")
    token = page.locator(".im-secret code").inner_text()
    assert len(token) > 20
    photograph(page, "reveal")
    operator.press("I have copied it")
    expect(operator.timeline).to_contain_text("reveal Element token")
    assert token not in page.content()

    operator.press("Delete at the platform")
    photograph(page, "ask-delete")
    operator.press("Delete at the platform")
    expect(page.get_by_text("Adatum is deleted.")).to_be_visible()
    assert page.url.endswith(LIST)
    photograph(page, "deleted")


def test_whoever_may_not_see_tokens_finds_no_button_and_no_way_around(
    program, connect, open_browser, photograph
):
    program.manage("shell", "-c", MAKE_CLERK)
    clerk = Operator(open_browser())
    clerk.sign_in("clerk", "clerk-password")
    instance_id = connect("Trey")[0]
    clerk.page.goto(f"{LIST}{instance_id}/change/")
    clerk.expect_state("connected")
    expect(clerk.page.get_by_role("link", name="Check")).to_be_visible()
    expect(clerk.page.get_by_role("link", name="Reveal Element token")).to_have_count(0)
    expect(clerk.page.get_by_role("link", name="Delete at the platform")).to_have_count(0)
    photograph(clerk.page, "fewer-buttons")
    refused = clerk.page.goto(f"{LIST}{instance_id}/actions/reveal/")
    assert refused
    assert refused.status == 403
    expect(clerk.page.get_by_text("lacks the permission")).to_be_visible()
    photograph(clerk.page, "refused")


def test_several_are_worked_on_from_the_list(operator, connect, photograph):
    page = operator.page
    connect("Litware one", "Litware two", "Litware three")
    page.goto(f"{LIST}?q=Litware")
    for name in ("Litware one", "Litware two"):
        page.get_by_role("row", name=name).get_by_role("checkbox").check()
    page.get_by_label("Select action to run").select_option("Disable")
    photograph(page, "chosen")
    operator.press("Run")
    expect(page.get_by_role("listitem").filter(has_text="Litware")).to_have_count(2)
    photograph(page, "ask")
    operator.press("Disable")
    expect(page.get_by_text("2 instances are being worked on")).to_be_visible()
    photograph(page, "under-way")
    for name, state in [("one", "disabled"), ("two", "disabled"), ("three", "connected")]:
        row = page.get_by_role("row", name=f"Litware {name}")
        for _ in range(20):
            if state in row.inner_text().lower():
                break
            page.wait_for_timeout(500)
            page.goto(f"{LIST}?q=Litware")
        expect(row).to_contain_text(state, ignore_case=True)
    photograph(page, "done")
