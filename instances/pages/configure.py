"""Pages with the element's own form: connect a new instance, or enter other credentials for one."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from instances.catalogue.authentication import AuthenticationType
from instances.errors import (
    InputError,
    InstancesError,
    InvalidConfigurationError,
    RetiredElementError,
    UnreadableSecretError,
)
from instances.models import Element, Instance, OrganizationUser
from instances.pages.availability import (
    advance_notices,
    element_notices,
    instance_notices,
)
from instances.pages.confirm import carry_out
from instances.pages.forms import WAY_LABELS, ConfigurationForm, NewInstanceForm, split_tags
from instances.pages.frames import Frame
from instances.pages.oauth_redirect import redirect_to_provider
from instances.provisioning.access.permissions import is_permitted
from instances.provisioning.actions import AUTHORIZE, LINK, PROVISION, Action
from instances.provisioning.certificates import generated_key, save_with_generated_key
from instances.provisioning.create import create_draft
from instances.provisioning.lifecycle.reauthenticate import reauthenticate_instance
from instances.provisioning.plan import has_oauth_app, oauth_apps

# The button that makes a private key, so that only its certificate has to leave this program.
_GENERATE = "generate"


def new_instance_page(
    request: HttpRequest,
    owner: OrganizationUser,
    element: Element,
    *,
    frame: Frame,
    back_url: str,
) -> HttpResponse:
    """Show the element's form and connect the account. With the organization's OAuth app it has few fields.

    A retired element leads back, with the reason.
    """
    if element.parsed.is_retired:
        messages.error(request, str(RetiredElementError(element.name, element.parsed.retirement)))
        return redirect(back_url)
    way = _chosen_way(request, owner, element)
    has_app = has_oauth_app(owner.organization, element, way)
    form = NewInstanceForm(
        way,
        has_oauth_app=has_app,
        oauth_apps=list(oauth_apps(owner.organization, element)) if has_app else (),
        is_incomplete=_is_incomplete(request),
        can_choose=not owner.organization.is_remote,
        data=request.POST if request.method == "POST" else None,
        files=request.FILES if request.method == "POST" else None,
    )
    if form.is_valid() and (instance := _create(request, owner, element, way, form)):
        return _after_creation(request, instance, way, frame=frame)
    context = {
        "title": _("Connect %(element)s") % {"element": element.name},
        "element": element,
        "owner": owner,
        "form": form,
        "ways": [(one.type, WAY_LABELS[one.type]) for one in element.parsed.connectable_ways],
        "current_way": way.type,
        "notices": [*element_notices(element.parsed, [way]), *advance_notices(way)],
        "has_oauth_app": has_app,
        "is_oauth": way.needs_browser,
        "can_generate": way.takes_certificate,
        "back_url": back_url,
    }
    return frame.render(request, "configure.html", context)


def reauthenticate_page(
    request: HttpRequest, instance: Instance, action: Action, *, frame: Frame
) -> HttpResponse:
    """Enter other credentials or authorize again. A secret that is left blank keeps its value."""
    try:
        way = instance.authentication
    except InputError as error:
        messages.error(request, str(error))
        return redirect(frame.instance_url(instance))
    has_app = has_oauth_app(instance.organization, instance.element, way)
    form = ConfigurationForm(
        way,
        has_oauth_app=has_app,
        instance=instance,
        is_incomplete=_GENERATE in request.POST,
        can_choose=not instance.organization.is_remote,
        data=request.POST if request.method == "POST" else None,
        files=request.FILES if request.method == "POST" else None,
    )
    if form.is_valid() and (
        response := _reauthenticate(request, instance, action, way, form, frame=frame)
    ):
        return response
    context = {
        "title": action.label,
        "notices": [*instance_notices(instance), *advance_notices(way)],
        "original": instance,
        "element": instance.element,
        "owner": instance.organization_user,
        "form": form,
        "has_oauth_app": has_app,
        "is_oauth": way.needs_browser,
        # A connected one would stop working until the provider knows the certificate.
        "can_generate": way.takes_certificate and not instance.has_token,
        "back_url": frame.instance_url(instance),
    }
    return frame.render(request, "configure.html", context)


def _chosen_way(
    request: HttpRequest, owner: OrganizationUser, element: Element
) -> AuthenticationType:
    """Return the chosen way of authentication. The default is OAuth if the organization has an OAuth app."""
    chosen = request.GET.get("way")
    by_consent = next((way for way in element.parsed.connectable_ways if way.needs_browser), None)
    if not chosen and by_consent and has_oauth_app(owner.organization, element, by_consent):
        return by_consent
    try:
        return element.parsed.authentication_type(chosen)
    except InvalidConfigurationError:
        raise Http404 from None


def _create(
    request: HttpRequest,
    owner: OrganizationUser,
    element: Element,
    way: AuthenticationType,
    form: NewInstanceForm,
) -> Instance | None:
    """Create the draft. Returns None if it was refused; the form then has the error at its fields."""
    name = form.cleaned_data["name"]
    generated = generated_key(way, name or element.name) if _GENERATE in request.POST else {}
    try:
        return create_draft(
            owner,
            element,
            actor=request.user.get_username(),
            name=name,
            tags=split_tags(form.cleaned_data["tags"]) or None,
            authentication_type=way.type,
            configuration=form.configuration | generated,
            is_incomplete=_is_incomplete(request),
            oauth_app_id=form.cleaned_data.get("oauth_app"),
        )
    except (InputError, UnreadableSecretError) as refusal:
        form.add_refusal(refusal)
        return None


def _after_creation(
    request: HttpRequest, instance: Instance, way: AuthenticationType, *, frame: Frame
) -> HttpResponse:
    action = AUTHORIZE if way.needs_browser else PROVISION
    if _GENERATE in request.POST:
        return _after_generation(request, instance, frame=frame)
    if "draft" in request.POST or not is_permitted(request.user, instance, action.permission):
        messages.success(request, _("%s was saved as a draft.") % instance.name)
        return redirect(frame.instance_url(instance))
    if "link" in request.POST:
        return redirect(frame.action_url(LINK, instance))
    return carry_out(request, instance, action, frame=frame)


def _is_incomplete(request: HttpRequest) -> bool:
    """Whether what is left blank is entered later."""
    return not {"link", _GENERATE}.isdisjoint(request.POST)


def _after_generation(request: HttpRequest, instance: Instance, *, frame: Frame) -> HttpResponse:
    text = _(
        "%(name)s was saved with a new private key. Download its certificate, register it at %(provider)s, then connect."
    )
    names = {"name": instance.name, "provider": instance.element.name}
    messages.success(request, text % names)
    return redirect(frame.instance_url(instance))


def _reauthenticate(
    request: HttpRequest,
    instance: Instance,
    action: Action,
    way: AuthenticationType,
    form: ConfigurationForm,
    *,
    frame: Frame,
) -> HttpResponse | None:
    """Authenticate again. Returns None if the entries were refused; the form then has the error at its fields."""
    try:
        if _GENERATE in request.POST:
            save_with_generated_key(instance, form.configuration)
            return _after_generation(request, instance, frame=frame)
        if way.needs_browser:
            return redirect_to_provider(request, instance, configuration=form.configuration)
        reauthenticate_instance(
            instance, actor=request.user.get_username(), configuration=form.configuration
        )
    except InputError as refusal:
        form.add_refusal(refusal)
        return None
    except InstancesError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, str(action.done) % {"name": instance.name})
    return redirect(frame.instance_url(instance))
