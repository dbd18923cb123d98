"""`manage.py up`: set up one machine, then run all processes until stopped."""

import http.client
import json
import os
import secrets
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, DatabaseError, OperationalError, connection

from instances.catalogue.sandbox import SANDBOX_PASSWORD, SANDBOX_USERNAME
from instances.errors import InstancesError
from instances.provisioning.access.organizations import IssuedSecrets, create_account
from instances.provisioning.elements import sync_elements
from instances.queries.outages import database_problem, wait_for_database
from instances.taskqueue.supervisor import Processes

DEMO_EMAIL = "demo@example.com"
DEMO_BODY = {
    "element": {"key": "dynamicscrmadfs"},
    "name": "Demo CRM",
    "tags": ["demo"],
    "configuration": {
        "user.username": SANDBOX_USERNAME,
        "user.password": SANDBOX_PASSWORD,
        "dynamics.tenant": "yourcompanyname.crm.dynamics.com",
        "document.tagging": "true",
    },
}
TICK_SECONDS = 0.2
LOCK_SECONDS = 1.0
# The check that reports an unusable database (instances.checks).
DATABASE_UNUSABLE = "instances.E003"
# Checked before the parts start. In a part, Django reads a locked SQLite as one without JSON (fields.E180) and ends.
_SKIP_CHECKS = "--skip-checks"


class Command(BaseCommand):
    help = (
        "Set up the database, the catalogue, the first administrator and the demo organization, then run the "
        "web server, the worker and the scheduler until Ctrl-C."
    )
    # The relevant checks run below, so that each problem is reported as a sentence.
    requires_system_checks = ()

    def handle(self, **_: Any) -> None:
        _refuse_port_in_use()
        _make_data_folder()
        if connection.vendor == "sqlite":
            # Ctrl-C has no effect while SQLite waits for a lock.
            connection.settings_dict["OPTIONS"]["timeout"] = LOCK_SECONDS
        try:
            demo = wait_for_database(_prepare_database, report=self._print)
        except KeyboardInterrupt:
            raise CommandError("Stopped. Nothing was started.") from None
        except DatabaseError as error:
            raise CommandError(database_problem(error)) from None
        connection.close()
        with Processes(settings.BASE_DIR) as processes:
            processes.start(
                "web server",
                web_server_command(settings.HOST, settings.PORT, workers=_process_count()),
            )
            for name, command in _workers():
                processes.start(name, command)
            processes.start("scheduler", ["manage.py", "scheduler", _SKIP_CHECKS])
            self._watch(processes, demo)
        self.stdout.write("Stopped.")

    def _watch(self, processes: Processes, demo: IssuedSecrets | None) -> None:
        is_announced = False
        while not processes.is_stopping:
            for sentence in processes.tend():
                self._print(sentence)
            if not is_announced and _is_serving():
                # This creates the first administrator. If the database is unavailable, try again at the next turn.
                with suppress(DatabaseError):
                    self._announce(demo)
                    is_announced = True
                connection.close()
            time.sleep(TICK_SECONDS)

    def _print(self, sentence: str) -> None:
        self.stderr.write(sentence)
        self.stderr.flush()

    def _announce(self, demo: IssuedSecrets | None) -> None:
        lines = [
            "",
            f"Instance Manager is running at {settings.PUBLIC_URL}/admin/",
            *_sign_in_lines(),
        ]
        if demo:
            lines += ["", "To provision the demo instance, run this in another terminal:", ""]
            lines += [f"  {_demo_curl(demo) or _demo_command()}"]
            if call := _contacts_curl(demo):
                lines += ["", "Then list contacts through its Element token:", "", f"  {call}"]
        lines += ["", "Ctrl-C stops everything.", ""]
        self.stdout.write("\n".join(lines))
        self.stdout.flush()


def _refuse_port_in_use() -> None:
    host, port = settings.HOST, settings.PORT
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the port is out of range"
        raise CommandError(
            f"Cannot listen on {host}, port {port}: {reason}. Stop the program that uses the port, or choose another "
            f"one: PORT={port % 60000 + 1} make run"
        ) from None


def _make_data_folder() -> None:
    try:
        settings.DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(
            f"Cannot create DATA_DIR {settings.DATA_DIR}: {error.strerror}."
        ) from None


