"""Token requests as JSON, for providers that do not read the forms of RFC 6749."""

from collections.abc import Mapping

from authlib.integrations.requests_client import OAuth2Session

from instances.catalogue.authentication import ClientAuthenticationMethod

_IN_BODY = {ClientAuthenticationMethod.CLIENT_SECRET_POST, ClientAuthenticationMethod.NONE}


def has_client_in_body(session: OAuth2Session) -> bool:
    """Whether the client is a member of the request; Authlib adds it to forms only."""
    return session.token_endpoint_auth_method in _IN_BODY


def json_body(session: OAuth2Session, form: Mapping[str, str | None]) -> dict[str, str]:
    """Return the members of a request, with the client where it belongs to them."""
    members = {name: text for name, text in form.items() if text is not None}
    if has_client_in_body(session):
        members["client_id"] = session.client_id
    if session.token_endpoint_auth_method == ClientAuthenticationMethod.CLIENT_SECRET_POST:
        members["client_secret"] = session.client_secret
    return members
