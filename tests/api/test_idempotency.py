"""`Idempotency-Key` on creates, our own addition: a repeated request returns the same instance."""

import json
import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from instances.crypto import sealing
from instances.models import IdempotencyKey, Instance, OrganizationUser
from instances.provisioning import create, idempotency
from instances.provisioning.lifecycle.delete import forget_instance
from tests.api.conftest import BASE, KEYED_BODY, ApiClient, make_api_client
from tests.support.factories import make_element, make_organization, make_organization_user
from tests.support.keyed import keyed_definition
from tests.support.provider import API_KEY, ORGANIZATION_SECRET, USER_SECRET

pytestmark = pytest.mark.django_db(transaction=True)
KEY = {"Idempotency-Key": "key-1"}


def test_the_same_key_and_body_give_the_same_instance(api):
    first, second = (api.post("instances", KEYED_BODY, **KEY) for _ in range(2))
    assert first.json() == second.json()
    assert Instance.objects.count() == 1


def test_the_same_key_with_another_body_or_path_is_refused(api):
    api.post("instances", KEYED_BODY, **KEY)
    for path, body in [
        ("instances", KEYED_BODY | {"name": "Other"}),
        ("elements/keyed/instances", KEYED_BODY),
    ]:
        response = api.post(path, body, **KEY)
        assert response.status_code == 409
        assert "already used with a different body" in response.json()["message"]
    assert Instance.objects.count() == 1


def test_a_key_belongs_to_its_user_and_lasts_a_day(api):
    api.post("instances", KEYED_BODY, **KEY)
    other = make_api_client("Other", "bob@example.com")
    assert other.post("instances", KEYED_BODY, **KEY).status_code == 200
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=25))
    api.post("instances", KEYED_BODY, **KEY)
    assert Instance.objects.count() == 3


def test_what_was_refused_may_be_sent_again_with_the_same_key(api):
    body = KEYED_BODY | {"configuration": {"site": "acme"}}
    for _ in range(2):
        assert api.post("instances", body, **KEY).status_code == 400
    assert not IdempotencyKey.objects.exists()


def test_while_the_first_still_runs_the_second_is_told_when_to_come_again(api, instance):
    api.post("instances", KEYED_BODY, **KEY)
    IdempotencyKey.objects.update(instance=None)
    response = api.post("instances", KEYED_BODY, **KEY)
    assert (response.status_code, int(response["Retry-After"]) > 0) == (409, True)
    other = api.post("instances", KEYED_BODY | {"name": "Other"}, **KEY)
    assert "already used with a different body" in other.json()["message"]


def seconds_ago(seconds):
    return timezone.now() - timedelta(seconds=seconds)


@pytest.mark.parametrize("held_until", [None, 1], ids=["of an older release", "of this one"])
def test_a_key_whose_holder_was_killed_before_it_began_is_taken_over(api, held_until):
    api.post("instances", KEYED_BODY, **KEY)
    held_until = held_until and seconds_ago(held_until)
    IdempotencyKey.objects.update(instance=None, held_until=held_until)
    assert api.post("instances", KEYED_BODY, **KEY).status_code == 200
    assert IdempotencyKey.objects.get().instance_id


def test_a_create_whose_process_was_killed_is_finished_within_seconds(api, provider, accepted):
    first = api.post("instances", accepted, **KEY).json()
    QuerySet.update(Instance.objects.all(), state="provisioning", state_changed_at=seconds_ago(8))
    IdempotencyKey.objects.update(held_until=timezone.now() + timedelta(seconds=5))
    assert api.post("instances", accepted, **KEY).status_code == 409
    IdempotencyKey.objects.update(held_until=seconds_ago(1))
    asked = len(provider.requests)
    again = api.post("instances", accepted, **KEY)
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    assert (len(provider.requests), Instance.objects.get().state) == (asked + 1, "connected")


def test_a_create_that_another_process_has_begun_again_is_left_to_it(api, accepted):
    api.post("instances", accepted, **KEY)
    QuerySet.update(Instance.objects.all(), state="provisioning", state_changed_at=seconds_ago(1))
    IdempotencyKey.objects.update(held_until=seconds_ago(8))
    assert api.post("instances", accepted, **KEY).status_code == 409


@pytest.mark.parametrize(
    "written",
    [
        json.dumps(KEYED_BODY, indent=3),
        json.dumps(dict(reversed(KEYED_BODY.items()))),
        json.dumps(KEYED_BODY).replace("Acme", "\\u0041cme"),
    ],
)
def test_the_same_json_written_otherwise_is_the_same_body(api, written):
    first = api.post("instances", KEYED_BODY, **KEY)
    again = api.django.post(
        f"{BASE}/instances",
        written,
        content_type="application/json",
        headers={"Authorization": api.header} | KEY,
    )
    assert (again.status_code, again.json()) == (200, first.json())


def test_of_many_at_once_one_creates(api):
    answers = []
    barrier = threading.Barrier(6)

    def create():
        barrier.wait()
        answers.append(api.post("instances", KEYED_BODY, **KEY).status_code)
        connection.close()

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) <= {200, 409}
    assert 200 in answers
    assert Instance.objects.count() == 1


def in_thread(call):
    """What a call gives that another process makes at this moment."""
    answers = []

    def run():
        try:
            answers.append(call())
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return answers[0]


