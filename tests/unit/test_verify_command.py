"""The command, as far as it goes without a cluster."""

from pathlib import Path

import pytest

from components.verify import rights
from components.verify.__main__ import main
from lab import stack

TWO_CLUSTERS = """
import pulumi, pulumi_kubernetes as kubernetes
from components import CollectorEgress
for name in ("east", "west"):
    options = pulumi.ResourceOptions(providers=[kubernetes.Provider(name, kubeconfig="{}")])
    CollectorEgress(f"to-collector-{name}", {"collector_url": "http://otel.obs:4318"}, options)
"""


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The last line on standard error of a run that could check nothing."""
    assert main([*arguments, "--stack", stack.STACK]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err.splitlines()[-1]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, on a machine without kubectl."""
    monkeypatch.setenv("PATH", "")
    return stack.project(tmp_path)


@pytest.mark.parametrize(
    ("form", "beginning"), [("json", '{\n  "stack": "lab",'), ("markdown", "# Stack lab: not checked\n")]
)
def test_a_report_has_its_form_where_nothing_could_be_checked_too(
    project: Path, capsys: pytest.CaptureFixture[str], form: str, beginning: str
) -> None:
    assert main(["--project", str(project), "--stack", stack.STACK, "--output", form]) == 2
    printed = capsys.readouterr()
    assert printed.out.startswith(beginning)
    assert "kubectl: No such file" in printed.out


def test_a_machine_without_kubectl_is_told_what_to_install(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = told(capsys, "--project", str(project))
    assert line == "kubectl: No such file or directory; install it, and put it on the PATH"


def test_a_bad_configuration_is_told_in_the_programs_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = stack.project(tmp_path, capture={"samplingRatio": 7})
    assert (
        told(capsys, "--project", str(project))
        == "capture.samplingRatio: got 7, expected a number from 0 to 1"
    )


def test_a_program_that_declares_nothing_of_the_package_has_nothing_to_verify(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "__main__.py").write_text("import pulumi\n", "utf-8")
    assert told(capsys, "--project", str(project)) == (
        "stack lab: declares nothing of this package: verify a stack that uses its components"
    )


def test_a_stack_for_several_clusters_is_verified_in_one_of_them(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "__main__.py").write_text(TWO_CLUSTERS, "utf-8")
    expected = "expected one of 'east', 'west', each with its --context"
    assert told(capsys, "--project", str(project)) == f"--provider: got None, {expected}"
    assert (
        told(capsys, "--project", str(project), "--provider", "north")
        == f"--provider: got 'north', {expected}"
    )
    assert told(capsys, "--project", str(project), "--provider", "east").startswith("kubectl: ")


def test_the_rights_are_printed_without_a_stack_or_a_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--rights"])
    printed = capsys.readouterr()
    assert (ended.value.code, printed.err) == (0, "")
    assert printed.out == rights.CLUSTER_ROLE


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--pods", "0", "a whole number from 1, or all"),
        ("--pods", "many", "a whole number from 1, or all"),
        ("--admin", "w-1=127.0.0.1:15000", "POD.NAMESPACE=HOST:PORT"),
        ("--admin", "w-1.shop=127.0.0.1", "POD.NAMESPACE=HOST:PORT"),
        ("--interval", "soon", "seconds from 0 to 3600"),
        ("--root-namespace", "Istio", "the name of a namespace"),
        ("--root-namespace", "", "the name of a namespace"),
        ("--interval", "-1", "seconds from 0 to 3600"),
        ("--timeout", "1h", "seconds from 0 to 3600"),
    ],
)
def test_a_bad_option_is_told_with_what_was_expected(
    option: str, value: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--stack", "dev", f"{option}={value}"])
    assert ended.value.code == 2
    assert f"got {value!r}, expected {expected}" in capsys.readouterr().err


def test_a_context_of_a_variable_that_is_not_set_is_not_the_current_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--stack", "dev", "--context="])
    assert ended.value.code == 2
    assert "--context: got nothing, expected a context of the kubeconfig" in capsys.readouterr().err
