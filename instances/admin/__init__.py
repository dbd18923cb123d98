"""The admin: a thin entrance over the models and the verbs of provisioning. Importing it registers the pages."""

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
