"""A bulk job from upload to results, in a browser."""

import csv
import re

import pytest
from playwright.sync_api import expect

from instances.catalogue.sandbox import SANDBOX_PASSWORD, SANDBOX_USERNAME
from tests.browser.people import DEMO_USER, TENANT

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# With the slow sandbox, these take a minute, which leaves time to click Pause.
ROWS = 400
PATIENCE_MS = 60_000


@pytest.fixture
def be_slow(program):
    """Delay every response of the sandbox by so many seconds, until the test ends."""

    def be_slow(seconds):
        flip = "from instances.sandbox.behaviour import Switch, flip; "
        program.manage("shell", "-c", f"{flip}flip(Switch.SLOW, delay_seconds={seconds})")

    yield be_slow
    be_slow(0)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "accounts.csv"
    columns = ["name", "element", "user.username", "user.password", "dynamics.tenant"]
    account = ["dynamicscrmadfs", SANDBOX_USERNAME, SANDBOX_PASSWORD, TENANT]
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows([f"Account {number}", *account] for number in range(ROWS - 1))
        writer.writerow(["Account 7", *account])
    return path


def expect_status(page, status):
    expect(page.locator(".im-pill")).to_have_text(status, timeout=PATIENCE_MS)


def press_twice(page, name):
    """Click twice before the response arrives; returns the status that the page shows meanwhile."""
    button = page.get_by_role("button", name=name)
    return button.evaluate(
        """async (button) => {
             button.click(); button.click()
             await new Promise((resolve) => setTimeout(resolve))
             return document.querySelector("[role=status].im-working").textContent
           }"""
    )


def test_a_file_is_uploaded_checked_run_paused_and_resumed(operator, file, photograph, be_slow):
    page = operator.page
    page.goto("/admin/instances/bulkjob/add/")
    photograph(page, "upload")
    operator.find("Organization user", DEMO_USER)
    page.get_by_label(re.compile(r"^\s*File\W*$")).set_input_files(file)
    assert press_twice(page, "Upload and check") == "Uploading the file …"
    problems = page.get_by_text("The dry run found problems in 1 row.")
    expect(problems).to_be_visible(timeout=PATIENCE_MS)
    photograph(page, "dry-run")
    page.goto("/admin/instances/bulkjob/")
    jobs = page.get_by_role("row").filter(has_text=file.name)
    expect(jobs).to_have_count(1)
    jobs.get_by_role("link").click()
    page.get_by_role("link", name="Show these rows").click()
    expect(
        page.get_by_text("Duplicate: row 9 of this file has the same name and element.")
    ).to_be_visible()

    operator.press("Create duplicates too")
    operator.press("Create duplicates too")
    expect(page.get_by_text("The dry run found no problems.")).to_be_visible(timeout=PATIENCE_MS)

    be_slow(1)
    operator.press("Start")
    operator.press("Start")
    expect_status(page, "Running")
    progress = page.get_by_text(re.compile(rf"[1-9]\d* of {ROWS} rows done"))
    expect(progress).to_be_visible(timeout=PATIENCE_MS)
    photograph(page, "running")
    operator.press("Pause")
    operator.press("Pause")
    expect_status(page, "Paused")
    photograph(page, "paused")
    be_slow(0)
    operator.press("Resume")
    operator.press("Resume")

    done = page.get_by_text(f"{ROWS} of {ROWS} rows connected")
    expect(done).to_be_visible(timeout=PATIENCE_MS)
    expect_status(page, "Finished")
    photograph(page, "finished")
    with page.expect_download() as download:
        operator.press("Download results")
    with open(download.value.path(), newline="") as stream:  # noqa: PTH123  any file of the browser's
        assert {line["outcome"] for line in csv.DictReader(stream)} == {"succeeded"}
    assert SANDBOX_PASSWORD not in page.content()
    # A download does not change the page, so it can be repeated.
    operator.press("Download with Element tokens")
    for _ in range(2):
        with page.expect_download():
            operator.press("Download with Element tokens")
