"""A provider that hangs or is busy holds up only its own instances, and the most urgent tokens come first."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from instances.models import Instance
from instances.provisioning.lifecycle.sweeps import refresh_due_instances, work_due_instances
from tests.support.connected import make_connected, make_due, token_requests, tokens_of
from tests.support.factories import make_organization, make_organization_user
from tests.support.provider import Provider

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 8
HANGING = 15
WAIT_SECONDS = 60


@pytest.fixture
def hanging(provider, settings):
    """Another provider, which accepts requests and never answers once it is told to hang."""
    # Long enough that no timeout frees a thread during a test.
    settings.HTTP_TIMEOUT_SECONDS = settings.REFRESH_TIMEOUT_SECONDS = 2 * WAIT_SECONDS
    with Provider() as hanging:
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [provider.netloc, hanging.netloc]
        yield hanging
        hanging.released.set()
        for thread in threading.enumerate():
            if thread.name == "sweep":
                thread.join()


@pytest.fixture
def healthy(provider):
    return [make_connected(provider) for _ in range(3)]


@pytest.fixture
def stuck(hanging):
    """Instances whose tokens end before those of the healthy ones."""
    user = make_organization_user()
    stuck = [
        make_connected(hanging, element_number=4, organization_user=user) for _ in range(HANGING)
    ]
    soon = timezone.now() + timedelta(minutes=1)
    Instance.objects.filter(pk__in=[one.pk for one in stuck]).update(expires_at=soon)
    hanging.mode = "hang"
    return stuck


def in_thread(verb):
    def run():
        try:
            verb()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def wait_until(is_so):
    for _ in range(WAIT_SECONDS * 20):
        if is_so():
            return True
        threading.Event().wait(0.05)
    return False


def is_refreshed(instances):
    return all(Instance.objects.get(pk=one.pk).tokens_version == 2 for one in instances)


def test_a_provider_that_hangs_does_not_hold_up_the_refreshes_of_others(hanging, stuck, healthy):
    make_due(*stuck, *healthy)
    sweep = in_thread(lambda: refresh_due_instances(concurrency=THREADS))
    assert wait_until(lambda: is_refreshed(healthy))
    assert 0 < len(token_requests(hanging)) < THREADS
    assert sweep.is_alive()
    hanging.mode = "obey"
    hanging.released.set()
    sweep.join()
    assert len(token_requests(hanging)) == HANGING


def test_a_provider_that_hangs_does_not_hold_up_the_checks_of_others(hanging, stuck, healthy):
    Instance.objects.update(next_action_at=timezone.now())
    sweep = in_thread(lambda: work_due_instances(concurrency=THREADS))
    pks = [one.pk for one in healthy]
    checked = Instance.objects.filter(pk__in=pks).exclude(last_checked_at=None)
    assert wait_until(lambda: checked.count() == len(healthy))
    assert sweep.is_alive()
    hanging.released.set()
    sweep.join()


def test_a_turn_does_not_wait_for_a_provider_that_hangs(hanging, stuck, healthy):
    make_due(*stuck)
    report = refresh_due_instances(patience=timedelta(milliseconds=200))
    assert report.total == 0
    make_due(*healthy)
    refresh_due_instances(patience=timedelta(milliseconds=200))
    assert wait_until(lambda: is_refreshed(healthy))
    asked = len(token_requests(hanging))
    assert asked <= THREADS
    refresh_due_instances(patience=timedelta(milliseconds=200))
    assert len(token_requests(hanging)) == asked, "no more than the provider's share, at all turns"


def test_a_provider_that_recovers_gets_all_threads_again(provider, settings):
    instances = [make_connected(provider) for _ in range(12)]
    provider.override = (503, "down")
    make_due(*instances[:4])
    assert len(refresh_due_instances().failures) == 4
    provider.override = None
    make_due(*instances)
    Instance.objects.update(refresh_failures=0)
    assert refresh_due_instances().succeeded == 12


def test_the_rate_limit_of_one_organization_is_not_that_of_another(provider):
    instances = [
        make_connected(
            provider, organization_user=make_organization_user(organization=make_organization())
        )
        for _ in range(6)
    ]
    limited = tokens_of(instances[0])["refresh_token"]
    answer = provider.answer

    def limiting_answer(request):
        if request.path == "/token" and request.form["refresh_token"] == limited:
            return 429, {"message": "Slowly"}
        return answer(request)

    provider.answer = limiting_answer
    make_due(*instances)
    report = refresh_due_instances()
    assert list(report.failures) == [instances[0].pk]
    assert is_refreshed(instances[1:])


def test_the_tokens_that_end_first_are_refreshed_first_and_those_that_failed_last(provider):
    now = timezone.now()
    instances = [make_connected(provider) for _ in range(6)]
    make_due(*instances)
    minutes = [30, 5, 20, None, 10, 1]
    for instance, ends_in in zip(instances, minutes, strict=True):
        ends = None if ends_in is None else now + timedelta(minutes=ends_in)
        Instance.objects.filter(pk=instance.pk).update(expires_at=ends)
    Instance.objects.filter(pk=instances[5].pk).update(refresh_failures=1)
    before = [tokens_of(one)["refresh_token"] for one in instances]
    refresh_due_instances(concurrency=1)
    asked = [request.form["refresh_token"] for request in token_requests(provider)]
    assert asked == [before[number] for number in (1, 4, 2, 0, 3, 5)]


def test_a_batch_is_shared_out_among_organizations(provider):
    crowd = make_organization_user()
    many = [make_connected(provider, organization_user=crowd) for _ in range(14)]
    other = make_connected(provider)
    make_due(*many, other)
    Instance.objects.update(expires_at=timezone.now() + timedelta(minutes=5))
    Instance.objects.filter(pk=other.pk).update(expires_at=timezone.now() + timedelta(minutes=50))
    assert refresh_due_instances(limit=12).succeeded == 12
    assert is_refreshed([other])
