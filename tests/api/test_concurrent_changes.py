"""Several callers change one instance at once: no change is lost, and none gets a 500."""

import threading
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import partial

import pytest
from django.db import connection
from django.test import Client

from instances.models import Instance
from tests.api.conftest import KEYED_BODY
from tests.support.factories import KEY_DEFINITION, make_element
from tests.support.provider import API_KEY, ORGANIZATION_SECRET, USER_SECRET

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 4
CONNECTED = {"api.key": API_KEY, "site": "acme"}


@pytest.fixture
def at_once():
    """at_once(call, …): run the calls at the same time, each on its own connection; returns responses in order."""

    def run(*calls):
        barrier = threading.Barrier(len(calls), timeout=30)

        def meet(call):
            barrier.wait()
            try:
                return call()
            finally:
                connection.close()

        with ThreadPoolExecutor(len(calls)) as pool:
            return list(pool.map(meet, calls))

    return run


def caller(api):
    """The same user, with a client that returns a 500 instead of raising the exception."""
    other = copy(api)
    other.django = Client(raise_request_exception=False)
    return other


def statuses(answers):
    return [answer.status_code for answer in answers]


def stored():
    return Instance.objects.get().full_configuration()


@pytest.fixture
def proved(api, provider):
    """A connected instance whose key is verified with the provider before it is stored."""
    way = KEY_DEFINITION["authentication"][0]
    probe = {
        "url": f"{provider.url}/probe",
        "scheme": "headers",
        "headers": {"X-Api-Key": "{api.key}"},
    }
    make_element(
        KEY_DEFINITION | {"id": 900011, "key": "proved", "authentication": [way | {"probe": probe}]}
    )
    body = KEYED_BODY | {"element": {"key": "proved"}, "configuration": CONNECTED}
    return api.post("instances", body).json()


@pytest.fixture
def while_asked(provider):
    """while_asked(action): run the action once, during a request to the provider; returns its result."""

    def arrange(action, *, path="/probe", method="GET"):
        obedient, said, is_over = provider.answer, [], threading.Event()

        def answer(request):
            if not is_over.is_set() and (request.path, request.method) == (path, method):
                is_over.set()
                with ThreadPoolExecutor(1) as pool:
                    said.append(pool.submit(in_thread, action).result())
            return obedient(request)

        provider.answer = answer
        return said

    def in_thread(action):
        try:
            return action()
        finally:
            connection.close()

    return arrange


def entry_path(api, instance, key):
    path = f"instances/{instance['id']}/configuration"
    return next(f"{path}/{one['id']}" for one in api.get(path).json() if one["key"] == key)


@pytest.mark.parametrize("query", ["", "?reAuthenticate=false"])
@pytest.mark.parametrize("method", ["patch", "put"])
def test_changes_of_different_configuration_keys_are_both_kept(
    api, instance, at_once, method, query
):
    path = f"instances/{instance['id']}{query}"
    for number in range(ROUNDS):
        # Neither is sent to the provider, so nothing has to be verified.
        keys = ("event.notification.callback.url", "my.note")
        values = [f"https://app.example/{number}", str(number)]
        change = getattr(caller(api), method)
        answers = at_once(
            *(
                partial(change, path, {"configuration": {key: value}})
                for key, value in zip(keys, values, strict=True)
            )
        )
        assert statuses(answers) == [200, 200]
        assert [stored()[key] for key in keys] == values


def test_changes_of_different_entries_are_both_kept_secret_ones_too(api, instance, at_once):
    paths = {key: entry_path(api, instance, key) for key in ("api.key", "site", "event.objects")}
    for number in range(ROUNDS):
        answers = at_once(
            *(
                partial(caller(api).patch, path, {"propertyValue": f"{key} {number}"})
                for key, path in paths.items()
            )
        )
        assert statuses(answers) == [200] * 3
        assert {key: stored()[key] for key in paths} == {key: f"{key} {number}" for key in paths}


def test_of_changes_that_authenticate_again_none_that_answered_200_is_lost(api, instance, at_once):
    path = f"instances/{instance['id']}"
    for number in range(ROUNDS):
        changes = [{"api.key": f"k3y-{number}"}, {"site": f"acme-{number}"}]
        answers = at_once(
            *(partial(caller(api).patch, path, {"configuration": change}) for change in changes)
        )
        assert 200 in statuses(answers)
        for answer, change in zip(answers, changes, strict=True):
            assert answer.status_code in {200, 409}
            if answer.status_code == 200:
                assert change.items() <= stored().items()
            else:
                assert "another" in answer.json()["message"]


def test_what_is_changed_while_new_credentials_are_proved_is_kept(
    api, proved, provider, while_asked
):
    path = f"instances/{proved['id']}"
    api.patch(f"{path}?reAuthenticate=false", {"configuration": {"api.key": "out-of-date"}})
    other = while_asked(
        lambda: caller(api).patch(path, {"configuration": {"my.note": "hi"}, "tags": ["new"]})
    )
    answer = caller(api).patch(path, {"configuration": {"api.key": API_KEY}})
    assert (answer.status_code, other[0].status_code) == (200, 200)
    assert stored() == CONNECTED | {"my.note": "hi"}
    assert api.get(path).json()["tags"] == ["new"]