def _prepare_database() -> IssuedSecrets | None:
    """Migrate, load the catalogue, and create the demo organization.

    Returns its account, or None without the sandbox. Raises DatabaseError, CommandError.
    """
    connection.ensure_connection()
    # Before the migrations, so that nothing is ever written with the wrong key.
    problems = run_checks(tags=["encryption"], databases=[DEFAULT_DB_ALIAS])
    if serious := [problem for problem in problems if problem.is_serious()]:
        if any(problem.id == DATABASE_UNUSABLE for problem in serious):
            raise OperationalError(serious[0].msg)
        raise CommandError("\n".join(problem.msg for problem in serious))
    call_command("migrate", interactive=False, verbosity=0)
    try:
        sync_elements()
        if settings.SANDBOX_ENABLED:
            return create_account("Demo", DEMO_EMAIL, is_sandbox=True)
    except InstancesError as error:
        raise CommandError(str(error)) from None
    return None


def web_server_command(host: str, port: int, *, workers: int) -> list[str]:
    """Build the gunicorn command.

    It has no access log, since query strings carry authorization codes.
    """
    bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    settings_module = "python:config.web_server"
    return [
        *("gunicorn", "config.wsgi", "--config", settings_module),
        *("--bind", bind, "--workers", str(workers)),
    ]


def _workers() -> Iterator[tuple[str, list[str]]]:
    """Yield name and command of each worker; none if tasks run inside the request."""
    count = _process_count()
    match settings.TASKS_BACKEND:
        case "database":
            # They share the rows of a bulk job, which keeps one processor busy with each.
            for number in range(1, count + 1):
                command = ["manage.py", "db_worker", "--no-reload", _SKIP_CHECKS]
                yield f"worker {number}" if count > 1 else "worker", command
        case "celery":
            command = ["celery", "-A", "config", "worker"]
            yield "worker", [*command, "--concurrency", str(count)]


def _process_count() -> int:
    """One per CPU. SQLite has only one writer, so it gets one process."""
    return 1 if connection.vendor == "sqlite" else os.cpu_count() or 1


def _is_serving() -> bool:
    web = http.client.HTTPConnection(settings.HOST, settings.PORT, timeout=0.5)
    try:
        web.request("GET", "/healthz", headers={"Host": urlsplit(settings.PUBLIC_URL).netloc})
        return web.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        web.close()


def _sign_in_lines() -> list[str]:
    """Describe how to sign in.

    If there is no user yet, create the first administrator and show the password once.
    """
    if User.objects.exists():
        return ["Forgot your password? Run: manage.py changepassword USER"]
    password = secrets.token_urlsafe(12)
    User.objects.create_superuser("admin", password=password)
    return [
        "",
        "  User name  admin",
        f"  Password   {password}",
        "",
        "The password is shown only once. To change it, run: manage.py changepassword admin",
    ]


def _demo_curl(demo: IssuedSecrets) -> str:
    """Build an API call; empty after the first run, without the secrets."""
    if not (demo.user_secret and demo.organization_secret):
        return ""
    header = f"Authorization: User {demo.user_secret}, Organization {demo.organization_secret}"
    return (
        f"curl {settings.PUBLIC_URL}/elements/api-v2/instances -H {shlex.quote(header)} "
        f"-H 'Content-Type: application/json' -d {shlex.quote(json.dumps(DEMO_BODY))}"
    )


def _contacts_curl(demo: IssuedSecrets) -> str:
    """Build a hub call with the Element token of the demo instance; empty after the first run."""
    if not (demo.user_secret and demo.organization_secret):
        return ""
    api = f"{settings.PUBLIC_URL}/elements/api-v2"
    header = f"Authorization: User {demo.user_secret}, Organization {demo.organization_secret}"
    token = (
        f"$(curl -s '{api}/instances?tags[]=demo' -g -H '{header}' | "
        'grep -o \'"token": *"[^"]*\' | head -n 1 | sed \'s/.*"//\')'
    )
    return (
        f"curl '{api}/hubs/crm/contacts?pageSize=3' "
        f'-H "Authorization: User {demo.user_secret}, Element {token}"'
    )


def _demo_command() -> str:
    """Build a shell command that uses the same database and sandbox."""
    python = Path(sys.executable)
    if python.is_relative_to(settings.BASE_DIR):
        python = python.relative_to(settings.BASE_DIR)
    own = {
        "PUBLIC_URL": (settings.PUBLIC_URL, "http://localhost:8000"),
        "DATA_DIR": (str(settings.DATA_DIR), str(settings.BASE_DIR / "var")),
    }
    assignments = "".join(
        f"{name}={shlex.quote(value)} "
        for name, (value, default) in own.items()
        if value != default
    )
    body = shlex.quote(json.dumps(DEMO_BODY))
    return (
        f"echo {body} | {assignments}{shlex.quote(str(python))} manage.py "
        f"provision_instances - --user {DEMO_EMAIL}"
    )
