"""The program as `make run` starts it, and a real browser.

Every page is watched. An error in its console (such as a violation of the content security policy), a part that cannot
be loaded, or a request to another origin fails the test.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)

from tests.browser.people import DEMO_USER, Operator
from tests.support.program import PROJECT, Program

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
RESULTS = PROJECT / "test-results"
WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
PATIENCE_MS = 8_000
# One look, and the others in the slow half of the suite.
in_every_look = pytest.mark.parametrize(
    ("viewport", "color_scheme"),
    [
        pytest.param(WIDE, "light", id="desk-light"),
        pytest.param(PHONE, "dark", id="phone-dark", marks=pytest.mark.slow),
        pytest.param(WIDE, "dark", id="desk-dark", marks=pytest.mark.slow),
        pytest.param(PHONE, "light", id="phone-light", marks=pytest.mark.slow),
    ],
)
STAFF_USERNAME = "mina"
STAFF_PASSWORD = "quiet-river-stone"
MAKE_STAFF = f"""
from django.contrib.auth.models import Group, User
from instances.models import OrganizationUser
account, is_new = User.objects.get_or_create(username="{STAFF_USERNAME}", first_name="Mina", last_name="Harker")
account.set_password("{STAFF_PASSWORD}")
account.save()
account.groups.add(Group.objects.get(name="staff"))
OrganizationUser.objects.filter(email="{DEMO_USER}").update(user=account)
"""


@dataclass
class Watch:
    """Complaints of browsers, and their requests to other origins."""

    url: str
    complaints: list[str] = field(default_factory=list)

    def over(self, context: BrowserContext) -> None:
        context.on("request", self._see_request)
        context.on("response", self._see_response)
        context.on("console", self._see_console)
        context.on("weberror", lambda error: self.complaints.append(f"script: {error.error}"))

    def _see_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.url}/", "data:", "blob:")):
            self.complaints.append(f"left the program: {request.url}")

    def _see_response(self, response: Response) -> None:
        # Each test judges the status of its pages.
        if response.status >= 400 and not response.request.is_navigation_request():
            self.complaints.append(f"{response.status}: {response.url}")

    def _see_console(self, message: ConsoleMessage) -> None:
        is_status = message.text.startswith("Failed to load resource")
        if message.type in {"error", "warning"} and not is_status:
            self.complaints.append(f"console: {message.text}")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One process runs them all, so that the program and the browser are started once."""
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="package")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with Program(tmp_path_factory.mktemp("program")) as program:
        yield program


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("No chromium is found; install it, for example: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_browser(
    chromium: Browser, program: Program, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Page]]:
    """Open a browser without cookies: open_browser(viewport=PHONE, color_scheme="dark")."""
    watch = Watch(program.url)
    contexts: list[BrowserContext] = []

    def open_browser(**options: Any) -> Page:
        context = chromium.new_context(
            base_url=program.url, **{"viewport": WIDE, "reduced_motion": "reduce"} | options
        )
        context.set_default_timeout(PATIENCE_MS)
        watch.over(context)
        contexts.append(context)
        return context.new_page()

    yield open_browser
    for context in contexts:
        context.close()
    assert watch.complaints == []


@pytest.fixture
def photograph(request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """Save a screenshot of a whole page in test-results/, numbered by the test's steps."""
    folder = RESULTS / re.sub(r"\W+", "-", request.node.name).strip("-")
    shutil.rmtree(folder, ignore_errors=True)
    taken: list[Path] = []

    def photograph(page: Page, step: str) -> None:
        taken.append(folder / f"{len(taken) + 1:02d}-{step}.png")
        page.screenshot(path=taken[-1], full_page=True)

    return photograph


@pytest.fixture
def password(program: Program) -> str:
    return program.password


@pytest.fixture
def operator(open_browser: Callable[..., Page], password: str) -> Operator:
    """The administrator, signed in on a desktop."""
    operator = Operator(open_browser())
    operator.sign_in("admin", password)
    return operator


@pytest.fixture(scope="package")
def staff_account(program: Program) -> None:
    """Create Mina, who may connect accounts for the demo organization's user."""
    program.manage("shell", "--no-imports", "--command", MAKE_STAFF)


@pytest.fixture
def open_as_staff(open_browser: Callable[..., Page], staff_account: None) -> Callable[..., Page]:
    """Open Mina's browser, signed in."""

    def open_as_staff(**options: Any) -> Page:
        page = open_browser(**options)
        page.goto("/connect/")
        page.get_by_label("Username").fill(STAFF_USERNAME)
        page.get_by_label("Password").fill(STAFF_PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="My connections")).to_be_visible()
        return page

    return open_as_staff
