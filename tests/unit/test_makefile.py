"""What make hands to the commands: values are text, whoever chose them."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TARGETS = {
    "demo": ["--stack"],
    "demo-serve": ["--stack"],
    "verify": ["--stack"],
    "review": ["--stack", "--base", "--out"],
    "render": ["--stack", "--project", "--out"],
}
VARIABLES = {"--stack": "STACK", "--base": "BASE", "--out": "OUT", "--project": "PROJECT"}
STAMPS = (".runtime", ".stamp", ".test", ".package")


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """A virtual environment that is up to date, and whose Python prints its arguments."""
    folder = tmp_path / "venv"
    (folder / "bin").mkdir(parents=True)
    python = folder / "bin" / "python"
    python.write_text('#!/bin/sh\nprintf \'%s\\n\' "${PYTEST_ADDOPTS-none}" "$@"\n', "utf-8")
    python.chmod(0o755)
    for stamp in STAMPS:
        (folder / stamp).touch()
    return folder


def make(venv: Path, *arguments: str, **environment: str) -> list[str]:
    """The arguments that the target's Python was called with, after its pytest options."""
    own = {
        name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", *VARIABLES.values()}
    }
    command = ["make", "--no-print-directory", f"VENV={venv}", f"BUILD={venv}", *arguments]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**own, "PYTEST_ADDOPTS": "", "ARGS": "", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("by_environment", [False, True], ids=["by argument", "by environment"])
@pytest.mark.parametrize(
    "value",
    [
        "$(touch ran)",
        "`touch ran`",
        "; touch ran;",
        "$(shell touch ran)",
        "${shell touch ran}",
        "'\"",
        "a b",
        "-x",
        "*",
    ],
)
@pytest.mark.parametrize("target", TARGETS)
def test_a_value_is_one_argument_and_nothing_of_it_runs(
    venv: Path, target: str, value: str, *, by_environment: bool
) -> None:
    hostile = value.replace("ran", str(venv / "ran"))
    given = {VARIABLES[option]: hostile for option in TARGETS[target] if option != "--project"}
    if by_environment:
        printed = make(venv, target, **given)
    else:
        printed = make(venv, target, *(f"{name}={text}" for name, text in given.items()))
    for option in TARGETS[target]:
        expected = "." if option == "--project" else hostile
        assert f"{option}={expected}" in printed
    assert not (venv / "ran").exists()


@pytest.mark.parametrize("value", ["$(touch ran)", "$(shell touch ran)", "; touch ran"])
def test_the_name_of_a_project_runs_nothing(venv: Path, value: str) -> None:
    hostile = value.replace("ran", str(venv / "ran"))
    assert f"--project={hostile}" in make(venv, "render", f"PROJECT={hostile}")
    assert not (venv / "ran").exists()


@pytest.mark.parametrize("target", TARGETS)
def test_args_are_words_and_nothing_of_them_runs(venv: Path, target: str) -> None:
    words = ["--exit-code", f"$(touch${{IFS}}{venv}/ran)", ";", "touch", f"{venv}/ran", "*", "'a"]
    assert make(venv, target, f"ARGS={' '.join(words)}")[-len(words) :] == words
    assert not (venv / "ran").exists()


def test_args_of_tests_are_options_of_pytest_with_its_quotes(venv: Path) -> None:
    assert make(venv, "test", "ARGS=-k 'a or b' $(touch ran)") == [
        " -k 'a or b' $(touch ran)",
        "-m",
        "pytest",
    ]


def test_make_review_hands_over_what_the_recipes_say(venv: Path) -> None:
    printed = make(venv, "review", "STACK=prod", "OUT=rendered/review/prod.md", BASE="origin/main")
    options = ["--stack=prod", "--base=origin/main", "--out=rendered/review/prod.md"]
    assert printed[1:] == ["-m", "components.review", *options]


def test_a_review_is_printed_and_compared_with_the_usual_base_where_nothing_is_said(venv: Path) -> None:
    assert make(venv, "review")[1:] == ["-m", "components.review", "--stack=dev"]


def test_each_stack_of_each_project_has_a_folder_of_its_own(venv: Path) -> None:
    assert "--out=rendered/prod" in make(venv, "render", "STACK=prod")
    assert "--out=rendered/platform-dev" in make(venv, "render", "PROJECT=examples/platform/")
