"""Instances in every state, and the names that a list shows."""

from django.db.models import QuerySet

from instances.models import Instance
from tests.support.factories import make_instance


def make_in_state(state, **columns):
    """An instance in this state, however it got there."""
    instance = make_instance(name=columns.pop("name", state))
    instance.token = columns.pop("token", f"token-{instance.pk}")
    columns |= {"token": instance.token, "token_digest": instance.token_digest}
    QuerySet.update(Instance.objects.filter(pk=instance.pk), state=state, **columns)
    return Instance.objects.get(pk=instance.pk)


def names(page):
    return [one.name for one in page.context["cl"].result_list]
