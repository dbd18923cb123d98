"""Elements, hubs and authorization URLs (contract 8.1, 8.4).

Public: no Authorization header is needed.
"""

from typing import Any

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from ninja import Body, Query, Router

from instances.api import examples
from instances.api.authentication import (
    Caller,
    optional_caller,
    require_caller,
    require_permission,
)
from instances.api.documents.elements import (
    AuthenticationTypeDocument,
    ConfigurableElementDocument,
    DefaultOAuthUrlDocument,
    ElementConfigurationDocument,
    ElementDocument,
    ElementMetadataDocument,
    ElementSummaryDocument,
    ExpandedElementMetadataDocument,
    HubDocument,
    OAuthUrlDocument,
    RequestTokenDocument,
)
from instances.api.errors import NotFoundError
from instances.api.paging import complete_list, page_of_rows
from instances.api.parameters import ElementSearch, KeyOrId, MetadataDetail, Page
from instances.api.rate_limit import PUBLIC_EXCHANGES_PER_MINUTE, count_call
from instances.api.responses import BODY, PLATFORM, answers
from instances.api.security import PLATFORM_CALL
from instances.api.visible import get_element, visible_elements
from instances.catalogue.configuration_keys import MASK
from instances.client_address import client_address
from instances.hubs.ceql import Comparison, In, Junction, parse
from instances.models.elements import ElementQuerySet
from instances.provisioning.oauth.urls import needs_request_token, oauth_url, request_token

router = Router(tags=["Elements"], by_alias=True)
ELEMENTS = answers(list[ElementDocument | ElementSummaryDocument], 404)
Metadata = ExpandedElementMetadataDocument | ElementMetadataDocument
CONFIGURATION = answers(list[ElementConfigurationDocument], 404)
KEYS = answers(list[str], 404)
OAUTH_URL = answers(OAuthUrlDocument, 404, *PLATFORM)
NOT_BUILT = (
    "Elements and OAuth proxies cannot be created through this API: load element files with "
    "manage.py sync_elements, and add OAuth apps in the admin"
)


@router.get("/elements", response=ELEMENTS)
def list_elements(
    request: HttpRequest, response: HttpResponse, search: Query[ElementSearch]
) -> list[ElementDocument | ElementSummaryDocument]:
    """List elements in order of id. If none matches, the list is empty."""
    elements = visible_elements(request)
    conditions = _parse_where(search.where)
    is_abridged = conditions.pop("abridged", []) == ["true"] or search.abridged
    for name, values in conditions.items():
        elements = _narrow(elements, name, values)
    document = ElementSummaryDocument if is_abridged else ElementDocument
    rows = page_of_rows(response, elements, search, things="elements", is_empty_found=True)
    return [document.of(element) for element in rows]


@router.get("/elements/keys", response=KEYS)
def list_element_keys(request: HttpRequest, response: HttpResponse) -> list[str]:
    """List the keys of all elements."""
    keys = visible_elements(request).order_by("key").values_list("key", flat=True)
    return complete_list(response, keys, things="elements")


@router.get("/elements/metadata", response=answers(list[Metadata], 404))
def list_metadata(
    request: HttpRequest, response: HttpResponse, detail: Query[MetadataDetail]
) -> list[Metadata]:
    """List the capabilities of all elements."""
    elements = visible_elements(request).order_by("pk")
    items = (_metadata(detail).of(element) for element in elements)
    return complete_list(response, items, things="elements")


@router.get("/elements/oauthProxies", include_in_schema=False, auth=PLATFORM_CALL)
def list_oauth_proxies(request: HttpRequest) -> HttpResponse:
    """Answer that there is none (decision 6)."""
    raise NotFoundError("No OAuth proxies found")


@router.api_operation(
    ["POST", "PUT", "PATCH", "DELETE"], "/elements/oauthProxies", include_in_schema=False
)
def change_oauth_proxies(request: HttpRequest) -> HttpResponse:
    """Answer 404: they are not supported (decision 6)."""
    raise NotFoundError(NOT_BUILT)


@router.get("/elements/{key_or_id}", response=answers(ConfigurableElementDocument, 404))
def read_element(request: HttpRequest, key_or_id: KeyOrId) -> ConfigurableElementDocument:
    """Get an element with its configuration keys."""
    return ConfigurableElementDocument.of(get_element(request, key_or_id))


@router.get("/elements/{key_or_id}/configuration", response=CONFIGURATION)
def read_element_configuration(
    request: HttpRequest, key_or_id: KeyOrId, response: HttpResponse
) -> list[ElementConfigurationDocument]:
    """List the configuration keys of an element."""
    items = ElementConfigurationDocument.all_of(get_element(request, key_or_id))
    return complete_list(response, items, things="configuration")


