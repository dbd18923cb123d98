"""The paths of the API that name the same thing in several ways.

The vendor serves `/instances/{id}/…` also as `/elements/{keyOrId}/instances/{id}/…`, and with an Element token as
`/instances/…`. A view is written once: what the path names is its second argument.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.http import HttpRequest
from ninja import Router
from ninja.constants import NOT_SET

from instances.api.authentication import require_caller, require_hub_instance
from instances.api.errors import NotFoundError
from instances.api.parameters import KeyOrId
from instances.api.security import OWN_INSTANCE_CALL
from instances.api.visible import get_instance, own_instance
from instances.models import Element, Instance, Organization
from instances.provisioning.elements import find_element


@dataclass(frozen=True)
class PathVariant:
    """One way to name something in a path.

    find: returns what the path names; its arguments after the request are the path's parameters. suffix: of operation
    ids. note: added to the description of the operation. auth: which header, if not that of the operation.
    """

    path: str
    find: Callable[..., Any]
    suffix: str = ""
    note: str = ""
    auth: Any = None


def _no_element(request: HttpRequest) -> None:
    return None


def _element(request: HttpRequest, key_or_id: KeyOrId) -> Element:
    return find_element(key_or_id)


def _instance(request: HttpRequest, instance_id: int) -> Instance:
    return get_instance(require_caller(request).organization_user, instance_id)


def _instance_of_element(request: HttpRequest, key_or_id: KeyOrId, instance_id: int) -> Instance:
    element = find_element(key_or_id)
    return get_instance(require_caller(request).organization_user, instance_id, element=element)


def _instance_of_hub_call(request: HttpRequest, hub: str) -> Instance:
    return require_hub_instance(request)


def _account(request: HttpRequest) -> Organization:
    return require_caller(request).organization_user.organization


def _account_by_id(request: HttpRequest, account_id: int) -> Organization:
    account = _account(request)
    if account.pk != account_id:
        raise NotFoundError(f"No account found with ID {account_id}")
    return account


INSTANCES = (
    PathVariant("/instances", _no_element),
    PathVariant(
        "/elements/{key_or_id}/instances",
        _element,
        suffix="_of_element",
        note="The path names the element.",
    ),
)
INSTANCE_BY_ID = PathVariant("/instances/{int:instance_id}", _instance)
INSTANCE_OF_ELEMENT = PathVariant(
    "/elements/{key_or_id}/instances/{int:instance_id}",
    _instance_of_element,
    suffix="_of_element",
    note="404 if it is an instance of another element.",
)
INSTANCE_OF_TOKEN = PathVariant(
    "/instances",
    own_instance,
    suffix="_of_token",
    note="The instance is that of the Element token.",
    auth=OWN_INSTANCE_CALL,
)
HUB_CALLS = (
    PathVariant(
        "/hubs/{hub}",
        _instance_of_hub_call,
        suffix="_hub",
        note="The hub in the path is ignored.",
    ),
    PathVariant("", require_hub_instance),
)
ACCOUNT = PathVariant("/accounts/{int:account_id}", _account_by_id)
ACCOUNTS = (PathVariant("/accounts", _account), replace(ACCOUNT, suffix="_by_id"))


def operation[View: Callable[..., Any]](
    router: Router,
    method: str,
    variants: Sequence[PathVariant],
    path: str = "",
    *,
    name: str = "",
    auth: Any = NOT_SET,
    **options: Any,
) -> Callable[[View], View]:
    """Register a view under all variants of its path.

    name: for operation ids, if not the view's. options: of ninja's Router.api_operation().
    """

    def register(view: View) -> View:
        for variant in variants:
            router.api_operation(
                [method],
                variant.path + path,
                operation_id=(name or view.__name__) + variant.suffix,
                auth=variant.auth or auth,
                **options,
            )(_view_of(variant, view))
        return view

    return register


def _view_of(variant: PathVariant, view: Callable[..., Any]) -> Callable[..., Any]:
    _, *path_parameters = inspect.signature(variant.find).parameters.values()
    request, _, *others = inspect.signature(view).parameters.values()

    def variant_view(request: HttpRequest, **given: Any) -> Any:
        named = {parameter.name: given.pop(parameter.name) for parameter in path_parameters}
        return view(request, variant.find(request, **named), **given)

    # Ninja reads the parameters of an operation from the signature, and its description from the docstring.
    variant_view.__signature__ = inspect.Signature([request, *path_parameters, *others])  # type: ignore[attr-defined]
    variant_view.__name__ = view.__name__ + variant.suffix
    variant_view.__doc__ = f"{inspect.getdoc(view)}\n\n{variant.note}".strip()
    return variant_view
