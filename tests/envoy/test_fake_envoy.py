"""The fake that tests/lua stands on behaves as a real Envoy does."""

import copy
import re
from pathlib import Path

import pytest

from lab import mesh, stack
from lab.bootstrap import Json
from tests.lua.fake_envoy import Proxy

PROBE = (Path(__file__).parents[1] / "lua" / "probe.lua").read_text()

pytestmark = pytest.mark.anyio


def with_script(manifests: list[Json], text: str) -> list[Json]:
    """The manifests with another script in their capture filters."""
    manifests = copy.deepcopy(manifests)
    for manifest in manifests:
        for patch in manifest["spec"].get("configPatches", []):
            patch["patch"]["value"]["typed_config"]["default_source_code"]["inline_string"] = text
    return manifests


def findings(text: str) -> list[str]:
    return re.findall(r"probe (.*)", text)


async def test_the_probe_finds_the_same_in_the_fake_and_in_envoy() -> None:
    async with mesh.running(with_script(stack.manifests(), PROBE)) as lab, lab.client() as client:
        await client.post(
            "/echo",
            headers=[("host", "shop.example.com"), ("x-twice", "a"), ("x-twice", "b")],
            content=b"x" * 300_000,
        )
        real = findings(lab.envoy.log())

    fake = Proxy(PROBE)
    stream = fake.stream().request(
        [
            (":authority", "shop.example.com"),
            (":path", "/echo"),
            (":method", "POST"),
            ("x-twice", "a"),
            ("x-twice", "b"),
        ],
        b"x" * 300_000,
    )
    stream.response([(":status", "200")], b"x" * 300_000)
    assert sorted(set(real)) == sorted(set(findings("\n".join(fake.warnings))))
    assert len(set(real)) > 20
