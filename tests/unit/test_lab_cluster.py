"""What the lab's control plane says before it builds."""

import pytest

from lab.cluster import build

GO_MOD = "module tools/istio\n\ngo 1.26.0\n\nrequire example.com/go v1.30.0\n"


@pytest.mark.parametrize("version", ["go1.26.0\n", "go1.26.8", "go1.27rc1", "devel go1.28-3c9f2a", "go2.0"])
def test_a_go_that_is_new_enough_is_fine(version: str) -> None:
    assert build.too_old(version, GO_MOD) is None


@pytest.mark.parametrize("version", ["go1.20.14", "go1.25.9", "go1.9", ""])
def test_one_that_is_too_old_is_told_with_both_versions(version: str) -> None:
    said = build.too_old(version, GO_MOD)
    assert said
    assert version in said
    assert "Go 1.26 or newer" in said
