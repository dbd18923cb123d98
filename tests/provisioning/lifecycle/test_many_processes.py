"""Many callers and several schedulers use each refresh token once."""

import time

import pytest
from django.db import connection

from instances.models import Instance
from instances.provisioning.lifecycle.check import check_instance
from instances.provisioning.lifecycle.delete import delete_instance
from instances.provisioning.lifecycle.refresh import refresh_instance
from tests.support.connected import make_connected, make_due, token_requests, tokens_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
    pytest.mark.xdist_group("lifecycle"),
]

PROCESSES = 3
WORKER = ("-m", "tests.support.worker")


@pytest.fixture
def call_together(run):
    """Start callers in several processes; they return the results of each round."""

    def start(instance, *, callers, lease_seconds=0.0, **environment):
        shares = [
            callers // PROCESSES + (number < callers % PROCESSES) for number in range(PROCESSES)
        ]
        processes = [
            run(*WORKER, "call", str(instance.pk), str(share), str(lease_seconds), **environment)
            for share in shares
        ]

        def call():
            for process in processes:
                process.say()
            assert [process.hear() for process in processes] == ["ready"] * PROCESSES
            for process in processes:
                process.say()
            return [end for process in processes for end in process.hear()]

        return call

    return start


def require_one_refresh_a_round(sandbox, instance, call, *, callers, rounds):
    began_with = Instance.objects.get().tokens_version
    for number in range(1, rounds + 1):
        assert call() == [began_with + number] * callers
        assert sandbox.tokens_given(tokens_of(instance)["refresh_token"]) == 1 + number


def require_nothing_lost(sandbox, instance):
    """Check that the stored tokens work, including the refresh token."""
    assert Instance.objects.get().state == "connected"
    refresh_instance(Instance.objects.get(), actor="test")
    check_instance(Instance.objects.get(), actor="test")
    assert not sandbox.is_revoked(tokens_of(instance)["refresh_token"])


def require_connections(count):
    with connection.cursor() as cursor:
        cursor.execute("SHOW max_connections")
        [allowed] = cursor.fetchone()
    if int(allowed) < count:
        pytest.skip(f"PostgreSQL allows {allowed} connections, and {count} are needed.")


def test_callers_in_three_processes_make_one_refresh_a_round(
    far_sandbox, make_granted, call_together
):
    instance = make_granted()
    call = call_together(instance, callers=24)
    require_one_refresh_a_round(far_sandbox, instance, call, callers=24, rounds=5)
    require_nothing_lost(far_sandbox, instance)


@pytest.mark.services
@pytest.mark.skipif(connection.vendor != "postgresql", reason="so many callers need PostgreSQL")
def test_a_hundred_callers_in_three_processes_make_one_refresh_a_round_for_200_rounds(
    far_sandbox, make_granted, call_together
):
    require_connections(300)
    instance = make_granted()
    call = call_together(instance, callers=100)
    require_one_refresh_a_round(far_sandbox, instance, call, callers=100, rounds=200)
    require_nothing_lost(far_sandbox, instance)


@pytest.mark.slow
def test_a_provider_slower_than_the_lease_still_gets_one_request(
    far_sandbox, make_granted, call_together
):
    instance = make_granted()
    call = call_together(instance, callers=24, lease_seconds=1, HTTP_TIMEOUT_SECONDS="20")
    far_sandbox.be_slow(3)
    try:
        require_one_refresh_a_round(far_sandbox, instance, call, callers=24, rounds=1)
    finally:
        far_sandbox.be_slow(0)
    require_nothing_lost(far_sandbox, instance)


@pytest.mark.services
@pytest.mark.skipif(connection.vendor != "postgresql", reason="so many callers need PostgreSQL")
def test_a_hundred_callers_meet_a_provider_slower_than_the_lease(
    far_sandbox, make_granted, call_together
):
    require_connections(300)
    instance = make_granted()
    call = call_together(instance, callers=100, lease_seconds=2, HTTP_TIMEOUT_SECONDS="30")
    far_sandbox.be_slow(5)
    try:
        require_one_refresh_a_round(far_sandbox, instance, call, callers=100, rounds=3)
    finally:
        far_sandbox.be_slow(0)
    require_nothing_lost(far_sandbox, instance)


def test_callers_during_an_outage_share_one_request_and_its_error(provider, call_together):
    instance = make_connected(provider)
    call = call_together(instance, callers=12)
    provider.override = (503, "down")
    ends = call()
    assert len(token_requests(provider)) == 1
    assert all("HTTP 503" in end for end in ends)


def test_two_schedulers_at_once_refresh_what_is_due_once_each(provider, run):
    instances = [make_connected(provider) for _ in range(50)]
    make_due(*instances)
    provider.delay_seconds = 0.2
    schedulers = [run(*WORKER, "turn") for _ in range(2)]
    assert [one.hear() for one in schedulers] == ["ready", "ready"]
    for one in schedulers:
        one.say()
    assert [one.wait() for one in schedulers] == [0, 0]
    spent = [request.form["refresh_token"] for request in token_requests(provider)]
    assert len(spent) == len(set(spent)) == 50
    assert set(Instance.objects.values_list("state", "tokens_version")) == {("connected", 2)}


def test_a_deletion_waits_for_a_refresh_in_progress_and_revokes_its_tokens(provider, run):
    instance = make_connected(provider)
    provider.delay_seconds = 1
    refreshing = run(*WORKER, "call", str(instance.pk), "1", "0")
    refreshing.say()
    assert refreshing.hear() == "ready"
    refreshing.say()
    while not token_requests(provider):
        time.sleep(0.01)
    delete_instance(Instance.objects.get(), actor="test")
    assert refreshing.hear() == [2]
    assert not Instance.objects.exists()
    assert provider.refresh_tokens == set()


@pytest.mark.slow
def test_three_processes_that_change_one_instance_lose_no_change(provider, run):
    instance = make_connected(provider)
    before = instance.full_configuration()
    names = ["note.a", "note.b", "secret.token"]
    processes = [run(*WORKER, "change", str(instance.pk), name, "40") for name in names]
    assert [one.hear() for one in processes] == ["ready"] * 3
    for one in processes:
        one.say()
    assert [one.hear() for one in processes] == [["stored"] * 40] * 3
    current = Instance.objects.get()
    assert current.full_configuration() == before | dict.fromkeys(names, "39")
    assert current.secret_keys == sorted({*instance.secret_keys, "secret.token"})
    assert current.tag_names in [[name, f"{name}-39"] for name in names]
