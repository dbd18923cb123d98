"""Queries in SOQL that programs send themselves (contract for hubs, 3)."""

import pytest

SOQL = "SELECT Id, LastName, Email FROM Contact WHERE Score__c < 3.5 ORDER BY Id LIMIT 100"


def query(salesforce, soql=SOQL, **others):
    return salesforce.get("hubs/crm/query", q=soql, **others)


def test_a_query_is_answered_like_a_list(salesforce):
    response = query(salesforce, returnCount="true")
    assert response["Elements-Returned-Count"] == response["Elements-Total-Count"] == "7"
    first = response.json()[0]
    assert first == {"id": first["Id"], "Id": "003000000000000000", "LastName": "O'Brien"}
    assert salesforce.stub.queries == [SOQL]
    assert salesforce.get("query", q=SOQL).json() == response.json()


def test_pages_of_a_query_follow_each_other_and_salesforces_own(salesforce, monkeypatch):
    locator = "/services/data/v60.0/query/01gRO0000016PIAYA2-4"
    pages = {"query": [1, 2, 3, 4], "query/01gRO0000016PIAYA2-4": [5, 6]}

    def answer(method, target, body):
        path = target.removeprefix("/services/data/v60.0/").partition("?")[0]
        more = {"nextRecordsUrl": locator} if path == "query" else {}
        return 200, {"totalSize": 6, "records": [{"Id": str(n)} for n in pages[path]]} | more

    monkeypatch.setattr(salesforce.stub, "answer", answer)
    seen, token = [], ""
    for _ in range(5):
        response = query(salesforce, pageSize="3", nextPage=token)
        seen.append([row["id"] for row in response.json()])
        token = response.get("Elements-Next-Page-Token", "")
        if not token:
            break
    assert seen == [["1", "2", "3"], ["4"], ["5", "6"]]


def test_a_page_of_another_query_or_place_is_refused(salesforce, monkeypatch):
    token = query(salesforce, pageSize="3")["Elements-Next-Page-Token"]
    assert query(salesforce, SOQL + " OFFSET 1", pageSize="3", nextPage=token).status_code == 400
    assert query(salesforce, pageSize="4", nextPage=token).status_code == 400
    for link in ("https://evil.example/query/1", "//evil.example/x", "/services/data/../x"):
        body = {"totalSize": 9, "records": [], "nextRecordsUrl": link}
        monkeypatch.setattr(salesforce.stub, "answer", lambda *_, body=body: (200, body))
        assert query(salesforce).status_code == 502


@pytest.mark.parametrize("soql", ["", " ", "SELECT FROM", "x&q=SELECT Id FROM Task#/../sobjects"])
def test_what_is_no_query_is_400(salesforce, soql):
    response = query(salesforce, soql)
    assert response.status_code == 400
    assert all(t.startswith("GET /services/data/v60.0/query?q=") for t in salesforce.stub.targets)
    assert not any("&" in t or "#" in t for t in salesforce.stub.targets)
