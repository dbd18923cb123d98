"""Handing over: operators only, a remote platform must agree, recorded."""

import pytest

from instances.errors import (
    ClientRefusedError,
    InputError,
    PermissionRefusedError,
    StateConflictError,
)
from instances.models import Instance
from instances.provisioning.access.handover import hand_over_instance
from instances.provisioning.lifecycle.provision import provision_instance
from tests.support.factories import (
    make_instance,
    make_member,
    make_organization,
    make_organization_user,
    make_user,
)
from tests.support.provider import ORGANIZATION_SECRET, USER_SECRET

pytestmark = pytest.mark.django_db


@pytest.fixture
def instance():
    return make_instance()


@pytest.fixture
def operator(instance):
    user = make_user("grace", permissions=("change_instance",))
    make_member(user, instance.organization)
    return user


def colleague_of(instance, **fields):
    return make_organization_user(organization=instance.organization, **fields)


def test_it_stays_in_its_organization_and_needs_a_reason(instance, operator):
    elsewhere = make_organization_user()
    make_member(operator, elsewhere.organization)
    colleague = colleague_of(instance)
    for to, why in ((elsewhere, "left"), (instance.organization_user, "left"), (colleague, " ")):
        with pytest.raises(InputError):
            hand_over_instance(instance, to, user=operator, why=why)
    assert Instance.objects.get().organization_user == instance.organization_user


def test_only_operators_of_the_organization_hand_over(instance):
    colleague = colleague_of(instance)
    stranger = make_user("stranger", permissions=("change_instance",))
    with pytest.raises(PermissionRefusedError):
        hand_over_instance(instance, colleague, user=stranger, why="mine now")
    own = make_user("own", permissions=("change_instance",))
    instance.organization_user.user = own
    instance.organization_user.save()
    with pytest.raises(PermissionRefusedError, match="operator of that organization"):
        hand_over_instance(instance, colleague, user=own, why="have it")
    assert Instance.objects.get().organization_user == instance.organization_user


@pytest.mark.parametrize("state", ["provisioning", "unknown", "deleting"])
def test_an_instance_is_not_handed_over_while_work_is_in_progress(instance, operator, state):
    instance.state = state
    with pytest.raises(StateConflictError):
        hand_over_instance(instance, colleague_of(instance), user=operator, why="left")


def test_two_at_once_do_not_overwrite_each_other(instance, operator):
    first, second = colleague_of(instance), colleague_of(instance)
    stale = Instance.objects.select_related("element", "organization_user").get()
    hand_over_instance(instance, first, user=operator, why="left")
    with pytest.raises(StateConflictError, match="another process"):
        hand_over_instance(stale, second, user=operator, why="left")
    assert Instance.objects.get().organization_user == first


@pytest.mark.parametrize("secret", [USER_SECRET, "a-secret-that-the-platform-does-not-know"])
def test_a_remote_platform_must_let_the_other_user_have_it(provider, secret):
    organization = make_organization(platform_url=provider.url, secret=ORGANIZATION_SECRET)
    owner = make_organization_user(organization=organization, secret=USER_SECRET)
    instance = provision_instance(make_instance(organization_user=owner), actor="test")
    owner.secret = "another-secret"
    owner.save()
    colleague = make_organization_user(organization=organization, secret=secret)
    root = make_user("root", is_superuser=True)
    if secret == USER_SECRET:
        hand_over_instance(instance, colleague, user=root, why="left")
    else:
        with pytest.raises(ClientRefusedError):
            hand_over_instance(instance, colleague, user=root, why="left")
    held = Instance.objects.get()
    assert held.organization_user == (colleague if secret == USER_SECRET else owner)
    assert held.token.reveal() == instance.token.reveal()


def test_it_is_not_handed_over_to_a_user_who_has_the_same_id_on_the_platform(instance, operator):
    Instance.objects.filter(pk=instance.pk).update(remote_id=77)
    colleague = colleague_of(instance)
    theirs = make_instance(organization_user=colleague)
    Instance.objects.filter(pk=theirs.pk).update(remote_id=77)
    instance.refresh_from_db()
    with pytest.raises(InputError, match="the same id on the platform"):
        hand_over_instance(instance, colleague, user=operator, why="left")
