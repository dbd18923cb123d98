"""The admin: pages over the models and the operations of provisioning. Importing it registers them."""

from instances.admin import (
    accounts,
    authorization_links,
    authorizations,
    elements,
    instances,
    interactions,
    oauth_apps,
    organizations,
)

__all__ = [
    "accounts",
    "authorization_links",
    "authorizations",
    "elements",
    "instances",
    "interactions",
    "oauth_apps",
    "organizations",
]
