"""Tests that share a program or a server run in one process: pytest-xdist knows their group."""

import pytest


@pytest.mark.xdist_group("groups")
def test_xdist_keeps_groups_together(request):
    if not request.config.getoption("loadgroup", False):
        pytest.skip("Only with -n and --dist loadgroup")
    assert request.node.nodeid.endswith("@groups")
