"""Amazon S3: every request is signed, and a strict AWS recomputes the signatures."""

from datetime import timedelta

import pytest
from django.utils import timezone

from instances import errors
from instances.models import Instance, Interaction
from instances.provisioning.lifecycle.check import check_instance
from tests.conftest import shipped
from tests.support.aws_provider import AwsProvider

KEY_ID, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGION = "{filemanagement.provider.region_name}"


@pytest.fixture
def aws(settings):
    with AwsProvider() as provider:
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [provider.netloc]
        provider.keys[KEY_ID] = SECRET
        yield provider


@pytest.fixture
def s3(api, aws):
    shipped("amazons3")
    api.user.organization.endpoint_overrides = {
        "amazons3": {f"https://{name}.{REGION}.amazonaws.com": aws.url for name in ("sts", "s3")}
    }
    api.user.organization.save()
    return api


def create(api, **configuration):
    own = {"access_key": KEY_ID, "secret_key": SECRET, "bucket_name": "acme.files"} | configuration
    named = {f"filemanagement.provider.{name}": value for name, value in own.items()}
    return api.post(
        "instances", {"element": {"key": "amazons3"}, "name": "Acme", "configuration": named}
    )


def call(api, created, method, path, body=b"", **headers):
    header = f"User {api.user.secret.reveal()}, Element {created.json()['token']}"
    response = api.django.generic(
        method,
        f"/elements/api-v2/proxy/{path}",
        data=body,
        content_type=headers.pop("content_type", ""),
        headers={"Authorization": header} | headers,
    )
    return response.status_code, response.getvalue()


def recorded():
    return str([vars(one) for one in Interaction.objects.all()])


def test_keys_are_verified_by_a_signed_request(s3, aws):
    created = create(s3, region_name="eu-central-1")
    assert (created.status_code, aws.refusals) == (200, []), created.text
    assert aws.calls == [("GET", "/?Action=GetCallerIdentity&Version=2011-06-15", b"")]
    instance = Instance.objects.get()
    assert instance.verified_at is not None
    shown = created.text + recorded() + str(vars(instance)) + str(aws.headers)
    assert SECRET not in shown
    assert not [one for one in aws.signatures if one in created.text + recorded()]


@pytest.mark.parametrize(
    ("method", "path", "body", "headers"),
    [
        ("GET", "?list-type=2&prefix=a%2Fb&delimiter=", b"", {}),
        ("GET", "a%20b/%C3%BC=(1).txt?x=2&x=1&uploads", b"", {}),
        ("PUT", "k", b"\x00" * 2_000_000, {"content_type": "text/plain", "x-amz-acl": "private"}),
        ("PUT", "k", b"x", {"x-amz-meta-note": "two   blanks", "X-Amz-Date": "20200101T000000Z"}),
        ("DELETE", "k", b"", {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}),
    ],
)
def test_calls_through_the_proxy_are_signed_with_their_bodies(s3, aws, method, path, body, headers):
    created = create(s3)
    assert call(s3, created, method, path, body, **headers) == (200, b"<Result/>")
    target = f"/acme.files/{path}"
    assert (aws.calls[-1], aws.refusals) == ((method, target, body), [])


def test_temporary_keys_send_their_session_token(s3, aws):
    aws.session_token = "t0ken-of-the-session/+=="
    created = create(s3, session_token=aws.session_token)
    assert created.status_code == 200, created.text
    assert call(s3, created, "GET", "k")[0] == 200
    assert aws.session_token not in created.text + recorded()
    assert create(s3).status_code == 400


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda aws: aws.keys.update({KEY_ID: "another"}), "SignatureDoesNotMatch"),
        (lambda aws: aws.keys.clear(), "InvalidClientTokenId"),
    ],
)
def test_refused_keys_are_explained(s3, aws, change, code):
    change(aws)
    refused = create(s3)
    assert (refused.status_code, aws.refusals) == (400, [code])
    assert "rejected the keys or their signature (HTTP 403)" in refused.text
    # AWS repeats the signature and the key.
    shown = refused.text + recorded()
    assert code in shown
    assert not [one for one in (*aws.signatures, KEY_ID, SECRET) if one in shown]


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_wrong_clock_is_explained_and_breaks_no_instance(s3, aws, minutes):
    created = create(s3, region_name="EU-Central-1")
    assert created.status_code == 200, created.text
    aws.clock_is_wrong_by = timedelta(minutes=minutes)
    for _ in range(3):
        with pytest.raises(errors.RefusedError, match="Correct the clock of this server"):
            check_instance(Instance.objects.get(), actor="test")
    assert Instance.objects.get().state == "connected"
    assert "Correct the clock" in create(s3).text


def test_a_missing_permission_is_not_a_wrong_key(s3, aws):
    aws.denied_services.add("sts")
    refused = create(s3)
    assert "lacks permissions" in refused.text
    assert "clock" not in refused.text


def test_a_trace_shows_no_signature(s3, aws):
    created = create(s3)
    until = timezone.now() + timedelta(hours=1)
    Instance.objects.update(is_trace_logging=True, trace_logging_until=until)
    aws.denied_services.add("s3")
    status, body = call(s3, created, "GET", "k")
    assert (status, aws.signatures[-1].encode() in body) == (403, True)
    shown = recorded()
    assert "AccessDenied" in shown
    assert not [one for one in (*aws.signatures, KEY_ID, SECRET) if one in shown]


@pytest.mark.parametrize("region", ["eu.example/", "evil.example#", "a b", "eu-central-1\r\nX: y"])
def test_a_region_cannot_name_another_host(s3, aws, region):
    s3.user.organization.endpoint_overrides = {}
    s3.user.organization.save()
    assert create(s3, region_name=region).status_code == 400
    assert aws.headers == []


def test_an_access_key_must_fit_into_a_header(s3, aws):
    refused = create(s3, access_key="schlüssel")
    assert refused.status_code == 400
    assert "filemanagement.provider.access_key" in refused.json()["message"]
    assert aws.headers == []
