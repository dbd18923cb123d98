"""Ctrl-C for bulk commands in real processes: they exit at once, and the job can be resumed."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from tests.services.far import Installation
from tests.support.server import PROJECT

pytestmark = pytest.mark.slow

ENDS_WITHIN_SECONDS = 5
INTERRUPTS = 12
ROWS = 2500
START_SECONDS = 30


@pytest.fixture
def installation(tmp_path, provider):
    installation = Installation(
        tmp_path,
        database_url="",
        broker_url="",
        is_hurried=False,
        PROVIDER_ALLOWED_PRIVATE_HOSTS=provider.netloc,
        LOG_LEVEL="WARNING",
    )
    installation.connect(provider.url)
    yield installation
    installation.remove()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rows.csv"
    rows = [f"Row {number},stripe,k3y-{number}" for number in range(ROWS)]
    path.write_text("\n".join(["name,element,api.key", *rows]))
    return path


class Command:
    """A command that has started to print its rows."""

    def __init__(self, installation, *arguments):
        self._log = installation.program._log
        self._log.touch()
        before = len(self._log.read_text())
        self._process = installation.begin("manage.py", *arguments)
        deadline = time.monotonic() + START_SECONDS
        while "[" not in self._log.read_text()[before:]:
            assert self._process.poll() is None, self._log.read_text()[before:]
            assert time.monotonic() < deadline, self._log.read_text()[before:]
            time.sleep(0.01)

    def interrupt(self, number=signal.SIGINT):
        """Its exit status, if it exits in time."""
        os.killpg(self._process.pid, number)
        return self._process.wait(timeout=ENDS_WITHIN_SECONDS)


def test_wherever_ctrl_c_falls_the_command_ends_and_another_goes_on_with_the_job(
    installation, provider, file
):
    dice = random.Random(7)  # noqa: S311  not for secrecy
    answer, answered_before = provider.answer, 0

    def slow_answer(request):
        # However busy the machine is, no run comes near its last row before it is interrupted.
        has_done_its_share = len(provider.instances) - answered_before > ROWS / (2 * INTERRUPTS)
        time.sleep(2 if has_done_its_share else 0.05)
        return answer(request)

    provider.answer = slow_answer
    command = ["provision_instances", str(file), "--user", "ada@example.com", "--concurrency", "32"]
    for number in range(INTERRUPTS):
        answered_before = len(provider.instances)
        running = Command(installation, *command)
        time.sleep(dice.uniform(0, 0.4))
        assert running.interrupt() == 1, installation.program.log
        assert installation.query("SELECT state FROM instances_bulkjob") == [("paused",)], number
        held = installation.query(
            "SELECT COUNT(*) FROM instances_bulkrow WHERE outcome = 'running' OR holder IS NOT NULL"
        )
        assert held == [(0,)], number
        command = ["resume_bulk_job", "--latest"]
    provider.answer = answer
    assert f"{ROWS} of {ROWS} provisioned." in installation.program.manage(*command)
    names = Counter(one["name"] for one in provider.instances.values())
    assert names == Counter(f"Row {number}" for number in range(ROWS))
    assert "Traceback" not in installation.program.log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_provider_that_does_not_answer_keeps_no_command_from_ending(
    installation, provider, file, number
):
    answer, hung = provider.answer, []

    def hanging_answer(request):
        if len(provider.instances) < 4:
            return answer(request)
        hung.append(request)
        time.sleep(ENDS_WITHIN_SECONDS + 1)
        return answer(request)

    provider.answer = hanging_answer
    options = ["--user", "ada@example.com", "--concurrency", "4"]
    running = Command(installation, "provision_instances", str(file), *options)
    while not hung:
        time.sleep(0.01)
    assert running.interrupt(number) == 1
    assert installation.query("SELECT state FROM instances_bulkjob") == [("paused",)]
    assert installation.query(
        "SELECT COUNT(*) FROM instances_bulkrow WHERE outcome = 'running'"
    ) == [(0,)]
    assert "To resume it, run: manage.py resume_bulk_job" in installation.program.log


def test_ctrl_c_while_a_pipe_is_read_keeps_nothing(installation):
    command = [sys.executable, "manage.py", "provision_instances", "-", "--user", "ada@example.com"]
    program = installation.program
    with program._log.open("a") as log:
        process = subprocess.Popen(  # noqa: S603  our own program, no shell
            command,
            cwd=PROJECT,
            env=program._environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
        )
    process.stdin.write(b"name,element,api.key\nOne,stripe,k\n")
    process.stdin.flush()
    deadline = time.monotonic() + START_SECONDS
    while not installation.query("SELECT id FROM instances_bulkjob"):
        assert time.monotonic() < deadline, program.log
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=ENDS_WITHIN_SECONDS) == 1
    process.stdin.close()
    assert "Nothing was saved" in program.log
    assert installation.query("SELECT id FROM instances_bulkjob") == []
