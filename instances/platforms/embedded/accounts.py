"""Which account at the provider tokens belong to, as far as its responses tell."""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from instances.redaction import storable

MAX_CHARACTERS = 200
# Names of fields that identify an account, without capitals, "_" and "-". Salesforce's "id" is a URL of the identity.
_NAMES = frozenset(
    {
        "accountid", "companyid", "customerid", "hubid", "merchantid", "openid", "orgid", "organizationid", "portalid",
        "realmid", "shop", "shopid", "siteid", "stripeuserid", "sub", "teamid", "tenantid", "uid", "unionid", "userid",
        "workspaceid", "xuserid",
    }
)  # fmt: skip
# Objects whose "id" identifies an account, for example Slack's team.
_OWNERS = frozenset({"account", "company", "enterprise", "organization", "team", "workspace"})
# Claims of an ID token (OpenID Connect Core 2); Microsoft's for the user and the tenant.
_CLAIMS = ("sub", "oid", "tid")


def account_in(document: Any, stated: Iterable[str] = ()) -> dict[str, str]:
    """Return what identifies the account in a response, by field; empty if nothing does.

    stated: paths of fields that the element's file names, beside the usual ones.
    """
    found = {path: text for path in stated if (text := _text(value_at(document, path)))}
    if isinstance(document, dict):
        found |= _identities(document)
        if isinstance(token := document.get("id_token"), str):
            found |= _claims(token)
    return dict(sorted(found.items()))


def value_at(document: Any, path: str) -> Any:
    """Return what stands at a path such as "user.id" or "0.tenantId"; None if nothing does."""
    for name in path.split("."):
        if isinstance(document, list) and name.isdecimal() and int(name) < len(document):
            document = document[int(name)]
        else:
            document = document.get(name) if isinstance(document, dict) else None
    return document


def _identities(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in document.items():
        plain = name.lower().replace("_", "").replace("-", "")
        if isinstance(value, dict) and plain in _OWNERS:
            name, value, plain = f"{name}.id", value.get("id"), "id"
        text = _text(value)
        if text and (plain in _NAMES or "." in name or (plain == "id" and "://" in text)):
            yield storable(name)[:MAX_CHARACTERS], text


def _claims(token: str) -> dict[str, str]:
    """Return the claims of an ID token that came straight from the token endpoint (OpenID Connect Core 3.1.3.7)."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return {f"id_token.{name}": text for name in _CLAIMS if (text := _text(claims.get(name)))}
    except (ValueError, IndexError, AttributeError, RecursionError):
        return {}


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return storable(str(value)).strip()[:MAX_CHARACTERS]
