"""The admin: pages over the models and the operations of provisioning. Importing it registers them."""

from instances.admin import (
    authorization_links,
    authorizations,
    coming_up,
    element_requests,
    elements,
    instances,
    interactions,
    oauth_apps,
    organizations,
    users,
)

__all__ = [
    "authorization_links",
    "authorizations",
    "coming_up",
    "element_requests",
    "elements",
    "instances",
    "interactions",
    "oauth_apps",
    "organizations",
    "users",
]
