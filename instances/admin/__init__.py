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
from instances.bulk.admin import jobs as bulk_jobs

__all__ = [
    "accounts",
    "authorization_links",
    "authorizations",
    "bulk_jobs",
    "elements",
    "instances",
    "interactions",
    "oauth_apps",
    "organizations",
]
