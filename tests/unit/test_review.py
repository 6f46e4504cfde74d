"""What a change does to a stack: real git repositories, each revision rendered by its own code."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.review.__main__ import main

ROOT = Path(__file__).parents[2]

STACK = """
config:
  sensorId: 5f0a3c1e-8f5b-4b0e-9c55-0d9f3c1b2a77
  collectorUrl: http://otel.obs:4318
  workloads:
    checkout: {namespace: shop, labels: {app: checkout}}
    orders: {namespace: shop, labels: {app: orders}}
"""

RELABELLED = ["captures less and more", "labels", "-app=orders", "+app=order", "shop/orders"]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where reviews keep what they need for a while."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    for name, value in (("NAME", "t"), ("EMAIL", "t@t")):
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", value)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with this project's code and one stack, `dev`, committed."""
    folder = tmp_path / "project"
    (folder / "stacks").mkdir(parents=True)
    for name in ("components", "lua"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("Pulumi.yaml", "__main__.py", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    configure(folder, STACK)
    git(folder, "init", "-q", "-b", "main")
    commit(folder)
    return folder


def git(folder: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def commit(project: Path) -> str:
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "change")
    return git(project, "rev-parse", "HEAD").strip()


def configure(project: Path, text: str, stack: str = "dev") -> None:
    (project / "stacks" / f"Pulumi.{stack}.yaml").write_text(text, "utf-8")


def run(project: Path, *arguments: str) -> int:
    return main(["--project", str(project), "--stack", "dev", *arguments])


def reviewed(project: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(project, *arguments) == 0
    return capsys.readouterr().out


def refused(project: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert run(project, *arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    return [line for line in printed.err.splitlines() if not line.startswith("Rendering ")]


def section(text: str, heading: str) -> list[list[str]]:
    """The cells of a table's rows, its header left out."""
    lines = text.split(f"## {heading}\n\n")[1].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def headings(text: str) -> list[str]:
    return [line[3:] for line in text.splitlines() if line.startswith("## ")]


def test_a_stack_that_is_the_same_is_said_to_be(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = git(project, "rev-parse", "HEAD")[:12]
    text = reviewed(project, capsys)
    assert text == f"# Stack dev: from HEAD ({base}) to here\n\nNo changes.\n"


def test_a_changed_setting_is_told_with_its_effective_values_and_the_diff(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(project, STACK.replace("{app: orders}", "{app: orders}, capture: {maxSpansPerSecond: 200}"))
    text = reviewed(project, capsys)
    assert headings(text) == ["Settings", "Objects", "Manifests"]
    assert section(text, "Settings") == [["captures less", "maxSpansPerSecond", "off", "200", "shop/orders"]]
    assert section(text, "Objects") == [["EnvoyFilter", "changed", "shop/astra-istio-mesh-filter-orders"]]
    changed = [line for line in text.splitlines() if line.startswith(("- ", "+ "))]
    assert [line.replace(" ", "") for line in changed] == [
        "-max_spans_per_second=false,",
        "+max_spans_per_second=200,",
    ]


def test_one_setting_of_all_workloads_is_one_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(project, f"{STACK}  capture: {{redaction: {{headers: [cookie]}}, headers: [host, x-tenant]}}\n")
    settings = section(reviewed(project, capsys), "Settings")
    told = [row for row in settings if row[1]]  # and rows that go on with a long list
    assert [row[1] for row in told] == ["redaction.headers", "headers"]
    assert told[0][0] == "masks less"
    assert {row[4] for row in settings} == {"shop/checkout,", "shop/orders", ""}
    assert told[0][2].startswith("-authorization,")
    assert told[1][3] == "+x-tenant"


def test_words_that_are_added_are_told_as_words_of_their_list(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(project, f"{STACK}  capture: {{redaction: {{extraFields: [iban]}}}}\n")
    assert section(reviewed(project, capsys), "Settings") == [
        ["masks more", "redaction.fields", "", "+iban", "shop/checkout, shop/orders"]
    ]


def test_a_changed_default_is_a_changed_setting(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = project / "components" / "settings" / "models.py"
    settings.write_text(settings.read_text("utf-8").replace("default=65536,", "default=4096,"), "utf-8")
    text = reviewed(project, capsys)
    assert section(text, "Settings") == [
        ["captures less", "maxBodyBytes", "65536", "4096", "shop/checkout, shop/orders"]
    ]


def test_added_and_removed_workloads_are_told_with_their_labels(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(
        project, STACK.replace("orders: {namespace: shop, labels: {app: orders}}", "all: {namespace: b}")
    )
    text = reviewed(project, capsys)
    assert headings(text) == ["Workloads", "Settings of added workloads", "Objects", "Manifests"]
    assert section(text, "Workloads") == [
        ["added", "b/all (none: the whole namespace)"],
        ["removed", "shop/orders (app=orders)"],
    ]
    assert section(text, "Objects") == [
        ["EnvoyFilter", "added", "b/astra-istio-mesh-filter-all"],
        ["EnvoyFilter", "removed", "shop/astra-istio-mesh-filter-orders"],
    ]


def test_an_added_workload_is_its_settings_and_an_object_with_one_line_for_the_script(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weak = "{namespace: shop, labels: {app: cart}, capture: {redaction: {mode: none, fields: [pin]}}}"
    configure(project, f"{STACK}    cart: {weak}\n")
    text = reviewed(project, capsys)
    settings = section(text, "Settings of added workloads")
    assert [row[:2] for row in settings if row[1]] == [
        ["masks less", "redaction.mode"],
        ["masks less", "redaction.fields"],
        ["", "sensorId"],
        ["", "collectorUrl"],
    ]
    _, manifests = text.split("## Manifests\n")
    assert len(manifests.splitlines()) < 50
    assert re.search(r"\+ +inline_string: capture script [0-9a-f]{12}\n", manifests)


def test_tables_fit_120_columns(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "redaction: {fields: [pin], extraFields: [a long word]}"
    configure(project, f"{STACK}  capture: {{{words}, headers: [host], scopeName: {'x' * 128}}}\n")
    text = reviewed(project, capsys)
    assert max(len(line) for line in text.splitlines() if line.startswith("|")) <= 120


def test_labels_directions_and_mechanism_are_settings_too(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = "{app: cart}, directions: [outbound], mechanism: TrafficExtension}"
    configure(project, STACK.replace("{app: checkout}}", changed))
    assert section(reviewed(project, capsys), "Settings") == [
        ["captures less and more", "labels", "-app=checkout", "+app=cart", "shop/checkout"],
        ["captures less and more", "directions", "-inbound", "+outbound", "shop/checkout"],
        ["", "mechanism", "EnvoyFilter", "TrafficExtension", "shop/checkout"],
    ]


def test_a_changed_script_is_told_by_its_hashes_and_its_diff_is_shown_once(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = project / "lua" / "main.lua"
    main.write_text(main.read_text("utf-8").replace('"astra.capture"', '"astra.other"'), "utf-8")
    text = reviewed(project, capsys)
    assert headings(text) == ["Script", "Objects", "Manifests"]
    [[before, after, workloads]] = section(text, "Script")
    assert (len(before), len(after), before == after) == (12, 12, False)
    assert workloads == "shop/checkout, shop/orders"
    assert text.count('"astra.other"') == 1
    assert "# The same in head/EnvoyFilter.shop.astra-istio-mesh-filter-orders.yaml.\n" in text


def test_a_changed_setting_of_the_entry_is_told_with_its_object(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(project, f"{STACK}  egress: {{limits: {{maxConnections: 3}}}}\n")
    text = reviewed(project, capsys)
    assert headings(text) == ["Settings", "Objects", "Manifests"]
    entry = "istio-system/allow-otel-collector-endpoint"
    assert section(text, "Settings") == [["", "egress.limits.maxConnections", "8", "3", entry]]
    assert section(text, "Objects") == [
        ["DestinationRule", "changed", "istio-system/allow-otel-collector-endpoint"]
    ]


def test_another_path_of_the_collector_is_told_as_its_whole_url(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(project, STACK.replace("obs:4318", "obs:4318/in/v1/traces"))
    text = reviewed(project, capsys)
    assert section(text, "Settings") == [
        [
            "",
            "collectorUrl",
            "`http://otel.obs:4318/v1/traces`",
            "`http://otel.obs:4318/in/v1/traces`",
            "shop/checkout,",
        ],
        ["", "", "", "", "shop/orders"],
    ]
    assert [row[0] for row in section(text, "Objects")] == ["EnvoyFilter"]


def test_no_setting_and_no_branch_becomes_markup(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    branch = "<img/src=x>@team`|"
    git(project, "branch", branch)
    name = "<b>[x](http://evil.example)</b>```|"
    configure(project, f"{STACK}  capture: {{scopeName: '{name}'}}\n")
    text = reviewed(project, capsys, "--base", branch)
    assert text.startswith("# Stack dev: from ``<img/src=x>@team`\\|`` (")
    assert section(text, "Settings")[0][3] == "````<b>[x](http://evil.example)</b>```\\|````"
    assert text.endswith("\n````\n")
    assert len(re.findall("^ *````", text, re.MULTILINE)) == 2


def test_nothing_of_a_change_acts_on_a_terminal(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = project / "__main__.py"
    declared = (
        "from pulumi_kubernetes.core.v1 import ConfigMap\n"
        "metadata = {'name': 'c', 'namespace': 'n'}\n"
        "ConfigMap('c', metadata=metadata, data={'k': 'a\\u202e\\u009b31m\\n```'})\n"
    )
    program.write_text(program.read_text("utf-8") + declared, "utf-8")
    text = reviewed(project, capsys)
    assert "a\\u202e" in text
    assert re.search(r"[^\n -~]", text) is None
    file = tmp_path / "review.md"
    assert run(project, "--out", str(file)) == 0
    assert file.read_text("utf-8") == text


HOSTILE_SETTINGS = """
[diff]
    orderFile = /nowhere
    external = touch {ran}
    noprefix = true
    context = 0
    suppressBlankEmpty = true
    renames = copies
    algorithm = histogram
[color]
    ui = always
[core]
    attributesFile = {attributes}
    fsmonitor = touch {ran}
    hooksPath = {folder}
    pager = touch {ran}
[alias]
    diff = !touch {ran}
    archive = !touch {ran}
"""


def test_no_setting_of_the_users_git_changes_a_review_or_runs(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(project, STACK.replace("app: orders", "app: order"))
    expected = reviewed(project, capsys)
    ran, attributes, settings = (tmp_path / name for name in ("ran", "attributes", "gitconfig"))
    attributes.write_text("* -diff export-ignore\n", "utf-8")
    text = HOSTILE_SETTINGS.format(ran=ran, attributes=attributes, folder=tmp_path)
    settings.write_text(text, "utf-8")
    of_repository = project / ".git" / "config"
    of_repository.write_text(of_repository.read_text("utf-8") + text, "utf-8")
    environment = {
        "GIT_CONFIG_GLOBAL": str(settings),
        "GIT_DIR": str(tmp_path / "nowhere"),
        "GIT_WORK_TREE": str(tmp_path),
        "GIT_INDEX_FILE": str(tmp_path / "nowhere"),
        "GIT_EXTERNAL_DIFF": f"touch {ran}",
        "GIT_DIFF_OPTS": "-u0",
        "GIT_TRACE": "1",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "diff.noprefix",
        "GIT_CONFIG_VALUE_0": "true",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert reviewed(project, capsys) == expected
    assert not ran.exists()


def test_the_base_is_rendered_by_its_own_code(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = git(project, "rev-parse", "HEAD").strip()
    (project / "__main__.py").write_text("print('declares nothing')\n", "utf-8")
    commit(project)
    text = reviewed(project, capsys, "--base", base)
    assert [row[0] for row in section(text, "Workloads")] == ["removed", "removed"]


def test_origin_main_is_the_base_where_there_is_one(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(project, "update-ref", "refs/remotes/origin/main", "HEAD")
    configure(project, STACK.replace("app: orders", "app: order"))
    commit(project)
    text = reviewed(project, capsys)
    assert text.startswith("# Stack dev: from origin/main (")
    assert section(text, "Settings") == [RELABELLED]


def test_a_project_in_a_folder_of_its_repository_is_reviewed(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = tmp_path / "monorepo"
    repository.mkdir()
    shutil.rmtree(project / ".git")
    inner = repository / "platform"
    project.rename(inner)
    git(repository, "init", "-q")
    commit(repository)
    configure(inner, STACK.replace("app: orders", "app: order"))
    text = reviewed(inner, capsys)
    assert section(text, "Settings") == [RELABELLED]


def test_a_project_beside_the_package_is_rendered_with_it(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    example = project / "examples" / "platform"
    (example / "stacks").mkdir(parents=True)
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(project / name, example / name)
    configure(example, STACK)
    commit(project)
    configure(example, STACK.replace("app: orders", "app: order"))
    monkeypatch.chdir(project)
    text = reviewed(Path("examples/platform"), capsys)
    assert section(text, "Settings") == [RELABELLED]


def test_a_new_stack_is_all_added(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(project, STACK, stack="prod")
    assert main(["--project", str(project), "--stack", "prod"]) == 0
    text = capsys.readouterr().out
    assert "\n\nThe stack is new.\n" in text
    assert {row[0] for row in section(text, "Workloads")} == {"added"}


def test_a_stack_that_is_gone_is_all_removed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "stacks" / "Pulumi.dev.yaml").unlink()
    text = reviewed(project, capsys)
    assert "\n\nThe stack is gone.\n" in text
    assert {row[0] for row in section(text, "Workloads")} == {"removed"}


def test_a_stack_that_never_was_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--project", str(project), "--stack", "prod"]) == 2
    told = "review: no stack 'prod' here or at HEAD. Next: say a STACK that has a file Pulumi.STACK.yaml\n"
    assert capsys.readouterr().err == told


def test_a_base_that_is_no_revision_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(project, capsys, "--base=--output=x") == [
        (
            "review: base: got '--output=x', expected a branch, tag or commit of this clone. "
            "Next: `git fetch` it (in CI, with the whole history), or say another BASE"
        )
    ]


def test_a_folder_outside_of_git_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(project / ".git")
    [line] = refused(project, capsys)
    assert line.startswith(f"review: {project}: fatal: not a git repository")
    assert line.endswith("Next: review in a clone of the project")


def test_a_bad_configuration_here_is_told_with_its_problems(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(project, STACK.replace("namespace: shop", "namespace: Shop"))
    lines = refused(project, capsys)
    assert lines[0] == "review: stack 'dev' here cannot be rendered:"
    assert [line.split(":")[0] for line in lines[1:]] == [
        "  workloads.checkout.namespace",
        "  workloads.orders.namespace",
        "Next",
    ]


def test_a_bad_configuration_at_the_base_is_told_with_its_problems(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(project, "config: {}\n")
    commit(project)
    configure(project, STACK)
    lines = refused(project, capsys)
    assert lines[0] == "review: stack 'dev' at HEAD cannot be rendered:"
    assert lines[1].startswith("  collectorUrl: missing, expected a URL")
    assert lines[-1] == "Next: say another BASE"


def test_code_at_the_base_that_cannot_render_is_told_without_a_traceback(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = (project / "__main__.py").read_text("utf-8")
    (project / "__main__.py").write_text("import components.missing\n", "utf-8")
    commit(project)
    (project / "__main__.py").write_text(program, "utf-8")
    assert refused(project, capsys) == [
        "review: stack 'dev' at HEAD cannot be rendered:",
        "  ModuleNotFoundError: No module named 'components.missing'",
        "Next: say another BASE",
    ]


def test_the_exit_status_tells_of_changes_where_it_is_asked_to(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(project, "--exit-code") == 0
    configure(project, STACK.replace("app: orders", "app: order"))
    assert run(project) == 0
    assert run(project, "--exit-code", "--out", str(tmp_path / "new" / "review.md")) == 1
    printed = capsys.readouterr().out
    assert (tmp_path / "new" / "review.md").read_text("utf-8") == printed[printed.rindex("# Stack dev:") :]


@pytest.mark.parametrize("target", ["victim", "missing", "/dev/null"])
def test_a_review_is_not_written_through_a_link(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str
) -> None:
    (tmp_path / "victim").write_text("mine", "utf-8")
    link = tmp_path / "review.md"
    link.symlink_to(tmp_path / target)
    told = f"review: {link}: is no file of its own. Next: say another OUT"
    assert refused(project, capsys, "--out", str(link)) == [told]
    assert (tmp_path / "victim").read_text("utf-8") == "mine"


def test_a_folder_that_cannot_be_written_to_is_told_by_the_file_that_was_asked_for(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = refused(project, capsys, "--out", "/proc/self/review.md")
    assert told == ["review: /proc/self/review.md: No such file or directory. Next: say another OUT"]


def test_nothing_is_left_behind(project: Path, temporary: Path) -> None:
    def records() -> list[str]:
        return [git(project, *command.split()) for command in ("status -s", "worktree list", "stash list")]

    before = records()
    assert run(project) == 0
    configure(project, "config: {}\n")
    assert run(project) == 2
    configure(project, STACK)
    assert records() == before
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_review_that_is_stopped_leaves_nothing_behind(
    project: Path, temporary: Path, tmp_path: Path, sent: signal.Signals, status: int
) -> None:
    # The base's program says that it runs, and waits.
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (project / "__main__.py").write_text(
        f"import time\nopen({str(fifo)!r}, 'w').write('running')\ntime.sleep(600)\n", "utf-8"
    )
    commit(project)
    command = [sys.executable, "-m", "components.review", "--stack", "dev", "--project", str(project)]
    with subprocess.Popen(
        command, cwd=ROOT, start_new_session=True, stderr=subprocess.PIPE, text=True
    ) as running:
        assert fifo.read_text("utf-8") == "running"
        # The terminal's ctrl-C goes to the whole group.
        (os.killpg if sent is signal.SIGINT else os.kill)(running.pid, sent)
        _, told = running.communicate()
    assert running.returncode == status
    assert "Traceback" not in told
    assert list(temporary.iterdir()) == []


def recipes() -> list[Any]:
    """The CI configurations in the documentation."""
    text = (ROOT / "docs" / "review.md").read_text("utf-8")
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]


def test_the_recipe_for_github_is_pinned_and_may_only_read() -> None:
    github, _ = recipes()
    assert github["permissions"] == {"contents": "read"}
    assert github[True] == "pull_request"  # YAML 1.1's reading of `on`
    checkout, step = github["jobs"]["review"]["steps"]
    assert re.fullmatch(r"actions/checkout@[0-9a-f]{40}", checkout["uses"])
    assert checkout["with"] == {"fetch-depth": 0, "persist-credentials": False}
    assert "secrets." not in str(github)
    # A branch's name is whatever its author likes: no command holds it.
    assert step["env"] == {"BASE": "origin/${{ github.base_ref }}"}
    assert 'make review STACK="$stack" OUT="rendered/review/$stack.md"' in step["run"]
    assert "${{" not in step["run"]
