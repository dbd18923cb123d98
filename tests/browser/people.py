"""What people do in the browser tests, by the texts that they see on the pages."""

import re
from dataclasses import dataclass

from playwright.sync_api import Locator, Page, expect

from instances.catalogue.sandbox import SANDBOX_PASSWORD, SANDBOX_USERNAME

DEMO_USER = "demo@example.com"
DYNAMICS = "Microsoft Dynamics CRM (dynamicscrmadfs)"
TENANT = "yourcompanyname.crm.dynamics.com"
MAX_TABS = 60


@dataclass(frozen=True)
class Operator:
    """Someone who uses the admin."""

    page: Page

    def sign_in(self, username: str, password: str) -> None:
        self.page.goto("/admin/")
        self.fill("Username", username)
        self.fill("Password", password)
        self.page.get_by_role("button", name="Sign in").click()
        first_page = re.compile("Overview|Set up your first connection")
        expect(self.page.get_by_role("heading", level=1, name=first_page)).to_be_visible()

    def fill(self, label: str, value: str) -> None:
        # The label of a required field says so: with an asterisk in the theme's own forms.
        label_pattern = rf"^\s*{re.escape(label)}\W*(\(required\)\s*)?$"
        self.page.get_by_label(re.compile(label_pattern)).fill(value)

    def press(self, name: str) -> None:
        """Click a button, or a link that looks like one."""
        button = self.page.get_by_role("button", name=name, exact=True)
        button.or_(self.page.get_by_role("link", name=name, exact=True)).click()

    def press_in_menu(self, name: str) -> None:
        """Open the menu of further actions, and choose one."""
        self.page.locator("summary[aria-label='More actions']").click()
        self.press(name)

    def choose_dynamics(self) -> None:
        """Take the first step of adding an instance: choose the owner and the element."""
        self.page.goto("/admin/instances/instance/add/")
        self.find("Organization user", DEMO_USER)
        self.find("Element", DYNAMICS)
        self.press("Next")
        expect(
            self.page.get_by_role("heading", name="Connect Microsoft Dynamics CRM")
        ).to_be_visible()
        self.press("Custom")

    def find(self, label: str, text: str) -> None:
        """Search in a field and choose the result."""
        self.page.locator(".im-field", has_text=label).get_by_role("combobox").first.click()
        self.page.get_by_role("searchbox").fill(text.split()[0])
        self.page.get_by_role("option", name=text).click()

    def fill_in_account(self, name: str, *, password: str = SANDBOX_PASSWORD) -> None:
        """Take the second step, with username and password."""
        self.fill("Name", name)
        self.page.get_by_text("Advanced settings").click()
        self.fill("Tags", "demo, journey")
        self.fill("User Name", SANDBOX_USERNAME)
        self.fill("User password", password)
        self.fill("Dynamics CRM URL", TENANT)

    def choose_oauth(self, name: str) -> None:
        """Take the second step, with OAuth; ends at the provider."""
        self.press("OAuth 2.0")
        self.fill("Name", name)
        self.fill("Dynamics CRM URL", TENANT)
        self.press("Continue to Microsoft Dynamics CRM")

    def expect_status(self, status: str) -> None:
        """Expect the status of the instance whose page is open."""
        expect(self.page.locator(".im-pill")).to_have_text(re.compile(rf"^\s*{status}\s*$"))

    @property
    def timeline(self) -> Locator:
        return self.page.get_by_role("region", name="Timeline")

    @property
    def events(self) -> Locator:
        """The lines of the timeline, without its days."""
        return self.timeline.locator("li:not(.im-day)")

    @property
    def instance_id(self) -> int:
        """Return the ID of the instance whose page is open."""
        found = re.search(r"/instance/(\d+)/change/", self.page.url)
        assert found, self.page.url
        return int(found[1])


def sign_in_at_sandbox(page: Page) -> None:
    """Sign in as the account owner, who is asked for consent next."""
    page.get_by_label("User name").fill(SANDBOX_USERNAME)
    page.get_by_label("Password").fill(SANDBOX_PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Allow access?")).to_be_visible()


def decide(page: Page, decision: str) -> None:
    """Click Allow or Deny."""
    page.get_by_role("button", name=decision, exact=True).click()


def press_enter(page: Page) -> None:
    with page.expect_navigation():
        page.keyboard.press("Enter")


def tab_to(page: Page, name: str | re.Pattern[str]) -> None:
    """Press Tab until the focus is on the control with this label, title or text."""
    for _ in range(MAX_TABS):
        page.keyboard.press("Tab")
        label = page.evaluate(
            """() => {
              const focused = document.activeElement
              return (focused.labels?.[0] ?? focused.querySelector("strong") ?? focused).innerText
                     || focused.ariaLabel || ""
            }"""
        ).strip()
        if name.search(label) if isinstance(name, re.Pattern) else label == name:
            return
    raise AssertionError(f"{name} was not reached with {MAX_TABS} tabs on {page.url}")
