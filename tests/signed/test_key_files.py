"""Key files with a password (PKCS#12): opened once, and never stored with it."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command

from instances.crypto import key_files
from instances.models import Instance, Interaction
from tests.signed.conftest import CLIENT_ID
from tests.signed.test_key_forms import KEY, configure_url
from tests.support.assertion_provider import Registered
from tests.support.factories import make_organization_user
from tests.support.signing_keys import certificate, ec_key, key_file, pem, rsa_key

PASSWORD = "pässword of the file"


def body(content, password=PASSWORD):
    text = base64.encodebytes(content).decode() if isinstance(content, bytes) else content
    own = {"oauth.api.key": CLIENT_ID, "oauth.api.private_key": text}
    opens = {"oauth.api.private_key.password": password}
    return {"element": {"key": "signed"}, "name": "Acme", "configuration": own | opens}


def own_file(**options):
    return key_file(rsa_key(), certificate(rsa_key()), PASSWORD, **options)


@pytest.fixture
def thumbprinted(make_signed, provider):
    """The provider knows the client by its certificate."""
    make_signed(algorithm="PS256", sends_thumbprint=True)
    return provider


@pytest.mark.parametrize("is_old", [False, True])
def test_a_key_file_in_base64_becomes_key_and_certificate(api, thumbprinted, is_old):
    own, other = certificate(rsa_key()), certificate(ec_key())
    content = key_file(rsa_key(), own, PASSWORD, others=[other], is_old=is_old)
    header = {"alg": "PS256", "x5t#S256": thumbprint_of(own)}
    thumbprinted.clients[CLIENT_ID] = Registered(rsa_key().public_key(), header)
    created = api.post("instances", body(content))
    assert (created.status_code, thumbprinted.refusals) == (200, []), created.text
    instance = Instance.objects.get()
    stored = instance.secret_configuration.reveal()["oauth.api.private_key"]
    assert stored.count("-----BEGIN") == 2
    assert "oauth.api.private_key.password" not in instance.full_configuration()
    everything = created.text + str([vars(one) for one in Interaction.objects.all()])
    assert PASSWORD not in everything + str(instance.full_configuration())


def thumbprint_of(own):
    return base64.urlsafe_b64encode(own.fingerprint(SHA256())).decode().rstrip("=")


@pytest.mark.parametrize(
    ("content", "password", "sentence"),
    [
        (lambda: own_file(), "another one", "the password of the key file is wrong, or the file is damaged"),
        (lambda: own_file(), "", "cannot be opened without a password"),
        (lambda: own_file()[:-9], PASSWORD, "the password of the key file is wrong, or the file is damaged"),
        (lambda: b"\x30\x82\x01\x00\x02\x01\x03" + b"\xff" * 250, PASSWORD, "or the file is damaged"),
        (lambda: b"\x30\x82\xff" * 99, PASSWORD, "contains no private key"),
        (lambda: key_file(None, certificate(rsa_key()), PASSWORD), PASSWORD, "contains no private key. Export"),
        (lambda: key_file(rsa_key(), None, PASSWORD), PASSWORD, "has no certificate"),
        (
            lambda: key_file(rsa_key(), None, PASSWORD, others=[certificate(ec_key())]),
            PASSWORD,
            "does not belong to the certificate",
        ),
        (lambda: key_file(rsa_key(1024), certificate(rsa_key(1024)), PASSWORD), PASSWORD, "RSA key of 1024 bits"),
        (lambda: key_file(ec_key(), certificate(ec_key()), PASSWORD), PASSWORD, "is not an RSA key"),
        (
            lambda: key_file(rsa_key(), certificate(rsa_key(), days=-1), PASSWORD),
            PASSWORD,
            "has a certificate that ended on 20",
        ),
        (lambda: own_file() + b"x" * 20_000, PASSWORD, "is longer than"),
        (lambda: pem(rsa_key(), passphrase="right"), "another one", "the password of the key file is wrong"),
    ],
)  # fmt: skip
def test_a_key_file_that_cannot_be_used_is_an_error_at_its_field(
    api, thumbprinted, content, password, sentence
):
    refused = api.post("instances", body(content(), password))
    message = refused.json()["message"]
    assert (refused.status_code, thumbprinted.forms) == (400, [])
    assert "oauth.api.private_key: " in message
    assert sentence in message
    assert password == "" or password not in refused.text
    assert not Instance.objects.exists()


def with_rounds(content):
    """2**31 - 1 of them, in the last part of the file (MacData, RFC 7292 4)."""
    start = 11 + int.from_bytes(content[9:11])
    mac = content[start:]
    assert mac.startswith(b"\x30")
    assert mac.endswith(b"\x02\x02\x08\x00")
    mac = bytes([0x30, mac[1] + 2]) + mac[2:-4] + b"\x02\x04\x7f\xff\xff\xff"
    whole = content[4:start] + mac
    return b"\x30\x82" + len(whole).to_bytes(2) + whole


def test_a_certificate_of_an_unknown_version_is_an_error_at_its_field(api, thumbprinted):
    der = certificate(rsa_key()).public_bytes(Encoding.DER)
    other = der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x04", 1)
    block = f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(other).decode()}-----END CERTIFICATE-----"
    refused = api.post("instances", body(f"{pem(rsa_key())}{block}", ""))
    assert refused.status_code == 400
    assert "has a certificate that cannot be read" in refused.json()["message"]


def test_a_hostile_key_file_is_given_up(api, thumbprinted, monkeypatch):
    """The number of rounds that check the password is the file's to choose: 2**31 take a quarter of an hour."""
    monkeypatch.setattr(key_files, "TIMEOUT_SECONDS", 0.5)
    refused = api.post("instances", body(with_rounds(own_file())))
    assert refused.status_code == 400
    assert "takes too long to open" in refused.json()["message"]