@router.get("/elements/{key_or_id}/metadata", response=answers(Metadata, 404))
def read_metadata(
    request: HttpRequest, key_or_id: KeyOrId, detail: Query[MetadataDetail]
) -> Metadata:
    """Get the capabilities of an element."""
    return _metadata(detail).of(get_element(request, key_or_id))


@router.get("/elements/{key_or_id}/export", response=answers(ConfigurableElementDocument, 404))
def export_element(request: HttpRequest, key_or_id: KeyOrId) -> ConfigurableElementDocument:
    """Get the element document, as to keep it in a file."""
    return ConfigurableElementDocument.of(get_element(request, key_or_id))


@router.get(
    "/elements/{key_or_id}/authentication-types",
    response=answers(list[AuthenticationTypeDocument], 404),
)
def list_authentication_types(
    request: HttpRequest, key_or_id: KeyOrId, response: HttpResponse
) -> list[AuthenticationTypeDocument]:
    """List the authentication types of an element.

    The vendor's format is unknown; docs/api.md defines ours.
    """
    ways = get_element(request, key_or_id).parsed.authentication
    items = map(AuthenticationTypeDocument.of, ways)
    return complete_list(response, items, things="authentication types")


@router.get(
    "/elements/{key_or_id}/authentication-types/{kind}/configurations", response=CONFIGURATION
)
def list_configurations_of_type(
    request: HttpRequest, key_or_id: KeyOrId, kind: str, response: HttpResponse
) -> list[ElementConfigurationDocument]:
    """List the configuration keys of one authentication type."""
    items = ElementConfigurationDocument.of_type(get_element(request, key_or_id), kind)
    return complete_list(response, items, things="configuration")


@router.get(
    "/elements/{key_or_id}/oauth/url", response=OAUTH_URL, openapi_extra=examples.OAUTH_URL_QUERY
)
def read_oauth_url(request: HttpRequest, key_or_id: KeyOrId) -> OAuthUrlDocument:
    """Get the URL to which to send a browser to authorize."""
    return _oauth_url(request, key_or_id, request.GET.dict())


@router.post(
    "/elements/{key_or_id}/oauth/url",
    response=answers(OAuthUrlDocument, 404, *BODY, *PLATFORM),
    openapi_extra=examples.OAUTH_URL_BODY,
)
def post_oauth_url(
    request: HttpRequest, key_or_id: KeyOrId, body: Body[dict[str, Any]]
) -> OAuthUrlDocument:
    """Get the URL to which to send a browser to authorize.

    Takes the parameters of the GET in a JSON body.
    """
    parameters = {name: str(value) for name, value in body.items() if value is not None}
    return _oauth_url(request, key_or_id, parameters)


@router.get(
    "/elements/{key_or_id}/oauth/url/default",
    response=answers(DefaultOAuthUrlDocument, 404, *PLATFORM),
    auth=PLATFORM_CALL,
    openapi_extra=examples.DEFAULT_OAUTH_URL_QUERY,
)
def read_default_oauth_url(request: HttpRequest, key_or_id: KeyOrId) -> DefaultOAuthUrlDocument:
    """Get the URL to authorize the OAuth app that the operator added.

    `configuration.secret` is the secret of the request token of OAuth 1.0a, for `providerData` of the create. With
    OAuth 2.0 it is masked.
    """
    client = {"apiKey", "apiSecret", "oauth.api.key", "oauth.api.secret"}
    parameters = {name: value for name, value in request.GET.dict().items() if name not in client}
    caller, element = require_caller(request), get_element(request, key_or_id)
    secret = MASK
    if needs_request_token(element, parameters):
        require_permission(caller, "add_instance")
        given = request_token(
            element,
            parameters,
            organization_user=caller.organization_user,
            actor=caller.actor,
        )
        parameters["requestToken"], secret = given.token, given.secret
    url = _oauth_url(request, key_or_id, parameters)
    return DefaultOAuthUrlDocument(
        element=url.element, oauth_url=url.oauth_url, configuration={"secret": secret}
    )


