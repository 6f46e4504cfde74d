"""The documents: their stack files can be rendered, their links, commands, keys and tests exist."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import render
from components.istio.names import PART_OF
from components.version import VERSION
from lab import stack
from tools import settings_reference

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PROJECT = yaml.safe_load((ROOT / "Pulumi.yaml").read_text("utf-8"))["name"]

A_TEST = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)
TESTS = {
    path.relative_to(ROOT): set(A_TEST.findall(path.read_text("utf-8")))
    for path in (ROOT / "tests").rglob("test_*.py")
}
# What a user pins: the wheel's name, the line of a package index, a tag.
VERSIONS = re.compile(
    r"(?:pulumi_astra_istio-|pulumi-astra-istio[=~<>!]=\s*|@v|\bBASE=v)(?P<version>\d+\.\d[\w.+]*\w|[A-Z]+\b)"
)
PINNING = [
    *DOCUMENTS,
    *(
        path
        for folder in ("examples", "plugin", "policy")
        for path in sorted((ROOT / folder).rglob("*.*"))
        if path.suffix in {".json", ".md", ".py", ".toml", ".ts", ".txt", ".yaml"}
        and not {"node_modules", "sdks", ".venv", "venv", "rendered"} & {*path.relative_to(ROOT).parts}
    ),
]

EACH = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def snippets(document: Path) -> list[dict[str, Any]]:
    """The fenced YAML blocks of a document."""
    fenced = re.findall(r"^```ya?ml\n(.*?)^```", document.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [yaml.safe_load(block) for block in fenced]


STACK_FILES: dict[str, dict[str, Any]] = {
    f"{document.name} {number}": snippet["config"]
    for document in DOCUMENTS
    for number, snippet in enumerate(snippets(document))
    if any(key.startswith(f"{PROJECT}:") for key in snippet.get("config", {}))
}
RECIPES = [config for name, config in STACK_FILES.items() if name.startswith("recipes.md")]


@pytest.mark.parametrize("config", STACK_FILES.values(), ids=STACK_FILES)
def test_a_stack_file_renders_without_a_warning(config: dict[str, Any], tmp_path: Path) -> None:
    """With what it leaves out from the dev stack."""
    assert {key.partition(":")[0] for key in config} <= {PROJECT, "kubernetes"}
    own = {key.partition(":")[2]: value for key, value in config.items() if key.startswith(PROJECT)}
    rendered = render.render(stack.project(tmp_path, **own), stack.STACK)
    assert rendered.warnings == []
    assert rendered.clusters[""]


def test_there_are_recipes() -> None:
    assert len(RECIPES) >= 7


def test_both_steps_of_moving_a_collector_can_be_rendered() -> None:
    [first, *_] = [number for number, config in enumerate(RECIPES) if "https" in str(config)]
    move, beside = RECIPES[first : first + 2]
    url, new = move[f"{PROJECT}:collectorUrl"], beside[f"{PROJECT}:egress"]["name"]
    assert beside[f"{PROJECT}:collectorUrl"] == url
    kinds = [manifest["kind"] for manifest in stack.manifests(collectorUrl=url, egress={"create": False})]
    assert kinds == ["EnvoyFilter"]
    assert new != stack.manifests()[-1]["metadata"]["name"]


def test_the_label_of_the_emergency_is_that_of_every_object() -> None:
    [(key, value)] = PART_OF.items()
    text = (ROOT / "docs" / "recipes.md").read_text("utf-8")
    assert re.findall(r" -l (\S+)", text) == [f"{key}={value}"] * 2
    assert all(PART_OF.items() <= manifest["metadata"]["labels"].items() for manifest in stack.manifests())


def test_no_two_projects_of_the_documents_and_examples_share_a_name() -> None:
    """In one backend, the second one could not have a stack of the same name."""
    examples = [yaml.safe_load(path.read_text("utf-8")) for path in ROOT.glob("examples/*/Pulumi.yaml")]
    tutorials = [found for document in DOCUMENTS for found in snippets(document) if "runtime" in found]
    names = [project["name"] for project in [*examples, *tutorials]]
    assert len(tutorials) == 2
    assert sorted(set(names)) == sorted(names)


@EACH
def test_links_lead_to_files_and_headings(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)\s]*)\)", document.read_text("utf-8")):
        name, _, heading = target.partition("#")
        file = (document.parent / name).resolve() if name else document
        assert file.exists(), target
        assert not heading or heading in headings(file), target


def headings(document: Path) -> list[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    lines = re.findall(r"^#+ (.*)", document.read_text("utf-8"), re.MULTILINE)
    return [re.sub(r"[^a-z0-9 _-]", "", line.lower()).replace(" ", "-") for line in lines]


@EACH
def test_commands_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    text = document.read_text("utf-8")
    named = re.findall(r"(?:^ {4}|`|\bARGS=\S+ )(?:[A-Z_]+=\S+ )*make ([a-z][a-z-]*)", text, re.MULTILINE)
    assert set(named) <= targets


@EACH
def test_files_that_are_named_by_their_path_exist(document: Path) -> None:
    said = re.findall(r"\b(?:components|lab|lua|tests|tools)/[\w/.-]*\w", document.read_text("utf-8"))
    assert [path for path in said if not list(ROOT.glob(f"{path}*"))] == []


@EACH
def test_settings_that_are_named_by_their_path_exist(document: Path) -> None:
    keys = [f".{setting.key}." for group in settings_reference.groups() for setting in group.settings]
    text = document.read_text("utf-8")
    named = set(re.findall(r"`((?:capture|egress|redaction|export|tls|limits)\.[A-Za-z.]+)`", text))
    unknown = {name for name in named if not any(f".{name}." in key for key in keys)}
    assert unknown <= {"egress.hosts"}  # of Istio's Sidecar


@EACH
def test_tests_that_are_named_exist(document: Path) -> None:
    text = document.read_text("utf-8")
    for folder, file, name in re.findall(r"(tests/\w+/)?\b(test_\w+\.py)(?:::(test_\w+))?", text):
        files = [path for path in TESTS if path.name == file and str(path).startswith(folder)]
        assert files, f"{folder}{file}"
        assert not name or any(name in TESTS[path] for path in files), f"{file}::{name}"
    named = set(re.findall(r"\btest_\w+\b(?!\.py)", text))
    assert named - set().union(*TESTS.values()) == set()


def test_each_line_about_security_names_the_test_that_shows_it_or_says_that_none_does() -> None:
    lines = (ROOT / "docs" / "security.md").read_text("utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.endswith("| shown by |")]
    assert len(rows) >= 30
    assert [
        row for row in rows if not re.search(r"\| [^|]*(?:`test_\w+`|not tested: |not tested; )[^|]*\|$", row)
    ] == []


def test_each_numbered_claim_about_security_has_its_line_in_the_table_of_tests() -> None:
    text = (ROOT / "docs" / "security.md").read_text("utf-8")
    claims = re.findall(r"^- \*\*(\d\.\d+)\*\* ", text, re.MULTILINE)
    assert len(claims) >= 30
    assert claims == re.findall(r"^\| (\d\.\d+) ", text, re.MULTILINE)


def test_every_scenario_of_the_mesh_is_named_in_a_document() -> None:
    named = {
        name for document in DOCUMENTS for name in re.findall(r"\btest_\w+\b", document.read_text("utf-8"))
    }
    scenarios = {name for path, names in TESTS.items() if path.parent == Path("tests/mesh") for name in names}
    assert scenarios - named == set()


def test_every_document_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    listed = set(re.findall(r"\]\(([a-z-]+\.md)\)", index))
    assert listed == {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}


def test_versions_that_a_user_pins_are_the_one_there_is() -> None:
    named = {
        (str(path.relative_to(ROOT)), match["version"])
        for path in PINNING
        for match in VERSIONS.finditer(path.read_text("utf-8"))
    }
    assert {path for path, _ in named} >= {"README.md", "docs/platform.md", "docs/review.md"}
    assert {(path, version) for path, version in named if version not in {VERSION, "VERSION"}} == set()
