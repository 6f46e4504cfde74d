"""Rendering a project of somebody else: its own modules, other stacks' outputs, several clusters."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from components import render
from components.render.__main__ import main

Write = Callable[..., Path]


@pytest.fixture
def project(tmp_path: Path) -> Write:
    """Writes the files of a project with one stack, `dev`; the program is the text without a name."""

    def write(program: str, **files: str) -> Path:
        folder = tmp_path / "project"
        texts = {"Pulumi.yaml": "name: acme", "Pulumi.dev.yaml": "", "__main__.py": program, **files}
        for name, text in texts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), "utf-8")
        return folder

    return write


def run(project: Path, out: Path) -> int:
    return main(["--project", str(project), "--stack", "dev", "--out", str(out)])


def rendered(out: Path) -> list[str]:
    return sorted(str(path.relative_to(out)) for path in out.rglob("*.yaml"))


NAMESPACES = """
    import pulumi, pulumi_kubernetes as kubernetes
    for cluster in ({clusters}):
        options = pulumi.ResourceOptions(provider=kubernetes.Provider(cluster))
        kubernetes.core.v1.Namespace(cluster, metadata={{"name": "shop"}}, opts=options)
    kubernetes.core.v1.Namespace("here", metadata={{"name": "shop"}})
"""


def test_objects_of_each_provider_have_a_folder_of_its_name_and_those_of_none_have_none(
    project: Write, tmp_path: Path
) -> None:
    folder, out = project(NAMESPACES.format(clusters="'east', 'west'")), tmp_path / "out"
    assert run(folder, out) == 0
    files = ["Namespace.shop.yaml", "east/Namespace.shop.yaml", "west/Namespace.shop.yaml"]
    assert rendered(out) == files
    first_line = (out / "west" / "Namespace.shop.yaml").read_text("utf-8").splitlines()[0]
    assert first_line == (
        "# Rendered by astra_istio.render from stack acme/dev, provider west: "
        "change its configuration, not this file."
    )
    assert len(render.manifests(folder, "dev")) == 3


def test_the_files_of_a_provider_that_is_gone_are_removed_and_other_folders_left_alone(
    project: Write, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(project(NAMESPACES.format(clusters="'east', 'west'")), out)
    run(project(NAMESPACES.format(clusters="'east',")), out / "other")
    assert run(project(NAMESPACES.format(clusters="'west',")), out) == 0
    assert rendered(out) == [
        "Namespace.shop.yaml",
        "other/Namespace.shop.yaml",
        "other/east/Namespace.shop.yaml",
        "west/Namespace.shop.yaml",
    ]


def test_nothing_is_written_where_the_folder_of_one_provider_may_not_be(
    project: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    out.mkdir()
    (out / "west").symlink_to(elsewhere)
    assert run(project(NAMESPACES.format(clusters="'east', 'west'")), out) == 1
    assert capsys.readouterr().err.startswith(f"{out / 'west'}: is a link, expected a folder")
    assert rendered(out) == rendered(elsewhere) == []


def test_an_object_that_is_declared_twice_in_a_cluster_is_refused_with_the_way_out(
    project: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = """
        import pulumi_kubernetes as kubernetes
        from components import CollectorEgress
        for name in ("one", "other"):
            kubernetes.core.v1.Namespace(name, metadata={"name": "shop"})
            CollectorEgress(name, {"collector_url": "http://otel.obs.svc.cluster.local:4318"})
    """
    out = tmp_path / "out"
    assert run(project(program), out) == 1
    assert sorted(capsys.readouterr().err.splitlines()) == [
        (
            "DestinationRule istio-system/allow-otel-collector-endpoint: declared 2 times, and a cluster has "
            "one: set egress.create to false in all components but one"
        ),
        "Namespace shop: declared 2 times, and a cluster has one",
    ]
    assert not out.exists()


def test_an_output_that_no_stack_has_is_told_without_a_traceback(
    project: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = """
        import pulumi
        url = pulumi.StackReference("org/shared/prod").require_output("url")
        pulumi.export("url", url)
    """
    folder = project(program, **{"stack-references.yaml": "org/shared/prod: {uri: x}"})
    assert run(folder, tmp_path / "out") == 1
    told = "stack-references.yaml: no output 'url', which the program requires\n"
    assert capsys.readouterr().err == told


def test_an_error_of_the_program_is_raised_as_it_is(project: Write, tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="own"):
        run(project("{}['own']"), tmp_path / "out")


def test_a_providers_name_that_cannot_name_a_folder_is_refused(
    project: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(project(NAMESPACES.format(clusters="'../up',")), tmp_path / "out") == 1
    assert capsys.readouterr().err == (
        "provider '../up': cannot name a folder, expected A-Z, a-z, 0-9, '-', '_' and '.'\n"
    )


CHART = """
    import pulumi_kubernetes as kubernetes
    kubernetes.core.v1.Namespace("n", metadata={"name": "collector"})
    kubernetes.helm.v4.Chart("collector", chart="./chart", namespace="collector")
"""


def test_a_chart_is_left_out_with_a_warning_and_the_rest_rendered(
    project: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(project(CHART), out) == 0
    assert rendered(out) == ["Namespace.collector.yaml"]
    said = "collector (kubernetes:helm.sh/v4:Chart): left out, as only the Pulumi engine can render it"
    assert capsys.readouterr().err == f"warning: {said}\n"


AWAITING = """
    import pulumi, pulumi_kubernetes as kubernetes

    async def main():
        other = pulumi.StackReference("acme/collector/prod")
        details = await other.get_output_details("name")
        kubernetes.core.v1.Namespace("n", metadata={"name": details.value})

    pulumi.run(main)
"""


def test_an_output_of_another_stack_comes_from_the_projects_stack_references(project: Write) -> None:
    references = "acme/collector/prod: {name: shop}"
    [namespace] = render.manifests(project(AWAITING, **{"stack-references.yaml": references}), "dev")
    assert namespace["metadata"] == {"name": "shop"}


def test_stack_references_that_are_no_mapping_of_outputs_are_refused(project: Write) -> None:
    folder = project(AWAITING, **{"stack-references.yaml": "acme/collector/prod: shop"})
    with pytest.raises(
        render.RenderError, match=r"references\.yaml: got acme/collector/prod 'shop', expected a mapping"
    ):
        render.manifests(folder, "dev")


def test_a_program_imports_the_modules_and_reads_the_files_beside_it_wherever_main_says_it_is(
    project: Write,
) -> None:
    files = {
        "Pulumi.yaml": "{name: acme, main: program}",
        "program/__main__.py": """
            from pathlib import Path
            import acme_namespaces
            acme_namespaces.declare(Path("names.txt").read_text())
        """,
        "program/acme_namespaces.py": """
            import pulumi_kubernetes as kubernetes
            def declare(name):
                kubernetes.core.v1.Namespace(name, metadata={"name": name})
        """,
        "program/names.txt": "shop",
    }
    before = Path.cwd()
    [namespace] = render.manifests(project("raise AssertionError", **files), "dev")
    assert namespace["metadata"] == {"name": "shop"}
    assert Path.cwd() == before