def test_credentials_that_were_changed_while_others_were_proved_are_a_conflict(
    api, proved, provider, while_asked
):
    path = f"instances/{proved['id']}"
    while_asked(
        lambda: caller(api).patch(
            f"{path}?reAuthenticate=false", {"configuration": {"site": "elsewhere"}}
        )
    )
    answer = caller(api).patch(path, {"configuration": {"api.key": API_KEY, "site": "acme"}})
    assert answer.status_code == 200  # nothing new, so no request to the provider
    api.patch(f"{path}?reAuthenticate=false", {"configuration": {"api.key": "out-of-date"}})
    answer = caller(api).patch(path, {"configuration": {"api.key": API_KEY}, "name": "Never"})
    assert answer.status_code == 409
    assert "site" in answer.json()["message"]
    assert "Send it again" in answer.json()["message"]
    assert stored() == {"api.key": "out-of-date", "site": "elsewhere"}
    assert Instance.objects.get().name == "Acme"


def test_sixteen_tag_changes_at_once_leave_the_tags_of_one(api, instance, at_once):
    path = f"instances/{instance['id']}"
    for _ in range(2):
        wanted = [["acme", f"tag-{number}", "zebra"] for number in range(16)]
        answers = at_once(*(partial(caller(api).patch, path, {"tags": tags}) for tags in wanted))
        assert statuses(answers) == [200] * 16
        assert api.get(path).json()["tags"] in wanted


def change_tags(api, path):
    return api.patch(path, {"tags": ["a", "b"]})


def change_name_and_note(api, path):
    return api.put(path, {"name": "Other", "configuration": {"my.note": "hi"}})


def change_credentials(api, path):
    return api.patch(path, {"configuration": {"api.key": "an0ther"}})


def change_an_entry(api, path):
    entries = api.get(f"{path}/configuration")
    if entries.status_code != 200:
        return entries
    entry = next(one for one in entries.json() if one["key"] == "event.objects")
    return api.patch(f"{path}/configuration/{entry['id']}", {"propertyValue": "accounts"})


def disable(api, path):
    return api.delete(f"{path}/enabled")


def trace(api, path):
    return api.put(f"{path}/trace-logging")


def delete(api, path):
    return api.delete(path)


CHANGES = (
    change_tags,
    change_name_and_note,
    change_credentials,
    change_an_entry,
    disable,
    trace,
    delete,
)


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_beside_a_deletion_is_never_a_500(api, at_once, change):
    for _ in range(ROUNDS):
        instance = api.post("instances", KEYED_BODY).json()
        path = f"instances/{instance['id']}"
        answers = at_once(
            *(partial(change, caller(api), path) for _ in range(3)),
            partial(delete, caller(api), path),
        )
        assert set(statuses(answers)) <= {200, 404, 409}
        api.delete(path)
        assert not Instance.objects.filter(pk=instance["id"]).exists()


class ByToken:
    """Calls that identify the instance by its Element token."""

    def __init__(self, api, token):
        self._api, self._token = caller(api), token

    def __getattr__(self, method):
        return lambda path, body=None: self._api.call(
            method.upper(), path, body, element=self._token
        )


@pytest.mark.slow
@pytest.mark.parametrize("change", [one for one in CHANGES if one is not change_an_entry])
def test_a_change_by_the_element_token_beside_a_deletion_is_never_a_500(api, at_once, change):
    for _ in range(ROUNDS):
        by_token = ByToken(api, api.post("instances", KEYED_BODY).json()["token"])
        answers = at_once(
            *(partial(change, by_token, "instances") for _ in range(3)),
            partial(delete, by_token, "instances"),
        )
        assert set(statuses(answers)) <= {200, 401, 404, 409}


def test_an_instance_deleted_while_new_credentials_are_proved_is_404(api, proved, while_asked):
    path = f"instances/{proved['id']}"
    api.patch(f"{path}?reAuthenticate=false", {"configuration": {"api.key": "out-of-date"}})
    deletion = while_asked(lambda: caller(api).delete(path))
    answer = caller(api).patch(path, {"configuration": {"api.key": API_KEY}})
    assert (deletion[0].status_code, answer.status_code) == (200, 404)
    assert "deleted in the meantime" in answer.json()["message"]
    assert not Instance.objects.exists()


@pytest.fixture
def far(api, provider):
    """An instance on a remote platform."""
    user = api.user
    user.organization.platform_url = provider.url
    user.organization.secret = ORGANIZATION_SECRET
    user.organization.save()
    user.secret = USER_SECRET
    user.save()
    api.header = f"User {USER_SECRET}, Organization {ORGANIZATION_SECRET}"
    return api.post("instances", KEYED_BODY).json()


def test_a_remote_platform_ends_with_what_is_stored_here(api, far, provider, while_asked):
    path = f"/elements/api-v2/instances/{far['id']}"
    other = while_asked(
        lambda: caller(api).patch(path, {"tags": ["second"], "name": "Second"}),
        path=path,
        method="PUT",
    )
    answer = caller(api).patch(path, {"tags": ["first"], "name": "First"})
    assert (answer.status_code, other[0].status_code) == (200, 200)
    here, there = Instance.objects.get(), provider.instances[far["id"]]
    assert here.name == there["name"] == "Second"
    assert set(here.tag_names) <= set(there["tags"])


@pytest.mark.parametrize("path", ["", "/enabled"])
def test_an_instance_deleted_while_its_remote_platform_is_told_is_404(
    api, far, provider, while_asked, path
):
    there = f"/elements/api-v2/instances/{far['id']}"
    while_asked(lambda: Instance.objects.get().delete(), path=f"{there}{path}", method="PUT")
    Instance.objects.update(is_disabled=True)
    body = None if path else {"tags": ["first"]}
    answer = caller(api).put(f"{there}{path}", body)
    assert answer.status_code == 404
