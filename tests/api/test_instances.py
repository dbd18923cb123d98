"""The rows of the contract's 8.2, its section 7, and its minimum to test (13)."""

from typing import Any
from urllib.parse import quote

import pytest

from instances.models import Instance, Interaction
from tests.api.conftest import KEYED_BODY, make_api_client
from tests.support.factories import make_element

pytestmark = pytest.mark.django_db

ALWAYS = {
    "id": int,
    "name": str,
    "createdDate": str,
    "token": str,
    "element": dict,
    "elementId": int,
    "tags": list,
    "provisionInteractions": list,
    "valid": bool,
    "disabled": bool,
    "maxCacheSize": int,
    "cacheTimeToLive": int,
    "configuration": dict,
    "eventsEnabled": bool,
    "traceLoggingEnabled": bool,
    "cachingEnabled": bool,
    "externalAuthentication": str,
    "user": dict,
}


def create(api, **changes):
    response = api.post("instances", KEYED_BODY | changes)
    assert response.status_code == 200, response.content
    return response.json()


def test_nothing_there_is_404_in_the_words_that_clients_match(api):
    response = api.get("instances")
    assert (response.status_code, response.json()["message"]) == (404, "No instances found")
    response = api.get("elements/keyed/instances")
    assert (response.status_code, response.json()["message"]) == (404, "No instances found")


@pytest.mark.parametrize(
    "key",
    ["db.passwd", "account.pin", "user.pwd", "session.id", "client.assertion", "passcode", "Jwt"],
)
def test_a_key_that_is_named_like_a_secret_is_sealed_and_masked(api, key):
    value = "v4lue-that-nobody-may-see"
    created = create(api, configuration=KEYED_BODY["configuration"] | {key: value})
    assert created["configuration"][key] == "********"
    instance = Instance.objects.get(pk=created["id"])
    assert (key in instance.configuration, key in instance.secret_keys) == (False, True)
    assert instance.full_configuration()[key] == value
    answers = [
        api.get("instances"),
        api.get(f"instances/{created['id']}/configuration"),
        api.patch(f"instances/{created['id']}", {"configuration": {key: "********"}}),
    ]
    assert not [one for one in answers if value in one.content.decode()]
    assert Instance.objects.get(pk=created["id"]).full_configuration()[key] == value


def test_a_created_instance_has_every_field_of_the_contract(instance):
    assert {name: type(instance[name]) for name in ALWAYS} == ALWAYS
    assert instance["provisionInteractions"] == []
    assert "providerData" not in instance
    assert instance["configuration"]["api.key"] == "********"
    assert instance["configuration"]["site"] == "acme"
    assert instance["configuration"]["filter.response.nulls"] == "true"
    assert set(instance["user"]) == {"id", "emailAddress", "firstName", "lastName"}
    assert (instance["element"]["key"], instance["tags"]) == ("keyed", ["acme"])


@pytest.mark.parametrize(
    "path", ["instances", "elements/keyed/instances", "elements/900001/instances"]
)
def test_an_instance_is_created_under_each_path(api, path):
    body = {
        key: value for key, value in KEYED_BODY.items() if path == "instances" or key != "element"
    }
    assert api.post(path, body).json()["elementId"] == 900001


def test_an_element_in_the_path_wins_over_the_body(api):
    body = KEYED_BODY | {"element": {"key": "nonsense"}}
    assert api.post("elements/keyed/instances", body).status_code == 200


def test_an_element_may_be_named_by_id(api):
    assert create(api, element={"id": 900001})["element"]["key"] == "keyed"


@pytest.mark.parametrize(
    ("tags", "expected"), [(None, ["n"]), ([], []), (["a", "b"], ["a", "b"]), (["a", "a"], ["a"])]
)
def test_missing_tags_become_the_name_and_an_empty_list_stays_empty(api, tags, expected):
    body = KEYED_BODY | {"name": '<a href="#" onClick="x">n</a>', "tags": tags}
    if tags is None:
        del body["tags"]
    created = api.post("instances", body).json()
    assert (created["name"], created["tags"]) == ("n", expected)


