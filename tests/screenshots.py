"""Take the README's screenshots: `make screenshots`. Starts the program with its own data.

Writes docs/screenshots/*.png. Needs chromium, as the browser tests do.
"""

import csv
import re
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from instances.catalogue.sandbox import SANDBOX_PASSWORD, SANDBOX_USERNAME
from tests.browser.conftest import (
    CHROMIUM,
    FLAGS,
    MAKE_STAFF,
    STAFF_PASSWORD,
    STAFF_USERNAME,
)
from tests.browser.people import DEMO_USER, TENANT, Operator
from tests.support.program import PROJECT, Program

FOLDER = PROJECT / "docs/screenshots"
DESK: ViewportSize = {"width": 1440, "height": 900}
CUSTOMER: ViewportSize = {"width": 640, "height": 900}
GOOD = (
    "Contoso",
    "Northwind Traders",
    "Adventure Works",
    "Tailspin Toys",
    "Wingtip Toys",
    "Litware",
)
# Accounts whose password was changed at the provider.
BAD = ("Fabrikam", "Proseware")


def main() -> None:
    if CHROMIUM is None:
        sys.exit("No chromium is found; install it, for example: apt-get install chromium")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        Program(Path(folder)) as program,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        _make_data(program, Path(folder))
        _capture_self_service(browser, program)
        _capture_admin(browser, program)
        browser.close()


def _make_data(program: Program, folder: Path) -> None:
    program.manage("shell", "--no-imports", "--command", MAKE_STAFF)
    for names, password in ((GOOD, SANDBOX_PASSWORD), (BAD, "since-changed")):
        path = folder / "instances.csv"
        with path.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["name", "tags", "user.username", "user.password", "dynamics.tenant"])
            rows.writerows(
                [[name, "customers", SANDBOX_USERNAME, password, TENANT] for name in names]
            )
        # The second file exits with status 1: some failed.
        program.run(
            "provision_instances", str(path), "--user", DEMO_USER, "--element", "dynamicscrmadfs"
        )


def _capture_self_service(browser: Browser, program: Program) -> None:
    page = browser.new_page(base_url=program.url, viewport=DESK)
    page.goto("/connect/")
    page.get_by_label("Username").fill(STAFF_USERNAME)
    page.get_by_label("Password").fill(STAFF_PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    _save(page, "connect")
    page.goto("/connect/catalogue/dynamicscrmadfs/?way=oauth2")
    page.get_by_label("Name").fill("Alpine Ski House")
    page.get_by_label(re.compile("Dynamics CRM URL")).fill(TENANT)
    page.get_by_role("button", name="Send a link to someone else").click()
    page.get_by_label("Note").fill(
        "So that the spring report shows your sales figures. Questions? Call Mina."
    )
    page.get_by_role("button", name="Create link").click()
    customer = browser.new_page(base_url=program.url, viewport=CUSTOMER)
    customer.goto(page.get_by_role("region", name="Link", exact=True).inner_text().strip())
    _save(customer, "authorize")


def _capture_admin(browser: Browser, program: Program) -> None:
    operator = Operator(browser.new_page(base_url=program.url, viewport=DESK))
    operator.sign_in("admin", program.password)
    _save(operator.page, "console")


def _save(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=FOLDER / f"{name}.png")


if __name__ == "__main__":
    main()
