"""axe-core, which reads a page as WCAG 2.2 AA asks for."""

from pathlib import Path

from playwright.sync_api import Page

AXE = (Path(__file__).parent / "axe.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def complaints_of_axe(page: Page) -> list[tuple[str, list[str]]]:
    """Each broken rule with the parts of the page that break it."""
    # Through the debugger, which the page's content security policy does not concern.
    page.evaluate(AXE)
    found = page.evaluate(
        "rules => axe.run({runOnly: rules}).then(result => result.violations)", RULES
    )
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]
