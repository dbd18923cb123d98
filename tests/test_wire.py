"""The wire's documents: tolerant in reading, exact in writing."""

import pytest
from pydantic import ValidationError

from instances.wire import ErrorDocument, InstanceBody, InstanceDocument

BODY = {
    "element": {"key": "dynamicscrmadfs"},
    "name": "Acme",
    "configuration": {"user.username": "ada", "document.tagging": True},
    "providerData": {"code": "abc"},
    "tags": ["acme"],
    "externalAuthentication": "initial",
}


def test_a_body_is_written_as_it_was_read():
    assert InstanceBody.model_validate(BODY).to_wire() == BODY


def test_what_a_client_sends_beyond_the_contract_is_ignored():
    body = BODY | {"cachingEnabled": False, "provisioning": {"debug": 1}}
    assert InstanceBody.model_validate(body).to_wire() == BODY


def test_absent_tags_differ_from_none_at_all():
    assert InstanceBody.model_validate({}).tags is None
    assert InstanceBody.model_validate({"tags": []}).tags == []


def test_the_quirks_of_old_documents_are_taken():
    body = InstanceBody.model_validate(
        {
            "configuration": None,
            "providerData": {"realmId": 12, "state": None},
            "tags": [{"id": 1, "name": "a"}, "b"],
        }
    )
    assert body.configuration == {}
    assert body.provider_data == {"realmId": "12"}
    assert body.tags == ["a", "b"]
    assert InstanceDocument.model_validate({"id": "4711", "token": "t"}).id == 4711
    assert ErrorDocument.model_validate({"message": 5}).message == "5"


@pytest.mark.parametrize(
    "wrong",
    [
        {"element": "sfdc"},
        {"element": {}},
        {"name": 5},
        {"tags": "acme"},
        {"configuration": ["s3cret"]},
        {"providerData": {"code": ["s3cret"]}},
        {"externalAuthentication": "always"},
    ],
)
def test_a_wrong_body_is_refused_by_field_and_without_its_value(wrong):
    with pytest.raises(ValidationError) as caught:
        InstanceBody.model_validate(BODY | wrong)
    assert next(iter(wrong)) in str(caught.value)
    assert "s3cret" not in str(caught.value)
