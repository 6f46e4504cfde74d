"""The control plane's binaries, built from their Go modules with pinned versions.

Each folder of ``tools`` is a module of its own, as Kubernetes and Istio need different versions of the same
libraries. A binary is kept below ``.cache/cluster`` under a hash of what it was built from: a changed pin
builds anew, anything else reuses. ``python -m lab.cluster`` builds what is missing (26 minutes on two
busy cores), shows progress, and may be interrupted.
"""

import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .error import ClusterError

_TOOLS = Path(__file__).parent / "tools"
_CACHE = Path(__file__).parent.parent.parent / ".cache" / "cluster"
_LOG = _CACHE / "build.log"
_PROGRESS_SECONDS = 15
_ERROR_LINES = 6


@dataclass(frozen=True)
class Binary:
    """A command of the control plane.

    Attributes:
        name: of its file.
        module: the folder of ``tools`` that pins it.
        package: its Go package.
        ldflags: for the linker, beside those that leave debug symbols out.
    """

    name: str
    module: str
    package: str
    ldflags: str = ""

    @property
    def path(self) -> Path:
        """Where it is once it is built."""
        return _CACHE / f"{self.module}-{_hash(_TOOLS / self.module)}" / self.name


# A Kubernetes that was not built by its own scripts does not know its version.
_KUBERNETES = "-X k8s.io/component-base/version.gitVersion=v1.37.2"

ETCD = Binary("etcd", "etcd", "go.etcd.io/etcd/server/v3")
API_SERVER = Binary("kube-apiserver", "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver", _KUBERNETES)
CONTROLLER_MANAGER = Binary(
    "kube-controller-manager", "kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager", _KUBERNETES
)
KUBECTL = Binary("kubectl", "kubernetes", "k8s.io/kubernetes/cmd/kubectl", _KUBERNETES)
ISTIOD = Binary("pilot-discovery", "istio", "istio.io/istio/pilot/cmd/pilot-discovery")
ISTIOCTL = Binary("istioctl", "istio", "istio.io/istio/istioctl/cmd/istioctl")
AGENT = Binary("agent", "istio", ".")
COLLECTOR = Binary("collector", "collector", ".")
TRAFFIC_COLLECTOR = Binary("traffic-collector", "traffic-collector", ".")
KUBELET = Binary("kubelet", "kubelet", ".")

API_BINARIES = (ETCD, API_SERVER, CONTROLLER_MANAGER, KUBECTL)
BINARIES = (*API_BINARIES, ISTIOD, AGENT, ISTIOCTL, COLLECTOR, TRAFFIC_COLLECTOR, KUBELET)


def ensure(binaries: tuple[Binary, ...] = BINARIES) -> None:
    """Build what is missing, telling on standard error how far it is.

    Another process that builds the same is waited for.

    Raises:
        ClusterError: Go is missing, or a build failed.
    """
    if not all(binary.path.exists() for binary in binaries):
        _check_go()
        _CACHE.mkdir(parents=True, exist_ok=True)
        with _lock():
            missing = [binary for binary in binaries if not binary.path.exists()]
            for number, binary in enumerate(missing, 1):
                _build(binary, f"{binary.name} ({number} of {len(missing)})")


def module_folder(module: str, path: str) -> Path:
    """The source of a Go module, such as Istio's API with its CRDs, in the version that a tool pins.

    Args:
        module: the folder of ``tools``.
        path: the Go module's path.

    Raises:
        ClusterError: Go is missing, or the module cannot be downloaded.
    """
    _check_go()
    command = ["go", "mod", "download", path]  # its source may have left the cache since the build
    done = subprocess.run(command, cwd=_TOOLS / module, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"could not download {path}: {done.stderr.strip()}. {_NEXT}")
    command = ["go", "list", "-m", "-f", "{{.Dir}}", path]
    return Path(subprocess.check_output(command, cwd=_TOOLS / module, text=True).strip())


_INSTALL = "unset GOTOOLCHAIN, or install a Go that is new enough, then run the same command again."
_NEXT = "Next: check the connection to your Go module proxy, then run the same command again."


def _check_go() -> None:
    if not shutil.which("go"):
        raise ClusterError(
            "`go` is not on the PATH: the control plane is built from its Go modules. Next: install Go 1.26 "
            "or newer (1.21 or newer downloads that by itself), then run the same command again."
        )
    module = _TOOLS / "istio"  # all of them need the same Go
    # Here Go says the version that it would build with: what it downloads, unless it is too old for that or
    # GOTOOLCHAIN forbids it. A Go that may not read this go.mod says why and fails.
    command = ["go", "env", "GOVERSION"]
    done = subprocess.run(command, cwd=module, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"`go env` fails: {done.stderr.strip()}. Next: {_INSTALL}")
    if problem := too_old(done.stdout, (module / "go.mod").read_text()):
        raise ClusterError(f"{problem} Next: {_INSTALL}")


def too_old(version: str, go_mod: str) -> str | None:
    """What is wrong with a version of Go for a module; None if nothing is.

    Args:
        version: as ``go env GOVERSION`` says it: ``go1.26.8``, ``go1.27rc1``, ``devel go1.27-3c9f2a``.
        go_mod: the text of the module's ``go.mod``.
    """
    needed = re.search(r"^go (\d+)\.(\d+)", go_mod, re.MULTILINE)
    found = re.search(r"go(\d+)\.(\d+)", version)
    if not needed or (found and _numbers(found) >= _numbers(needed)):
        return None
    wanted = ".".join(needed.groups())
    return (
        f"Go is {version.strip() or 'of no known version'}, but the control plane needs Go {wanted} or newer."
    )


def _numbers(match: re.Match[str]) -> tuple[int, ...]:
    return tuple(map(int, match.groups()))


def _hash(module: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(module.iterdir()):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@contextmanager
def _lock() -> Iterator[None]:
    with (_CACHE / "build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("Waiting for another process that builds the control plane ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(binary: Binary, title: str) -> None:
    """Build one binary in a folder of its own, and move it to its place when it is whole."""
    started = time.monotonic()
    _say(f"Building {title}; Go's output goes to {_LOG} ...")
    target = binary.path
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=_CACHE) as folder, _LOG.open("w+") as log:
        command = ["go", "build", "-ldflags", f"-s -w {binary.ldflags}"]
        command += ["-o", str(Path(folder) / binary.name), binary.package]
        with subprocess.Popen(command, cwd=_TOOLS / binary.module, stdout=log, stderr=log) as go:
            try:
                while True:
                    try:
                        go.wait(_PROGRESS_SECONDS)
                        break
                    except subprocess.TimeoutExpired:
                        _say(f"  {title}: {time.monotonic() - started:.0f} s ...")
            except BaseException:
                go.terminate()
                raise
        if go.returncode:
            log.seek(0)
            tail = "\n  ".join(log.read().splitlines()[-_ERROR_LINES:])
            raise ClusterError(f"could not build {binary.name}. {_NEXT} {_LOG} ends with:\n  {tail}")
        (Path(folder) / binary.name).rename(target)
    _say(f"Built {binary.name} in {time.monotonic() - started:.0f} s.")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