@router.get(
    "/elements/{key_or_id}/oauth/token",
    response=answers(RequestTokenDocument, 404, *PLATFORM),
    openapi_extra=examples.OAUTH_URL_QUERY,
)
def read_request_token(request: HttpRequest, key_or_id: KeyOrId) -> RequestTokenDocument:
    """Get an OAuth 1.0a request token.

    Pass `token` as `requestToken` to oauth/url, and `secret` in `providerData` of the create.
    """
    # An authenticated caller starts to connect with the organization's OAuth app, and needs the permission for it.
    caller = optional_caller(request, permission="add_instance")
    if caller is None:
        count_call(f"address:{client_address(request)}", limit=PUBLIC_EXCHANGES_PER_MINUTE)
    given = request_token(
        get_element(request, key_or_id),
        request.GET.dict(),
        organization_user=caller.organization_user if caller else None,
        actor=_actor_of(caller),
    )
    return RequestTokenDocument(token=given.token, secret=given.secret)


@router.get("/hubs", response=answers(list[HubDocument], 404))
def list_hubs(request: HttpRequest, response: HttpResponse) -> list[HubDocument]:
    """List the hubs that elements belong to."""
    return complete_list(response, map(HubDocument.of, _hub_keys(request)), things="hubs")


@router.get("/hubs/keys", response=KEYS)
def list_hub_keys(request: HttpRequest, response: HttpResponse) -> list[str]:
    """List the keys of all hubs."""
    return complete_list(response, _hub_keys(request), things="hubs")


@router.get("/hubs/{key}", response=answers(HubDocument, 404))
def read_hub(request: HttpRequest, key: str) -> HubDocument:
    """Get a hub."""
    if key not in _hub_keys(request):
        raise NotFoundError(f"No hub found with key {key}")
    return HubDocument.of(key)


@router.get("/hubs/{key}/elements", response=answers(list[ElementDocument], 404))
def list_elements_of_hub(
    request: HttpRequest, key: str, response: HttpResponse, page: Query[Page]
) -> list[ElementDocument]:
    """List the elements of a hub."""
    elements = visible_elements(request).filter(hub=key)
    rows = page_of_rows(response, elements, page, things="elements")
    return [ElementDocument.of(element) for element in rows]


@router.post("/elements", include_in_schema=False)
def build_element(request: HttpRequest) -> HttpResponse:
    """Answer 404: building elements is not supported (decision 6)."""
    raise NotFoundError(NOT_BUILT)


@router.api_operation(
    ["POST", "PUT", "PATCH", "DELETE"], "/elements/{key_or_id}", include_in_schema=False
)
def rebuild_element(request: HttpRequest, key_or_id: str) -> HttpResponse:
    """Answer 404: not supported either, like the OAuth proxies under the same paths."""
    raise NotFoundError(NOT_BUILT)


def _oauth_url(
    request: HttpRequest, key_or_id: str, parameters: dict[str, str]
) -> OAuthUrlDocument:
    caller = optional_caller(request)
    element = get_element(request, key_or_id)
    url = oauth_url(
        element,
        parameters,
        organization_user=caller.organization_user if caller else None,
        actor=_actor_of(caller),
    )
    return OAuthUrlDocument(element=element.key, oauth_url=url)


def _actor_of(caller: Caller | None) -> str:
    return caller.actor if caller else "API: public"


def _metadata(
    detail: MetadataDetail,
) -> type[ElementMetadataDocument] | type[ExpandedElementMetadataDocument]:
    return ExpandedElementMetadataDocument if detail.expand else ElementMetadataDocument


def _hub_keys(request: HttpRequest) -> list[str]:
    hubs = visible_elements(request).order_by("hub").values_list("hub", flat=True)
    return list(hubs.distinct())


def _parse_where(where: str) -> dict[str, list[str]]:
    """Return the values by name. Raises BadRequest, InvalidConditionError."""
    if not where.strip():
        return {}
    condition = parse(where)
    terms = condition.terms if isinstance(condition, Junction) else (condition,)
    is_joined_by_or = isinstance(condition, Junction) and condition.operator == "OR"
    conditions: dict[str, list[str]] = {}
    for term in () if is_joined_by_or else terms:
        match term:
            case Comparison(name=name, operator="=", value=value):
                conditions[name.lower()] = [value.text]
            case In(name=name, values=values):
                conditions[name.lower()] = [value.text for value in values]
            case _:
                break
    else:
        if conditions:
            return conditions
    raise BadRequest(
        "where must consist of conditions like name = 'value' or name in ('a','b'), joined by AND"
    )


def _narrow(elements: ElementQuerySet, name: str, values: list[str]) -> ElementQuerySet:
    if name in {"key", "hub", "name"}:
        return elements.filter(**{f"{name}__in": values})
    if name == "private":
        return elements.private() if values == ["true"] else elements.public()
    # No element here is extended, beta, …: a search for one that is finds none.
    return elements.none() if values == ["true"] else elements
