"""The same instance under each of its paths, and as what the OpenAPI document says."""

import pytest

from tests.api.conftest import KEYED_BODY
from tests.support.factories import KEY_DEFINITION, make_element


@pytest.mark.parametrize(
    "path",
    [
        "instances/{id}/configuration",
        "instances/{id}/docs",
        "instances/configuration",
        "instances/docs",
    ],
)
def test_each_path_of_an_instance_answers_the_same(api, instance, path):
    by_id = path if "{id}" in path else path.replace("instances/", "instances/{id}/")
    expected = api.get(by_id.format(id=instance["id"])).json()
    found = api.get(path.format(id=instance["id"]), element=instance["token"])
    assert (found.status_code, found.json()) == (200, expected)


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_an_instance_of_another_element_is_not_found(api, instance, method):
    make_element(KEY_DEFINITION | {"id": 2, "key": "other"})
    body = None if method in {"GET", "DELETE"} else {"name": "Renamed"}
    answer = api.call(method, f"elements/other/instances/{instance['id']}", body)
    assert answer.status_code == 404
    assert api.get(f"elements/keyed/instances/{instance['id']}").json() == instance


def test_the_element_of_the_path_takes_precedence(api):
    make_element(KEY_DEFINITION | {"id": 2, "key": "other"})
    answer = api.post("elements/keyed/instances", KEYED_BODY | {"element": {"key": "other"}})
    assert answer.json()["element"]["key"] == "keyed"
    assert api.get("elements/other/instances").status_code == 404
    assert len(api.get("elements/keyed/instances").json()) == 1


def test_another_account_than_the_callers_is_not_found(api, instance):
    account = api.user.organization_id
    listed = api.get(f"accounts/{account}/instances")
    assert listed.json() == api.get("accounts/instances").json() != []
    assert api.get(f"accounts/{account + 1}/instances").status_code == 404


@pytest.mark.parametrize("path", ["instances", "instances/{id}", "elements", "organizations/me"])
def test_a_response_has_exactly_the_fields_of_the_openapi_document(api, instance, path):
    document = api.get("openapi.json").json()
    answer = api.get(path.format(id=instance["id"])).json()
    route = path.replace("{id}", "{instance_id}")
    schema = document["paths"][f"/elements/api-v2/{route}"]["get"]["responses"]["200"]
    schema = schema["content"]["application/json"]["schema"]
    if schema.get("type") == "array":
        answer, schema = answer[0], schema["items"]
    [reference, *_] = [schema, *schema.get("anyOf", [])][-2:]
    described = document["components"]["schemas"][reference["$ref"].rpartition("/")[2]]
    assert set(described["required"]) == set(answer)
