"""PostgreSQL is stopped and started while the program is running: every process survives and continues."""

import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.commands.test_up import (
    descendants_of,
    get,
    paste,
    provision_command,
    read_until,
    still_running,
    wait_until,
)
from tests.support.program import STOP_SECONDS, environment_in, start_up

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.xdist_group("services")]

AWAY_SECONDS = 8
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


class Cluster:
    """A PostgreSQL server of this test only, which it may stop."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self._folder = folder / "cluster"
        self._programs = programs
        with socket.create_server(("127.0.0.1", 0)) as server:
            self._port = server.getsockname()[1]
        self.url = f"postgres://postgres@127.0.0.1:{self._port}/postgres"
        self._run("initdb", "-D", str(self._folder), "-U", "postgres", "-A", "trust", "-N")

    def start(self) -> None:
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -k {self._folder} -c fsync=off"
        self._control("-w", "-l", f"{self._folder}/log", "-o", options, "start")

    def stop(self) -> None:
        self._control("-w", "-m", "immediate", "stop")

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self._folder), *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root.
            command = ["su", "postgres", "-c", shlex.join(command)]
        subprocess.run(  # noqa: S603  programs of this machine, no shell of ours
            command, check=True, timeout=60, stdout=subprocess.DEVNULL, cwd="/"
        )


@pytest.fixture
def cluster():
    if not PROGRAMS:
        pytest.skip("No PostgreSQL is installed on this machine.")
    folder = Path(tempfile.mkdtemp())
    if os.geteuid() == 0:
        postgres = pwd.getpwnam("postgres")
        os.chown(folder, postgres.pw_uid, postgres.pw_gid)
    cluster = Cluster(folder, PROGRAMS[-1])
    cluster.start()
    yield cluster
    # It may already be stopped.
    with suppress(subprocess.CalledProcessError):
        cluster.stop()
    shutil.rmtree(folder)


@pytest.fixture
def environment(tmp_path, cluster):
    return environment_in(tmp_path) | {"DATABASE_URL": cluster.url}


@pytest.fixture
def start(environment):
    started = []

    def start():
        process = start_up(environment, subprocess.PIPE)
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=2 * STOP_SECONDS)


def test_every_part_goes_on_after_the_database_was_away(start, cluster, environment):
    process = start()
    read_until(process, "Ctrl-C stops everything.")
    wait_until(lambda: get(environment, "/readyz")[0] == 200)
    children = descendants_of(process.pid)
    cluster.stop()
    time.sleep(AWAY_SECONDS)
    assert get(environment, "/healthz")[0] == 200
    assert get(environment, "/readyz")[0] == 503
    assert still_running(children) == children
    cluster.start()
    wait_until(lambda: get(environment, "/readyz")[0] == 200)
    assert "was enqueued" in paste(provision_command("--enqueue"), environment).stdout
    listing = f"{sys.executable} manage.py bulk_jobs"
    wait_until(lambda: "finished  1/1 rows, 0 failed" in paste(listing, environment).stdout)
    assert still_running(children) == children


def test_a_start_waits_until_the_database_is_there(start, cluster):
    cluster.stop()
    process = start()
    told = read_until(process, "Retrying automatically.")
    assert "The database cannot be used: " in told
    cluster.start()
    read_until(process, "Ctrl-C stops everything.")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=2 * STOP_SECONDS) == 0
