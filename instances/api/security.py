"""The Authorization header of operations (contract 2.2), checked first."""

from typing import Any

from django.http import Http404, HttpRequest
from ninja.security.base import AuthBase

from instances.api.authentication import (
    is_bearer,
    parts_named,
    require_caller,
    require_hub_instance,
    require_instance,
)
from instances.api.middleware import API_PREFIX


class _AuthorizationHeader(AuthBase):
    openapi_type = "apiKey"
    openapi_in = "header"
    openapi_name = "Authorization"


class PlatformSecrets(_AuthorizationHeader):
    """For platform calls. Leaves a Bearer token to BearerToken."""

    openapi_description = "`User <secret>, Organization <secret>`"

    def __call__(self, request: HttpRequest) -> Any:
        return None if is_bearer(request) else require_caller(request)


class BearerToken(AuthBase):
    """For platform calls as well.

    permission: what the person needs, if the HTTP method does not imply it.
    """

    openapi_type = "http"
    openapi_scheme = "bearer"
    openapi_description = "The token from `POST /authentication`"

    def __init__(self, permission: str = "") -> None:
        super().__init__()
        self.permission = permission

    def __call__(self, request: HttpRequest) -> Any:
        if not is_bearer(request):
            return None
        return require_caller(request, permission=self.permission)


class ElementToken(_AuthorizationHeader):
    """For platform calls without an id: the Element token identifies the instance."""

    openapi_description = "`User <secret>, Organization <secret>, Element <token>`"

    def __call__(self, request: HttpRequest) -> Any:
        return require_instance(request)


class HubSecrets(_AuthorizationHeader):
    """For hub calls.

    is_of_resource: the path may be any that is not the platform's. With the header of a platform call it names nothing.
    """

    openapi_description = "`User <secret>, Element <token>`"

    def __init__(self, *, is_of_resource: bool = False) -> None:
        super().__init__()
        self._is_of_resource = is_of_resource

    def __call__(self, request: HttpRequest) -> Any:
        is_below_hub = request.path_info.startswith(f"{API_PREFIX}/hubs/")
        is_platform_call = parts_named(request) == {"user", "organization"}
        if self._is_of_resource and is_platform_call and not is_below_hub:
            raise Http404
        return require_hub_instance(request)


PLATFORM_CALL = [PlatformSecrets(), BearerToken()]
SWITCH_CALL = [PlatformSecrets(), BearerToken("change_instance")]
INTERACTION_CALL = [PlatformSecrets(), BearerToken("view_interaction")]
OWN_INSTANCE_CALL = [ElementToken()]
HUB_CALL = [HubSecrets()]
RESOURCE_CALL = [HubSecrets(is_of_resource=True)]
# For OpenAPI: operations that need no header. With one, they also show the operator's own elements.
PUBLIC_CALL: list[dict[str, list[str]]] = [{}, {"PlatformSecrets": []}, {"BearerToken": []}]
