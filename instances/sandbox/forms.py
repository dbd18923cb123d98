"""Forms of the sandbox's pages: sign in, and flip a switch."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from instances.sandbox.behaviour import Switch
from instances.sandbox.certificates import register_certificate
from instances.sandbox.grants import is_account
from instances.sandbox.models import MAX_DELAY_SECONDS

MAX_CERTIFICATE_BYTES = 20_000


class SignInForm(forms.Form):
    username = forms.CharField(
        label=_("User name"),
        widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True}),
    )
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def clean(self) -> dict[str, Any]:
        entered = self.cleaned_data
        if {"username", "password"} <= entered.keys() and not is_account(
            entered["username"], entered["password"]
        ):
            raise ValidationError(
                _(
                    "The user name or password is wrong. The sandbox's front page shows the right ones."
                )
            )
        return entered


class CertificateForm(forms.Form):
    certificate = forms.FileField(label=_("Certificate (PEM), without its private key"))

    def clean_certificate(self) -> str:
        content = self.cleaned_data["certificate"].read(MAX_CERTIFICATE_BYTES + 1)
        try:
            register_certificate(content.decode("ascii"))
        except ValueError:
            raise ValidationError(
                _(
                    "This is not a certificate of an RSA key alone, in PEM form. Choose another file."
                )
            ) from None
        return ""


class SwitchForm(forms.Form):
    switch = forms.ChoiceField(choices=Switch.choices)
    seconds = forms.IntegerField(
        label=_("Delay, 1 to 60 seconds"), min_value=1, max_value=MAX_DELAY_SECONDS, required=False
    )

    def clean(self) -> dict[str, Any]:
        chosen = self.cleaned_data
        if chosen.get("switch") == Switch.SLOW and not chosen.get("seconds"):
            self.add_error("seconds", _("Enter a delay of 1 to 60 seconds."))
        return chosen
