"""Files and attachments of Salesforce, sent as forms and read as bytes (contract for hubs, 3)."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from instances.hubs.limits import Permit
from instances.models import Interaction

CONTACT = "003000000000000000"
BYTES = bytes(range(256)) * 300


def send(salesforce, path, content=BYTES, name="brady.jpg", **query):
    header = {"Authorization": f"{salesforce.api.header}, Element {salesforce.token}"}
    return salesforce.api.django.post(
        f"/elements/api-v2/{path}",
        {"file": SimpleUploadedFile(name, content)} if name else {"other": "x"},
        query_params=query,
        headers=header,
    )


def read(salesforce, path, accept="image/jpeg"):
    header = {
        "Authorization": f"{salesforce.api.header}, Element {salesforce.token}",
        "Accept": accept,
    }
    return salesforce.api.django.get(f"/elements/api-v2/{path}", headers=header)


def test_a_file_lives_from_upload_to_delete(salesforce):
    made = send(salesforce, "hubs/crm/files", pathOnClient="/brady-1.jpg", description="A dog")
    assert made.status_code == 200, made.content
    file_id = made.json()["Id"]
    [version] = salesforce.stub.rows["ContentVersion"].values()
    assert (version["PathOnClient"], version["Description"]) == ("/brady-1.jpg", "A dog")
    assert salesforce.ids("files", where=f"Id='{file_id}'") == [file_id]
    response = read(salesforce, f"hubs/crm/files/{file_id}")
    assert (response.status_code, response.getvalue()) == (200, BYTES)
    assert response["Content-Security-Policy"] == "sandbox"
    path = f"files/{file_id}/metadata"
    assert salesforce.call("PATCH", path, {"Title": "Rex"}).json()["Title"] == "Rex"
    assert salesforce.get(path, fields="Title").json() == {
        "id": file_id,
        "Id": file_id,
        "Title": "Rex",
    }
    assert salesforce.call("DELETE", f"files/{file_id}").status_code == 200
    assert read(salesforce, f"files/{file_id}").status_code == 404


def test_a_file_has_versions(salesforce):
    file_id = send(salesforce, "files").json()["id"]
    other_id = send(salesforce, "files", b"other").json()["id"]
    path = f"files/{file_id}/versions"
    second = send(salesforce, path, b"second", reason="Better").json()
    assert second["ReasonForChange"] == "Better"
    assert len(salesforce.ids(path)) == 2
    assert read(salesforce, f"{path}/latest-version").getvalue() == b"second"
    assert read(salesforce, f"{path}/{second['id']}").getvalue() == b"second"
    latest = salesforce.get(f"{path}/latest-version/metadata").json()
    assert (latest["id"], latest["ContentDocumentId"]) == (second["id"], file_id)
    changed = salesforce.call("PATCH", f"{path}/{second['id']}/metadata", {"Title": "b"}).json()
    assert changed["Title"] == "b"
    assert read(salesforce, f"files/{other_id}/versions/{second['id']}").status_code == 404


def test_a_file_of_a_record_is_linked_to_it(salesforce):
    made = send(salesforce, f"Contact/{CONTACT}/files").json()
    assert made["LinkedEntityId"] == CONTACT
    [link] = salesforce.get(f"contacts/{CONTACT}/files").json()
    assert link["ContentDocumentId"] == made["ContentDocumentId"]
    other = send(salesforce, "files").json()["id"]
    body = {"ContentDocumentId": other, "ShareType": "V"}
    assert salesforce.call("POST", f"contacts/{CONTACT}/files", body).status_code == 200
    third = send(salesforce, "files").json()["id"]
    linked = salesforce.call("POST", f"Contact/{CONTACT}/files/{third}").json()
    assert (linked["LinkedEntityId"], linked["ContentDocumentId"]) == (CONTACT, third)
    assert len(salesforce.ids(f"contacts/{CONTACT}/files")) == 3
    assert salesforce.call("POST", f"contacts/{CONTACT}/tasks/{third}").status_code == 405


def test_the_files_of_a_record_are_listed_a_page_at_a_time(salesforce):
    ids = [send(salesforce, f"Contact/{CONTACT}/files").json()["id"] for _ in range(3)]
    send(salesforce, "files")
    details = salesforce.get(f"Contact/{CONTACT}/files/details")
    assert [row["id"] for row in details.json()] == ids
    assert details.json()[0]["LatestPublishedVersionId"]
    first = salesforce.get(f"Contact/{CONTACT}/files/details", pageSize="2")
    token = first["Elements-Next-Page-Token"]
    rest = salesforce.ids(f"Contact/{CONTACT}/files/details", pageSize="2", nextPage=token)
    assert [row["id"] for row in first.json()] + rest == ids
    assert salesforce.ids("Contact/003000000000000001/files/details") == []


def test_an_attachment_is_sent_and_read(salesforce):
    made = send(salesforce, f"hubs/crm/Contact/{CONTACT}/attachments", name='a"b.txt').json()
    assert (made["ParentId"], made["Name"]) == (CONTACT, 'a"b.txt')
    assert read(salesforce, f"attachments/{made['id']}/data").getvalue() == BYTES
    assert salesforce.get(f"attachments/{made['id']}").status_code == 200
    assert salesforce.get(f"contacts/{CONTACT}/data").status_code == 404


def test_every_call_gives_back_its_permit(salesforce, monkeypatch):
    held: list[Permit] = []
    release = Permit.release

    def recorded(permit: Permit) -> None:
        held.append(permit)
        release(permit)

    monkeypatch.setattr(Permit, "release", recorded)
    response = read(salesforce, f"files/{send(salesforce, 'files').json()['id']}")
    assert len(held) == 1
    response.getvalue()
    read(salesforce, "files/069x")
    assert len(held) == 3


def test_bytes_are_not_recorded(salesforce):
    send(salesforce, "files", b"private words")
    records = Interaction.objects.filter(kind="data")
    assert records.exists()
    assert not records.exclude(request_body="", response_body="").exists()


@pytest.mark.parametrize(
    ("path", "options", "status"),
    [
        ("files", {"name": ""}, 400),
        (f"contacts/{CONTACT}/tasks", {}, 415),
        ("contacts", {}, 415),
        ("files/%2e%2e/versions/x", {}, 415),
        ("files", {"pathOnClient": "x" * 300}, 400),
        ("files", {"pathOnClient": "a\nb"}, 400),
    ],
)
def test_what_is_no_file_is_refused(salesforce, path, options, status):
    assert send(salesforce, path, **options).status_code == status
    assert salesforce.stub.rows["ContentVersion"] == {}


def test_a_file_that_is_too_large_is_413(salesforce, settings):
    settings.DATA_CALL_MAX_BODY_BYTES = 1000
    assert send(salesforce, "files").status_code == 413
    assert salesforce.stub.targets == []


def test_without_an_element_token_nothing_is_read(salesforce):
    header = {"Authorization": f"{salesforce.api.header}, Element wrong"}
    body = {"file": SimpleUploadedFile("a", b"b")}
    response = salesforce.api.django.post("/elements/api-v2/files", body, headers=header)
    assert response.status_code == 401
    assert salesforce.stub.targets == []
