import pytest

from tests.sandbox.conftest import WHO_AM_I


def test_who_am_i_answers_as_dynamics_does(program, tokens):
    answer = program.get(WHO_AM_I, tokens["access_token"])
    assert answer["OData-Version"] == "4.0"
    body = answer.json()
    assert body["@odata.context"].endswith("$metadata#Microsoft.Dynamics.CRM.WhoAmIResponse")
    assert {"BusinessUnitId", "UserId", "OrganizationId"} < body.keys()


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("accounts", "accountid"),
        ("contacts", "contactid"),
        ("leads", "leadid"),
        ("opportunities", "opportunityid"),
    ],
)
def test_there_are_rows_to_read(program, tokens, name, column):
    rows = program.get(f"/sandbox/api/data/v9.2/{name}", tokens["access_token"]).json()["value"]
    assert len({row[column] for row in rows}) == len(rows) >= 2


def test_an_unknown_entity_set_is_not_found(program, tokens):
    answer = program.get("/sandbox/api/data/v9.2/invoices", tokens["access_token"])
    assert answer.status_code == 404
    assert "invoices" in answer.json()["error"]["message"]


@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer never-given-out", "Basic eDp5"])
def test_without_a_live_token_there_is_nothing_to_read(program, authorization):
    headers = {"Authorization": authorization} if authorization else {}
    answer = program.http.get(WHO_AM_I, headers=headers)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].lower().startswith("bearer ")
    assert answer.json()["error"]["code"]


def test_a_refresh_token_opens_nothing(program, tokens):
    assert program.get(WHO_AM_I, tokens["refresh_token"]).status_code == 401
