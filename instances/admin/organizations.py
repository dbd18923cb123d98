"""Organizations and their users. A generated secret is shown once; a remote platform's secret is only entered."""

from abc import abstractmethod
from functools import partial
from typing import Any, cast

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _, gettext_lazy
from unfold.contrib.filters.admin import BooleanRadioFilter

from instances.admin.handover import handover_page, remind_of_connections
from instances.admin.hosts import clean_private_hosts
from instances.admin.related import Related, related_to_organization, related_to_owner
from instances.catalogue.hosts import host_of
from instances.errors import InputError
from instances.models import Membership, Organization, OrganizationUser
from instances.pages.admin_pages import (
    ModelAdmin,
    SecretInput,
    render_confirmation,
    render_secrets,
    secret_state,
)
from instances.pages.reach import SelectFilter
from instances.pasted import comparable, trimmed
from instances.provisioning.access.organizations import check_secret, rotate_secret
from instances.provisioning.access.permissions import visible_users

type Owner = Organization | OrganizationUser


class SecretForm(forms.ModelForm[Any]):
    """A form with the secret of a remote platform. Secrets of the embedded platform are generated, not entered."""

    new_secret = forms.CharField(
        label=gettext_lazy("Remote platform secret"),
        required=False,
        widget=SecretInput,
        help_text=gettext_lazy(
            "For a remote platform only. Never shown again. Leave blank to keep the current value."
        ),
    )

    @abstractmethod
    def is_remote(self) -> bool:
        """Return whether the entered data belongs to a remote platform."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        entered = cleaned.get("new_secret", "")
        if entered and not self.is_remote():
            message = _("The embedded platform generates this secret and shows it after saving.")
            self.add_error("new_secret", message)
        elif entered:
            self._check(entered)
        elif self.is_remote() and not self.instance.secret:
            self.add_error("new_secret", _("Enter the secret from the remote platform."))
        return cleaned

    def _check(self, entered: str) -> None:
        try:
            self.cleaned_data["new_secret"] = check_secret(self.instance, entered)
        except InputError as refusal:
            self.add_error("new_secret", str(refusal))


class OrganizationForm(SecretForm):
    class Meta:
        model = Organization
        fields = ["name", "platform_url", "endpoint_overrides", "private_hosts"]
        help_texts = {
            "platform_url": gettext_lazy(
                "The base URL of a remote platform. Leave blank to use the embedded platform."
            )
        }

    def is_remote(self) -> bool:
        return bool(self.cleaned_data.get("platform_url"))

    def clean_name(self) -> str:
        name = trimmed(self.cleaned_data["name"])
        if not name:
            raise forms.ValidationError(_("Enter a name."))
        same = Organization.objects.named(name).exclude(pk=self.instance.pk).first()
        # Names that were there before they were compared this way may stay.
        if same and comparable(name) != self.instance.name_key:
            raise forms.ValidationError(
                _("There already is an organization %(name)s. Choose another name.")
                % {"name": same.name}
            )
        return name

    def clean_endpoint_overrides(self) -> dict[str, dict[str, str]]:
        entered = self.cleaned_data["endpoint_overrides"] or {}
        is_mapping = isinstance(entered, dict) and all(
            isinstance(prefixes, dict) and all(isinstance(url, str) for url in prefixes.values())
            for prefixes in entered.values()
        )
        if not is_mapping:
            raise forms.ValidationError(
                _('Enter {"element key": {"URL prefix": "replacement"}}, or {} for none.')
            )
        return dict(entered)

    def clean_private_hosts(self) -> dict[str, list[str]]:
        return clean_private_hosts(self.cleaned_data["private_hosts"])

    def clean_platform_url(self) -> str:
        entered: str = self.cleaned_data["platform_url"].rstrip("/")
        if not self.instance._state.adding and bool(entered) != self.instance.is_remote:
            raise forms.ValidationError(
                _("An organization cannot change its platform. Create another organization.")
            )
        return entered

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not self._moves_secrets():
            return cleaned
        if self.instance.users.exists():
            why = _(
                "The secrets of this organization's users belong to the former address and are never sent to "
                "another host. Make another organization."
            )
            self.add_error("platform_url", why)
        elif not cleaned.get("new_secret"):
            why = _("Enter the secret again: it would be sent to another host.")
            self.add_error("new_secret", why)
        return cleaned

    def _moves_secrets(self) -> bool:
        """Whether stored secrets would go to another host or port, or no longer encrypted."""
        before, after = self.initial.get("platform_url"), self.cleaned_data.get("platform_url")
        if not (before and after):
            return False
        encrypted = before.replace("http://", "https://", 1)
        return host_of(after) not in {host_of(before), host_of(encrypted)}


class OrganizationUserForm(SecretForm):
    class Meta:
        model = OrganizationUser
        fields = [
            "organization",
            "email",
            "first_name",
            "last_name",
            "user",
            "may_read_credentials",
        ]

    def is_remote(self) -> bool:
        organization = self.cleaned_data.get("organization") or self._stored_organization()
        return bool(organization and organization.is_remote)

    def _stored_organization(self) -> Organization | None:
        return None if self.instance._state.adding else self.instance.organization


class SecretOwnerAdmin(ModelAdmin):
    """Pages of a model with its own secret."""

    change_form_template = "admin/instances/related_form.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).visible_to(request.user)

    def has_change_permission(self, request: HttpRequest, obj: Owner | None = None) -> bool:
        return super().has_change_permission(request, obj) and self._is_operated(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Owner | None = None) -> bool:
        return super().has_delete_permission(request, obj) and self._is_operated(request, obj)

    def _is_operated(self, request: HttpRequest, obj: Owner | None) -> bool:
        operated = self.model._default_manager.operated_by(request.user)
        return obj is None or operated.filter(pk=obj.pk).exists()

    def get_urls(self) -> list[URLPattern]:
        rotate = path(
            "<int:object_id>/rotate-secret/",
            self.admin_site.admin_view(self.rotate_view),
            name=f"instances_{self.opts.model_name}_rotate",
        )
        return [rotate, *super().get_urls()]

    def get_fields(self, request: HttpRequest, obj: Owner | None = None) -> list[str]:
        """Show the stored secret if there is one, and an input only if a secret can be entered."""
        is_embedded = obj is not None and not organization_of(obj).is_remote
        hidden = {"secret_label"} if obj is None else {"new_secret"} if is_embedded else set()
        return [name for name in self.fields if name not in hidden]

    def get_readonly_fields(self, request: HttpRequest, obj: Owner | None = None) -> list[str]:
        return ["secret_label"]

    @admin.display(description=gettext_lazy("stored secret"))
    def secret_label(self, owner: Owner) -> str:
        return secret_state(owner, "secret")

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        *args: Any,
        obj: Owner | None = None,
        **kwargs: Any,
    ) -> HttpResponse:
        if obj:
            may_change = self.has_change_permission(request, obj)
            context["buttons"] = self.buttons_of(obj, request) if may_change else []
            context["related"] = self.related_to(obj, request)
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)

    def buttons_of(self, owner: Owner, request: HttpRequest) -> list[tuple[str, str]]:
        """Return labels and addresses of what a user may do who may change the owner."""
        if organization_of(owner).is_remote:
            return []
        name = f"admin:instances_{self.opts.model_name}_rotate"
        return [(_("Rotate secret"), reverse(name, args=[owner.pk]))]

    @abstractmethod
    def related_to(self, owner: Owner, request: HttpRequest) -> list[Related]:
        """Return the panels of what belongs to the owner."""

    def save_model(self, request: HttpRequest, obj: Owner, form: SecretForm, change: bool) -> None:
        if entered := form.cleaned_data["new_secret"]:
            obj.secret = entered
        super().save_model(request, obj, form, change)

    def response_add(
        self, request: HttpRequest, obj: Owner, post_url_continue: str | None = None
    ) -> HttpResponse:
        if organization_of(obj).is_remote:
            return super().response_add(request, obj, post_url_continue)
        return self._secret_page(request, obj, rotate_secret(obj))

    def rotate_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Ask first, then generate a new secret and show it. The old one stops working at once."""
        owner = self.get_object(request, str(object_id))
        if owner is None:
            raise Http404
        if not self.has_change_permission(request, owner) or organization_of(owner).is_remote:
            raise PermissionDenied
        if request.method == "POST":
            secret = rotate_secret(owner)
            self.log_change(request, owner, _("Rotated the secret."))
            return self._secret_page(request, owner, secret)
        context = {
            "title": _("Rotate secret"),
            "original": owner,
            "effect": _(
                "Generates a new secret and shows it once. Calls with the old secret are rejected at once."
            ),
            "is_destructive": True,
            "rows": [owner],
            "back_url": self._change_url(owner),
        }
        return render_confirmation(self, request, context)

    def _secret_page(self, request: HttpRequest, owner: Owner, secret: str) -> HttpResponse:
        context = {
            "title": _("New secret"),
            "original": owner,
            "advice": _("Copy it now; it cannot be shown again. If you lose it, rotate it."),
            "secrets": {owner._meta.get_field("secret").verbose_name: secret},
            "done_url": self._change_url(owner),
        }
        return render_secrets(self, request, context)

    def _change_url(self, owner: Owner) -> str:
        return reverse(f"admin:instances_{self.opts.model_name}_change", args=[owner.pk])


