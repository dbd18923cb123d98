"""Validate how requests carry credentials (parts.py)."""

from collections.abc import Iterator

from instances.catalogue.authentication import ACCESS_TOKEN, AuthenticationKind, AuthenticationType
from instances.catalogue.availability import SENTENCES
from instances.catalogue.parts import Api, AwsSignature, Lookup, OAuth1Signature, Probe, ProbeScheme
from instances.catalogue.template_validation import PATH, Problem, problems_of_text, problems_of_url


def problems_of_probe(probe: Probe, way: AuthenticationType, known: set[str]) -> Iterator[Problem]:
    yield from problems_of_url("url", probe.url, known)
    yield from problems_of_credentials(probe, way, known)
    if probe.success_field and not PATH.fullmatch(probe.success_field):
        yield "success_field", 'must be names with dots between them, such as "ok".'
    if probe.forbidden and not SENTENCES.fullmatch(probe.forbidden):
        yield "forbidden", "must be whole sentences, with a full stop at the end."


def problems_of_api(api: Api, way: AuthenticationType, known: set[str]) -> Iterator[Problem]:
    yield from problems_of_url("base_url", api.base_url, known)
    if {"?", "#"} & set(api.base_url) or api.base_url.endswith("/"):
        yield "base_url", "must have no query and no fragment, and must not end with a slash."
    if api.scheme:
        yield from problems_of_credentials(api, way, known)
        return
    if way.probe is None:
        yield "scheme", "is missing. Without a probe, state how calls carry the credentials."
    if any(text for _, text in api.text_templates()):
        yield "scheme", "is missing, although username, password or headers are stated."


def problems_of_credentials(
    carrying: Probe | Api | Lookup, way: AuthenticationType, known: set[str]
) -> Iterator[Problem]:
    for place, template in carrying.text_templates():
        yield from problems_of_text(place, template, known)
    if carrying.scheme == ProbeScheme.BEARER and ACCESS_TOKEN not in known:
        yield "scheme", "bearer needs an access token, but this way of authentication has none."
    if (carrying.scheme == ProbeScheme.OAUTH1) is not way.signs_oauth1:
        yield (
            "scheme",
            "must be oauth1 if, and only if, the type is oauth1 or oauth1_signature names a token.",
        )
    if carrying.scheme == ProbeScheme.BASIC and not carrying.username:
        yield "username", "is missing. Scheme basic needs it."
    if carrying.scheme == ProbeScheme.HEADERS and not carrying.headers:
        yield "headers", "is missing. Scheme headers needs at least one."
    is_aws = carrying.scheme == ProbeScheme.AWS_SIGV4
    if is_aws and way.aws_signature is None:
        yield "scheme", "aws_sigv4 needs aws_signature, which names the keys that sign."
    if is_aws is not bool(carrying.service):
        yield "service", "must be stated if, and only if, the scheme is aws_sigv4."


def problems_of_aws_signature(
    signature: AwsSignature, way: AuthenticationType
) -> Iterator[Problem]:
    """Yield problems of the keys that sign requests to AWS."""
    fields = {field.key: field for field in way.fields}
    for place, name in signature.model_dump(exclude_none=True).items():
        if name not in fields:
            yield place, f"{name} is not one of the fields."
    for place in ("secret_access_key_key", "session_token_key"):
        field = fields.get(getattr(signature, place) or "")
        if field and not field.is_secret:
            yield place, f"{field.key} must be secret."
    carriers = [
        way.probe,
        way.api,
        *(v.probe for v in way.variants),
        *(v.api for v in way.variants),
    ]
    if not any(one and one.scheme == ProbeScheme.AWS_SIGV4 for one in carriers):
        yield (
            "secret_access_key_key",
            'signs nothing. State the scheme "aws_sigv4" of probe or api.',
        )


def problems_of_oauth1_signature(way: AuthenticationType, known: set[str]) -> Iterator[Problem]:
    """Yield problems of how requests are signed as OAuth 1.0a says."""
    signature, fields = way.oauth1_signature, {field.key: field for field in way.fields}
    yield from problems_of_text("realm", signature.realm, known)
    if not way.signs_oauth1 and signature != OAuth1Signature():
        yield "token_key", "is missing. Without the type oauth1, state which key holds the token."
    if not signature.token_key and not signature.token_secret_key:
        return
    if way.type == AuthenticationKind.OAUTH1:
        yield "token_key", "must be omitted: the type oauth1 asks for a token."
    keys = {
        "token_key": signature.token_key,
        "token_secret_key": signature.token_secret_key,
        "client_id_key": way.client_id_key,
        "client_secret_key": way.client_secret_key,
    }
    for place, key in keys.items():
        if key not in fields:
            yield place, f"{key} is not one of the fields."
        elif not fields[key].is_secret:
            yield place, f"{key} must be secret."
