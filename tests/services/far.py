"""An installation with its own database and broker, workers that can be killed, and a separate remote platform."""

import json
import os
import select
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from kombu.connection import Connection

from tests.support.provider import ORGANIZATION_SECRET, USER_SECRET
from tests.support.server import PROJECT, Server

HEAR_SECONDS = 30
HURRIED = ("-m", "tests.services.hurried")
SCHEDULER = ("manage.py", "scheduler")
DATABASE_WORKER = ("manage.py", "db_worker", "--interval", "0.2", "--no-startup-delay")
CELERY_WORKER = ("celery", "-A", "config", "worker", "--concurrency", "1")


class FarPlatform:
    """A running tests.services.faulty_platform."""

    def __init__(self, delay_seconds: float) -> None:
        self._process = subprocess.Popen(  # noqa: S603  our own program, no shell
            [sys.executable, "-m", "tests.services.faulty_platform", str(delay_seconds)],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.netloc: str = self._hear()

    def look(self) -> dict[str, Any]:
        """Its contents. held: names of its instances by id. faults: how often each fault occurred."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return dict(self._hear())

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _hear(self) -> Any:
        assert self._process.stdout
        assert select.select([self._process.stdout], [], [], HEAR_SECONDS)[0], "It says nothing."
        return json.loads(self._process.stdout.readline())


class Installation:
    """One database, one queue, and the processes that use them."""

    def __init__(
        self, folder: Path, *, database_url: str, broker_url: str, is_hurried: bool, **others: str
    ) -> None:
        self._folder = folder
        self._is_hurried = is_hurried
        self.broker_url = broker_url
        self.queue = f"test-{uuid4()}"
        self.bulk_queue = f"{self.queue}.bulk"
        self._server_url, self._database = "", ""
        if database_url:
            self._server_url, self._database = database_url, f"test_{uuid4().hex}"
            self._at_server(f'CREATE DATABASE "{self._database}"')
        celery = {
            "TASKS_BACKEND": "celery",
            "CELERY_BROKER_URL": broker_url,
            "CELERY_QUEUE": self.queue,
        }
        self.program = Server(
            folder,
            DATABASE_URL=self._own_database_url(),
            **(celery if broker_url else {}),
            **others,
        )
        self._processes: list[subprocess.Popen[bytes]] = []
        self.program.manage("migrate", "-v", "0")
        self.program.manage("sync_elements")

    def connect(self, platform_url: str) -> None:
        """Create an organization that uses this platform, with the user ada@example.com."""
        user = ["--organization", "Far", "--user", "ada@example.com"]
        secrets = ["--organization-secret", ORGANIZATION_SECRET, "--user-secret", USER_SECRET]
        self.program.manage("create_account", *user, "--platform-url", platform_url, *secrets)

    def begin(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        if self._is_hurried:
            command = (*HURRIED, *command)
        elif command[0] == "celery":
            command = ("-m", *command)
        process = self.program.begin_python(*command, **environment)
        self._processes.append(process)
        return process

    def begin_worker(self, **environment: str) -> subprocess.Popen[bytes]:
        # RabbitMQ locks a node's name until it has noticed that the worker before was killed.
        celery_worker = (*CELERY_WORKER, "--hostname", f"{uuid4().hex}@%h")
        command = celery_worker if self.broker_url else DATABASE_WORKER
        return self.begin(*command, **environment)

    def keep_workers(self, workers: list[subprocess.Popen[bytes]]) -> None:
        """Restart processes that have exited, as a process supervisor would."""
        for number, worker in enumerate(workers):
            if worker.poll() is not None:
                workers[number] = self.begin_worker()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        if not self._server_url:
            with closing(sqlite3.connect(self.program.database, timeout=20)) as database:
                return list(database.execute(sql))
        with psycopg.connect(self._own_database_url()) as database:
            return list(database.execute(sql))

    def run_out_leases(self) -> None:
        """Simulate that minutes have passed: the work of killed processes is free again."""
        sql = "UPDATE instances_bulkrow SET due_at = '2020-01-01' WHERE outcome = 'running'"
        if self._server_url:
            with psycopg.connect(self._own_database_url()) as server:
                server.execute(sql)
        else:
            with closing(sqlite3.connect(self.program.database, timeout=20)) as file, file:
                file.execute(sql)

    def remove(self) -> None:
        for process in self._processes:
            kill(process)
        if self._server_url:
            self._at_server(f'DROP DATABASE "{self._database}" WITH (FORCE)')
        if self.broker_url:
            with Connection(self.broker_url) as broker:
                for queue in (self.queue, self.bulk_queue):
                    broker.default_channel.queue_delete(queue)

    def _own_database_url(self) -> str:
        if not self._server_url:
            return f"sqlite:///{self._folder}/db.sqlite3"
        return f"{self._server_url.rpartition('/')[0]}/{self._database}"

    def _at_server(self, sql: str) -> None:
        with psycopg.connect(self._server_url, autocommit=True) as server:
            server.execute(sql)


def freeze(process: subprocess.Popen[bytes]) -> None:
    """Stop it and its children, as if the machine were suspended."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGSTOP)


def thaw(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGCONT)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill it and its children without warning, as if the machine lost power."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def kill_a_child(process: subprocess.Popen[bytes]) -> bool:
    """Kill only the child that runs tasks, as the kernel does when memory runs out; False if there is none."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for child in children:
        os.kill(int(child), signal.SIGKILL)
    return bool(children)
