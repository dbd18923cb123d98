"""`manage.py up` as its user sees it: a process, a port, a terminal."""

import http.client
import json
import os
import re
import select
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from instances.crypto import sealing
from instances.management.commands.up import DEMO_BODY, DEMO_EMAIL
from tests.support.program import PROJECT, START_SECONDS, STOP_SECONDS, environment_in, start_up


@pytest.fixture
def environment(tmp_path):
    return environment_in(tmp_path)


@pytest.fixture
def up(environment):
    """Start it, and read its output until it is running; returns the process and the output."""
    started = []

    def start(**changes):
        process = start_up(environment | changes, subprocess.PIPE)
        assert process.stdout
        started.append(process)
        return process, read_until(process, "Ctrl-C stops everything.")

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=STOP_SECONDS)


def read_until(process, ending):
    output, deadline = "", time.monotonic() + START_SECONDS
    while ending not in output and time.monotonic() < deadline:
        if select.select([process.stdout], [], [], 0.5)[0]:
            read = os.read(process.stdout.fileno(), 65536).decode()
            if not read:
                break
            output += read
    assert ending in output, output
    return output


def descendants_of(pid):
    children = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return children + [further for child in children for further in descendants_of(child)]


def still_running(pids):
    """The processes that are running; zombies do not count."""
    return [pid for pid in pids if state_of(pid) not in {"", "Z", "X"}]


def state_of(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def get(environment, path, *, port="PORT"):
    web = http.client.HTTPConnection("127.0.0.1", int(environment[port]), timeout=10)
    web.request("GET", path, headers={"Host": f"localhost:{environment['PORT']}"})
    answer = web.getresponse()
    body = answer.read().decode()
    web.close()
    return answer.status, body


def paste(command, environment):
    """Run a printed line, as a user would paste it."""
    pasted = subprocess.run(  # noqa: S602
        command,
        shell=True,
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert pasted.returncode == 0, pasted.stderr
    return pasted


def test_it_serves_the_admin_prints_a_command_that_works_and_leaves_nothing_behind(up, environment):
    process, output = up()
    status, page = get(environment, "/admin/login/")
    assert (status, "<form" in page) == (200, True)
    assert f"http://localhost:{environment['PORT']}/admin/" in output
    assert re.search(r"User name\s+admin\n\s+Password\s+\S{16}\n", output)

    provision, contacts = [line for line in output.splitlines() if "curl" in line]
    assert json.loads(paste(provision, environment).stdout)["valid"] is True
    assert len(json.loads(paste(contacts, environment).stdout)) == 3

    children = descendants_of(process.pid)
    assert len(children) >= 4
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=STOP_SECONDS) == 0
    assert still_running(children) == []


@pytest.mark.slow
def test_the_second_time_no_secret_is_printed_and_sigterm_stops_it_as_well(up, environment):
    first, _ = up()
    first.send_signal(signal.SIGTERM)
    first.wait(timeout=STOP_SECONDS)
    second, output = up()
    assert "Password  " not in output
    assert "Authorization" not in output
    command = next(line for line in output.splitlines() if "provision_instances" in line)
    assert "[1/1] Demo CRM: connected" in paste(command, environment).stdout
    second.send_signal(signal.SIGTERM)
    assert second.wait(timeout=STOP_SECONDS) == 0


def child_with(word, process):
    return next(
        pid
        for pid in descendants_of(process.pid)
        if word in Path(f"/proc/{pid}/cmdline").read_bytes()
    )


def wait_until(is_so, seconds=START_SECONDS):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
def test_a_part_that_dies_is_told_and_restarted(up, environment):
    with socket.create_server(("127.0.0.1", 0)) as free:
        environment["SCHEDULER_HEALTH_PORT"] = str(free.getsockname()[1])
    process, _ = up()
    scheduler = {"environment": environment, "port": "SCHEDULER_HEALTH_PORT"}
    assert get(path="/healthz", **scheduler)[0] == 200
    wait_until(lambda: get(path="/readyz", **scheduler)[0] == 200)
    parts = json.loads(get(path="/readyz", **scheduler)[1])
    assert parts == dict.fromkeys(("database", "scheduler", "worker", "clock"), True)
    assert get(path="/metrics", **scheduler)[0] == 404
    first = child_with(b"db_worker", process)
    os.kill(first, signal.SIGKILL)
    read_until(process, "The worker ended (exit status -9). Restarting it in 1 s.")
    wait_until(lambda: any(b"db_worker" in line for line in command_lines(process)))
    assert get(environment, "/healthz")[0] == 200
    assert child_with(b"db_worker", process) != first


def provision_command(*options):
    """A shell command that provisions the demo instance again."""
    chosen = " ".join(["--user", DEMO_EMAIL, *options])
    body = shlex.quote(json.dumps(DEMO_BODY))
    return f"echo {body} | {sys.executable} manage.py provision_instances - {chosen}"


def command_lines(process):
    return [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in descendants_of(process.pid)]


@pytest.mark.slow
def test_ctrl_c_stops_it_while_a_part_waits_for_its_restart(up):
    process, _ = up()
    children = descendants_of(process.pid)
    for _ in range(2):
        wait_until(lambda: any(b"scheduler" in line for line in command_lines(process)))
        os.kill(child_with(b"scheduler", process), signal.SIGKILL)
        read_until(process, "The scheduler ended (exit status -9). Restarting it in")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=STOP_SECONDS) == 0
    assert still_running(children) == []


