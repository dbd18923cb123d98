"""The sandbox's CRM as Dataverse's Web API: queries, writes and metadata."""

import json
from urllib.parse import quote, urlsplit

import pytest

from instances.sandbox.behaviour import Switch, flip

API = "/sandbox/api/data/v9.2"
DE_WIT = "b7c40d1e-0f6b-4a53-92d8-6e3a1f5c8b01"
HARBOUR = "9e1f6a52-33b8-4c0d-8a6e-51c07d2b9a01"
UNKNOWN = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
def call(program, tokens):
    """Call the API; a body is sent as JSON."""

    def call(method, path, body=None, **headers):
        return program.http.generic(
            method,
            path if path.startswith("/") else f"{API}/{path}",
            data="" if body is None else json.dumps(body),
            content_type="application/json",
            headers={"Authorization": f"Bearer {tokens['access_token']}"} | headers,
        )

    return call


@pytest.fixture
def rows(call):
    def rows(path, **options):
        query = "&".join(f"${name}={quote(value)}" for name, value in options.items())
        answer = call("GET", f"{path}?{query}")
        assert answer.status_code == 200, answer.content
        return answer.json()["value"]

    return rows


def test_there_are_ten_thousand_contacts_that_are_always_the_same(call, rows):
    found = rows("contacts", select="fullname", orderby="createdon desc")
    assert len(found) == 5000
    assert found[0]["fullname"] == "Oskar Novak"
    answer = call("GET", "contacts?$select=contactid").json()
    link = urlsplit(answer["@odata.nextLink"])
    second = call("GET", f"{link.path}?{link.query}")
    assert len(second.json()["value"]) == 5000
    assert "@odata.nextLink" not in second.json()


def test_pages_have_the_size_that_prefer_asks_for(call):
    headers = {"Prefer": "odata.maxpagesize=3"}
    first = call("GET", "accounts?$orderby=name", **headers).json()
    link = urlsplit(first["@odata.nextLink"])
    second = call("GET", f"{link.path}?{link.query}", **headers).json()
    names = [row["name"] for row in [*first["value"], *second["value"]]]
    assert names == sorted(names, key=str.casefold)
    assert len(set(names)) >= 4


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        ("lastname eq 'DE WIT' and firstname eq 'anneke'", 20),
        ("lastname eq 'O''Brien' and not (firstname ne 'Aiko')", 20),
        (
            "contains(emailaddress1,'harbour') or contactid eq b7c40d1e-0f6b-4a53-92d8-6e3a1f5c8b02",
            2,
        ),
        ("startswith(lastname,'d[e] w_t') and firstname eq 'Anneke'", 20),
        ("birthdate eq null and numberofchildren gt 3 and donotemail eq true", 71),
        (f"_parentcustomerid_value eq {HARBOUR} and createdon lt 2026-01-02T00:00:00Z", 1),
        ("birthdate ge 2004-09-26 and creditlimit le 1.3e5", 3),
    ],
)
def test_rows_are_filtered(call, condition, count):
    answer = call("GET", f"contacts?$count=true&$select=lastname&$filter={quote(condition)}")
    assert answer.status_code == 200, answer.content
    assert answer.json()["@odata.count"] == len(answer.json()["value"]) == count


@pytest.mark.parametrize(
    "query",
    [
        "$filter=zip eq 1", "$filter=lastname eq 5", "$filter=creditlimit eq '5'", "$filter=lastname = 'a'",
        "$filter=contactid gt", "$filter=contains(creditlimit,'5')", "$filter=lastname eq 'a", "$filter=lastname lt null",
        "$select=zip", "$orderby=zip", "$orderby=lastname up", "$skip=5", "$top=x", "$expand=parentcustomerid",
    ],
)  # fmt: skip
def test_a_query_that_dataverse_refuses_is_refused(call, query):
    name, _, value = query.partition("=")
    answer = call("GET", f"contacts?{name}={quote(value)}")
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_a_top_and_a_page_size_exclude_each_other(call):
    assert len(call("GET", "contacts?$top=2").json()["value"]) == 2
    assert call("GET", "contacts?$top=2", Prefer="odata.maxpagesize=2").status_code == 400


def test_a_total_is_counted_up_to_5000(call):
    assert call("GET", "contacts?$count=true&$top=1").json()["@odata.count"] == 5000


