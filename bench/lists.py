"""`make bench`: measure the lists of admin and self-service at two sizes.

Small: 1,000 instances and 10,000 interactions. Full: 100,000 and 1,000,000, or BENCH_INSTANCES and BENCH_INTERACTIONS.
Each page is requested by a superuser, by an operator who sees half of the rows, and by a viewer who sees only the oldest
few; self-service pages also by a staff user who owns all rows.

BENCH_REPEATS (15): how often each page is requested. The fastest counts, since the rest of the machine disturbed it least.
"""

import io
import os
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import django
from django.core.management import call_command

from bench.database import database
from instances.crypto import sealing

SMALL = 1_000, 10_000
FULL = (
    int(os.environ.get("BENCH_INSTANCES", "100000")),
    int(os.environ.get("BENCH_INTERACTIONS", "1000000")),
)
REPEATS = int(os.environ.get("BENCH_REPEATS", "15"))
LIMIT = 1.5
INSTANCES = "/admin/instances/instance/"
INTERACTIONS = "/admin/instances/interaction/"
CONNECTIONS = "/connect/"
# Each occurs once per row: in the admin's lists, in a timeline, and in the list of connections.
ROW_MARKS = (b'<tr class="data-row', b'<span class="im-dot', b'<li class="im-cause im-brief">')
PAGES = {
    "list": INSTANCES,
    "deep page": f"{INSTANCES}?p=after-500",
    "page before": f"{INSTANCES}?p=before-500",
    "filter: failed": f"{INSTANCES}?state__exact=failed",
    "filter: cause": f"{INSTANCES}?state__exact=failed&cause=credentials_rejected",
    "filter: last day": f"{INSTANCES}?question=failed-in-the-last-day",
    "filter: no refresh token": f"{INSTANCES}?question=no-refresh-token",
    "filter: never checked": f"{INSTANCES}?question=never-checked",
    "filter: by leavers": f"{INSTANCES}?question=by-leavers",
    "filter: overdue": f"{INSTANCES}?question=overdue-refresh",
    "status: broken": f"{INSTANCES}?status=broken",
    "status: attention": f"{INSTANCES}?status=attention",
    "status: unverified": f"{INSTANCES}?status=unverified",
    "status: paused": f"{INSTANCES}?status=paused",
    "status: waiting": f"{INSTANCES}?status=waiting",
    "tag: half of them": f"{INSTANCES}?tag=eu",
    "tag: the oldest": f"{INSTANCES}?tag=pilot",
    "search: name": f"{INSTANCES}?q=account+00005",
    "search: tag": f"{INSTANCES}?q=pilot",
    "search: e-mail": f"{INSTANCES}?q=user07",
    "search: nothing": f"{INSTANCES}?q=nobody",
    "timeline": f"{INSTANCES}1/change/",
    "timeline, deep": f"{INSTANCES}1/change/?page=after-50",
    "interactions": INTERACTIONS,
    "interactions, deep": f"{INTERACTIONS}?p=after-5000",
    "interactions: failed": f"{INTERACTIONS}?outcome=failed",
    "interactions: name": f"{INTERACTIONS}?q=account+0000001",
    "interactions: step": f"{INTERACTIONS}?q=reveal+Element+token",
    "first page": "/admin/",
    "connections": CONNECTIONS,
    "connections, deep": f"{CONNECTIONS}?page=after-1Account+0000020-20",
    "connections, before": f"{CONNECTIONS}?page=before-1Account+0000500-500",
    "connections: name": f"{CONNECTIONS}?q=account+00005",
    "connections: service": f"{CONNECTIONS}?q=dynamics",
    "connections: tag": f"{CONNECTIONS}?q=pilot",
    "connections: nothing": f"{CONNECTIONS}?q=nobody",
}


@dataclass(frozen=True, slots=True)
class Figure:
    milliseconds: float
    queries: int
    rows: int


def main() -> None:
    with database() as url:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATABASE_URL": url,
            "SECRET_KEY": secrets.token_urlsafe(50),
            "ENCRYPTION_KEYS": sealing.generate_key(),
            "LOG_LEVEL": "WARNING",
        }
        django.setup()
        call_command("migrate", interactive=False, verbosity=0)
        call_command("sync_elements", stdout=io.StringIO())
        _compare()


def _compare() -> None:
    from django.db import connections

    from bench.rows import fill, make_people

    make_people()
    accounts = _accounts()
    fill(instances=(2, SMALL[0]), interactions=(2, SMALL[1]))
    small = _measure(accounts)
    started = time.monotonic()
    fill(instances=(SMALL[0] + 1, FULL[0]), interactions=(SMALL[1] + 1, FULL[1]))
    _say(
        f"{FULL[0]:,} instances, {FULL[1]:,} interactions, created in {time.monotonic() - started:.0f} s"
    )
    full = _measure(accounts)
    _say(f"{'':9} {'page':24} rows  queries  ms at {SMALL[0]:,}  ms at {FULL[0]:,}  ratio")
    for (account, page), before in small.items():
        now = full[account, page]
        ratio = now.milliseconds / before.milliseconds
        mark = " over" if ratio > LIMIT else ""
        _say(
            f"{account:9} {page:24} {_change(before.rows, now.rows):>5} {_change(before.queries, now.queries):>7}"
            f" {before.milliseconds:12.1f} {now.milliseconds:13.1f} {ratio:6.2f}{mark}"
        )
    connections.close_all()


def _change(before: int, now: int) -> str:
    return f"{now}" if now == before else f"{before}→{now}"


def _accounts() -> list[str]:
    """Create a superuser, an operator, a viewer and a staff user.

    The operator sees half of the organizations, the viewer only that of the oldest rows.
    """
    from django.contrib.auth.models import Group, User

    from bench.rows import USERS
    from instances.models import Membership, Organization, OrganizationUser
    from instances.provisioning.access.permissions import OPERATOR, STAFF, VIEWER

    User.objects.create_superuser("superuser")
    organizations = list(Organization.objects.order_by("pk"))
    reach = {OPERATOR: organizations[: USERS // 2], VIEWER: organizations[-1:]}
    for role, reached in reach.items():
        account = User.objects.create_user(role, is_staff=True)
        account.groups.add(Group.objects.get(name=role))
        for organization in reached:
            Membership.objects.create(organization=organization, user=account, role=role)
    staff = User.objects.create_user(STAFF)
    staff.groups.add(Group.objects.get(name=STAFF))
    OrganizationUser.objects.update(user=staff)
    return ["superuser", *reach, STAFF]


def _measure(accounts: list[str]) -> dict[tuple[str, str], Figure]:
    return {
        (account, page): _figure(account, path)
        for account in accounts
        for page, path in PAGES.items()
        if _may_open(account, page)
    }


def _may_open(account: str, page: str) -> bool:
    if account == "staff":
        return page.startswith("connections")
    # The operator may not see the first instance, which has the timeline.
    return account != "operator" or not page.startswith("timeline")


def _figure(account: str, path: str) -> Figure:
    from django.contrib.auth.models import User
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client(SERVER_NAME="localhost")
    client.force_login(User.objects.get(username=account))
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(path)
        queries = len(captured)
    if answer.status_code != 200:
        raise RuntimeError(f"{path} was answered with {answer.status_code}.")
    rows = sum(answer.content.count(mark) for mark in ROW_MARKS)
    times = [_milliseconds(partial(client.get, path)) for _ in range(REPEATS)]
    return Figure(min(times), queries, rows)


def _milliseconds(ask: Callable[[], object]) -> float:
    before = time.perf_counter()
    ask()
    return (time.perf_counter() - before) * 1000


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
