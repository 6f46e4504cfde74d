"""Revisions of a git repository: what they are, what they hold, and what differs. Changes nothing in git."""

import os
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path

_USUAL_BASE = "origin/main"

# A user's settings, or a hook that this is called from, change what git answers, or have it run something.
# Where it finds settings stays: they say which repositories of other users it may read (safe.directory).
_WHERE_SETTINGS_ARE = {"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"}
_PLAIN = {"core.fsmonitor": "false", "core.hooksPath": os.devnull, "core.attributesFile": os.devnull}
_NO_SETTINGS = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


class RevisionError(Exception):
    """What git cannot do, why, and what to do next."""


def resolve(project: Path, base: str | None) -> tuple[str, str]:
    """A revision and its commit.

    Args:
        project: a folder in the repository.
        base: a branch, tag or commit; by default ``origin/main`` where there is one, else ``HEAD``.

    Raises:
        RevisionError: there is no such revision, or no repository.
    """
    for revision in [base] if base else [_USUAL_BASE, "HEAD"]:
        answer = _git(
            project, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
        )
        if answer.returncode == 0:
            return revision, answer.stdout.strip()
    inside = _git(project, "rev-parse", "--is-inside-work-tree")
    if inside.returncode:
        raise RevisionError(
            f"{project.absolute()}: {inside.stderr.strip()}. Next: review in a clone of the project"
        )
    raise RevisionError(
        f"base: got {base or 'HEAD'!r}, expected a branch, tag or commit of this clone. "
        "Next: `git fetch` it (in CI, with the whole history), or say another BASE"
    )


def root(folder: Path) -> Path:
    """The repository's own folder."""
    return Path(_git(folder, "rev-parse", "--show-toplevel").stdout.strip())


def check_out(root: Path, commit: str, folder: Path) -> None:
    """A copy of a commit; git's own records are left alone."""
    archive = folder.with_suffix(".zip")
    done = _git(root, "archive", "--format=zip", f"--output={archive}", commit)
    if done.returncode:
        raise RevisionError(f"{commit}: {done.stderr.strip()}. Next: say another BASE")
    with zipfile.ZipFile(archive) as files:
        files.extractall(folder)


def diff(folder: Path, before: str, after: str) -> str:
    """The unified diff of two folders in a folder, whatever the user's settings of git are."""
    flags = ["--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--src-prefix=", "--dst-prefix="]
    of_no_repository = {**_NO_SETTINGS, "GIT_CEILING_DIRECTORIES": str(folder.resolve().parent)}
    done = _git(
        folder,
        *("-c", "core.quotePath=off", "diff", "--no-index", *flags, before, after),
        environment=of_no_repository,
    )
    if done.returncode not in {0, 1}:
        raise RevisionError(
            f"git diff: {done.stderr.strip()}. Next: see that `git diff --no-index` works here"
        )
    return done.stdout


def _git(
    folder: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    settings = [item for key, value in _PLAIN.items() for item in ("-c", f"{key}={value}")]
    command = ["git", *settings, *arguments]
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name in _WHERE_SETTINGS_ARE
    }
    variables = {**inherited, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", **(environment or {})}
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env=variables,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise RevisionError(
            f"{error.filename}: {error.strerror}. Next: install git, or run in the project"
        ) from None
