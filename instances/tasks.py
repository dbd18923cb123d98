"""Background tasks: each is one line that calls a verb, and is safe to run twice.

They answer a sentence rather than raise: what went wrong stands on the instance, and a task engine would keep a
traceback that nobody reads.
"""

from collections.abc import Callable
from typing import Any

from django.tasks import task

from instances.errors import InstancesError
from instances.models import Instance
from instances.provisioning import instances as verbs


@task
def provision_instance(instance_id: int, actor: str) -> str:
    return _run(verbs.provision_instance, instance_id, actor=actor)


@task
def check_instance(instance_id: int, actor: str) -> str:
    return _run(verbs.check_instance, instance_id, actor=actor)


@task
def set_enabled(instance_id: int, actor: str, is_enabled: bool) -> str:
    return _run(verbs.set_enabled, instance_id, actor=actor, is_enabled=is_enabled)


@task
def delete_instance(instance_id: int, actor: str) -> str:
    return _run(verbs.delete_instance, instance_id, actor=actor)


def _run(verb: Callable[..., Any], instance_id: int, **arguments: Any) -> str:
    instance = Instance.objects.filter(pk=instance_id).first()
    if instance is None:
        return "The instance is gone already."
    try:
        verb(instance, **arguments)
    except InstancesError as error:
        return str(error)
    return "Done."
