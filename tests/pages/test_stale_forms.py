"""A page that was opened before somebody else changed the instance saves what its reader changed, and no more."""

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
        "/admin/instances/instance/{}/change/",
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
    """Where a person of this group changes an instance that is connected."""
    user = make_organization_user()
    is_staff = request.param == "staff"
    found = person(request.param, of=None if is_staff else user.organization)
    if is_staff:
        user.account = found.account
        user.save()
    else:
        found.account.is_staff = True
        found.account.save()
    instance = make_instance(organization_user=user, name="Acme", tags=["one"])
    provision_instance(instance, actor="test")
    edit, reconnect = (path.format(instance.pk) for path in ENTRANCES[request.param])
    return Entrance(found.browser, edit, reconnect)


def entered_on(page):
    """The fields of a page as a browser would send them back."""
    inputs = re.findall(r"<input[^>]*>", page.text)
    found = [dict(re.findall(r'([\w-]+)="([^"]*)"', one)) for one in inputs]
    return {
        one["name"]: one.get("value", "")
        for one in found
        if "name" in one and one["name"] != "csrfmiddlewaretoken"
    }


def test_a_name_and_tags_that_two_people_change_at_once_are_both_kept(entrance):
    entered = entered_on(entrance.browser.get(entrance.edit))
    rename_instance(Instance.objects.get(), tags=["of", "another"])
    answer = entrance.browser.post(entrance.edit, entered | {"name": "Renamed"})
    assert answer.status_code == 302
    current = Instance.objects.get()
    assert (current.name, current.tag_names) == ("Renamed", ["of", "another"])
    entered = entered_on(entrance.browser.get(entrance.edit))
    rename_instance(current, name="Of another")
    entrance.browser.post(entrance.edit, entered | {"tags": ""})
    current = Instance.objects.get()
    assert (current.name, current.tag_names) == ("Of another", [])


def test_a_value_that_another_changed_is_not_set_back_by_an_open_form(entrance):
    entered = entered_on(entrance.browser.get(entrance.reconnect))
    assert entered["configuration.site"] == "acme"
    body = parse_body({"configuration": {"site": "moved"}})
    update_instance(Instance.objects.get(), body, actor="another")
    answer = entrance.browser.post(
        entrance.reconnect, entered | {"configuration.api.key": "n3w-key"}
    )
    assert answer.status_code == 302
    assert Instance.objects.get().full_configuration() == {"api.key": "n3w-key", "site": "moved"}


def test_an_instance_that_is_gone_is_told_of_on_the_page(entrance, monkeypatch):
    valid = forms.RenameForm.is_valid

    def delete_first(form):
        Instance.objects.all().delete()
        return valid(form)

    monkeypatch.setattr(forms.RenameForm, "is_valid", delete_first)
    answer = entrance.browser.post(entrance.edit, {"name": "Renamed", "tags": ""})
    assert "was deleted in the meantime" in answer.text
