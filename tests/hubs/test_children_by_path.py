"""Children that a provider has at a path with their parent's id (contract for hubs, 14.1)."""

import pytest

from tests.hubs.conftest import make_program
from tests.support.provider_api import key_definition
from tests.support.rest_stub import PAGE, Collection, RestStub

PAGING = {"style": "page", "parameter": "page", "size_parameter": "per_page", "max": 12}


@pytest.fixture
def notes(db, settings):
    """A client of an instance whose provider has notes below each contact. notes.stub: the provider."""
    collections = {
        "api/contacts": Collection([{"id": "c1"}, {"id": "c 2"}]),
        "api/contacts/c1/notes": Collection([{"id": f"n{n}"} for n in range(3)]),
        "api/contacts/c%202/notes": Collection([{"id": "m0"}, {"id": "m1"}]),
    }
    with RestStub(PAGE, collections) as stub:
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [stub.netloc]
        definition = key_definition(stub.url)
        definition["hub_api"] = {
            "vendor": "rest",
            "list_at": "",
            "error_at": "message",
            "paging": PAGING,
            "create": {"method": "POST"},
            "update": {"method": "PATCH"},
            "resources": {
                name: {"path": name, "object": name, "id": "id"} for name in ("contacts", "notes")
            },
            "children": {
                "contacts/notes": {"resource": "notes", "path": "contacts/{parent}/notes"}
            },
        }
        program = make_program(definition, {"api.key": "k3y"})
        stub.targets.clear()
        program.stub = stub
        yield program


def get(program, path, **query):
    header = {"Authorization": program.header()}
    return program.api.django.get(f"/elements/api-v2/{path}", query, headers=header)


def test_children_are_listed_below_their_parent(notes):
    assert [row["id"] for row in get(notes, "contacts/c1/notes").json()] == ["n0", "n1", "n2"]
    assert [row["id"] for row in get(notes, "contacts/c 2/notes").json()] == ["m0", "m1"]
    assert get(notes, "contacts/c9/notes").status_code == 404


def test_a_page_token_is_for_one_parent(notes):
    first = get(notes, "contacts/c1/notes", pageSize="1")
    token = first["Elements-Next-Page-Token"]
    second = get(notes, "contacts/c1/notes", pageSize="1", nextPage=token)
    assert [row["id"] for row in second.json()] == ["n1"]
    assert get(notes, "contacts/c 2/notes", pageSize="1", nextPage=token).status_code == 400
    assert get(notes, "notes", pageSize="1", nextPage=token).status_code == 400


def test_a_child_lives_from_create_to_delete_below_its_parent(notes):
    call = notes.api.call
    made = call("POST", "contacts/c1/notes", {"text": "a"}, element=notes.token).json()
    path = f"contacts/c1/notes/{made['id']}"
    assert get(notes, path).json()["text"] == "a"
    changed = call("PATCH", path, {"text": "b"}, element=notes.token).json()
    assert changed == {"id": made["id"], "text": "b"}
    # Another parent does not have it.
    assert get(notes, f"contacts/c 2/notes/{made['id']}").status_code == 404
    assert call("DELETE", path, element=notes.token).status_code == 200
    assert get(notes, path).status_code == 404
    assert all("/contacts/c" in target for target in notes.stub.targets)


@pytest.mark.parametrize("parent", ["..", "..%5cusers", "a%0ab"])
def test_a_parent_that_could_be_another_path_is_refused(notes, parent):
    assert get(notes, f"contacts/{parent}/notes").status_code in {400, 404}
    assert notes.stub.targets == []
