"""The platform API at /elements/api-v2, and its documentation at /elements/api-v2/docs."""

from ninja import NinjaAPI

from instances.api import accounts, elements, instance_configuration, instance_switches, instances
from instances.api.errors import install_error_handlers

api = NinjaAPI(
    title="Instance Manager: platform API v2",
    version="2",
    description="Provision and keep element instances. Compatible with Cloud Elements' platform API v2.",
    urls_namespace="platform_api",
)
for module in (instances, instance_switches, instance_configuration, elements, accounts):
    api.add_router("", module.router)
install_error_handlers(api)
