"""Processes that end with the test, and instances connected to a sandbox."""

import pytest

from instances.catalogue.sandbox import SANDBOX_CLIENT_ID, SANDBOX_CLIENT_SECRET
from instances.provisioning.lifecycle.provision import provision_instance
from tests.support.connected import oauth_definition
from tests.support.factories import make_element, make_instance
from tests.support.processes import Process, Sandbox


@pytest.fixture(scope="session")
def far_sandbox(tmp_path_factory):
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"))
    try:
        sandbox.start()
        yield sandbox
    finally:
        sandbox.stop()


@pytest.fixture
def run(tmp_path, far_sandbox, provider, settings):
    """run("manage.py", "scheduler") starts a process that ends with the test."""
    settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [far_sandbox.netloc, provider.netloc]
    started = []

    def start(*arguments, **environment):
        process = Process(
            *arguments,
            folder=tmp_path,
            providers=settings.PROVIDER_ALLOWED_PRIVATE_HOSTS,
            **environment,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.stop()


@pytest.fixture
def make_granted(run, far_sandbox):
    """Create a connected instance with its own grant at the sandbox."""
    endpoints = oauth_definition(f"{far_sandbox.url}/sandbox/common/oauth2")
    definition = endpoints | {"key": "sandboxed", "id": 900005, "name": "Sandboxed"}
    [way] = definition["authentication"]
    way["probe"]["url"] = f"{far_sandbox.url}/sandbox/api/data/v9.2/WhoAmI"

    def make(**fields):
        tokens = far_sandbox.sign_in()
        instance = make_instance(
            element=make_element(definition),
            configuration={
                "oauth.api.key": SANDBOX_CLIENT_ID,
                "oauth.api.secret": SANDBOX_CLIENT_SECRET,
                "oauth.callback.url": "https://app.example/callback",
                "oauth.user.token": tokens["access_token"],
                "oauth.user.refresh_token": tokens["refresh_token"],
            },
            authentication_type="oauth2",
            external_authentication="initial",
            **fields,
        )
        return provision_instance(instance, actor="test")

    return make
