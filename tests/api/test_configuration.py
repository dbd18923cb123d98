"""The rows of the contract's 8.3."""

import pytest

from instances.models import Instance
from tests.api.conftest import KEYED_BODY

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["by id", "by token"])
def place(request, instance):
    if request.param == "by id":
        return f"instances/{instance['id']}/configuration", ""
    return "instances/configuration", instance["token"]


def test_every_key_is_listed_set_or_not_and_secrets_are_masked(api, place):
    path, token = place
    response = api.get(path, element=token)
    entries = {entry["key"]: entry for entry in response.json()}
    assert response["Elements-Returned-Count"] == str(len(entries))
    assert entries["api.key"]["propertyValue"] == "********"
    assert entries["site"]["propertyValue"] == "acme"
    assert entries["filter.response.nulls"]["propertyValue"] == "true"
    assert entries["event.notification.enabled"]["propertyValue"] == "false"
    assert entries["event.vendor.type"]["propertyValue"] is None
    assert entries["event.notification.enabled"]["type"] == "BOOLEAN"


def test_one_entry_is_read_and_changed_without_authenticating_again(api, place):
    path, token = place
    entries = {entry["key"]: entry for entry in api.get(path, element=token).json()}
    entry = entries["event.notification.enabled"]
    assert api.get(f"{path}/{entry['id']}", element=token).json() == entry
    for body in ({"propertyValue": "true"}, entry | {"propertyValue": True}):
        changed = api.patch(f"{path}/{entry['id']}", body, element=token).json()
        assert changed == entry | {"propertyValue": "true"}
    instance = Instance.objects.get()
    assert instance.state_changes.first().reason == "Provisioned."
    document = api.get(f"instances/{instance.pk}").json()
    assert document["eventsEnabled"] is True
    assert "eventsNotificationCallbackUrl" in document


def test_ids_of_entries_are_unique_over_instances(api, instance):
    second = api.post("instances", KEYED_BODY).json()
    ids = [
        entry["id"]
        for number in (instance["id"], second["id"])
        for entry in api.get(f"instances/{number}/configuration").json()
    ]
    assert len(ids) == len(set(ids))


def test_a_mask_changes_nothing_and_a_new_secret_is_kept_sealed(api, instance):
    path = f"instances/{instance['id']}/configuration"
    entry = next(one for one in api.get(path).json() if one["key"] == "api.key")
    assert api.patch(f"{path}/{entry['id']}", entry).json()["propertyValue"] == "********"
    api.patch(f"{path}/{entry['id']}", {"propertyValue": "an0ther-key"})
    assert Instance.objects.get().secret_configuration.reveal() == {"api.key": "an0ther-key"}


def test_an_unknown_entry_or_one_of_another_instance_is_404(api, instance):
    second = api.post("instances", KEYED_BODY).json()
    foreign = api.get(f"instances/{second['id']}/configuration").json()[0]["id"]
    for entry_id in (1, foreign):
        path = f"instances/{instance['id']}/configuration/{entry_id}"
        assert api.get(path).status_code == 404
        assert api.patch(path, {"propertyValue": "x"}).status_code == 404


@pytest.mark.parametrize("body", [{"propertyValue": []}, {"propertyValue": {"a": 1}}, []])
def test_a_wrong_value_is_refused(api, instance, body):
    path = f"instances/{instance['id']}/configuration"
    entry = api.get(path).json()[0]["id"]
    assert api.patch(f"{path}/{entry}", body).status_code == 400
