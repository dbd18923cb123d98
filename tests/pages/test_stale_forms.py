"""A page that was opened before someone else changed the instance saves only what its reader changed."""

import re
from dataclasses import dataclass

import pytest
from django.test import Client

from instances.models import Instance
from instances.pages import forms
from instances.provisioning.create import parse_body
from instances.provisioning.lifecycle.provision import provision_instance
from instances.provisioning.update import rename_instance, update_instance
from tests.support.factories import make_instance, make_organization_user

# The pages of an instance's name and tags, and of its configuration.
ENTRANCES = {
    "operator": (
        "/admin/instances/instance/{}/actions/edit/",
        "/admin/instances/instance/{}/actions/reauthenticate/",
    ),
    "staff": ("/connect/{}/edit/", "/connect/{}/reauthenticate/"),
}


@dataclass(frozen=True)
class Entrance:
    browser: Client
    edit: str
    reconnect: str


@pytest.fixture(params=ENTRANCES)
def entrance(request, person):
    """The pages where a member of this group changes a connected instance."""
    user = make_organization_user()
    is_staff = request.param == "staff"
    found = person(request.param, of=None if is_staff else user.organization)
    if is_staff:
        user.user = found.user
        user.save()
    else:
        found.user.is_staff = True
        found.user.save()
    instance = make_instance(organization_user=user, name="Acme", tags=["one"])
    provision_instance(instance, actor="test")
    edit, reconnect = (path.format(instance.pk) for path in ENTRANCES[request.param])
    return Entrance(found.browser, edit, reconnect)


def entered_on(page):
    """Return a page's fields as a browser would send them."""
    inputs = re.findall(r"<input[^>]*>", page.text)
    found = [dict(re.findall(r'([\w-]+)="([^"]*)"', one)) for one in inputs]
    return {
        one["name"]: one.get("value", "")
        for one in found
        if "name" in one and one["name"] != "csrfmiddlewaretoken"
    }


def test_a_name_and_tags_that_two_people_change_at_once_are_both_saved(entrance):
    entered = entered_on(entrance.browser.get(entrance.edit))
    rename_instance(Instance.objects.get(), actor="another", tags=["of", "another"])
    answer = entrance.browser.post(entrance.edit, entered | {"name": "Renamed"})
    assert answer.status_code == 302
    current = Instance.objects.get()
    assert (current.name, current.tag_names) == ("Renamed", ["of", "another"])
    entered = entered_on(entrance.browser.get(entrance.edit))
    rename_instance(current, actor="another", name="Of another")
    entrance.browser.post(entrance.edit, entered | {"tags": ""})
    current = Instance.objects.get()
    assert (current.name, current.tag_names) == ("Of another", [])


def test_an_open_form_does_not_undo_a_value_that_another_user_changed(entrance):
    entered = entered_on(entrance.browser.get(entrance.reconnect))
    assert entered["configuration.site"] == "acme"
    body = parse_body({"configuration": {"site": "moved"}})
    update_instance(Instance.objects.get(), body, actor="another")
    answer = entrance.browser.post(
        entrance.reconnect, entered | {"configuration.api.key": "n3w-key"}
    )
    assert answer.status_code == 302
    assert Instance.objects.get().full_configuration() == {"api.key": "n3w-key", "site": "moved"}


def test_the_page_says_that_the_instance_was_deleted(entrance, monkeypatch):
    valid = forms.RenameForm.is_valid

    def delete_first(form):
        Instance.objects.all().delete()
        return valid(form)

    monkeypatch.setattr(forms.RenameForm, "is_valid", delete_first)
    answer = entrance.browser.post(entrance.edit, {"name": "Renamed", "tags": ""})
    assert "was deleted in the meantime" in answer.text
