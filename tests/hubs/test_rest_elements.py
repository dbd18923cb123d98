"""Hub calls of HubSpot, Close and Pipedrive, each against a strict stub (contract for hubs, 3 and 14)."""

import json
from dataclasses import dataclass
from urllib.parse import unquote

import pytest
from django.core.cache import cache

from instances.catalogue.loading import SHIPPED_FOLDER, load_element
from instances.hubs import metadata_cache
from instances.models import Instance, Organization
from instances.platforms.base import TokenSet
from tests.api.conftest import ApiClient, make_api_client
from tests.support.factories import make_element
from tests.support.rest_stub import CURSOR, OFFSET, PIPEDRIVE, Collection, RestStub

OAUTH = {
    "oauth.api.key": "client",
    "oauth.api.secret": "secret-of-the-client",
    "oauth.callback.url": "https://app.example/callback",
    "oauth.user.token": "access-token-0",
}


@dataclass
class Client:
    api: ApiClient
    token: str
    stub: RestStub

    def call(self, method, path, body=None):
        return self.api.call(method, path, body, element=self.token)

    def get(self, path, **query):
        header = {"Authorization": f"{self.api.header}, Element {self.token}"}
        return self.api.django.get(f"/elements/api-v2/hubs/crm/{path}", query, headers=header)

    def ids(self, path, **query):
        response = self.get(path, **query)
        assert response.status_code == 200, response.content
        return [row["id"] for row in response.json()]

    @property
    def asked(self):
        return unquote(self.stub.targets[-1])


def connect(settings, key, stub, configuration, *, host="", way=""):
    """Make an instance of a shipped element whose API is the stub's. host: as its file has it."""
    cache.clear()
    metadata_cache.forget_all()
    settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [stub.netloc]
    definition = load_element(SHIPPED_FOLDER / f"{key}.toml").model_dump_json()
    make_element(json.loads(definition.replace(host, stub.url) if host else definition))
    api = make_api_client()
    body = {"element": {"key": key}, "name": "Acme", "configuration": configuration}
    if way:
        body |= {"authentication": {"type": way}, "externalAuthentication": "initial"}
    response = api.post("instances", body)
    assert response.status_code == 200, response.content
    stub.targets.clear()
    return Client(api, response.json()["token"], stub)


@pytest.fixture
def hubspot(db, settings):
    def row(number):
        return {
            "id": str(number),
            "properties": {"email": f"ada{number}@example.com", "lastname": "Holm", "phone": None},
            "createdAt": "2026-01-01T00:00:00Z",
            "archived": False,
        }

    contacts = Collection([row(n) for n in range(1, 8)], select="properties", wrap="properties")
    with RestStub(CURSOR, {"crm/v3/objects/contacts": contacts}) as stub:
        yield connect(
            settings, "hubspotcrm", stub, OAUTH, host="https://api.hubapi.com", way="oauth2"
        )


@pytest.fixture
def close(db, settings):
    def by(name):
        return lambda row, text: str(row[name]).lower() == text.lower()

    def row(number):
        return {
            "id": f"oppo_{number}",
            "lead_id": f"lead_{number % 2}",
            "value": number,
            "date_created": f"2026-01-0{number}T00:00:00Z",
        }

    collections = {
        # What the probe asks for.
        "me": Collection([]),
        "lead": Collection([{"id": "lead_0"}, {"id": "lead_1"}], select="_fields", update="PUT"),
        "opportunity": Collection(
            [row(n) for n in range(1, 8)],
            select="_fields",
            update="PUT",
            sort="_order_by",
            filters={
                "lead_id": by("lead_id"),
                "date_created__gte": lambda row, text: row["date_created"] >= text,
                "date_created__lt": lambda row, text: row["date_created"] < text,
            },
        ),
    }
    with RestStub(OFFSET, collections, tail="/") as stub:
        client = connect(
            settings, "closeio", stub, {"username": "k3y"}, host="https://api.close.com/api/v1"
        )
        yield client


