"""Element files in the admin: what is wrong with one, what it changes, and that only what was seen is installed."""

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile

from instances.catalogue.loading import SHIPPED_FOLDER
from instances.models import Element
from instances.provisioning.element_changes import MAX_FILE_BYTES
from tests.support.factories import make_instance

PATH = "/admin/instances/element/add/"
ACME = """
key = "acme-crm"
id = 2000001
name = "Acme CRM"
hub = "crm"
description = "Connects an Acme CRM account."

[[authentication]]
type = "apiKey"

[[authentication.fields]]
key = "api.key"
label = "API key"
type = "password"
required = true
secret = true

[authentication.probe]
url = "https://api.acme.example/me"
scheme = "headers"
headers = { X-Key = "{api.key}" }
"""


def seen(page):
    """What the second step sends: the text that was looked at, and its mark."""
    assert page.status_code == 200
    return page.context["sent"]


def rows_of(page):
    return {row[0]["text"]: [cell["text"] for cell in row[1:]] for row in page.context["rows"]}


def install(operator, text):
    return operator.post(PATH, seen(operator.post(PATH, {"text": text})), follow=True)


def test_a_new_element_is_installed_after_it_was_shown(operator):
    file = SimpleUploadedFile("acme.toml", ACME.encode())
    page = operator.post(PATH, {"file": file})
    assert "Nothing is installed yet" in page.text
    assert rows_of(page)["authentication[apiKey].probe.url"] == [
        "",
        "https://api.acme.example/me",
        "0",
    ]
    assert not Element.objects.exists()
    page = operator.post(PATH, seen(page), follow=True)
    assert "Acme CRM was installed." in page.text
    element = Element.objects.get()
    assert (element.key, element.source) == ("acme-crm", Element.Source.OWN)
    assert LogEntry.objects.get().change_message == "Installed from a file."


def test_a_change_shows_what_differs_and_how_many_instances_use_it(operator):
    install(operator, ACME)
    element = Element.objects.get()
    for _ in range(2):
        make_instance(element=element, configuration={"api.key": "k"})
    changed = ACME.replace("api.acme.example", "api2.acme.example").replace(
        'label = "API key"', 'label = "Key of the API"'
    )
    page = operator.post(PATH, {"text": changed})
    assert rows_of(page) == {
        "authentication[apiKey].fields[api.key].label": ["API key", "Key of the API", "2"],
        "authentication[apiKey].probe.url": [
            "https://api.acme.example/me",
            "https://api2.acme.example/me",
            "2",
        ],
    }
    operator.post(PATH, seen(page))
    element = Element.objects.get()
    assert element.parsed.authentication[0].probe.url == "https://api2.acme.example/me"
    assert "probe.url" in LogEntry.objects.latest("pk").change_message


def test_what_changed_since_it_was_shown_is_shown_again(operator):
    page = operator.post(PATH, {"text": ACME})
    install(operator, ACME.replace("Acme CRM", "Acme Sales"))
    again = operator.post(PATH, seen(page))
    assert "has changed since you looked" in again.text
    assert Element.objects.get().name == "Acme Sales"
    operator.post(PATH, seen(again))
    assert Element.objects.get().name == "Acme CRM"


def test_a_text_other_than_the_one_shown_is_not_installed(operator):
    sent = seen(operator.post(PATH, {"text": ACME}))
    page = operator.post(PATH, sent | {"text": ACME.replace("api.acme", "evil")})
    assert "has changed since you looked" in page.text
    assert not Element.objects.exists()


def test_a_shipped_element_is_replaced_only_after_a_word_about_it(operator, dynamics):
    text = (SHIPPED_FOLDER / "dynamicscrmadfs.toml").read_text()
    page = operator.post(PATH, {"text": text.replace("Microsoft Dynamics CRM", "Our CRM")})
    assert "upgrades no longer change it" in page.text
    operator.post(PATH, seen(page))
    dynamics.refresh_from_db()
    assert (dynamics.name, dynamics.source) == ("Our CRM", Element.Source.OWN)


def test_the_version_that_is_installed_changes_nothing(operator):
    install(operator, ACME)
    page = operator.post(PATH, {"text": ACME.replace("\n", "\r\n")})
    assert rows_of(page) == {}
    assert "None: this version is installed already." in page.text


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({}, "Either choose a file, or paste its text."),
        ({"text": "key = "}, "element.toml: is not valid TOML"),
        ({"text": ACME.replace('hub = "crm"', "")}, "element.toml: hub: is missing."),
        (
            {"text": ACME.replace("{api.key}", "{no.such}")},
            "authentication[0].probe.headers",
        ),
        ({"text": ACME.replace("crm", "CRM ", 1)}, "element.toml: key: must be lower-case"),
        ({"text": ACME + 'alias_of = "../../etc"'}, "element.toml:"),
        ({"text": ACME.replace("Acme CRM", "Acme \\u0000", 1)}, "contains a NUL character"),
        ({"text": "x" * (MAX_FILE_BYTES + 1)}, "at most"),
        ({"text": "a = " + "[" * 5000}, "element.toml: is not valid TOML"),
        ({"text": ACME, "mark": "wrong"}, "has changed since you looked"),
        ({"text": ACME, "name": "x" * 300}, ""),
    ],
)
def test_a_file_with_a_problem_is_told_and_changes_nothing(operator, data, told):
    page = operator.post(PATH, data)
    assert page.status_code == 200
    assert told in page.text.replace("&quot;", '"')
    assert not Element.objects.exists()


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"x" * (MAX_FILE_BYTES + 1)])
def test_an_upload_that_is_no_element_file_is_told(operator, content):
    page = operator.post(PATH, {"file": SimpleUploadedFile("a.toml", content)})
    assert page.status_code == 200
    assert page.context["form"].errors
    assert not Element.objects.exists()


def test_an_id_of_another_element_is_refused(operator, dynamics):
    page = operator.post(PATH, {"text": ACME.replace("2000001", str(dynamics.pk))})
    assert "already belongs to dynamicscrmadfs" in page.text


@pytest.mark.parametrize("permissions", [["add_element"], ["change_element"], ["view_element"], []])
def test_installing_needs_both_permissions_which_no_role_has(sign_in, permissions):
    browser = sign_in("view_element", *permissions)
    assert browser.get(PATH).status_code == 403
    assert browser.post(PATH, {"text": ACME}).status_code == 403


def test_the_operators_role_may_not_install(person):
    assert person("operator").browser.get(PATH).status_code in {302, 403}
