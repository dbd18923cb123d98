"""Hub calls against the sandbox's CRM (contract for hubs, 1 to 7)."""

import pytest

from instances.sandbox.behaviour import Switch, flip

DE_WIT = "b7c40d1e-0f6b-4a53-92d8-6e3a1f5c8b01"
HARBOUR = "9e1f6a52-33b8-4c0d-8a6e-51c07d2b9a01"
UNKNOWN = "00000000-0000-4000-8000-000000000001"

pytestmark = pytest.mark.django_db(transaction=True)


def test_every_resource_of_the_element_can_be_listed(crm):
    for name in crm.get("objects").json():
        rows = crm.records(f"hubs/crm/{name}", pageSize="2")
        assert len(rows) == 2
        assert all(row["id"] and row["attributes"] for row in rows)


def test_the_hub_in_the_path_is_ignored_and_may_be_left_out(crm):
    answers = [crm.records(f"{hub}accounts", pageSize="3") for hub in ("hubs/crm/", "hubs/x/", "")]
    assert answers[0] == answers[1] == answers[2]


def test_with_an_element_token_accounts_and_users_are_the_customers(crm):
    assert "attributes" in crm.records("accounts", pageSize="1")[0]
    assert "attributes" in crm.records("users", pageSize="1")[0]
    assert crm.get(f"accounts/{HARBOUR}").json()["attributes"]["name"] == "Harbour Logistics"
    assert "attributes" not in crm.api.get("accounts").json()[0]


def test_a_record_has_its_id_its_fields_and_dates_in_milliseconds(crm):
    record = crm.get(f"contacts/{DE_WIT.upper()}").json()
    assert record["id"] == record["attributes"]["contactid"] == DE_WIT
    assert record["attributes"]["parentcustomerid"] == HARBOUR
    assert record["attributes"]["createdon"] == 1767254400000
    assert not [name for name in record["attributes"] if "@" in name or name.startswith("_")]


def test_fields_with_null_are_left_out_unless_the_instance_keeps_them(crm):
    assert "description" not in crm.get(f"contacts/{DE_WIT}").json()["attributes"]
    changed = crm.api.patch(
        f"instances/{crm.instance_id}", {"configuration": {"filter.response.nulls": False}}
    )
    assert changed.status_code == 200
    assert crm.get(f"contacts/{DE_WIT}").json()["attributes"]["description"] is None


def test_only_the_fields_that_were_asked_for_and_the_id_come(crm):
    asked = {"fields": "lastname, attributes.parentcustomerid"}
    expected = {"contactid": DE_WIT, "lastname": "de Wit", "parentcustomerid": HARBOUR}
    assert crm.get(f"contacts/{DE_WIT}", **asked).json() == {"id": DE_WIT, "attributes": expected}
    [row] = crm.records("contacts", where=f"id='{DE_WIT}'", **asked)
    assert row == {"id": DE_WIT, "attributes": expected}


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("lastname='de Wit' AND firstname='Anneke'", 20),
        ("attributes.emailaddress1 = 'anneke@harbour.example'", 1),
        ("telephone1 = 55500007", 1),
        ("birthdate IS NULL AND donotemail = true AND jobtitle LIKE 'Head%'", 72),
        ("creditlimit >= 124962.5", 3),
        ("createdon > '2026-02-18T14:10:00Z'", 72),
        ("createdon > 1771424640000", 70),
        ("lastname = 'O''Brien' AND numberofchildren IN (1, 3) AND address1_city = 'lyon'", 40),
        (f"parentcustomerid = '{HARBOUR}' and lastname like '%e%'", 30),
    ],
)
def test_a_condition_is_evaluated_by_the_provider(crm, where, count):
    response = crm.get("contacts", where=where, returnCount="true", pageSize="1")
    assert response.status_code == 200, response.content
    assert response["Elements-Total-Count"] == str(count)


def test_an_empty_search_is_an_empty_list(crm):
    response = crm.get("contacts", where="lastname = 'nobody'")
    assert (response.status_code, response.json()) == (200, [])
    assert response["Elements-Returned-Count"] == "0"
    assert "Elements-Next-Page-Token" not in response


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"where": "lastname = "}, "Error parsing query: expected a value at column 11"),
        ({"where": "zip = 1"}, "“zip = 1” cannot be used: contact has no field “zip”"),
        ({"where": "lastname LIKE 'a%b'"}, "“lastname LIKE 'a%b'”"),
        ({"where": "creditlimit = 'x'"}, "“creditlimit = 'x'”"),
        ({"where": "fetchChanges='true'"}, "fetchChanges"),
        ({"fields": "lastname,zip"}, "“zip”"),
        ({"orderBy": "zip"}, "“zip”"),
        ({"orderBy": "lastname downwards"}, "orderBy"),
        ({"pageSize": "0"}, "pageSize"),
        ({"page": "x"}, "page"),
        ({"nextPage": "x"}, "nextPage"),
        ({"page": "3", "pageSize": "2000"}, "use nextPage"),
    ],
)
def test_what_the_element_cannot_do_is_refused_by_name(crm, query, message):
    response = crm.get("contacts", **query)
    assert response.status_code == 400, response.content
    assert message in response.json()["message"]


def test_an_order_is_kept_over_pages(crm):
    query = {"orderBy": "creditlimit desc, lastname", "pageSize": "4", "fields": "creditlimit"}
    first = crm.get("contacts", **query)
    second = crm.records("contacts", nextPage=first["Elements-Next-Page-Token"], **query)
    limits = [row["attributes"]["creditlimit"] for row in [*first.json(), *second]]
    assert limits == [12.5 * n for n in range(9999, 9991, -1)]