def test_a_name_that_is_missing_is_the_elements_and_may_be_taken_twice(api):
    body = {key: value for key, value in KEYED_BODY.items() if key != "name"}
    names = {api.post("instances", body).json()["name"] for _ in range(2)}
    assert names == {"Keyed"}


def test_ids_ascend(api):
    assert create(api)["id"] < create(api)["id"]


def test_all_missing_keys_are_named_and_the_set_shrinks(api):
    body: dict[str, Any] = {"element": {"key": "keyed"}, "configuration": {}}
    response = api.post("instances", body)
    assert response.status_code == 400
    assert response.json()["message"] == "Missing required configuration: api.key, site"
    for site in ("", None):  # both count as missing
        body["configuration"] = {"api.key": "k3y-of-the-account", "site": site}
        response = api.post("instances", body)
        assert response.json()["message"] == "Missing required configuration: site"
    body["configuration"] = {"api.key": "********", "site": "acme"}
    assert api.post("instances", body).json()["message"].endswith(": api.key")
    assert not Instance.objects.exists()


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({}, 400, "does not name an element"),
        ({"element": {}}, 400, "key or an id"),
        ({"element": {"key": "nowhere"}}, 404, "No element found with key or ID nowhere"),
        ({"element": "keyed"}, 400, "element"),
        (KEYED_BODY | {"configuration": []}, 400, "configuration"),
        (KEYED_BODY | {"tags": "acme"}, 400, "tags"),
        (KEYED_BODY | {"tags": [""]}, 400, "A tag has"),
        (KEYED_BODY | {"name": "n" * 201}, 400, "A name has at most"),
        (KEYED_BODY | {"name": 7}, 400, "name"),
        (KEYED_BODY | {"externalAuthentication": "later"}, 400, "externalAuthentication"),
        (
            KEYED_BODY | {"configuration": {"authentication.type": "oauth9"}},
            400,
            "authentication.type",
        ),
    ],
)
def test_bad_bodies_are_told_why_and_change_nothing(api, body, status, sentence):
    response = api.post("instances", body)
    assert response.status_code == status, response.content
    assert sentence in response.json()["message"]
    assert not Instance.objects.exists()


def test_unknown_fields_keys_and_parameters_are_accepted(api):
    body = KEYED_BODY | {"retrieveObjectsAfterInstantiation": True, "cachingEnabled": True}
    body["configuration"] = KEYED_BODY["configuration"] | {
        "debug": True,
        "event.poller.configuration": {"contacts": {"url": "/x"}},
        "my.token": "t0ken-of-the-client",
    }
    created = api.post("instances?whatever=1", body).json()
    assert created["configuration"]["debug"] == "true"
    assert created["configuration"]["my.token"] == "********"
    assert isinstance(created["configuration"]["event.poller.configuration"], str)


def test_an_instance_is_read_under_its_own_element_only(api, instance):
    make_element(
        {
            "key": "other",
            "id": 900002,
            "name": "Other",
            "hub": "crm",
            "description": "Another.",
            "authentication": [{"type": "custom"}],
        }
    )
    number = instance["id"]
    assert api.get(f"instances/{number}").json() == instance
    assert api.get(f"elements/keyed/instances/{number}").json() == instance
    assert api.get(f"elements/other/instances/{number}").status_code == 404


@pytest.mark.parametrize("number", [0, 4711, 10**30])
def test_an_unknown_id_is_404_in_the_contracts_words(api, number):
    for method in ("GET", "DELETE"):
        response = api.call(method, f"instances/{number}")
        assert response.status_code == 404
        assert response.json()["message"] == f"No element instance found with ID {number}"


def test_another_accounts_instance_is_not_there(api, instance):
    other = make_api_client("Other", "bob@example.com")
    for method, path, body in [
        ("GET", "", None),
        ("PUT", "", {"name": "mine"}),
        ("PATCH", "", {"name": "mine"}),
        ("DELETE", "", None),
        ("PUT", "/enabled", None),
        ("DELETE", "/enabled", None),
        ("GET", "/configuration", None),
        ("GET", "/interactions", None),
        ("GET", "/health", None),
    ]:
        response = other.call(method, f"instances/{instance['id']}{path}", body)
        assert response.status_code == 404, (method, path)
    assert api.get(f"instances/{instance['id']}").json() == instance


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize("path", ["instances/{id}", "elements/keyed/instances/{id}"])
def test_a_partial_change_keeps_what_is_absent(api, instance, method, path):
    changed = api.call(method, path.format(id=instance["id"]), {"tags": ["x"], "id": 999}).json()
    assert changed == instance | {"tags": ["x"]}
    changed = api.call(method, path.format(id=instance["id"]), {"name": "<b>New</b>"}).json()
    assert (changed["name"], changed["tags"]) == ("New", ["x"])