def test_a_record_is_created_changed_and_deleted(call, rows):
    body = {"lastname": "Hara", "parentcustomerid_account@odata.bind": f"/accounts({HARBOUR})"}
    made = call("POST", "contacts", body)
    assert made.status_code == 204
    path = urlsplit(made["OData-EntityId"]).path
    assert call("GET", path).json()["_parentcustomerid_value"] == HARBOUR
    changed = call("PATCH", path, {"firstname": "O"}, Prefer="return=representation")
    assert (changed.status_code, changed.json()["fullname"]) == (200, "O Hara")
    assert [row["fullname"] for row in rows("contacts", filter="lastname eq 'Hara'")] == ["O Hara"]
    assert call("DELETE", path).status_code == 204
    assert call("DELETE", path).status_code == 404
    assert rows("contacts", filter="lastname eq 'Hara'") == []


def test_records_from_the_start_are_changed_and_deleted_and_come_back_on_reset(call, rows):
    path = f"contacts({DE_WIT})"
    assert call("PATCH", path, {"lastname": "Vos"}).status_code == 204
    assert call("GET", path).json()["fullname"] == "Anneke Vos"
    assert call("DELETE", path).status_code == 204
    assert call("GET", path).status_code == 404
    assert len(rows("contacts", filter=f"contactid eq {DE_WIT}")) == 0
    flip(Switch.RESET)
    assert call("GET", path).json()["fullname"] == "Anneke de Wit"


def test_a_change_of_an_older_version_is_refused(call):
    path = f"contacts({DE_WIT})"
    etag = call("GET", path).json()["@odata.etag"]
    assert call("PATCH", path, {"lastname": "Vos"}, **{"If-Match": etag}).status_code == 204
    assert call("PATCH", path, {"lastname": "Bos"}, **{"If-Match": etag}).status_code == 412
    assert call("DELETE", path, **{"If-Match": etag}).status_code == 412
    assert call("GET", path).json()["lastname"] == "Vos"


def test_a_change_of_an_unknown_id_creates_it_unless_if_match_forbids(call):
    path = f"contacts({UNKNOWN})"
    assert call("PATCH", path, {"lastname": "a"}, **{"If-Match": "*"}).status_code == 404
    assert call("PATCH", path, {"lastname": "a"}).status_code == 204
    assert call("GET", path).json()["lastname"] == "a"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("contacts", {"zip": 1}),
        ("contacts", {"lastname": 5}),
        ("contacts", {"numberofchildren": True}),
        ("contacts", {"lastusedincampaign": 1524067137000}),
        ("contacts", {"parentcustomerid": HARBOUR}),
        ("contacts", {"parentcustomerid_account@odata.bind": f"/leads({HARBOUR})"}),
        ("contacts", {"parentcustomerid_account@odata.bind": "/accounts(x)"}),
        ("accounts", {"address1_city": "Lyon"}),
        ("contacts", []),
    ],
)
def test_a_body_that_dataverse_refuses_is_refused(call, path, body):
    assert call("POST", path, body).status_code == 400


def test_activities_are_tasks_and_phone_calls_and_cannot_be_written(call, rows):
    before = len(rows("activitypointers"))
    call("POST", "tasks", {"subject": "new"})
    assert len(rows("activitypointers")) == before + 1
    assert call("POST", "activitypointers", {"subject": "new"}).status_code == 405


def test_objects_and_their_columns_are_described(call):
    names = call("GET", "EntityDefinitions?$select=LogicalName,EntitySetName").json()["value"]
    assert {"LogicalName": "opportunity", "EntitySetName": "opportunities"} in names
    contact = "EntityDefinitions(LogicalName='contact')"
    assert call("GET", contact).json()["PrimaryIdAttribute"] == "contactid"
    kinds = {
        row["LogicalName"]: row for row in call("GET", f"{contact}/Attributes").json()["value"]
    }
    assert kinds["creditlimit"]["AttributeType"] == "Money"
    assert kinds["parentcustomeridname"]["AttributeOf"] == "parentcustomerid"
    cast = f"{contact}/Attributes/Microsoft.Dynamics.CRM.PicklistAttributeMetadata"
    [row] = call("GET", f"{cast}?$select=LogicalName&$expand=OptionSet").json()["value"]
    assert row["OptionSet"]["Options"][1]["Value"] == 2
    assert call("GET", "EntityDefinitions(LogicalName='unknown')").status_code == 404


def test_too_many_calls_are_answered_with_429_and_when_to_retry(call):
    flip(Switch.LIMIT)
    answer = call("GET", "contacts")
    assert (answer.status_code, answer["Retry-After"]) == (429, "7")
