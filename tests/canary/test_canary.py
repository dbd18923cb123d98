"""No secret that was entered, issued or exchanged can be found anywhere afterwards."""

import base64
import io
import json
import logging
from urllib.parse import urlsplit

import pytest
from django.core.cache import cache
from django.db import connection

from instances.models import OrganizationUser
from tests.canary.journey import Journey, canary
from tests.canary.search import (
    admin_pages,
    database,
    forget_deleted_rows,
    found,
    written_forms,
)
from tests.support.factories import make_interaction

AWKWARD = 'a/b+c&d é"e<f'


@pytest.fixture
def log():
    """Everything that is logged, from DEBUG up, in the program's format."""
    handler, root, written = logging.getHandlerByName("stderr"), logging.getLogger(), io.StringIO()
    assert isinstance(handler, logging.StreamHandler)
    before, level = handler.setStream(written), root.level
    root.setLevel(logging.DEBUG)
    yield written
    root.setLevel(level)
    handler.setStream(before)


@pytest.fixture
def journey(sandbox, provider, settings, live_server, log):
    settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [provider.netloc, urlsplit(live_server.url).netloc]
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
    cache.clear()  # API calls that other tests counted
    forget_deleted_rows()
    journey = Journey()
    journey.sign_in()
    for key in (settings.SECRET_KEY, *settings.ENCRYPTION_KEYS):
        journey.keep("a key of the program", key)
    return journey


@pytest.fixture
def places(journey, log, capfd):
    """The places to search for secrets, with their current contents."""

    def places():
        pages = dict(admin_pages(journey.browser))
        texts = {
            "what was told": "\n".join(journey.told),
            "what was printed": "\n".join(capfd.readouterr()),
            "the log": log.getvalue(),
        }
        return pages | dict(database()) | {place: text.encode() for place, text in texts.items()}

    return places


@pytest.mark.slow
def test_no_secret_that_was_used_can_be_found(journey, places, dynamics, provider, tmp_path):
    user = OrganizationUser.objects.get()
    journey.use_the_admin(user, dynamics)
    journey.use_the_api()
    journey.use_a_remote_platform(provider, tmp_path / "instances.json")
    journey.work_in_the_background()
    journey.change_secrets(user, dynamics)
    looked_at = places()
    assert len(journey.secrets) > 50
    assert len(looked_at) > 200
    assert found(journey.secrets, looked_at) == []


def test_a_secret_that_was_left_in_clear_is_found(journey, places, log):
    planted = canary("planted")
    make_interaction(request_body=json.dumps({"field": planted}))
    session = journey.browser.session
    session["note"] = planted
    session.save()
    log.write(planted)
    journey.told.append(planted)
    where = " ".join(found({planted: "it"}, places()))
    file = "file " if connection.vendor == "sqlite" else ""
    for place in ("table instances_interaction", file, "a session", "the log", "told", "page /"):
        assert place in where


@pytest.mark.parametrize("form", list(written_forms(AWKWARD)))
def test_a_secret_is_found_in_every_form_of_it(form):
    content = b"before " + written_forms(AWKWARD)[form] + b" after"
    assert found({AWKWARD: "it"}, {"there": content})


@pytest.mark.parametrize("before", ["", "user", "client-1", "user:"])
def test_a_secret_is_found_inside_of_a_longer_base64(before):
    content = base64.b64encode(f"{before}:{AWKWARD}, and more".encode())
    assert found({AWKWARD: "it"}, {"a header": b"Basic " + content})