@pytest.mark.slow
def test_when_it_is_killed_nothing_of_it_is_left(up, environment):
    process, _ = up()
    children = descendants_of(process.pid)
    assert len(children) >= 4
    process.kill()
    process.wait()
    wait_until(lambda: still_running(children) == [], STOP_SECONDS)
    # The port is free.
    up()


@pytest.mark.slow
def test_a_database_that_somebody_else_has_locked_is_waited_for(up, environment):
    process, _ = up()
    children = set(descendants_of(process.pid))
    database = Path(environment["DATA_DIR"]) / "db.sqlite3"
    with closing(sqlite3.connect(database, isolation_level=None)) as backup:
        backup.execute("BEGIN EXCLUSIVE")
        time.sleep(24)
        backup.execute("COMMIT")
    assert set(descendants_of(process.pid)) == children
    wait_until(lambda: get(environment, "/readyz")[0] == 200)
    provisioned = paste(provision_command("--enqueue"), environment)
    assert "was enqueued" in provisioned.stdout
    listing = f"{sys.executable} manage.py bulk_jobs"
    wait_until(lambda: "finished  1/1 rows, 0 failed" in paste(listing, environment).stdout)


@pytest.mark.slow
def test_a_start_waits_for_a_locked_database_and_ctrl_c_ends_the_waiting(environment, up):
    first, _ = up()
    first.send_signal(signal.SIGTERM)
    first.wait(timeout=STOP_SECONDS)
    database = Path(environment["DATA_DIR"]) / "db.sqlite3"
    with closing(sqlite3.connect(database, isolation_level=None)) as backup:
        backup.execute("BEGIN EXCLUSIVE")
        waiting = start_up(environment, subprocess.PIPE)
        read_until(waiting, "Retrying automatically.")
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(timeout=STOP_SECONDS) == 1
        waiting.communicate()
        patient = start_up(environment, subprocess.PIPE)
        read_until(patient, "Retrying automatically.")
        backup.execute("COMMIT")
    read_until(patient, "Ctrl-C stops everything.")
    patient.terminate()
    patient.communicate(timeout=STOP_SECONDS)


def refused(environment, **changes):
    run = subprocess.run(
        [sys.executable, "manage.py", "up"],
        cwd=PROJECT,
        env=environment | changes,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    return run.stderr


def test_a_port_that_is_taken_is_told_before_anything_is_done(environment):
    with socket.create_server(("127.0.0.1", int(environment["PORT"]))):
        told = refused(environment)
    assert f"Cannot listen on 127.0.0.1, port {environment['PORT']}: Address already in use" in told
    assert not Path(environment["DATA_DIR"]).exists()


@pytest.mark.slow
def test_a_lost_key_stops_no_start_and_the_lines_say_what_to_do(environment, up):
    process, _ = up()
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=STOP_SECONDS)
    environment["ENCRYPTION_KEYS"] = sealing.generate_key()
    _, told = up()
    assert "which is not in ENCRYPTION_KEYS" in told
    assert "manage.py quarantine_unreadable" in told
    assert get(environment, "/admin/login/")[0] == 200


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ENCRYPTION_KEYS": "nonsense"}, "ENCRYPTION_KEYS: entry 1 is not a key"),
        ({"PORT": "70000"}, "Cannot listen on 127.0.0.1, port 70000: the port is out of range"),
        ({"PORT": "http"}, "PORT has an invalid value"),
        ({"DATA_DIR": "/dev/null/var"}, "Cannot create DATA_DIR /dev/null/var: Not a directory"),
        (
            {"DATABASE_URL": "sqlite:////dev/null/db.sqlite3"},
            "The database cannot be used: unable to open database file",
        ),
    ],
)
def test_what_stands_in_the_way_of_a_start_is_told_in_a_sentence(environment, changes, sentence):
    told = refused(environment, **changes)
    assert sentence in told
    assert "s3cret-word" not in told


def test_a_start_waits_for_a_server_that_does_not_answer_and_tells_no_password(environment):
    process = start_up(
        environment | {"DATABASE_URL": "postgres://ada:s3cret-word@127.0.0.1:9/x"}, subprocess.PIPE
    )
    told = read_until(process, "Retrying automatically.")
    assert "The database cannot be used: " in told
    assert "s3cret-word" not in told
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=STOP_SECONDS) == 1
    assert b"Traceback" not in process.communicate()[0]