def test_the_token_chooses_the_instance_of_a_change(api, instance):
    changed = api.patch("instances", {"id": 1, "name": "New"}, element=instance["token"]).json()
    assert (changed["id"], changed["name"]) == (instance["id"], "New")
    assert api.delete("instances", element=instance["token"]).status_code == 200
    assert api.get(f"instances/{instance['id']}").status_code == 404


def test_what_was_read_can_be_put_back_whole_and_the_secrets_are_unharmed(api, instance):
    document = api.get(f"instances/{instance['id']}").json() | {"name": "New"}
    changed = api.put(f"instances/{instance['id']}", document).json()
    assert (changed["id"], changed["token"]) == (instance["id"], instance["token"])
    stored = Instance.objects.get()
    assert stored.secret_configuration.reveal() == {"api.key": "k3y-of-the-account"}


def test_changed_credentials_authenticate_again_and_keep_id_and_token(api, instance):
    body = {"configuration": {"api.key": "n3w-key-of-the-account"}}
    changed = api.put(f"instances/{instance['id']}", body).json()
    assert (changed["id"], changed["token"]) == (instance["id"], instance["token"])
    stored = Instance.objects.get()
    assert stored.secret_configuration.reveal() == {"api.key": "n3w-key-of-the-account"}
    assert stored.state_changes.first().reason == "Credentials renewed."
    api.put(f"instances/{instance['id']}?reAuthenticate=false", {"configuration": {"site": "b"}})
    assert Instance.objects.get().state_changes.count() == stored.state_changes.count()
    assert Instance.objects.get().configuration["site"] == "b"


def test_a_wrong_change_changes_nothing(api, instance):
    for body in ({"tags": [""], "name": "New"}, {"name": "n" * 300}, {"element": {"id": 40}}):
        assert api.put(f"instances/{instance['id']}", body).status_code == 400
    assert api.get(f"instances/{instance['id']}").json() == instance


def test_deleting_twice_is_200_then_404(api, instance):
    first = api.delete(f"instances/{instance['id']}")
    assert (first.status_code, first.content, first["Content-Length"]) == (200, b"", "0")
    assert api.delete(f"instances/{instance['id']}").status_code == 404
    assert not Instance.objects.exists()


def test_get_and_delete_may_carry_a_body(api, instance):
    assert api.call("GET", f"instances/{instance['id']}", {}).status_code == 200
    assert api.call("DELETE", f"elements/keyed/instances/{instance['id']}", {}).status_code == 200


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(
    ("path", "field", "on", "off"),
    [("enabled", "disabled", False, True), ("trace-logging", "traceLoggingEnabled", True, False)],
)
def test_switches_go_both_ways_twice(api, instance, own, path, field, on, off):
    where = f"instances/{path}" if own else f"instances/{instance['id']}/{path}"
    token = instance["token"] if own else ""
    for method, value in (("DELETE", off), ("DELETE", off), ("PUT", on), ("PUT", on)):
        response = api.call(method, where, {"duration": 5}, element=token)
        assert (response.status_code, response.content) == (200, b"")
        assert api.get(f"instances/{instance['id']}").json()[field] is value


def test_tags_and_search_narrow_together(api):
    first = create(api, name="Acme North", tags=["a", "b"])
    second = create(api, name="acme south", tags=["a"])
    ids = lambda path: [one["id"] for one in api.get(path).json()]  # noqa: E731
    assert ids("instances?tags%5B%5D=a&tags%5B%5D=b") == [first["id"]]
    assert ids("instances?tags=a") == [first["id"], second["id"]]
    assert ids("instances?searchText=ACME") == [first["id"], second["id"]]
    assert ids("instances?searchText=south&tags[]=a") == [second["id"]]
    assert ids("instances?searchText=KEYE") == [first["id"], second["id"]]
    assert ids("instances?searchText=&tags[]=") == [first["id"], second["id"]]
    missed = api.get(f"instances?tags%5B%5D={quote('im-no')}")
    assert (missed.status_code, missed.json()["message"]) == (404, "No instances found")


