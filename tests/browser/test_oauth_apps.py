"""What a change of an OAuth app affects, and a roll-over of its secret, in a real browser."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.axe import complaints_of_axe

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MAKE_APPS = """
from instances.models import Element, OAuthApp, Organization, OrganizationUser
from instances.provisioning.access.organizations import generate_organization_secret, generate_user_secret
from instances.provisioning.create import create_draft
previewed = Organization(name="Previewed", secret=generate_organization_secret())
previewed.save()
user = OrganizationUser(organization=previewed, email="owner@previewed.example", secret=generate_user_secret())
user.save()
element = Element.objects.get(key="dynamicscrmadfs")
for name in ("Old secret", "New secret"):
    app = OAuthApp(
        organization=previewed, element=element, name=name, client_id="the-client", client_secret=name,
        is_default=name == "Old secret",
    )
    app.save()
for name in ("Preview 1", "Preview 2"):
    create_draft(
        user, element, actor="test", name=name, authentication_type="oauth2", is_incomplete=True,
        configuration={"dynamics.tenant": "acme.crm.dynamics.com"},
    )
print(*OAuthApp.objects.filter(organization=previewed).order_by("pk").values_list("pk", flat=True))
"""

DELETE_APPS = """
from instances.models import Organization
previewed = Organization.objects.get(name="Previewed")
for user in previewed.users.all():
    user.instances.all().delete()
previewed.oauth_apps.all().delete()
previewed.users.all().delete()
previewed.delete()
"""


@pytest.fixture
def apps(program):
    """The addresses of two apps; the first one has two instances."""
    made = program.manage("shell", "--no-imports", "--command", MAKE_APPS)
    yield [f"/admin/instances/oauthapp/{pk}/change/" for pk in made.split()[-2:]]
    program.manage("shell", "--no-imports", "--command", DELETE_APPS)


def test_the_effects_of_a_change_are_seen_before_a_secret_is_rolled_over(
    operator, apps, photograph
):
    page, (old, new) = operator.page, apps
    page.goto(old)
    effects = page.get_by_role("table", name="What a change affects")
    secret = effects.get_by_role("row").filter(has_text="The next token request sends the new")
    expect(secret.get_by_role("cell").nth(1)).to_have_text(re.compile(r"^\s*2\s*$"))
    photograph(page, "effects")
    assert complaints_of_axe(page) == []
    operator.press("Show the instances")
    rows = page.locator("#result_list tbody")
    expect(rows.get_by_role("link", name="Preview 1")).to_be_visible()
    expect(rows.get_by_role("link", name="Preview 2")).to_be_visible()
    photograph(page, "instances")

    page.goto(new)
    expect(secret.get_by_role("cell").nth(1)).to_have_text(re.compile(r"^\s*0\s*$"))
    page.get_by_label("How many").fill("1")
    operator.press("Move")
    expect(page.get_by_text("1 instance was moved.")).to_be_visible()
    expect(secret.get_by_role("cell").nth(1)).to_have_text(re.compile(r"^\s*1\s*$"))
    expect(page.get_by_label("How many")).to_have_value("1")
    photograph(page, "moved")
    assert complaints_of_axe(page) == []
