"""Swagger documents of elements, instances and objects (contract for hubs, 2)."""

import pytest

from instances.catalogue.loading import SHIPPED_FOLDER, load_element
from tests.support.factories import make_element

pytestmark = pytest.mark.django_db(transaction=True)


def operations(document):
    return {
        operation["operationId"]: (method, path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_an_instance_describes_its_resources_so_that_a_tool_can_call_them(crm):
    document = crm.api.get(f"instances/{crm.instance_id}/docs").json()
    assert document["swagger"] == "2.0"
    assert document["basePath"] == "/elements/api-v2"
    assert f"{document['schemes'][0]}://{document['host']}" == crm.url
    found = operations(document)
    assert found["getContacts"] == ("get", "/contacts")
    assert found["updateContactsById"] == ("patch", "/contacts/{id}")
    assert found["getAccountsContacts"] == ("get", "/accounts/{id}/contacts")
    assert "createUsers" not in found
    assert crm.api.get("instances/docs", element=crm.token).json() == document
    assert crm.api.get("elements/dynamicscrmadfs/docs").json() == document


@pytest.mark.slow
def test_every_list_of_the_document_can_be_called(crm):
    document = crm.api.get(f"instances/{crm.instance_id}/docs").json()
    for path in document["paths"]:
        if "{" not in path:
            assert crm.get(path.removeprefix("/"), pageSize="1").status_code == 200


def test_every_reference_of_the_document_leads_somewhere(crm):
    document = crm.api.get(f"instances/{crm.instance_id}/docs").json()
    names = {f"#/definitions/{name}" for name in document["definitions"]}
    text = crm.api.get(f"instances/{crm.instance_id}/docs").content.decode()
    assert {part.split('"')[1] for part in text.split('"$ref":')[1:]} <= names


def test_a_document_can_be_cut_to_one_operation_and_moved_to_another_server(crm):
    path = f"instances/{crm.instance_id}/docs/getContacts?baseUrl=https://foo.bar"
    document = crm.api.get(path).json()
    assert operations(document) == {"getContacts": ("get", "/contacts")}
    assert (document["host"], document["schemes"]) == ("foo.bar", ["https"])
    assert crm.api.get(f"instances/{crm.instance_id}/docs/getUnknown").status_code == 404
    for url in ("javascript:alert(1)", "https://", "https://a@b", "x"):
        assert crm.api.get(f"elements/190/docs?baseUrl={url}").status_code == 400


def test_an_object_is_described_with_its_fields(crm):
    document = crm.get("objects/contacts/docs").json()
    fields = document["definitions"]["Contacts"]["properties"]["attributes"]["properties"]
    assert fields["lastname"] == {"type": "string"}
    assert fields["createdon"] == {"type": "integer", "format": "int64"}
    assert set(operations(document)) >= {"getContacts", "createContacts"}
    assert crm.get("objects/unknown/docs").status_code == 404


def test_a_hub_describes_what_any_of_its_elements_can_do(crm):
    for key in ("closeio", "hubspotcrm"):
        make_element(load_element(SHIPPED_FOLDER / f"{key}.toml").model_dump(mode="json"))
    document = crm.api.get("docs/crm?baseUrl=https://foo.bar").json()
    assert (document["swagger"], document["basePath"]) == ("2.0", "/elements/api-v2")
    assert document["host"] == "foo.bar"
    found = operations(document)
    # Only Close has the one, only Dynamics CRM the other; both have contacts.
    assert {"getLeadsOpportunities", "getAccountsNotes", "getContacts"} <= set(found)
    parameters = {one["name"]: one for one in document["paths"]["/contacts"]["get"]["parameters"]}
    assert parameters["where"]["description"].startswith("A condition in CEQL")
    assert "orderBy" in parameters
    assert "Maximum" not in parameters["pageSize"]["description"]
    assert "Opportunities" in document["definitions"]
    cut = crm.api.get("docs/crm/getLeadsOpportunities").json()
    assert operations(cut) == {"getLeadsOpportunities": ("get", "/leads/{id}/opportunities")}
    for path in ("docs/nothing", "docs/crm/getNothing"):
        assert crm.api.get(path).status_code == 404
