"""Hub calls of Salesforce, against a stub that parses the SOQL it gets (contract for hubs, 8.2 and 14.3)."""

from typing import Any
from urllib.parse import quote

import pytest

from instances.models import Instance
from tests.support.salesforce import CONTACTS

FIRST = "003000000000000000"


def test_records_have_their_own_id_and_salesforces(salesforce):
    record = salesforce.get(f"contacts/{FIRST}").json()
    assert record["id"] == record["Id"] == FIRST
    assert record["LastName"] == "O'Brien"
    assert "attributes" not in record
    assert "Email" not in record
    asked = salesforce.get(f"hubs/crm/contacts/{FIRST}", fields="LastName").json()
    assert asked == {"id": FIRST, "Id": FIRST, "LastName": "O'Brien"}


@pytest.mark.parametrize(
    ("where", "numbers"),
    [
        ("LastName='O''Brien' AND Score__c < 3", [0, 3]),
        ("Email LIKE 'ada_1@%' OR Email = 'ada_3@example.com'", [1, 3]),
        ("Score__c >= 223.5 and Email is not null", [447, 449]),
        ("SystemModstamp > '2026-01-01T07:27:00Z'", [448, 449]),
        (f"id IN ('{FIRST}','x') or FirstName = 'Ada 7'", [0, 7]),
        ("HasOptedOut = true and Birthdate = '1910-01-01' and Score__c < 100", [0, 90, 180]),
        ("firstname = 'ada 5'", [5]),
    ],
)
def test_a_condition_becomes_soql(salesforce, where, numbers):
    assert salesforce.ids("contacts", where=where) == [f"003{n:015}" for n in numbers]


def test_a_condition_on_something_unknown_sends_nothing(salesforce):
    response = salesforce.get("contacts", where="Zip = 1 OR Id != null")
    assert response.status_code == 400
    response = salesforce.get("contacts", where="Zip = 1")
    assert (response.status_code, "“Zip = 1”" in response.json()["message"]) == (400, True)
    assert salesforce.stub.queries == []


def test_pages_are_stable_by_number_and_by_token(salesforce):
    whole = salesforce.ids("contacts", pageSize="6")
    assert [
        *salesforce.ids("contacts", pageSize="3"),
        *salesforce.ids("contacts", pageSize="3", page="2"),
    ] == whole
    token = salesforce.get("contacts", pageSize="3")["Elements-Next-Page-Token"]
    assert salesforce.ids("contacts", pageSize="3", nextPage=token) == whole[3:]
    assert salesforce.get("contacts", pageSize="4", nextPage=token).status_code == 400


@pytest.mark.parametrize(
    "query", [{}, {"orderBy": "LastName desc, FirstName"}, {"where": "Score__c > 50"}]
)
def test_a_client_that_follows_the_tokens_reads_everything_once(salesforce, query):
    seen, token = [], ""
    for _ in range(10):
        response = salesforce.get("contacts", pageSize="100", nextPage=token, fields="Id", **query)
        seen += [row["id"] for row in response.json()]
        token = response.get("Elements-Next-Page-Token", "")
        if not token:
            break
    expected = CONTACTS - 101 if "where" in query else CONTACTS
    assert len(seen) == len(set(seen)) == expected


def test_an_order_is_kept_and_has_its_limit(salesforce):
    rows = salesforce.get("contacts", orderBy="Score__c DESC", pageSize="2").json()
    assert [row["Score__c"] for row in rows] == [224.5, 224.0]
    response = salesforce.get("contacts", page="30", pageSize="100")
    assert (response.status_code, "nextPage" in response.json()["message"]) == (400, True)


def test_the_total_is_counted_on_request(salesforce):
    assert "Elements-Total-Count" not in salesforce.get("contacts", pageSize="1")
    asked = {"pageSize": "1", "returnCount": "true", "where": "LastName = 'Holm'"}
    assert salesforce.get("contacts", **asked)["Elements-Total-Count"] == "150"


def test_a_record_lives_from_create_to_delete(salesforce):
    made = salesforce.call("POST", "contacts", {"LastName": "O'Hara", "Birthdate": "1980-02-03"})
    assert made.status_code == 200, made.content
    assert made.json()["LastName"] == "O'Hara"
    path = f"contacts/{made.json()['id']}"
    changed = salesforce.call("PATCH", path, {"FirstName": "Zoë", "Birthdate": ""})
    assert (changed.status_code, changed.json()["FirstName"]) == (200, "Zoë")
    assert "Birthdate" not in changed.json()
    assert salesforce.call("DELETE", path).status_code == 200
    assert salesforce.get(path).status_code == 404


