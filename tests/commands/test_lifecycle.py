"""refresh_tokens, check_instances, reconcile_instances, prune_interactions, rotate_encryption_keys, scheduler."""

import io
import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from instances.crypto import sealing
from instances.models import Instance, Interaction, OAuthApp, ProcessBeat
from instances.provisioning.lifecycle.provision import provision_instance
from tests.support.connected import make_connected, make_due
from tests.support.factories import make_element, make_instance, make_interaction, make_oauth_app
from tests.support.keyed import keyed_definition
from tests.support.provider import API_KEY

pytestmark = pytest.mark.django_db(transaction=True)


def run(command, *arguments):
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command(command, *arguments, stdout=out, stderr=err)
        status = 0
    except CommandError as error:
        status = error.returncode
        err.write(str(error))
    return status, out.getvalue(), err.getvalue()


@pytest.fixture
def probed(provider):
    row = make_instance(
        element=make_element(keyed_definition(provider.url)),
        configuration={"api.key": API_KEY},
        name="Probed one",
    )
    return provision_instance(row, actor="test")


def test_refresh_tokens_refreshes_what_is_due_and_says_how_many(provider):
    make_due(make_connected(provider), make_connected(provider))
    assert run("refresh_tokens") == (0, "Refreshed: 2 of 2.\n", "")
    assert run("refresh_tokens") == (0, "Refreshed: 0 of 0.\n", "")


def test_a_failure_is_told_by_name_and_sentence_and_ends_with_1(provider):
    instance = make_connected(provider, name="Broken")
    make_due(instance)
    provider.override = (503, "down")
    status, out, err = run("refresh_tokens", "--json")
    result = json.loads(out)
    assert status == 1
    assert (result["total"], result["succeeded"], result["failed"]) == (1, 0, 1)
    [row] = result["rows"]
    assert (row["id"], row["name"]) == (instance.pk, "Broken")
    assert row["error"]
    assert "Retrying automatically at" in row["advice"]
    assert "1 of 1 failed" in err


def test_check_instances_checks_what_is_due_or_all(provider, probed):
    assert run("check_instances") == (0, "Checked: 0 of 0.\n", "")
    assert run("check_instances", "--all") == (0, "Checked: 1 of 1.\n", "")
    provider.override = (401, {})
    status, _, err = run("check_instances", "--all")
    assert status == 1
    assert f"Probed one ({probed.pk}): " in err


def test_reconcile_instances_leaves_what_is_connected_alone(provider, probed):
    Instance.objects.update(next_action_at=timezone.now())
    requests = len(provider.requests)
    assert run("reconcile_instances") == (0, "Reconciled: 0 of 0.\n", "")
    assert len(provider.requests) == requests


def test_pruning_says_what_it_would_do_and_does_it(probed):
    make_interaction(started_at=timezone.now() - timedelta(days=100))
    kept = Interaction.objects.count() - 1
    assert "Would delete 1" in run("prune_interactions", "--dry-run")[1]
    assert "Deleted 1" in run("prune_interactions")[1]
    assert Interaction.objects.count() == kept
    assert run("prune_interactions", "--days", "0")[0] == 2


def test_after_a_rotation_the_old_key_can_be_taken_away(probed, settings):
    app = make_oauth_app(
        organization=probed.organization, element=probed.element, client_secret="client-s3cret"
    )
    old = settings.ENCRYPTION_KEYS[0]
    token = probed.token.reveal()
    settings.ENCRYPTION_KEYS = [sealing.generate_key(), old]
    assert "Would re-encrypt" in run("rotate_encryption_keys", "--dry-run")[1]
    status, out, _ = run("rotate_encryption_keys")
    assert (status, "Re-encrypted" in out) == (0, True)
    assert run("rotate_encryption_keys")[1] == "Re-encrypted 0 secrets with the first key.\n"
    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
    assert Instance.objects.with_token(token).get().token.reveal() == token
    assert Instance.objects.get().secret_configuration.reveal() == {"api.key": API_KEY}
    assert OAuthApp.objects.get(pk=app.pk).client_secret.reveal() == "client-s3cret"


def test_a_rotation_that_meets_an_unreadable_secret_says_where(probed, settings):
    settings.ENCRYPTION_KEYS = [sealing.generate_key()]
    status, _, err = run("rotate_encryption_keys")
    assert status == 1
    assert "not in ENCRYPTION_KEYS" in err


def test_one_turn_of_the_scheduler_does_what_is_due_and_shows_that_it_lives(provider, probed):
    instance = make_connected(provider)
    make_due(instance)
    make_interaction(started_at=timezone.now() - timedelta(days=100))
    Instance.objects.filter(pk=probed.pk).update(next_action_at=timezone.now())
    assert run("scheduler", "--once")[0] == 0
    assert Instance.objects.get(pk=instance.pk).refresh_due_at > timezone.now()
    assert Instance.objects.get(pk=probed.pk).last_checked_at > probed.last_checked_at
    assert ProcessBeat.objects.alive(at=timezone.now()).exists()
    assert not Interaction.objects.filter(
        started_at__lt=timezone.now() - timedelta(days=95)
    ).exists()
