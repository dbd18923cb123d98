"""Which paths of the API are hub calls, and which are the platform's (contract for hubs, 1)."""

import re

# First segments of the platform's paths, whatever the header.
PLATFORM_NAMES = {"authentication", "elements", "hubs", "instances", "organizations"}
# Paths of the platform that with an Element part are resources.
HUB_NAMES = {"accounts", "users"}
# Files, which are sent as forms and read as they are, not as JSON (contract for hubs, 3).
_UPLOADS = re.compile(r"files|files/[^/]+/versions|[^/]+/[^/]+/(?:files|attachments)")
_DOWNLOADS = re.compile(r"files/[^/]+|files/[^/]+/versions/[^/]+|[^/]+/[^/]+/data")
_DOCUMENTATION = {"docs", "openapi.json"}


def is_hub_path(path: str) -> bool:
    """Whether a path is a hub call if there is an Element part. path: below the API's prefix, decoded."""
    resource = resource_path(path)
    # Some servers cut off parameters (RFC 3986 3.3), and would read the platform's name.
    name = resource.partition("/")[0].partition(";")[0]
    return bool(name) and name not in PLATFORM_NAMES and resource not in _DOCUMENTATION


def takes_file(path: str) -> bool:
    """Whether a POST may bring a file."""
    return is_hub_path(path) and bool(_UPLOADS.fullmatch(resource_path(path)))


def is_file(path: str) -> bool:
    """Whether a GET may be answered with a file."""
    return is_hub_path(path) and bool(_DOWNLOADS.fullmatch(resource_path(path)))


def resource_path(path: str) -> str:
    """Return the path without its hub, which is ignored; empty for /hubs/{hub} itself."""
    if path.partition("/")[0] != "hubs":
        return path
    return "/".join(path.split("/")[2:])