def test_what_cannot_be_written_is_refused(salesforce):
    bodies: list[dict[str, Any]] = [
        {},
        {"Zip": 1},
        {"SystemModstamp": "2026-01-01"},
        {"Birthdate": "soon"},
        {"LastName": {}},
    ]
    for body in bodies:
        assert salesforce.call("POST", "contacts", body).status_code == 400, body
    assert salesforce.call("DELETE", "users/005000000000000000").status_code == 405


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_json_does_not_have_pass_in_no_direction(number, salesforce, monkeypatch):
    written = salesforce.call("POST", "contacts", {"LastName": "a", "Score__c": number})
    assert (written.status_code, salesforce.stub.targets) == (400, [])
    monkeypatch.setattr(salesforce.stub, "answer", lambda *_: (200, {"Score__c": number}))
    assert salesforce.get(f"contacts/{FIRST}").status_code == 502


def test_an_answer_that_is_too_large_is_502(salesforce, monkeypatch):
    large = [{"LastName": "a" * 1024}] * (17 * 1024)
    monkeypatch.setattr(salesforce.stub, "answer", lambda *_: (200, large))
    response = salesforce.get(f"contacts/{FIRST}")
    assert (response.status_code, "longer than" in response.json()["message"]) == (502, True)


def test_children_and_any_object(salesforce):
    made = salesforce.call("POST", f"contacts/{FIRST}/tasks", {"Subject": "Call"}).json()
    assert made["WhoId"] == FIRST
    assert salesforce.ids(f"contacts/{FIRST}/tasks") == [made["id"]]
    assert salesforce.ids("Task", where="Subject LIKE 'C%l'") == [made["id"]]
    assert salesforce.get(f"contacts/003000000000000001/tasks/{made['id']}").status_code == 404
    assert set(salesforce.get("objects", getall="true").json()) >= {"contacts", "Contact", "Task"}
    assert salesforce.get("Unknown").status_code == 404
    fields = salesforce.get("objects/contacts/metadata", customFieldsOnly="true").json()["fields"]
    assert [field["vendorPath"] for field in fields] == ["Score__c"]


def test_activities_and_attachments_belong_to_records(salesforce):
    body = {"Subject": "Lunch"}
    made = salesforce.call("POST", f"contacts/{FIRST}/activities", body).json()
    assert made["WhoId"] == FIRST
    assert salesforce.ids(f"contacts/{FIRST}/activities") == [made["id"]]
    body = {"Name": "a.txt", "Body": "YQ=="}
    made = salesforce.call("POST", f"Contact/{FIRST}/attachments", body).json()
    assert made["ParentId"] == FIRST
    assert salesforce.ids(f"contacts/{FIRST}/attachments") == [made["id"]]
    # A query may return one file.
    assert "Body" not in salesforce.get(f"contacts/{FIRST}/attachments").json()[0]
    paths = salesforce.api.get("elements/sfdc/docs").json()["paths"]
    parameters = paths["/{objectName}/{id}/attachments"]["post"]["parameters"]
    assert [one["name"] for one in parameters] == ["objectName", "id", "body"]


def test_me_is_the_user_who_is_connected(salesforce):
    salesforce.stub.rows["User"]["005A"] = {"Id": "005A", "Username": "ada@example.com"}
    response = salesforce.get("users/me")
    assert (response.status_code, "Check the instance" in response.json()["message"]) == (404, True)
    Instance.objects.update(account_identity={"user_id": "005A", "organization_id": "00D"})
    assert salesforce.get("hubs/crm/users/me", fields="Username").json() == {
        "id": "005A",
        "Id": "005A",
        "Username": "ada@example.com",
    }


@pytest.mark.parametrize("record_id", ["x'", "a?fields=Id", "a%23", "..;x", "a&b", "é"])
def test_no_id_leaves_its_segment(salesforce, record_id):
    salesforce.get("contacts/" + quote(record_id))
    asked = [t for t in salesforce.stub.targets if not t.endswith("/describe")]
    assert all(t.startswith("GET /services/data/v60.0/sobjects/Contact/") for t in asked)
    assert not any(mark in target for target in asked for mark in ("?", "#", "'", "..;"))