@pytest.fixture
def refusing(accepted, provider):
    """A body that the provider refuses, until provider.override is None."""
    provider.override = (401, {"message": "Unauthorized"})
    return accepted


@pytest.fixture
def accepted(api, provider):
    """A body that the provider is asked about."""
    definition = keyed_definition(provider.url)
    make_element(definition)
    return KEYED_BODY | {
        "element": {"key": definition["key"]},
        "configuration": {"api.key": API_KEY},
    }


def test_a_refusal_does_not_forget_the_key_of_a_retry_that_is_faster(
    api, provider, refusing, monkeypatch
):
    retries = []

    def forget_and_retry(instance, **arguments):
        monkeypatch.undo()
        forget_instance(instance, **arguments)
        provider.override = None
        retries.append(in_thread(lambda: api.post("instances", refusing, **KEY)))

    monkeypatch.setattr(create, "forget_instance", forget_and_retry)
    refused = api.post("instances", refusing, **KEY)
    again = api.post("instances", refusing, **KEY)
    assert [refused.status_code, retries[0].status_code, again.status_code] == [400, 200, 200]
    assert again.json() == retries[0].json()
    assert Instance.objects.count() == 1


def test_a_request_that_was_stopped_while_a_retry_took_over_creates_nothing(api, monkeypatch):
    make_element()
    retries = []

    def stop_and_create(*arguments, **options):
        monkeypatch.undo()
        IdempotencyKey.objects.update(held_until=seconds_ago(1))
        retries.append(in_thread(lambda: api.post("instances", KEYED_BODY, **KEY)))
        return create.create(*arguments, **options)

    monkeypatch.setattr(idempotency, "create", stop_and_create)
    stopped = api.post("instances", KEYED_BODY, **KEY)
    assert (stopped.status_code, retries[0].status_code) == (409, 200)
    assert "took over" in stopped.json()["message"]
    assert api.post("instances", KEYED_BODY, **KEY).json() == retries[0].json()
    assert Instance.objects.count() == 1


@pytest.mark.parametrize("is_sent", [False, True])
def test_of_many_at_once_that_are_refused_none_is_a_500(api, refusing, is_sent):
    api.django.raise_request_exception = False
    body = refusing if is_sent else refusing | {"configuration": {}}
    barrier = threading.Barrier(6)
    statuses = set()

    def create(place):
        for number in range(6):
            barrier.wait()
            # Some come while the first is being forgotten.
            time.sleep(place * 0.01 * is_sent)
            answer = api.post("instances", body, **{"Idempotency-Key": f"key-{number}"})
            statuses.add(answer.status_code)
        connection.close()

    threads = [threading.Thread(target=create, args=[place]) for place in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses <= {400, 409}
    assert not Instance.objects.exists()


def test_after_a_lost_answer_the_same_key_finds_what_was_created(provider):
    make_element()
    organization = make_organization(
        name="Remote", platform_url=provider.url, secret=ORGANIZATION_SECRET
    )
    make_organization_user(organization=organization, secret=USER_SECRET, email="ada@example.com")
    api = ApiClient(organization.users.get(), USER_SECRET, ORGANIZATION_SECRET)
    provider.mode = "cut after"
    lost = api.post("instances", KEYED_BODY, **KEY)
    assert lost.status_code == 502
    provider.mode = "obey"
    found = api.post("instances", KEYED_BODY, **KEY)
    assert found.status_code == 200
    assert found.json()["id"] == next(iter(provider.instances))
    assert len(provider.instances) == 1


def test_a_key_that_is_too_long_is_refused(api):
    response = api.post("instances", KEYED_BODY, **{"Idempotency-Key": "k" * 256})
    assert response.status_code == 400


def test_a_retry_after_a_key_rotation_finds_the_first_request(api, settings):
    first = api.post("instances", KEYED_BODY, **KEY)
    settings.ENCRYPTION_KEYS = [sealing.generate_key(), *settings.ENCRYPTION_KEYS]
    second = api.post("instances", KEYED_BODY, **KEY)
    other = api.post("instances", KEYED_BODY | {"name": "Other"}, **KEY)
    assert (second.status_code, second.json()) == (200, first.json())
    assert (other.status_code, Instance.objects.count()) == (409, 1)


def test_two_processes_in_the_middle_of_a_rotation_create_once(api, settings):
    """One process still digests with the old first key, while another, with the new one, looks it up."""
    old = settings.ENCRYPTION_KEYS[0]
    instance = Instance.objects.get(pk=api.post("instances", KEYED_BODY).json()["id"])
    row = IdempotencyKey(
        organization_user=api.user,
        key_digest=sealing.digest(KEY["Idempotency-Key"]),
        body_digest=sealing.digest("of the first request"),
        instance=instance,
        created_at=timezone.now(),
    )
    settings.ENCRYPTION_KEYS = [sealing.generate_key(), old]
    answers = []

    def create():
        answers.append(api.post("instances", KEYED_BODY, **KEY).status_code)
        connection.close()

    second = threading.Thread(target=create)
    with transaction.atomic():
        OrganizationUser.objects.select_for_update(no_key=True).get(pk=api.user.pk)
        second.start()
        second.join(0.5)
        row.save()
    second.join()
    # The error says that the key was used with another body, so the row was found.
    assert (answers, Instance.objects.count()) == ([409], 1)