def organization_of(owner: Owner) -> Organization:
    return owner if isinstance(owner, Organization) else owner.organization


def narrow_choices(name: str, request: HttpRequest, kwargs: dict[str, Any]) -> None:
    """Offer only organizations that the signed-in user operates, and users that they may view."""
    if name == "organization":
        kwargs["queryset"] = Organization.objects.operated_by(request.user)
    elif name == "user":
        kwargs["queryset"] = visible_users(request.user)


@admin.register(Organization)
class OrganizationAdmin(SecretOwnerAdmin):
    form = OrganizationForm
    list_display = ["name", "platform", "created_at"]
    search_fields = ["name"]
    fields = [
        "name",
        "platform_url",
        "secret_label",
        "new_secret",
        "endpoint_overrides",
        "private_hosts",
    ]

    def related_to(self, owner: Owner, request: HttpRequest) -> list[Related]:
        return related_to_organization(organization_of(owner), request.user)

    @admin.display(description=gettext_lazy("platform"))
    def platform(self, organization: Organization) -> str:
        return organization.platform_url or _("Embedded")


@admin.register(OrganizationUser)
class OrganizationUserAdmin(SecretOwnerAdmin):
    form = OrganizationUserForm
    list_display = ["email", "organization", "first_name", "last_name", "user"]
    list_select_related = ["organization", "user"]
    list_filter = [
        ("organization", SelectFilter),
        ("user__is_active", BooleanRadioFilter),
    ]
    list_filter_submit = True
    search_fields = ["email", "first_name", "last_name", "organization__name"]
    autocomplete_fields = ["organization", "user"]
    fields = [
        "organization",
        "email",
        "first_name",
        "last_name",
        "user",
        "may_read_credentials",
        "secret_label",
        "new_secret",
    ]

    def get_urls(self) -> list[URLPattern]:
        handover = path(
            "<int:object_id>/hand-over/",
            self.admin_site.admin_view(partial(handover_page, self)),
            name="instances_organizationuser_handover",
        )
        return [handover, *super().get_urls()]

    def related_to(self, owner: Owner, request: HttpRequest) -> list[Related]:
        return related_to_owner(cast(OrganizationUser, owner), request.user)

    def buttons_of(self, owner: Owner, request: HttpRequest) -> list[tuple[str, str]]:
        buttons = super().buttons_of(owner, request)
        if not request.user.has_perm("instances.change_instance"):
            return buttons
        url = reverse("admin:instances_organizationuser_handover", args=[owner.pk])
        return [(_("Hand over connections"), url), *buttons]

    def formfield_for_foreignkey(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> forms.ModelChoiceField[Any] | None:
        narrow_choices(db_field.name, request, kwargs)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Owner | None = None) -> list[str]:
        # Its instances and its secret belong to the organization that it was created in.
        fixed = ["organization"] if obj else []
        return [*fixed, *super().get_readonly_fields(request, obj)]


@admin.register(Membership)
class MembershipAdmin(ModelAdmin):
    """Which organizations a user operates or views."""

    list_display = ["user", "organization", "role"]
    list_select_related = ["user", "organization"]
    list_filter = [("user__is_active", BooleanRadioFilter)]
    search_fields = ["user__username", "organization__name"]
    autocomplete_fields = ["user", "organization"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        operated = Organization.objects.operated_by(request.user)
        return super().get_queryset(request).filter(organization__in=operated)

    def formfield_for_foreignkey(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> forms.ModelChoiceField[Any] | None:
        narrow_choices(db_field.name, request, kwargs)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        super().delete_model(request, obj)
        remind_of_connections(request, obj.user)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        leavers = {membership.user for membership in queryset.select_related("user")}
        super().delete_queryset(request, queryset)
        for user in leavers:
            remind_of_connections(request, user)
