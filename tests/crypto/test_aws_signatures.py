"""Signatures for AWS are what botocore's are."""

from datetime import UTC, datetime
from hashlib import sha256

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from instances.crypto.signing import AwsKeys, AwsRequest, sign_aws

NOW = datetime(2026, 11, 28, 9, 8, 7, tzinfo=UTC)
S3 = "https://s3.eu-central-1.amazonaws.com"
STS = "https://sts.eu-central-1.amazonaws.com/"
OTHER = "https://abc.execute-api.eu-central-1.amazonaws.com"


@pytest.fixture(autouse=True)
def _stopped_clock(monkeypatch):
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW)


def botocores(request, body, keys, service):
    signer = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
    credentials = Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token)
    signed = AWSRequest(request.method, request.url, headers=dict(request.headers), data=body)
    signer(credentials, service, "eu-central-1").add_auth(signed)
    return {name.lower(): value for name, value in signed.headers.items()}


@pytest.mark.parametrize(
    ("service", "method", "url", "headers", "body"),
    [
        ("s3", "GET", f"{S3}/bucket", {}, b""),
        ("s3", "GET", f"{S3}/bucket/a%20b%2Bc/%C3%BC%3D%281%29.txt?list-type=2&prefix=", {}, b""),
        ("s3", "GET", f"{S3}/bucket/a//b/./c?b=2&a=1&b=1&location", {}, b""),
        ("s3", "PUT", f"{S3}/bucket/k", {"Content-Type": "text/plain"}, b"\x00body" * 9),
        ("s3", "PUT", f"{S3}/b/k", {"x-amz-meta-note": "  two   blanks\t "}, b"x"),
        ("s3", "PUT", f"{S3}/b/k", {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}, b""),
        ("s3", "GET", "http://127.0.0.1:9000/bucket/k", {}, b""),
        ("s3", "GET", "https://S3.Example:443/bucket/k", {}, b""),
        ("sts", "GET", f"{STS}?Action=GetCallerIdentity&Version=2011-06-15", {}, b""),
        ("sts", "POST", STS, {"Content-Type": "application/x-www-form-urlencoded"}, b"Action=A"),
        ("execute-api", "GET", f"{OTHER}/v1/a%20b/c:d?x=%20&x=&y=%C3%BC&x=-_.~", {}, b""),
        ("execute-api", "POST", OTHER, {"X-Amz-Target": "A.B"}, b"{}"),
    ],
)
@pytest.mark.parametrize("token", ["", "session/token+=="])
def test_a_signature_is_botocores(service, method, url, headers, body, token):
    keys = AwsKeys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)
    request = AwsRequest(method, url, headers, sha256(body).hexdigest())
    added = sign_aws(request, keys, region="eu-central-1", service=service, at=NOW)
    theirs = botocores(request, body, keys, service)
    assert added.items() <= theirs.items()
    assert theirs.keys() - added.keys() == {name.lower() for name in headers}


def test_s3_reads_a_path_as_it_decodes_it():
    """botocore never sends such paths; callers of the proxy do."""

    def signed(url):
        request = AwsRequest("GET", url, {}, sha256().hexdigest())
        return sign_aws(request, AwsKeys("a", "b"), region="r", service="s3", at=NOW)

    assert signed(f"{S3}/b/a=b(1)?x=a+b") == signed(f"{S3}/b/a%3Db%281%29?x=a%20b")
    assert signed(f"{S3}/b/a") != signed(f"{S3}/b/A")


def test_keys_are_not_shown():
    assert "s3cr3t" not in repr(AwsKeys("a", "s3cr3t", "s3cr3t"))
