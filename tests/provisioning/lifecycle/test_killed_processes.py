"""A scheduler finishes refreshes and deletions that were killed at any step."""

import time

import pytest
from django.db import connection
from django.utils import timezone

from instances.models import Instance, Interaction
from instances.provisioning.lifecycle.check import check_instance
from instances.provisioning.lifecycle.provision import provision_instance
from instances.provisioning.lifecycle.refresh import refresh_instance
from instances.provisioning.status.explain import explain
from tests.support.connected import make_connected, token_requests, tokens_of
from tests.support.factories import make_instance, make_organization, make_organization_user
from tests.support.provider import ORGANIZATION_SECRET, USER_SECRET

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("lifecycle"),
]

RECOVERY_SECONDS = 60
POLL_SECONDS = 0.2
BEFORE_THE_CLAIM = ("before", "instances.provisioning.lifecycle.leases.uuid4")
BEFORE_SENDING = ("before", "instances.platforms.embedded.oauth2.refresh_token")
BEFORE_STORING = ("before", "instances.provisioning.lifecycle.refresh.store_tokens")
AFTER_STORING = ("after", "instances.provisioning.lifecycle.refresh.store_tokens")
EMBEDDED_DELETION = (
    "instances.platforms.embedded.embedded_platform.EmbeddedPlatform.delete_instance"
)
REMOTE_DELETION = "instances.platforms.remote.remote_platform.CloudElementsPlatform.delete_instance"


@pytest.fixture
def kill(run):
    """Start actions in processes that are all killed at the given points."""
    run("manage.py", "scheduler")

    def kill(verb, points):
        victims = [
            run("-m", "tests.support.worker", "stop", verb, str(instance.pk), *point)
            for instance, point in points
        ]
        for victim in victims:
            assert victim.hear() == "stopped"
        for victim in victims:
            victim.kill()

    return kill


def within_the_time(is_recovered):
    """Wait until it has recovered automatically."""
    deadline = time.monotonic() + RECOVERY_SECONDS
    while not is_recovered():
        assert time.monotonic() < deadline, list(Instance.objects.values())
        connection.close()
        time.sleep(POLL_SECONDS)


def is_at_rest(instance):
    at_rest = Instance.objects.filter(lease_holder=None, refresh_started_at=None)
    return at_rest.filter(pk=instance.pk).exists()


def test_a_refresh_that_is_killed_around_its_exchange_is_finished_and_loses_nothing(
    far_sandbox, make_granted, kill
):
    unclaimed, unsent, stored = make_granted(), make_granted(), make_granted()
    kill(
        "refresh",
        [(unclaimed, BEFORE_THE_CLAIM), (unsent, BEFORE_SENDING), (stored, AFTER_STORING)],
    )
    assert Instance.objects.get(pk=unsent.pk).refresh_started_at
    assert Instance.objects.get(pk=stored.pk).lease_holder
    within_the_time(
        lambda: Instance.objects.get(pk=unsent.pk).tokens_version == 2 and is_at_rest(unsent)
    )
    given = {unclaimed: 1, unsent: 2, stored: 2}
    for instance, count in given.items():
        assert far_sandbox.tokens_given(tokens_of(instance)["refresh_token"]) == count
    for instance in given:
        refresh_instance(Instance.objects.get(pk=instance.pk), actor="test")
        check_instance(Instance.objects.get(pk=instance.pk), actor="test")
        assert Instance.objects.get(pk=instance.pk).state == "connected"


def test_a_response_lost_with_its_process_costs_the_grant_only_if_reuse_revokes_it(
    provider, make_granted, kill
):
    strict, graceful = make_granted(), make_connected(provider)
    before = tokens_of(graceful)["refresh_token"]
    kill("refresh", [(strict, BEFORE_STORING), (graceful, BEFORE_STORING)])
    provider.refresh_tokens.add(
        before
    )  # the grace period: a token that was just used works once more
    within_the_time(lambda: Instance.objects.get(pk=graceful.pk).tokens_version == 2)
    assert [one.form["refresh_token"] for one in token_requests(provider)] == [before] * 2
    assert Instance.objects.get(pk=graceful.pk).state == "connected"
    check_instance(Instance.objects.get(pk=graceful.pk), actor="test")

    within_the_time(lambda: Instance.objects.get(pk=strict.pk).refresh_refusals == 1)
    Instance.objects.filter(pk=strict.pk).update(refresh_due_at=timezone.now())
    within_the_time(lambda: Instance.objects.get(pk=strict.pk).state == "needs_reauthorization")
    explanation = explain(Instance.objects.get(pk=strict.pk))
    assert "rejected the refresh token" in explanation.detail
    assert explanation.action.name == "authorize"


def test_a_deletion_that_is_killed_is_finished_here_and_at_the_provider(
    far_sandbox, provider, make_granted, kill
):
    organization = make_organization(platform_url=provider.url, secret=ORGANIZATION_SECRET)
    remote_user = make_organization_user(organization=organization, secret=USER_SECRET)
    granted = [make_granted(), make_granted()]
    remote = [make_instance(organization_user=remote_user) for _ in range(2)]
    for instance in remote:
        provision_instance(instance, actor="test")
    grants = [tokens_of(instance)["refresh_token"] for instance in granted]
    points = [
        (instance, (when, name))
        for pair, name in [(granted, EMBEDDED_DELETION), (remote, REMOTE_DELETION)]
        for instance, when in zip(pair, ["before", "after"], strict=True)
    ]
    kill("delete", points)
    assert Instance.objects.filter(state="deleting").count() == 4
    assert [far_sandbox.is_revoked(grant) for grant in grants] == [False, True]
    assert list(provider.instances) == [remote[0].remote_id]
    within_the_time(lambda: not Instance.objects.exists())
    assert [far_sandbox.is_revoked(grant) for grant in grants] == [True, True]
    assert provider.instances == {}
    assert not Interaction.objects.exclude(error="").exists()