@pytest.fixture
def pipedrive(db, settings):
    def row(number):
        stamp = f"2026-01-0{number}T00:00:00Z"
        return {"id": number, "name": f"Ada {number}", "org_id": number % 2, "update_time": stamp}

    filters = {
        "ids": lambda row, text: str(row["id"]) in text.split(","),
        "org_id": lambda row, text: row["org_id"] == int(text),
        "updated_since": lambda row, text: row["update_time"] >= text,
    }

    def item(row):
        return {"success": True, "data": row}

    persons = Collection(
        [row(n) for n in range(1, 8)],
        filters=filters,
        item=item,
        new_id=int,
        sort="sort_by",
        direction="sort_direction",
    )
    organizations = Collection([{"id": 0, "name": "Acme"}, {"id": 1, "name": "Bolt"}], item=item)
    collections = {"api/v2/persons": persons, "api/v2/organizations": organizations}
    with RestStub(PIPEDRIVE, collections) as stub:
        client = connect(settings, "pipedrive", stub, OAUTH, way="oauth2")
        instance = Instance.objects.get()
        instance.tokens = TokenSet(
            "access-token-0", "", "", extra={"api_domain": stub.url}
        ).to_json()
        instance.save()
        Organization.objects.update(private_hosts={"pipedrive": [stub.netloc]})
        yield client


def test_a_hubspot_record_has_its_id_and_its_properties(hubspot):
    assert hubspot.get("contacts/3").json() == {
        "id": "3",
        "properties": {"email": "ada3@example.com", "lastname": "Holm"},
    }
    page = hubspot.get("contacts", fields="email,properties.lastname", pageSize="5")
    assert page.json()[0]["properties"] == {"email": "ada1@example.com", "lastname": "Holm"}
    assert hubspot.asked.endswith("contacts?properties=email,lastname&limit=5")
    token = page["Elements-Next-Page-Token"]
    last = hubspot.get("contacts", fields="email,properties.lastname", pageSize="5", nextPage=token)
    assert [row["id"] for row in last.json()] == ["6", "7"]
    assert "Elements-Next-Page-Token" not in last


def test_a_hubspot_record_lives_from_create_to_delete(hubspot):
    made = hubspot.call("POST", "contacts", {"properties": {"lastname": "Zoë", "phone": "1"}})
    assert (made.status_code, made.json()["properties"]["lastname"]) == (200, "Zoë")
    path = f"contacts/{made.json()['id']}"
    # HubSpot clears a property that is sent as an empty text.
    changed = hubspot.call("PUT", path, {"properties": {"phone": ""}}).json()
    assert changed["properties"] == {"lastname": "Zoë", "phone": ""}
    assert hubspot.call("PATCH", path, {"lastname": "flat"}).status_code == 400
    assert hubspot.call("DELETE", path).status_code == 200
    assert hubspot.get(path).status_code == 404


def test_hubspot_lists_take_no_condition_and_no_order(hubspot):
    response = hubspot.get("contacts", where="email = 'ada1@example.com'")
    assert response.status_code == 400
    assert "“email = 'ada1@example.com'” cannot be used" in response.json()["message"]
    assert hubspot.get("contacts", orderBy="email").status_code == 400
    assert hubspot.stub.targets == []


def test_close_changes_with_put_and_pages_by_offset(close):
    whole = close.ids("opportunities", pageSize="6")
    by_number = [close.ids("opportunities", pageSize="3", page=n) for n in ("1", "2")]
    assert by_number[0] + by_number[1] == whole
    changed = close.call("PATCH", "opportunities/oppo_2", {"value": 5, "tags": ["a"]})
    assert (changed.status_code, changed.json()["tags"]) == (200, ["a"])
    assert close.stub.targets[-1] == "PUT /opportunity/oppo_2/"
    assert close.get("opportunities", fields="value", pageSize="1").json() == [
        {"id": "oppo_1", "value": 1}
    ]
    made = close.call("POST", "leads/lead_1/opportunities", {"value": 8}).json()
    assert made["lead_id"] == "lead_1"


