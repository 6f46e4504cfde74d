"""What a change does to a stack, for its reviewers: ``python -m components.review --stack prod --base main``.

Renders the stack as it is here and as it was at a revision, each by its own code, and prints as Markdown
which workloads, settings, scripts and objects differ, then the manifests' diff. It changes nothing.
"""

import argparse
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from .. import render
from ..istio.names import Manifest
from ..output.escaping import fence_around, in_markdown, printable, write
from ..render import bounded_yaml, safe_file, stack_file
from . import revisions
from .changes import Manifests, compare, may_hold_entry
from .report import summary, without_repeats
from .shown import as_texts

_FAILED = 2
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ReviewError(Exception):
    """What cannot be reviewed, why, and what to do next."""


@dataclass(frozen=True)
class _Side:
    """One of the two that are compared.

    Attributes:
        code: the folder in which the package is, unless it is installed.
        project: the folder of ``Pulumi.yaml``.
        where: which side it is, in words.
        next_step: what to do if it cannot be rendered.
    """

    code: Path
    project: Path
    where: str
    next_step: str


def review(project: Path, stack: str, base: str | None) -> tuple[str, bool]:
    """What differs between a stack at a revision and here.

    Args:
        project: the folder of ``Pulumi.yaml``, inside a git repository.
        stack: the stack's name.
        base: a revision; by default ``origin/main`` where there is one, else ``HEAD``.

    Returns:
        The review as Markdown, and whether anything differs.

    Raises:
        ReviewError: one of the two cannot be rendered.
        RevisionError: there is no such revision.
    """
    project = project.resolve()
    revision, commit = revisions.resolve(project, base)
    with TemporaryDirectory(prefix="astra-review-") as name:
        folder = Path(name)
        then, now = _sides(project, revision, commit, folder / "checkout")
        is_new, is_gone = not _has_stack(then.project, stack), not _has_stack(now.project, stack)
        if is_new and is_gone:
            raise ReviewError(
                f"no stack {stack!r} here or at {revision}. Next: say a STACK that has a file "
                "Pulumi.STACK.yaml"
            )
        before, after = folder / "base", folder / "head"
        before.mkdir()
        after.mkdir()
        if not is_new:
            _render(then, stack, before)
        if not is_gone:
            _render(now, stack, after)
        changed = _read_changed(before, after)
        changes = compare(*changed)
        compared = folder / "compared"
        for side, texts in zip((before, after), as_texts(*changed), strict=True):
            _write(compared / side.name, texts)
        diff = revisions.diff(compared, before.name, after.name)
    title = f"# Stack {stack}: from {in_markdown(revision)} ({commit[:12]}) to here\n"
    notes = ["The stack is new.\n"] if is_new else ["The stack is gone.\n"] if is_gone else []
    return "\n".join([title, *notes, summary(changes), *_section(diff)]), bool(diff)


def _sides(project: Path, revision: str, commit: str, checkout: Path) -> tuple[_Side, _Side]:
    """The stack at a revision, which is checked out to a folder, and here."""
    root = revisions.root(project)
    revisions.check_out(root, commit, checkout)
    # The code is beside where this was called, as in this repository, or installed.
    code = Path.cwd() if Path.cwd().is_relative_to(root) else project
    then = _Side(
        checkout / code.relative_to(root),
        checkout / project.relative_to(root),
        f"at {revision}",
        "say another BASE",
    )
    return then, _Side(code, project, "here", "mend it, then review again")


def _section(diff: str) -> list[str]:
    """The section with the diff of the manifests; none if they are the same."""
    if not diff:
        return []
    shown = without_repeats(diff)
    fence = fence_around(shown)
    return [f"## Manifests\n\n{fence}diff\n{shown}{fence}\n"]


def _has_stack(project: Path, stack: str) -> bool:
    if not (project / "Pulumi.yaml").is_file():
        return False
    try:
        stack_file.find(project, stack)
    except stack_file.NoStackError:
        return False
    except stack_file.StackFileError:
        return True  # rendering says what is wrong
    return True


