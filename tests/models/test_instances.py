import pytest
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from instances.models import Instance, OrganizationUser
from tests.support.factories import make_instance, make_organization_user

pytestmark = pytest.mark.django_db


def test_a_state_is_changed_neither_by_save_nor_by_update():
    instance = make_instance()
    instance.state = Instance.State.CONNECTED
    with pytest.raises(TypeError, match="move_instance"):
        instance.save()
    with pytest.raises(TypeError, match="move_instance"):
        Instance.objects.update(state="connected")
    assert Instance.objects.get().state == "draft"


@pytest.mark.parametrize("columns", [{"state": "nonsense"}, {"state": "connected"}])
def test_the_database_refuses_an_unknown_state_and_a_connection_without_a_token(columns):
    instance = make_instance()
    with pytest.raises(IntegrityError), transaction.atomic():
        QuerySet.update(Instance.objects.filter(pk=instance.pk), **columns)


def test_one_address_is_one_user_of_an_organization_whatever_its_case():
    user = make_organization_user(email="ada@example.com")
    with pytest.raises(IntegrityError), transaction.atomic():
        make_organization_user(organization=user.organization, email="ADA@example.com")
    assert OrganizationUser.objects.count() == 1


def test_ids_of_deleted_instances_are_never_given_out_again():
    first = make_instance()
    first_id = first.pk
    first.delete()
    assert make_instance().pk > first_id
