"""Offboarding a user: from the user to their connections, which go to a colleague in a few clicks."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.axe import complaints_of_axe
from tests.browser.conftest import in_every_look
from tests.browser.people import Operator

# Slow: these walk through many pages.
pytestmark = [pytest.mark.browser, pytest.mark.slow]

LEAVER = "leaver@example.com"
MAKE_LEAVER = """
from django.contrib.auth.models import User
from instances.models import Element, OrganizationUser
from instances.provisioning.create import create_draft
from instances.provisioning.access.organizations import create_account
leaver, _ = User.objects.get_or_create(username="leaver")
owner = create_account("Leaving", "leaver@example.com").user
create_account("Leaving", "colleague@example.com")
OrganizationUser.objects.filter(pk=owner.pk).update(user=leaver)
for name in ("Contoso", "Northwind"):
    create_draft(owner, Element.objects.get(key="freshdeskv2"), actor="leaver", name=name, is_incomplete=True)
"""


@in_every_look
def test_connections_of_a_user_who_leaves_are_found_and_handed_over(
    open_browser, program, password, photograph, viewport, color_scheme
):
    program.manage("shell", "--no-imports", "--command", MAKE_LEAVER)
    page = open_browser(viewport=viewport, color_scheme=color_scheme)
    operator = Operator(page)
    operator.sign_in("admin", password)
    page.goto("/admin/auth/user/?q=leaver")
    page.locator("#result_list tbody th a").click()
    operator.press("View connections")
    look(page, photograph, "connections", viewport)
    operator.press("Hand over")
    expect(page.get_by_role("checkbox", name=re.compile("Contoso"))).to_be_checked()
    page.get_by_label("Hand over to").select_option(label="colleague@example.com (Leaving)")
    operator.fill("Reason", "She left")
    look(page, photograph, "hand-over", viewport)
    operator.press("Hand over")
    expect(page.get_by_text("2 connections now belong to colleague@example.com")).to_be_visible()
    expect(page.get_by_text("There are no connections to hand over.")).to_be_visible()
    photograph(page, "handed-over")


def look(page, photograph, name, viewport):
    photograph(page, name)
    assert complaints_of_axe(page) == [], name
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], name