def _render(side: _Side, stack: str, out: Path) -> None:
    """Render a project to files without their first line, which says what wrote them."""
    write(sys.stderr, f"Rendering {stack} {side.where} ...\n")
    sys.stderr.flush()
    command = [sys.executable, "-m", render.__package__, "--stack", stack, "--out", str(out)]
    command += ["--project", str(side.project)]
    done = subprocess.run(command, cwd=side.code, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        for path in out.rglob("*.yaml"):
            path.write_bytes(path.read_bytes().partition(b"\n")[2])
        return
    told = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
    if any(line.startswith("Traceback") for line in told):
        told = told[-1:]
    listed = "".join(f"\n  {line}" for line in told)
    raise ReviewError(f"stack {stack!r} {side.where} cannot be rendered:{listed}\nNext: {side.next_step}")


def _read_changed(before: Path, after: Path) -> tuple[Manifests, Manifests]:
    """The manifests that differ between both folders, by the path of their file, and collectors' entries."""
    texts = [
        {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.yaml")}
        for folder in (before, after)
    ]

    def parsed(ours: dict[str, bytes], others: dict[str, bytes]) -> Manifests:
        return {
            path: _parsed(path, text)
            for path, text in ours.items()
            if others.get(path) != text or may_hold_entry(path)
        }

    return parsed(*texts), parsed(*reversed(texts))


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    folder.mkdir(parents=True)
    for name, text in texts.items():
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")


def _parsed(path: str, text: bytes) -> Manifest:
    try:
        manifest = bounded_yaml.load(text.decode(), _Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ReviewError(f"{path}: {reason}. Next: see what the program writes there") from None
    if not isinstance(manifest, dict):
        raise ReviewError(f"{path}: no mapping, as a manifest is. Next: see what the program writes there")
    return manifest


def _check_report_path(out: Path | None) -> None:
    """Refuse a link, a device or a folder: the review replaces what is there."""
    if out and (out.is_symlink() or (out.exists() and not out.is_file())):
        raise ReviewError(f"{out}: is no file of its own. Next: say another OUT")


def _write_report(out: Path, text: str) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        safe_file.replace(out, printable(text))
    except OSError as error:
        raise ReviewError(f"{out}: {error.strerror}. Next: say another OUT") from None


@contextmanager
def _stopped_cleanly() -> Iterator[None]:
    """SIGTERM ends the command as ctrl-C does: what was written for it is removed."""

    def stop(signum: int, frame: object) -> None:
        del frame
        sys.exit(128 + signum)

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a review."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {__package__}",
        description="Show what a change does to a stack: workloads, settings, scripts, objects, manifests.",
        epilog="Exit status: 0; with --exit-code 1 if anything differs; 2 if one side cannot be rendered.",
    )
    parser.add_argument(
        "--stack", required=True, metavar="NAME", help="stack to review: NAME of Pulumi.NAME.yaml"
    )
    parser.add_argument(
        "--base",
        metavar="REV",
        help="revision to compare with (default: origin/main if there is one, else HEAD)",
    )
    parser.add_argument(
        "--out", metavar="FILE", type=Path, help="write the Markdown there (default: print it)"
    )
    parser.add_argument("--exit-code", action="store_true", help="exit with 1 if anything differs")
    parser.add_argument(
        "--project", default=Path(), metavar="DIR", type=Path, help="folder of Pulumi.yaml (default: here)"
    )
    options = parser.parse_args(arguments)
    try:
        _check_report_path(options.out)
        with _stopped_cleanly():
            text, differs = review(options.project, options.stack, options.base)
        if options.out is None:
            write(sys.stdout, text)
        else:
            _write_report(options.out, text)
    except (ReviewError, revisions.RevisionError) as error:
        write(sys.stderr, f"review: {error}\n")
        return _FAILED
    except OSError as error:
        write(sys.stderr, f"review: {error.filename}: {error.strerror}\n")
        return _FAILED
    except KeyboardInterrupt:
        write(sys.stderr, "review: interrupted\n")
        return 128 + signal.SIGINT
    return int(differs and options.exit_code)


if __name__ == "__main__":
    sys.exit(main())
