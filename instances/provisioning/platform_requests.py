"""Build the requests to platforms: an instance and its secrets in plain text."""

from collections.abc import Collection

from instances.catalogue.hosts import NamedHost
from instances.models import Instance
from instances.platforms.base import PlatformRequest, TokenSet
from instances.provisioning.hosts import allowed_hosts, hosts_to_store, own_hosts
from instances.provisioning.plan import ConnectionPlan, plan_of


def platform_request(
    instance: Instance,
    *,
    actor: str,
    plan: ConnectionPlan | None = None,
    code_verifier: str = "",
    has_tags: bool = True,
) -> PlatformRequest:
    """Build the request for a stored instance.

    has_tags: whether the platform gets the tags, which are read from the database.

    plan: replaces the stored connection to authenticate again; stored tokens that cannot be read are then left out.

    Raises UnreadableSecretError.
    """
    if plan is None:
        hosts, plan, unreadable = own_hosts(instance), plan_of(instance), {}
    else:
        hosts, unreadable = hosts_to_store(instance, plan), instance.unreadable_secrets()
    tokens = {} if "tokens" in unreadable else instance.reveal("tokens")
    return _request(
        instance,
        plan,
        hosts,
        actor=actor,
        code_verifier=code_verifier,
        remote_id=instance.remote_id,
        tokens=TokenSet.from_json(tokens) if tokens else None,
        has_lost_token="token" in unreadable,
        has_tags=has_tags,
    )


def create_request(instance: Instance, plan: ConnectionPlan, *, actor: str) -> PlatformRequest:
    """Build the request for a new instance, made from the plan."""
    return _request(instance, plan, plan.own_hosts, actor=actor)


def _request(
    instance: Instance,
    plan: ConnectionPlan,
    hosts: Collection[NamedHost],
    *,
    actor: str,
    code_verifier: str = "",
    remote_id: int | None = None,
    tokens: TokenSet | None = None,
    has_lost_token: bool = False,
    has_tags: bool = True,
) -> PlatformRequest:
    """hosts: those that the connection's own secrets belong to."""
    return PlatformRequest(
        instance_id=instance.pk,
        uid=instance.uid,
        label=instance.label,
        name=instance.name,
        organization_user=instance.organization_user,
        element=instance.element.parsed,
        authentication=plan.authentication,
        configuration=plan.configuration,
        tags=tuple(instance.tag_names) if has_tags else (),
        external_authentication=plan.external_authentication,
        provider_data=plan.provider_data,
        code_verifier=code_verifier,
        remote_id=remote_id,
        tokens=tokens,
        has_own_client=plan.oauth_app is None,
        has_lost_token=has_lost_token,
        allowed_hosts=allowed_hosts(plan, hosts),
        actor=actor,
    )
