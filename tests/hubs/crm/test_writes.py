"""Records that hub calls create, change and delete (contract for hubs, 3, 4 and 7)."""

import pytest

from instances.models import Interaction
from tests.hubs.crm.test_lists import DE_WIT, HARBOUR, UNKNOWN

pytestmark = pytest.mark.django_db(transaction=True)


def create(crm, path="contacts", **attributes):
    response = crm.call("POST", path, {"attributes": attributes})
    assert response.status_code == 200, response.content
    return response.json()


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_record_lives_from_create_to_delete(crm, method):
    made = create(crm, firstname="Zoë", lastname="O'Hara", lastusedincampaign=1524067137000)
    path = f"contacts/{made['id']}"
    assert made["attributes"]["lastusedincampaign"] == 1524067137000
    assert crm.records("contacts", where="lastname = 'O''Hara'") == [made]
    changed = crm.call(method, path, {"attributes": {"jobtitle": "Buyer", "firstname": ""}})
    assert changed.status_code == 200
    assert changed.json()["attributes"]["jobtitle"] == "Buyer"
    assert "firstname" not in changed.json()["attributes"]
    assert crm.get(path).json() == changed.json()
    assert crm.call("DELETE", path).status_code == 200
    assert crm.get(path).status_code == 404
    assert crm.call("DELETE", path).status_code == 404


def test_dates_are_taken_in_both_forms(crm):
    made = create(crm, lastname="a", lastusedincampaign="2026-03-01T10:00:00+02:00", birthdate=0)
    assert made["attributes"]["lastusedincampaign"] == 1772352000000
    assert made["attributes"]["birthdate"] == "1970-01-01"


@pytest.mark.parametrize(
    "reference",
    [
        {"parentcustomerid": {"LogicalName": "account", "Id": HARBOUR}},
        {"parentcustomerid_account@odata.bind": f"/accounts({HARBOUR})"},
    ],
)
def test_a_lookup_is_set_by_reference_and_cleared(crm, reference):
    made = create(crm, lastname="a", **reference)
    assert made["attributes"]["parentcustomerid"] == HARBOUR
    cleared = crm.call("PATCH", f"contacts/{made['id']}", {"attributes": {"parentcustomerid": ""}})
    assert "parentcustomerid" not in cleared.json()["attributes"]


def test_a_bare_id_sets_a_lookup_with_one_target_only(crm):
    made = create(crm, "opportunities", name="a", parentaccountid=HARBOUR)
    assert made["attributes"]["parentaccountid"] == HARBOUR
    body = {"attributes": {"lastname": "a", "parentcustomerid": HARBOUR}}
    refused = crm.call("POST", "contacts", body)
    assert refused.status_code == 400
    assert "account, contact" in refused.json()["message"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"lastname": "a"},
        {"attributes": []},
        {"attributes": {}},
        {"attributes": {"zip": "a"}},
        {"attributes": {"createdon": 0}},
        {"attributes": {"lastname": {"a": 1}}},
        {"attributes": {"lastusedincampaign": "yesterday"}},
        {"attributes": {"lastusedincampaign": True}},
        {"attributes": {"creditlimit": "much"}},
        {"attributes": {"parentcustomerid": {"LogicalName": "lead", "Id": HARBOUR}}},
        {"attributes": {"parentcustomerid": {"LogicalName": "account", "Id": "x)/y"}}},
        {"attributes": {"parentcustomerid_account@odata.bind": "/accounts(x)/other"}},
        {"attributes": {"firstname": ""}},
        {"action": "associate", "attributes": {"lastname": "a"}},
        {"action": "associate", "association": {"entity": "email", "id": UNKNOWN}},
    ],
)
def test_a_body_that_makes_no_record_is_refused(crm, body):
    response = crm.call("POST", "contacts", body)
    assert response.status_code == 400, response.content
    assert response.json()["message"]


def test_an_unknown_record_is_not_created_by_a_change(crm):
    path = f"contacts/{UNKNOWN}"
    assert crm.call("PATCH", path, {"attributes": {"lastname": "a"}}).status_code == 404
    assert crm.get(path).status_code == 404


def test_what_the_provider_requires_is_passed_on_in_its_words(crm):
    response = crm.call("POST", "accounts", {"attributes": {"address1_city": "Lyon"}})
    assert response.status_code == 400
    assert response.json()["providerMessage"] == "A required field is missing: name."


def test_children_are_listed_made_and_changed_below_their_parent(crm):
    path = f"contacts/{DE_WIT}/notes"
    before = crm.records(path)
    assert len(before) == 3
    made = create(crm, path, subject="Called")
    assert made["attributes"]["objectid"] == DE_WIT
    assert len(crm.records(path)) == 4
    assert crm.records(path, where="subject = 'Called'") == [made]
    own = f"{path}/{made['id']}"
    assert crm.get(own).json() == made
    changed = crm.call("PATCH", own, {"attributes": {"subject": "Wrote"}})
    assert changed.json()["attributes"]["subject"] == "Wrote"
    assert crm.call("DELETE", own).status_code == 200
    assert crm.records(path) == before


def test_a_child_of_another_parent_is_not_found(crm):
    note = crm.records(f"contacts/{DE_WIT}/notes")[0]["id"]
    other = crm.records("contacts", where="lastname = 'Holm'", pageSize="1")[0]["id"]
    for method, body in [
        ("GET", None),
        ("PATCH", {"attributes": {"subject": "x"}}),
        ("DELETE", None),
    ]:
        assert crm.call(method, f"contacts/{other}/notes/{note}", body).status_code == 404
    assert crm.get(f"notes/{note}").status_code == 200


def test_nothing_of_the_customers_data_is_recorded(crm):
    create(crm, lastname="Secretson")
    crm.records("contacts", where="lastname = 'Secretson'")
    crm.get(f"contacts/{DE_WIT}")
    for exchange in Interaction.objects.filter(operation="Hub call"):
        texts = (exchange.url, exchange.request_body, exchange.response_body, exchange.error)
        assert not [text for text in texts if "Secretson" in text or "anneke" in text]
        assert exchange.request_body == exchange.response_body == ""