@pytest.mark.parametrize(
    "query",
    [
        "tags[0]=eu&tags[1]=acme",
        "tags%5B0%5D=eu&tags%5B1%5D=acme",
        "tags[7]=eu&tags[]=acme&tags[9]=",
    ],
)
def test_tags_may_be_written_with_indexes(api, query):
    for tags in (["acme"], ["acme", "eu"]):
        api.post("instances", KEYED_BODY | {"name": "-".join(tags), "tags": tags})
    assert [one["name"] for one in api.get(f"instances?{query}").json()] == ["acme-eu"]
    assert api.get("instances?tags[0]=nobody").status_code == 404


def test_without_hydration_the_configuration_is_empty_and_the_element_short(api, instance):
    [short] = api.get("instances?hydrate=false").json()
    assert short["configuration"] == {}
    assert {"id", "key", "name", "image"} <= set(short["element"])
    assert "authentication" not in short["element"]


def test_pages_follow_each_other_and_an_insert_between_repeats_nothing(api):
    numbers = [create(api)["id"] for _ in range(5)]
    first = api.get("instances?pageSize=2")
    assert first["Elements-Returned-Count"] == "2"
    create(api)
    second = api.get(f"instances?pageSize=2&nextPage={first['Elements-Next-Page-Token']}")
    seen = [one["id"] for one in first.json() + second.json()]
    assert seen == numbers[:4]
    last = api.get(f"instances?pageSize=99&nextPage={second['Elements-Next-Page-Token']}")
    assert "Elements-Next-Page-Token" not in last
    assert len(last.json()) == 2


@pytest.mark.parametrize(
    "query", ["pageSize=0", "pageSize=-1", "pageSize=x", "nextPage=%21", "nextPage=YQ"]
)
def test_bad_pages_are_refused(api, instance, query):
    assert api.get(f"instances?{query}").status_code == 400


def test_a_page_size_over_the_maximum_is_capped(api, instance):
    assert api.get("instances?pageSize=100000").status_code == 200


def test_instances_are_counted(api):
    assert api.get("instances/count").json() == {"totalInstances": 0, "elementInstances": []}
    create(api)
    create(api)
    counted = api.get("instances/count").json()
    assert counted["totalInstances"] == 2
    assert counted["elementInstances"] == [
        {"elementId": 900001, "elementKey": "keyed", "instances": 2}
    ]


def test_docs_of_an_instance_are_swagger_without_operations(api, instance):
    docs = api.get(f"instances/{instance['id']}/docs").json()
    assert {"swagger", "basePath", "paths"} <= set(docs)
    assert api.get("instances/docs", element=instance["token"]).json() == docs
    assert api.get(f"instances/{instance['id']}/docs/getContacts").status_code == 404


def test_the_timeline_is_paged_newest_first_and_belongs_to_the_instance(api, instance):
    row = Instance.objects.get()
    assert api.get(f"instances/{instance['id']}/interactions").json()["message"] == (
        "No interactions found"
    )
    for step in ("first", "second", "third"):
        Interaction.objects.create(
            instance=row,
            subject="x",
            operation=step,
            direction="out",
            method="GET",
            url="https://x.example/",
            started_at=row.created_at,
        )
    page = api.get(f"instances/{instance['id']}/interactions?pageSize=2")
    assert [one["step"] for one in page.json()] == ["third", "second"]
    token = page["Elements-Next-Page-Token"]
    rest = api.get(f"instances/{instance['id']}/interactions?pageSize=2&nextPage={token}").json()
    assert [one["step"] for one in rest] == ["first"]


def test_imported_tokens_need_one_of_two_keys(api):
    body = KEYED_BODY | {"externalAuthentication": "initial"}
    response = api.post("instances", body)
    assert response.status_code == 400
    assert "oauth.user.token, oauth.user.refresh_token" in response.json()["message"]
