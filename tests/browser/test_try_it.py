"""From nothing to records: provision an instance of the sandbox's CRM, try it, and see rows."""

import pytest
from playwright.sync_api import expect

from tests.browser.axe import complaints_of_axe

pytestmark = pytest.mark.browser

WIDTHS = (1440, 360)


def test_a_new_instance_shows_its_records(operator, photograph):
    page = operator.page
    operator.choose_dynamics()
    operator.fill_in_account("Contoso CRM")
    operator.press("Connect")
    expect(page.get_by_role("heading", name="Contoso CRM")).to_be_visible()
    instance = page.url

    page.get_by_role("link", name="Try it").click()
    operator.fill("Where", "lastname = 'de Wit'")
    page.get_by_label("Resource").select_option("contacts")
    page.get_by_role("button", name="Run").click()
    rows = page.get_by_role("table", name="Rows").get_by_role("row")
    expect(rows).to_have_count(6)
    expect(rows.nth(1)).to_contain_text("de Wit")
    first = rows.nth(1).inner_text()
    expect(page.get_by_role("status").last).to_contain_text("5 rows in")
    expect(page.get_by_role("region", name="Command")).to_contain_text("$ELEMENT_TOKEN")
    look(page, photograph, "rows")

    page.get_by_role("button", name="Next rows").click()
    expect(rows.nth(1)).not_to_contain_text(first)
    expect(rows.nth(1)).to_contain_text("de Wit")

    operator.fill("Where", "lastname =")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("alert")).to_contain_text("Error parsing query")

    page.goto(instance)
    expect(page.get_by_role("heading", name="Calls", exact=True)).to_be_visible()
    look(page, photograph, "calls")


def look(page, photograph, name):
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        photograph(page, f"{name}-{width}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
        assert complaints_of_axe(page) == [], (name, width)
    page.set_viewport_size({"width": WIDTHS[0], "height": 900})