def test_pages_are_stable_by_number_and_by_token(crm):
    whole = crm.records("contacts", pageSize="6")
    one, two = (crm.records("contacts", pageSize="3", page=str(n)) for n in (1, 2))
    assert one + two == whole
    token = crm.get("contacts", pageSize="3")["Elements-Next-Page-Token"]
    assert crm.records("contacts", pageSize="3", nextPage=token, page="1") == two
    third = crm.get("contacts", pageSize="2", page="2")["Elements-Next-Page-Token"]
    assert crm.records("contacts", pageSize="2", nextPage=third) == whole[4:]


def test_a_client_that_follows_the_tokens_reads_everything_once(crm):
    seen, token = [], ""
    for _ in range(10):
        response = crm.get("contacts", pageSize="5000", fields="id", nextPage=token)
        seen += [row["id"] for row in response.json()]
        token = response.get("Elements-Next-Page-Token", "")
        if not token:
            break
    assert len(seen) == len(set(seen)) == 10_000


def test_the_last_page_has_no_token(crm):
    response = crm.get("users", pageSize="3")
    assert response["Elements-Returned-Count"] == "3"
    assert "Elements-Next-Page-Token" not in response


def test_a_token_is_good_for_its_own_query_only(crm):
    token = crm.get("contacts", pageSize="2")["Elements-Next-Page-Token"]
    for path, query in [
        ("contacts", {"pageSize": "3"}),
        ("contacts", {"pageSize": "2", "where": "lastname='Holm'"}),
        ("contacts", {"pageSize": "2", "orderBy": "lastname"}),
        ("accounts", {"pageSize": "2"}),
    ]:
        response = crm.get(path, nextPage=token, **query)
        assert response.status_code == 400
        assert "nextPage" in response.json()["message"]


def test_a_total_that_the_provider_has_stopped_counting_is_left_out(crm):
    assert "Elements-Total-Count" not in crm.get("contacts", returnCount="true", pageSize="1")
    assert "Elements-Total-Count" not in crm.get("accounts", pageSize="1")
    assert crm.get("accounts", returnCount="true")["Elements-Total-Count"] == "200"


def test_unknown_things_are_not_found_and_nothing_else_is_asked(crm):
    for path in (
        f"contacts/{UNKNOWN}", "contacts/not-a-guid", "hubs/crm/unknown", "hubs/crm/Unknown'", "objects/unknown/metadata",
        f"contacts/{DE_WIT}/unknown", "contacts/not-a-guid/notes", f"contacts/{UNKNOWN}/notes/{UNKNOWN}",
    ):  # fmt: skip
        assert crm.get(path).status_code == 404, path
    for path in ("contacts/%2e%2e", "contacts/a%5cb", "contacts/a%0ab"):
        assert crm.get(path).status_code == 400, path


def test_a_method_that_a_resource_lacks_is_405(crm):
    response = crm.call("POST", "users", {"attributes": {"fullname": "x"}})
    assert response.status_code == 405
    assert response["Allow"] == "GET, PATCH"


def test_any_object_of_the_provider_is_a_resource(crm):
    assert "contact" in crm.get("objects", getall="true").json()
    assert crm.records("contact", pageSize="2") == crm.records("contacts", pageSize="2")
    assert crm.get(f"contact/{DE_WIT}").json()["id"] == DE_WIT
    helium = crm.call("GET", "objects", **{"Elements-Version": "Helium"}).json()
    assert {"name": "contacts", "vendorName": "contact", "type": "vendor"} in helium


def test_metadata_names_the_fields_by_both_names_of_the_object(crm):
    fields = {
        one["vendorPath"]: one for one in crm.get("objects/contacts/metadata").json()["fields"]
    }
    assert fields["createdon"] | {"type": "date", "format": "milliseconds"} == fields["createdon"]
    assert fields["createdon"]["vendorReadOnly"] is True
    assert fields["birthdate"]["format"] == "yyyy-MM-dd"
    choices = fields["preferredcontactmethodcode"]["picklistValues"]
    assert {"value": 2, "displayValue": "Email"} in choices
    assert crm.get("objects/contact/metadata").json()["fields"] == list(fields.values())
    custom = crm.get("objects/contacts/metadata", customFieldsOnly="true").json()["fields"]
    assert [field["vendorPath"] for field in custom] == ["new_loyaltynumber"]
    assert crm.get("objects/users/metadata", customFieldsOnly="true").json() == {"fields": []}


def test_a_disabled_instance_lists_its_objects_and_nothing_else(crm):
    crm.api.delete(f"instances/{crm.instance_id}/enabled")
    assert crm.get("contacts").status_code == 403
    assert crm.get("objects").status_code == 200


def test_without_a_live_element_token_nothing_is_answered(crm):
    user = crm.api.header.partition(",")[0]
    for header in (user, f"{user}, Element dead", "", crm.api.header):
        response = crm.api.django.get(
            "/elements/api-v2/hubs/crm/contacts", headers={"Authorization": header}
        )
        assert response.status_code == 401


@pytest.mark.parametrize(
    ("switch", "status"), [(Switch.LIMIT, 429), (Switch.FAIL, 502), (Switch.HTML, 502)]
)
def test_a_provider_that_fails_is_reported_as_the_contract_says(crm, switch, status):
    crm.records("contacts", pageSize="1")
    flip(switch)
    response = crm.get("contacts")
    assert response.status_code == status
    assert ("Retry-After" in response) is (status == 429)
    if switch == Switch.LIMIT:
        assert response.json()["providerMessage"] == "The sandbox was asked to answer 429."


def test_an_expired_access_token_is_refreshed_on_the_way(crm):
    crm.records("contacts", pageSize="1")
    flip(Switch.EXPIRE)
    assert len(crm.records("contacts", pageSize="1")) == 1
