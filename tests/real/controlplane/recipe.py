"""Builds the control plane's programs from Go modules, once per recipe.

The two modules beside this file pin every version. The results land in the
cache in a folder named after the modules, the flags and the Go version, so a
changed pin builds anew and an unchanged one costs nothing. KWOK has a module of
its own because it needs a newer client library than Kubernetes here.
"""

import os
import pathlib
import re
import shutil
import subprocess
import time

from support import cache
from support.say import Failed, Missing, step

HERE = pathlib.Path(__file__).resolve().parent
TOOLS = HERE / "plane-tools"
KWOK = HERE / "kwok-tools"

KUBERNETES = "1.34.4"
ROLLOUTS = "1.9.2"
KWOK_VERSION = "0.8.0"

_K8S = "k8s.io/component-base/version"
_ARGO = "github.com/argoproj/argo-rollouts"
_PLAIN = "-s -w"
_KUBE = " ".join(
    [
        _PLAIN,
        f"-X {_K8S}.gitVersion=v{KUBERNETES}",
        f"-X {_K8S}.gitMajor=1",
        f"-X {_K8S}.gitMinor=34",
        f"-X {_K8S}.gitTreeState=clean",
        f"-X {_K8S}.gitCommit=module",
        f"-X {_K8S}.buildDate=1970-01-01T00:00:00Z",
    ]
)
_ROLLOUTS = f"{_PLAIN} -X {_ARGO}/utils/version.version={ROLLOUTS} -X {_ARGO}/utils/version.gitTreeState=clean"

# name, module folder, package, linker flags; quick ones first, so that trouble shows early
PROGRAMS = [
    ("pki", TOOLS, "./pki", _PLAIN),
    ("etcd", TOOLS, "go.etcd.io/etcd/server/v3", _PLAIN),
    ("kube-apiserver", TOOLS, "k8s.io/kubernetes/cmd/kube-apiserver", _KUBE),
    ("kube-controller-manager", TOOLS, "k8s.io/kubernetes/cmd/kube-controller-manager", _KUBE),
    ("kubectl", TOOLS, "k8s.io/kubernetes/cmd/kubectl", _KUBE),
    ("rollouts-controller", TOOLS, f"{_ARGO}/cmd/rollouts-controller", _ROLLOUTS),
    ("kubectl-argo-rollouts", TOOLS, f"{_ARGO}/cmd/kubectl-argo-rollouts", _ROLLOUTS),
    ("kwok", KWOK, "sigs.k8s.io/kwok/cmd/kwok", f"{_PLAIN} -X sigs.k8s.io/kwok/pkg/consts.Version={KWOK_VERSION}"),
]

# Without -trimpath every path is part of Go's own cache key, and a moved tree builds for minutes.
_FLAGS = ["-p", "2", "-trimpath"]


def _env():
    env = dict(os.environ)
    env.update({"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"})
    return env


def _go(*words, cwd):
    ran = subprocess.run(["go", *words], cwd=cwd, env=_env(), text=True, capture_output=True, check=False)
    if ran.returncode != 0:
        raise Failed(f"go {words[0]} in {cwd.name}: {ran.stderr.strip()[-2000:]}")
    return ran.stdout.strip()


def folder():
    """The cache folder of this recipe, built or not."""
    if shutil.which("go") is None:
        raise Missing("Go is not installed; the control plane is built from Go modules (Go 1.26 or newer)")
    version = _go("env", "GOVERSION", cwd=HERE)
    numbers = re.match(r"go(\d+)\.(\d+)", version)
    if numbers and (int(numbers[1]), int(numbers[2])) < (1, 26):
        raise Missing(f"{version} is too old; the control plane is built from Go modules (Go 1.26 or newer)")
    parts = [version, _FLAGS, PROGRAMS_TEXT, TOOLS / "pki" / "main.go"]
    for module in (TOOLS, KWOK):
        parts += [module / "go.mod", module / "go.sum"]
    return cache.root() / "controlplane" / cache.digest(*parts)


PROGRAMS_TEXT = repr([(name, package, flags) for name, _, package, flags in PROGRAMS])


def build():
    """Builds what is missing and returns the folder with `bin/`, `crds/`, `routers/` and `stages/`."""
    target = folder()
    with cache.lock(target):
        programs = target / "bin"
        programs.mkdir(exist_ok=True)
        missing = [entry for entry in PROGRAMS if not (programs / entry[0]).exists()]
        if missing:
            step(f"building {len(missing)} Go programs into {target} (about 7 minutes on 2 cores when all are missing)")
        for place, (name, module, package, flags) in enumerate(missing, 1):
            started = time.monotonic()
            step(f"  {place}/{len(missing)} {name} …")
            half = programs / f".{name}.part"
            _go("build", *_FLAGS, "-ldflags", flags, "-o", str(half), package, cwd=module)
            half.rename(programs / name)
            step(f"  {place}/{len(missing)} {name} built in {time.monotonic() - started:.0f} s")
        _copy_module_files(target)
    return target


def _copy_module_files(target):
    """Takes the resource definitions and KWOK's stages out of the module cache.

    The module cache is read-only and may be cleaned between runs, so a plane
    that is already built must not need it.
    """
    if all((target / name).is_dir() for name in ("crds", "routers", "stages")):
        return
    rollouts = pathlib.Path(_go("list", "-m", "-f", "{{.Dir}}", _ARGO, cwd=TOOLS))
    kwok = pathlib.Path(_go("list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok", cwd=KWOK))
    _fill(target / "crds", sorted((rollouts / "manifests" / "crds").glob("*-crd.yaml")))
    # What a traffic router would bring along; the controller needs no more than its objects.
    _fill_routers(target / "routers", rollouts / "test" / "e2e" / "crds" / "istio.yaml")
    stage = kwok / "kustomize" / "stage"
    _fill(
        target / "stages",
        [
            stage / "node" / "fast" / "node-initialize.yaml",
            stage / "node" / "heartbeat-with-lease" / "node-heartbeat-with-lease.yaml",
            *sorted((stage / "pod" / "fast").glob("pod-*.yaml")),
        ],
    )


def _fill_routers(target, istio):
    """Of Istio's many definitions only those the Rollouts controller reads."""
    if target.is_dir():
        return
    half = target.with_name(f".{target.name}.part")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir()
    documents = istio.read_text(encoding="utf-8").split("\n---\n")
    for name in ("destinationrules", "virtualservices"):
        wanted = [text for text in documents if f"name: {name}.networking.istio.io" in text]
        if len(wanted) != 1:
            raise Failed(f"{istio.name} holds {len(wanted)} definitions of {name}")
        (half / f"{name}.yaml").write_text(wanted[0] + "\n", encoding="utf-8")
    half.rename(target)


def _fill(target, files):
    if not files:
        raise Failed(f"the module holds no files for {target.name}")
    if target.is_dir():
        return
    half = target.with_name(f".{target.name}.part")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir()
    for file in files:
        (half / file.name).write_bytes(file.read_bytes())
    half.rename(target)
