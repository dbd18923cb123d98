"""The first Tab of a page in the admin reaches the link that skips the sidebar."""

import pytest

pytestmark = pytest.mark.browser


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/admin/", "/admin/instances/organization/"])
def test_the_first_tab_skips_the_sidebar(operator, path):
    page = operator.page
    page.goto(path)

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")

    assert page.evaluate("document.getElementById('content').contains(document.activeElement)")
