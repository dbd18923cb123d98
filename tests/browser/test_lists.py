"""A list of the admin by keyboard alone: filters are added and removed, and rows are selected for an action."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.people import press_enter, tab_to

# Slow: these walk through many pages.
pytestmark = [pytest.mark.browser, pytest.mark.slow]

LIST = "/admin/instances/instance/"


@pytest.fixture
def drafts(operator):
    for name in ("Keyboard one", "Keyboard two"):
        operator.choose_dynamics()
        operator.fill_in_account(name)
        operator.press("Save as draft")


@pytest.mark.usefixtures("drafts")
def test_filters_are_added_and_removed_one_by_one(operator, photograph):
    page = operator.page
    page.goto(f"{LIST}?q=Keyboard&status=waiting")
    tab_to(page, "Quick filter")
    page.keyboard.press("Enter")
    tab_to(page, "Never checked")
    press_enter(page)
    chips = page.locator(".im-chip-on")
    expect(chips).to_have_text([re.compile(text) for text in ("Search", "Status", "Quick filter")])
    photograph(page, "filtered")
    tab_to(page, "Remove the filter status: waiting")
    press_enter(page)
    expect(chips).to_have_text([re.compile(text) for text in ("Search", "Quick filter")])


@pytest.mark.usefixtures("drafts")
def test_rows_are_selected_for_an_action(operator, photograph):
    page = operator.page
    page.goto(f"{LIST}?q=Keyboard&status=waiting")
    boxes = page.locator("#result_list tbody input")
    expect(page.locator(".im-bulk")).to_be_hidden()
    page.locator("[data-pick-page]").focus()
    page.keyboard.press("Space")
    expect(boxes.first).to_be_checked()
    expect(page.get_by_text(re.compile(r"\d+ selected, the whole page"))).to_be_visible()
    # Enter on a tick box runs nothing.
    boxes.first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Instances", level=1)).to_be_visible()
    photograph(page, "selected")
    page.get_by_role("button", name="Clear").press("Enter")
    expect(page.locator(".im-bulk")).to_be_hidden()
    boxes.last.focus()
    page.keyboard.press("Space")
    expect(page.get_by_text("1 selected")).to_be_visible()
    page.locator(".im-bulk summary").press("Enter")
    page.get_by_role("button", name="Delete").press("Enter")
    expect(page.get_by_role("heading", name="Delete", level=1)).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="Keyboard")).to_have_count(1)
