"""Two elements of the same name are told apart wherever an instance or an element is named."""

import pytest
from django.db.models import QuerySet

from instances.models import Instance
from tests.support.factories import (
    KEY_DEFINITION,
    make_element,
    make_instance,
    make_organization_user,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def twins():
    """An element named like the usual one, and an instance of each, broken for the same reason."""
    other = make_element(KEY_DEFINITION | {"key": "twin", "id": 900002})
    owner = make_organization_user(user=make_user("root", is_superuser=True))
    for element in (make_element(), other):
        made = make_instance(name="Account", element=element, organization_user=owner)
        QuerySet.update(Instance.objects.filter(pk=made.pk), state="failed", cause="refused")
    return owner


@pytest.mark.parametrize(
    "path",
    [
        "/admin/",
        "/admin/instances/instance/",
        "/admin/instances/element/",
        "/connect/",
        "/connect/catalogue/?q=keyed",
    ],
)
def test_both_keys_are_named(client, twins, path):
    client.force_login(twins.user)
    page = client.get(path).text
    assert "keyed" in page
    assert "twin" in page
