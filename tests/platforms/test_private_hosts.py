"""Private addresses that operators list for one organization and element, and for nobody else."""

from dataclasses import replace

import pytest

from instances.errors import BlockedAddressError
from instances.platforms.registry import platform_for
from instances.platforms.transport import exchange
from tests.platforms.conftest import failure_of
from tests.support.provider import PASSWORD, USERNAME

BASIC = {"username": USERNAME, "password": PASSWORD}


@pytest.fixture(autouse=True)
def nothing_private_is_open(provider, settings):
    settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = []


def test_what_is_listed_for_an_element_can_be_called_by_its_instances(
    make_draft, basic_way, provider
):
    draft = make_draft(basic_way, BASIC)
    draft.organization.private_hosts = {"other": [provider.netloc]}
    with pytest.raises(BlockedAddressError, match="private hosts"):
        platform_for(draft.organization).get_instance(draft)
    assert provider.requests == []
    draft.organization.private_hosts = {"loopback": [provider.netloc]}
    platform_for(draft.organization).get_instance(draft)
    assert len(provider.requests) == 1


def test_an_open_connection_serves_nobody_else(subject, provider):
    listed = replace(subject, private_hosts=("127.0.0.1",))
    exchange(listed, "GET", f"{provider.url}/probe")
    exchange(listed, "GET", f"{provider.url}/probe")
    assert provider.connections == 1
    with pytest.raises(BlockedAddressError):
        exchange(subject, "GET", f"{provider.url}/probe")
    assert len(provider.requests) == 2


def test_the_port_counts_where_one_is_listed(subject, provider):
    listed = replace(subject, private_hosts=("127.0.0.1:1",))
    failure_of(listed, f"{provider.url}/probe", BlockedAddressError)


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "[fd00:ec2::254]",
        "[fe80::a9fe:a9fe]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
    ],
)
def test_no_list_of_an_organization_opens_the_machines_metadata_service(subject, host):
    listed = replace(subject, private_hosts=(host, "*.internal.example"))
    failure_of(listed, f"http://{host}/latest/meta-data/", BlockedAddressError)
