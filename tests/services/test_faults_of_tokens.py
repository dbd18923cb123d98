"""No rotating grant is lost while databases restart, processes are stopped, and clocks are wrong."""

import json
import os
import time
from contextlib import contextmanager

import psycopg
import pytest

from tests.services.cluster import Cluster
from tests.services.far import SCHEDULER, Installation, freeze, thaw
from tests.support.provider import Provider

pytestmark = [
    pytest.mark.services,
    pytest.mark.slow,
    pytest.mark.xdist_group("services"),
]

GRANTS = int(os.environ.get("FAULT_RUN_GRANTS", "16"))
ROUNDS = int(os.environ.get("FAULT_RUN_ROUNDS", "2"))
ANSWER_SECONDS = 0.5
AWAY_SECONDS = 2.0
# Longer than a lease with the timeouts below.
FROZEN_SECONDS = 12
PATIENCE_SECONDS = 120
POLL_SECONDS = 0.2
DAY_SECONDS = 24 * 60 * 60


class StrictProvider(Provider):
    """A refresh token that is sent twice revokes its grant (RFC 9700 4.14.2)."""

    def __init__(self):
        super().__init__()
        self.delay_seconds = ANSWER_SECONDS
        self.reused = []
        self._grant_of = {f"seed-{number}": number for number in range(GRANTS)}
        self.refresh_tokens |= set(self._grant_of)

    def answer(self, request):
        if request.path != "/token":
            return super().answer(request)
        sent = request.form["refresh_token"]
        grant = self._grant_of[sent]
        if sent not in self.refresh_tokens:
            self.reused.append(grant)
            self.refresh_tokens -= {one for one, its in self._grant_of.items() if its == grant}
        delay, self.delay_seconds = self.delay_seconds, 0.0
        status, document = super().answer(request)
        self.delay_seconds = delay
        if status == 200:
            self._grant_of[document["refresh_token"]] = grant
        time.sleep(delay)
        return status, document


class LenientProvider(StrictProvider):
    """A used refresh token is rejected, without further consequences."""

    def answer(self, request):
        before = set(self.refresh_tokens)
        status, document = super().answer(request)
        if status != 200 and request.path == "/token":
            self.refresh_tokens |= before
        return status, document


@pytest.fixture(scope="module")
def cluster():
    with Cluster() as cluster:
        yield cluster


@contextmanager
def installed(cluster, tmp_path, provider):
    installation = Installation(
        tmp_path,
        database_url=cluster.url,
        broker_url="",
        is_hurried=True,
        PROVIDER_ALLOWED_PRIVATE_HOSTS=provider.netloc,
        HTTP_TIMEOUT_SECONDS="1",
        REFRESH_TIMEOUT_SECONDS="2",
        LOG_LEVEL="WARNING",
    )
    try:
        installation.program.run_python(
            "-m", "tests.services.granted", "make", provider.url, str(GRANTS)
        )
        yield installation
    finally:
        installation.remove()


def look(installation):
    shown = installation.program.run_python("-m", "tests.services.granted", "show")
    return json.loads(shown)


def wait_until(is_so):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(POLL_SECONDS)


def ask(installation, sql):
    try:
        return installation.query(sql)
    except psycopg.OperationalError:
        return []


def make_due(installation):
    installation.query(
        "UPDATE instances_instance SET refresh_due_at = now(), refresh_failures = 0 RETURNING 1"
    )


def are_refreshed(installation, version):
    sql = "SELECT COUNT(*) FROM instances_instance WHERE tokens_version >= %d AND leased_until IS NULL"
    return lambda: ask(installation, sql % version) == [(GRANTS,)]


def require_all_kept(installation, provider):
    grants = look(installation)
    lost = [one for one in grants if one["refresh_token"] not in provider.refresh_tokens]
    assert lost == [], installation.program.log[-4000:]
    assert {one["state"] for one in grants} == {"connected"}


def requests_of(provider):
    return len(provider.requests)


def test_a_restart_of_the_database_while_the_provider_answers_costs_no_grant(cluster, tmp_path):
    with StrictProvider() as provider, installed(cluster, tmp_path, provider) as installation:
        installation.begin(*SCHEDULER)
        for number in range(ROUNDS):
            asked = requests_of(provider)
            make_due(installation)
            wait_until(lambda asked=asked: requests_of(provider) >= asked + GRANTS // 2)
            cluster.restart(away_seconds=AWAY_SECONDS if number else 0.0)
            wait_until(are_refreshed(installation, 2 + number))
        require_all_kept(installation, provider)
        assert provider.reused == []


def test_schedulers_with_wrong_clocks_beside_a_right_one_cost_no_grant(cluster, tmp_path):
    with StrictProvider() as provider, installed(cluster, tmp_path, provider) as installation:
        installation.begin(*SCHEDULER)
        for skew in (-20, 20, -DAY_SECONDS, DAY_SECONDS):
            installation.begin(*SCHEDULER, CLOCK_SKEW_SECONDS=str(skew))
        for number in range(ROUNDS):
            make_due(installation)
            wait_until(are_refreshed(installation, 2 + number))
        require_all_kept(installation, provider)
        assert provider.reused == []
        assert len(provider.requests) == ROUNDS * GRANTS
        beats = installation.query("SELECT kind FROM instances_processbeat")
        assert ("wrong_clock",) in beats


def test_schedulers_that_are_stopped_beyond_their_leases_cost_no_grant(cluster, tmp_path):
    with LenientProvider() as provider, installed(cluster, tmp_path, provider) as installation:
        schedulers = [installation.begin(*SCHEDULER) for _ in range(2)]
        for number in range(ROUNDS):
            asked = requests_of(provider)
            make_due(installation)
            wait_until(lambda asked=asked: requests_of(provider) > asked)
            victim = schedulers[number % 2]
            freeze(victim)
            time.sleep(FROZEN_SECONDS)
            thaw(victim)
            wait_until(are_refreshed(installation, 2 + number))
        require_all_kept(installation, provider)
