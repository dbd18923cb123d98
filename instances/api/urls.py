"""The platform API at /elements/api-v2, and its documentation below it."""

from functools import cached_property
from typing import Any

from django.conf import settings
from django.views.decorators.csp import csp_override
from ninja import NinjaAPI, Swagger
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation

from instances.api import (
    accounts,
    credentials,
    elements,
    hub_calls,
    hub_files,
    instance_configuration,
    instance_switches,
    instances,
    proxy,
    swagger_documents,
)
from instances.api.errors import install_error_handlers
from instances.api.security import PUBLIC_CALL

DESCRIPTION = """Provision and manage element instances. Compatible with the platform API v2 of Cloud Elements.

To try it with the sandbox, run `manage.py create_account --organization NAME --user EMAIL --sandbox`, which prints the
two secrets. Enter them under **Authorize**, PlatformSecrets, and execute the examples as they are."""


class PlatformApi(NinjaAPI):
    """Use the names of the views as operation ids."""

    def get_openapi_operation_id(self, operation: Operation) -> str:
        return operation.view_func.__name__

    def get_openapi_schema(self, **_: Any) -> OpenAPISchema:
        return self._schema

    @cached_property
    def _schema(self) -> OpenAPISchema:
        # Anybody may ask for it; it takes half a second, and nothing changes it.
        return super().get_openapi_schema()

    def get_content_type(self) -> str:
        # JSON has no charset parameter (RFC 8259 11).
        return "application/json"


api = PlatformApi(
    title="Instance Manager: platform API v2",
    version="2",
    description=DESCRIPTION,
    urls_namespace="platform_api",
    servers=[{"url": "/", "description": "This server"}],
    openapi_extra={"security": PUBLIC_CALL},
    docs=Swagger(settings={"defaultModelsExpandDepth": -1, "validatorUrl": "none"}),
    docs_decorator=csp_override(settings.API_DOCS_CSP),
)
# The proxy first: it is called most often, and Django tries the patterns in order.
for module in (
    proxy,
    instances,
    instance_switches,
    instance_configuration,
    elements,
    accounts,
    credentials,
):
    api.add_router("", module.router)
# Last: its paths are all that are left.
for module in (swagger_documents, hub_files, hub_calls):
    api.add_router("", module.router)
install_error_handlers(api)