@pytest.mark.parametrize(
    "before", ["", "Bag Attributes\n    friendlyName: 0\nKey Attributes: <none>\n"]
)
def test_an_encrypted_pem_is_opened_with_its_password(api, make_signed, provider, before):
    """OpenSSL writes names before what it exports from a PKCS#12 file."""
    make_signed(algorithm="ES256")
    provider.clients[CLIENT_ID] = Registered(ec_key().public_key(), {"alg": "ES256"})
    created = api.post("instances", body(before + pem(ec_key(), passphrase="right"), "right"))
    assert (created.status_code, provider.refusals) == (200, []), created.text


def test_a_key_file_is_uploaded_with_its_password(operator, make_signed, provider):
    user, element = make_organization_user(), make_signed(algorithm="ES256")
    provider.clients[CLIENT_ID] = Registered(ec_key().public_key(), {"alg": "ES256"})
    url = configure_url(user, element)
    content = key_file(ec_key(), certificate(ec_key(), days=400), PASSWORD)

    def entered(password):
        uploaded = SimpleUploadedFile("client.p12", content)
        client = {"configuration.oauth.api.key": CLIENT_ID, f"{KEY}.file": uploaded}
        return client | {f"{KEY}.password": password}

    page = operator.post(url, entered("another one"))
    assert "is wrong" in page.context["form"].errors[KEY][0]
    assert "another one" not in str(page.context["form"][f"{KEY}.password"])
    operator.post(url, entered(PASSWORD))
    instance = Instance.objects.get()
    assert (instance.state, provider.refusals) == ("connected", [])
    shown = operator.get(f"/admin/instances/instance/{instance.pk}/change/").text
    assert "Certificate valid until" in shown


def test_the_password_stands_next_to_its_key(operator, make_signed):
    """And not among the advanced settings."""
    page = operator.get(configure_url(make_organization_user(), make_signed()))
    names = [field.name for field in page.context["form"].first_fields]
    assert names[names.index(KEY) + 1] == f"{KEY}.password"


def test_a_file_of_many_rows_may_hold_key_files(api, make_signed, provider, tmp_path, capsys):
    make_signed(algorithm="ES256")
    provider.clients[CLIENT_ID] = Registered(ec_key().public_key(), {"alg": "ES256"})
    rows = [body(key_file(ec_key(), None, PASSWORD)), body(key_file(ec_key(), None, PASSWORD), "x")]
    rows[1]["name"] = "Wrong"
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows))
    with pytest.raises(CommandError, match="1 of 2 rows failed"):
        call_command("provision_instances", path, "--user", api.user.email)
    shown = capsys.readouterr().out
    assert "cannot be opened" in shown
    assert "has no key" not in shown
    assert PASSWORD not in shown
    assert [one.name for one in Instance.objects.filter(state="connected")] == ["Acme"]
