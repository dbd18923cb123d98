"""Browsers that are sent to the stub provider, and come back as it says."""

import re
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from urllib.parse import unquote, urlsplit

from django.test import Client
from django.urls import reverse

from instances.provisioning.oauth.links import make_link


@dataclass
class Browser:
    """A browser that is sent to the stub, and follows what the stub answers."""

    client: Client
    provider_url: str

    def come_back(self):
        """Go to the provider and back; returns the page that the browser ends on."""
        parts = urlsplit(self.provider_url)
        connection = HTTPConnection(parts.netloc, timeout=5)
        connection.request("GET", f"{parts.path}?{parts.query}")
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        if answer.status == HTTPStatus.FOUND:
            return self._open(answer.headers["Location"])
        return self._submit(text)

    def _submit(self, form):
        """Send the provider's form: from another site, so without cookies; the redirect has them."""
        fields = re.findall(r'name="(\w+)" value="([^"]*)"', form)
        action = urlsplit(re.findall(r'action="([^"]*)"', form)[0]).path
        data = {name: unquote(value) for name, value in fields}
        redirect = Client(enforce_csrf_checks=True).post(action, data)
        assert redirect.status_code == HTTPStatus.SEE_OTHER
        return self.client.get(redirect["Location"])

    def _open(self, url):
        parts = urlsplit(url)
        page = self.client.get(f"{parts.path}?{parts.query}" if parts.query else parts.path)
        if "callback.js" not in page.text:
            return page
        # What the page's script does.
        assert page.status_code == 400
        return self.client.get(f"{parts.path}?{parts.fragment or 'fragment='}")


def by_link(instance):
    client = Client()
    path = urlsplit(make_link(instance, user=instance.organization_user.user).url).path
    client.get(path)
    return Browser(client, client.post(path)["Location"])


def as_operator(instance):
    client = Client()
    client.force_login(instance.organization_user.user)
    url = reverse("admin:instances_instance_action", args=[instance.pk, "authorize"])
    return Browser(client, client.post(url)["Location"])
