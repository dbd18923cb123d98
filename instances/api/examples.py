"""Example requests for the API documentation.

They work against the sandbox; OAuth 2.0 needs a real code first.
"""

from typing import Any

from instances.catalogue.sandbox import (
    SANDBOX_CLIENT_ID,
    SANDBOX_CLIENT_SECRET,
    SANDBOX_PASSWORD,
    SANDBOX_USERNAME,
)

_TENANT = "yourcompanyname.crm.dynamics.com"
_CALLBACK = "http://localhost:8000/oauth/callback"
_CREATES: dict[str, dict[str, Any]] = {
    "User name and password": {
        "element": {"key": "dynamicscrmadfs"},
        "name": "Acme CRM",
        "tags": ["acme"],
        "configuration": {
            "user.username": SANDBOX_USERNAME,
            "user.password": SANDBOX_PASSWORD,
            "dynamics.tenant": _TENANT,
            "document.tagging": "true",
        },
    },
    "OAuth 2.0 as an application": {
        "element": {"key": "dynamicscrmadfs"},
        "name": "Acme CRM",
        "tags": ["acme"],
        "configuration": {
            "oauth.api.key": SANDBOX_CLIENT_ID,
            "oauth.api.secret": SANDBOX_CLIENT_SECRET,
            "tenant_id": "acme.example",
            "dynamics.tenant": _TENANT,
        },
    },
    "OAuth 2.0": {
        "element": {"key": "dynamicscrmadfs"},
        "name": "Acme CRM",
        "tags": ["acme"],
        "providerData": {"code": "the code from the callback"},
        "configuration": {
            "oauth.callback.url": _CALLBACK,
            "oauth.api.key": SANDBOX_CLIENT_ID,
            "oauth.api.secret": SANDBOX_CLIENT_SECRET,
            "dynamics.tenant": _TENANT,
        },
    },
}
_UPDATES = {
    "Name and tags": {"name": "Acme CRM of Europe", "tags": ["acme", "europe"]},
    "Re-authenticate": {"configuration": {"user.password": SANDBOX_PASSWORD}},
}
_OAUTH_URL = {
    "Microsoft Dynamics CRM": {
        "apiKey": SANDBOX_CLIENT_ID,
        "apiSecret": SANDBOX_CLIENT_SECRET,
        "callbackUrl": _CALLBACK,
        "siteAddress": f"https://{_TENANT}",
        "state": "your value to recognize the browser by",
    }
}


def _bodies(examples: dict[str, Any]) -> dict[str, Any]:
    named = {name: {"summary": name, "value": value} for name, value in examples.items()}
    return {"requestBody": {"content": {"application/json": {"examples": named}}}}


CREATE = _bodies(_CREATES)
UPDATE = _bodies(_UPDATES)
OAUTH_URL_BODY = _bodies(_OAUTH_URL)
OAUTH_URL_QUERY: dict[str, Any] = {
    "parameters": [
        {
            "in": "query",
            "name": name,
            "schema": {"type": "string"},
            "description": description,
            "example": _OAUTH_URL["Microsoft Dynamics CRM"].get(name, ""),
        }
        for name, description in {
            "apiKey": "The client id of your OAuth app at the provider",
            "apiSecret": "The client secret of your OAuth app. It is never part of the response",
            "callbackUrl": "The URL to which the provider redirects the browser with a code",
            "scope": "The scopes to request. Defaults to the scopes that the element needs",
            "state": "Passed to the callback unchanged. Defaults to the element's key",
            "siteAddress": "The address of the account, if the element needs one",
            "requestToken": "OAuth 1.0a: the token from `oauth/token`",
        }.items()
    ]
    + [
        {
            "in": "query",
            "name": "configuration",
            "schema": {"type": "object", "additionalProperties": {"type": "string"}},
            "style": "form",
            "explode": True,
            "description": "Any configuration key of the element, as a parameter of that name",
            "example": {"authentication.type": "oauth2"},
        }
    ]
}
# Without the client's credentials: the operator's OAuth app is used.
DEFAULT_OAUTH_URL_QUERY: dict[str, Any] = {
    "parameters": [
        parameter
        for parameter in OAUTH_URL_QUERY["parameters"]
        if parameter["name"] not in {"apiKey", "apiSecret"}
    ]
}