@pytest.mark.parametrize(
    ("where", "numbers"),
    [
        ("lead_id = 'lead_1'", [1, 3, 5, 7]),
        ("lead_id = 'lead_1' AND (date_created >= '2026-01-03T01:00:00+01:00')", [3, 5, 7]),
        ("date_created >= 2026-01-03 and date_created < '2026-01-05'", [3, 4]),
        ("LEAD_ID = 'nobody&_limit=1'", []),
    ],
)
def test_conditions_become_parameters(close, where, numbers):
    assert close.ids("opportunities", where=where) == [f"oppo_{n}" for n in numbers]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (
            "value = 3",
            "“value = 3” cannot be used: records of this resource can be filtered only by",
        ),
        ("lead_id = 'a' OR lead_id = 'b'", "“lead_id = 'a' OR lead_id = 'b'” cannot be used: "),
        (
            "user_id = 'u' AND lead_id != 'a'",
            "“lead_id != 'a'” cannot be used: lead_id can only be",
        ),
        ("lead_id LIKE 'a%'", "“lead_id LIKE 'a%'”"),
        ("lead_id IS NULL", "“lead_id IS NULL”"),
        ("lead_id = ''", "“lead_id = ''” cannot be used: the value is empty"),
        ("lead_id = 'a' AND lead_id = 'b'", "“lead_id = 'b'” cannot be used: there is another one"),
        ("date_created >= 'soon'", "“soon” is not a value of the field date_created"),
    ],
)
def test_what_has_no_parameter_is_refused_by_name(close, where, message):
    response = close.get("opportunities", where=where)
    assert (response.status_code, close.stub.targets) == (400, [])
    assert message in response.json()["message"]


def test_close_has_the_direction_in_the_name(close):
    assert close.ids("opportunities", orderBy="date_created desc", pageSize="2") == [
        "oppo_7",
        "oppo_6",
    ]
    assert close.asked.endswith("opportunity/?_order_by=-date_created&_skip=0&_limit=2")


def test_pipedrive_has_a_parameter_for_the_direction(pipedrive):
    assert pipedrive.ids("contacts", orderBy="UPDATE_TIME DESC", pageSize="3") == [7, 6, 5]
    assert "sort_by=update_time&sort_direction=desc" in pipedrive.asked
    assert pipedrive.ids("accounts/1/contacts", orderBy="id") == [1, 3, 5, 7]


@pytest.mark.parametrize(
    ("path", "order", "message"),
    [
        ("contacts", "name", "can be sorted by id, add_time, update_time, not by “name”"),
        ("contacts", "id, update_time", "can be sorted by one field only"),
        ("stages", "id", "stages of this element cannot be sorted. Omit orderBy"),
        ("contacts", "id=1&x", "has no field “id=1&x”"),
    ],
)
def test_an_order_that_the_provider_does_not_have_is_refused(pipedrive, path, order, message):
    response = pipedrive.get(path, orderBy=order)
    assert (response.status_code, pipedrive.stub.targets) == (400, [])
    assert message in response.json()["message"]


def test_pipedrive_unpacks_its_records_and_knows_lists_of_ids(pipedrive):
    assert pipedrive.get("contacts/2").json()["name"] == "Ada 2"
    assert pipedrive.ids("contacts", where="id IN (2, 5, 6)", pageSize="2") == [2, 5]
    assert pipedrive.asked.endswith("persons?ids=2,5,6&limit=2")
    assert pipedrive.get("contacts", where="id = '2,5'").status_code == 400
    assert pipedrive.ids("contacts", where="update_time >= '2026-01-06'") == [6, 7]
    assert pipedrive.ids("accounts/1/contacts") == [1, 3, 5, 7]
    made = pipedrive.call(
        "POST", "accounts/1/contacts", {"name": "Zoë", "emails": [{"value": "a"}]}
    )
    assert (made.json()["org_id"], made.json()["emails"]) == (1, [{"value": "a"}])
    assert pipedrive.get("accounts/0/contacts/1").status_code == 404


def test_metadata_and_document_say_what_is_known(pipedrive):
    fields = pipedrive.get("objects/person/metadata").json()["fields"]
    known = {one["vendorPath"]: (one["type"], one["filterable"]) for one in fields}
    assert known["org_id"] == ("number", True)
    assert pipedrive.get("objects", getall="true").json() == [
        "accounts", "activities", "contacts", "opportunities", "stages",
    ]  # fmt: skip
    assert pipedrive.get("query", q="SELECT Id FROM Task").status_code == 404
    document = pipedrive.api.get("elements/pipedrive/docs").json()
    parameters = {one["name"]: one for one in document["paths"]["/contacts"]["get"]["parameters"]}
    assert parameters["orderBy"]["description"].endswith(": id, add_time, update_time")
    stages = document["paths"]["/stages"]["get"]["parameters"]
    assert "orderBy" not in {one["name"] for one in stages}
    assert "org_id =" in parameters["where"]["description"]
    assert "returnCount" not in parameters
