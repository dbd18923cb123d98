"""Fields say what to enter: an example, the provider's page, and what surrounds the value."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from instances.crypto import sealing
from instances.models import AuthorizationLink, Instance
from instances.provisioning.create import create_draft
from tests.support.factories import KEY_DEFINITION, make_element, make_organization_user

SITE = {
    "key": "site",
    "label": "Site",
    "required": True,
    "description": "The part <before> the domain.",
    "prefix": "https://",
    "suffix": ".acme.example",
    "pattern": "[a-z0-9-]+",
    "example": "initech",
    "link": "https://help.acme.example/site?a=1&b=2",
    "hosts": ["*.acme.example"],
}
DEFINITION = KEY_DEFINITION | {
    "key": "hinted",
    "id": 900077,
    "authentication": [{"type": "apiKey", "fields": [SITE]}],
}


@pytest.fixture
def page(operator):
    """The page of a new instance, with its browser."""
    args = [make_organization_user().pk, make_element(DEFINITION).pk]
    return operator, reverse("admin:instances_instance_configure", args=args)


def test_hints_are_shown_at_the_field(page):
    browser, url = page
    text = browser.get(url).text
    assert "Example: initech" in text
    assert "The part &lt;before&gt; the domain." in text
    assert 'href="https://help.acme.example/site?a=1&amp;b=2"' in text
    assert "<span>https://</span>" in text
    assert "<span>.acme.example</span>" in text


def test_a_value_of_another_form_is_an_error_at_the_field(page):
    browser, url = page
    answer = browser.post(url, {"name": "A", "configuration.site": "Initech Ltd"})
    assert "must look like initech" in answer.context["form"].errors["configuration.site"][0]
    assert not Instance.objects.exists()


def test_the_whole_address_is_accepted_and_only_its_part_is_used(page):
    browser, url = page
    entered = {"name": "A", "configuration.site": "https://initech.acme.example/", "draft": "yes"}
    browser.post(url, entered)
    instance = Instance.objects.get()
    assert instance.configuration["site"] == "https://initech.acme.example/"
    assert instance.authentication.values_of(instance.configuration)["site"] == "initech"


@pytest.mark.parametrize("reader", ["staff", "account owner"])
def test_staff_and_account_owners_see_them_too(person, reader):
    staff, owner = person("staff"), make_organization_user()
    owner.user = staff.user
    owner.save()
    instance = create_draft(
        owner, make_element(DEFINITION), actor="test", configuration={}, is_incomplete=True
    )
    AuthorizationLink.objects.create(
        instance=instance,
        made_by=staff.user,
        token_digest=sealing.digest("token"),
        expires_at=timezone.now() + timedelta(days=1),
    )
    if reader == "staff":
        url = reverse("connection_action", args=[instance.pk, "reauthenticate"])
        text = staff.browser.get(url).text
    else:
        text = Client().get("/authorize/token").text
    assert "Example: initech" in text
    assert "<span>.acme.example</span>" in text
    assert "Where to find it" in text
