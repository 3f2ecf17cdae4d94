"""Starts the programs of one control plane and waits until each is ready.

Order: certificates, etcd, API server, controller manager, resource definitions,
KWOK, the Rollouts controller. Everything listens on loopback and on ports that
were free a moment before; when somebody took one in between, the whole start is
tried again on others.
"""

import base64
import json
import os
import shutil
import ssl
import subprocess
import time

from recipe import HERE, KUBERNETES, KWOK_VERSION, ROLLOUTS
from support.processes import Server, answers, free_ports, stop_all, wait_until
from support.say import Failed, step

MANIFESTS = HERE / "manifests"

# persona, user name, groups; `admin` has a client certificate instead of a token.
# What `team-manager` may change is for a lane to bind, one namespace at a time.
TOKENS = [
    ("release-manager", "release-manager", "gonogo:release-managers"),
    ("team-manager", "team-manager", "gonogo:viewers"),
    ("viewer", "viewer", "gonogo:viewers"),
    ("stranger", "stranger", ""),
]

CONTROLLERS = [
    "deployment-controller",
    "replicaset-controller",
    "statefulset-controller",
    "daemonset-controller",
    "job-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "disruption-controller",
    "endpointslice-controller",
    "horizontal-pod-autoscaler-controller",
    "ttl-after-finished-controller",
]

UNLIMITED = [
    "--enable-priority-and-fairness=false",
    "--max-requests-inflight=0",
    "--max-mutating-requests-inflight=0",
]

ATTEMPTS = 3


def up(folder, built, fair=False, audit_all=False):
    """Starts a plane whose data, logs and process records live in `folder`.

    Priority and fairness is off unless `fair`: dozens of cases at once must not wait for each other.
    With `audit_all` the audit log names every request there is, not only those the lanes read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "pids").exists() and any((folder / "pids").iterdir()):
        raise Failed(f"{folder} already holds a plane; stop it first: plane down {folder}")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _start(folder, built, fair, audit_all)
            return
        except BaseException as why:
            stop_all(folder)
            if not (isinstance(why, Failed) and "address already in use" in str(why)) or attempt == ATTEMPTS:
                raise
            step(f"a port was taken by somebody else, trying again ({attempt}/{ATTEMPTS})")


def _start(folder, built, fair, audit_all):
    began = time.monotonic()
    programs = built / "bin"
    for old in ("pki", "etcd", "logs"):
        shutil.rmtree(folder / old, ignore_errors=True)
    client, peer, api, manager, kwok = free_ports(5)
    pki = folder / "pki"
    _run([programs / "pki", pki])
    (folder / "tokens.csv").write_text(
        "".join(f'{name}-token,{user},u-{user},"{groups}"\n' for name, user, groups in TOKENS), encoding="utf-8"
    )
    policy = (MANIFESTS / "audit.yaml").read_text(encoding="utf-8")
    if audit_all:
        policy = policy.replace("- level: None", "- level: Metadata")
    (folder / "audit.yaml").write_text(policy, encoding="utf-8")
    server = f"https://127.0.0.1:{api}"
    personas = _kubeconfigs(folder, pki, server)
    admin = personas["admin"]
    trust = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    bearer = {"Authorization": "Bearer viewer-token"}

    etcd = Server.start(
        "etcd",
        [
            programs / "etcd",
            "--name=node0",
            f"--data-dir={folder}/etcd",
            f"--listen-client-urls=http://127.0.0.1:{client}",
            f"--advertise-client-urls=http://127.0.0.1:{client}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=node0=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync=true",
            "--log-level=warn",
        ],
        folder,
    )
    wait_until("etcd is healthy", 60, lambda: answers(f"http://127.0.0.1:{client}/health"), etcd)

    apiserver = Server.start(
        "kube-apiserver",
        [
            programs / "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{client}",
            "--bind-address=127.0.0.1",
            f"--secure-port={api}",
            f"--tls-cert-file={pki}/server.crt",
            f"--tls-private-key-file={pki}/server.key",
            f"--client-ca-file={pki}/ca.crt",
            f"--cert-dir={pki}",
            f"--service-account-key-file={pki}/service-accounts.key",
            f"--service-account-signing-key-file={pki}/service-accounts.key",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            "--authorization-mode=Node,RBAC",
            f"--token-auth-file={folder}/tokens.csv",
            "--allow-privileged=true",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--endpoint-reconciler-type=none",
            "--disable-admission-plugins=ServiceAccount",
            *([] if fair else UNLIMITED),
            f"--audit-policy-file={folder}/audit.yaml",
            f"--audit-log-path={folder}/logs/audit.log",
        ],
        folder,
    )
    wait_until("API server is ready", 120, lambda: answers(f"{server}/readyz", trust), etcd, apiserver)

    kcm = Server.start(
        "kube-controller-manager",
        [
            programs / "kube-controller-manager",
            f"--kubeconfig={admin}",
            "--bind-address=127.0.0.1",
            f"--secure-port={manager}",
            f"--cert-dir={pki}/manager",
            "--leader-elect=false",
            "--authorization-always-allow-paths=/healthz,/readyz,/livez,/metrics",
            f"--root-ca-file={pki}/ca.crt",
            f"--service-account-private-key-file={pki}/service-accounts.key",
            f"--controllers={','.join(CONTROLLERS)}",
        ],
        folder,
    )
    kubectl = [programs / "kubectl", f"--kubeconfig={admin}"]
    files = [file for name in ("crds", "routers") for file in sorted((built / name).iterdir())]
    definitions = [word for file in files for word in ("-f", file)]
    _run([*kubectl, "apply", "--server-side", *definitions])
    served = f"{server}/apis/argoproj.io/v1alpha1"
    wait_until("Rollouts are served", 60, lambda: answers(served, trust, bearer), apiserver)

    stages = "\n---\n".join(
        file.read_text(encoding="utf-8") for file in [*sorted((built / "stages").iterdir()), MANIFESTS / "stages.yaml"]
    )
    (folder / "stages.yaml").write_text(stages, encoding="utf-8")
    fake = Server.start(
        "kwok",
        [
            programs / "kwok",
            f"--kubeconfig={admin}",
            f"--config={folder}/stages.yaml",
            "--manage-all-nodes=true",
            "--node-ip=127.0.0.1",
            "--node-name=localhost",
            f"--node-port={kwok}",
            f"--server-address=127.0.0.1:{kwok}",
            "--node-lease-duration-seconds=40",
        ],
        folder,
    )
    # Its two HTTP servers can only listen on every interface; port -1 makes that
    # listen fail, which it logs and survives. Readiness is read from its log.
    rollouts = Server.start(
        "rollouts-controller",
        [
            os.environ.get("ROLLOUTS_CONTROLLER", programs / "rollouts-controller"),
            f"--kubeconfig={admin}",
            "--leader-elect=false",
            "--loglevel=info",
            "--metricsPort=-1",
            "--healthzPort=-1",
        ],
        folder,
        env={"POD_NAMESPACE": "argo-rollouts"},
    )
    _run([*kubectl, "apply", "--server-side", "-f", MANIFESTS / "personas.yaml", "-f", MANIFESTS / "node.yaml"])

    unsafe = ssl._create_unverified_context()  # noqa: S323  its own self-made certificate, on loopback
    wait_until(
        "controller manager is healthy", 60, lambda: answers(f"https://127.0.0.1:{manager}/healthz", unsafe), kcm
    )
    wait_until("node kwok-0 is ready", 60, lambda: _node_ready(kubectl), fake, apiserver)
    wait_until(
        "Rollouts controller is at work",
        60,
        lambda: "Started controller" in rollouts.log.read_text(encoding="utf-8", errors="replace"),
        rollouts,
    )
    seconds = time.monotonic() - began
    (folder / "env.json").write_text(
        json.dumps(
            {
                "server": server,
                "etcd": f"http://127.0.0.1:{client}",
                "ca": str(pki / "ca.crt"),
                "personas": {name: str(path) for name, path in personas.items()},
                "tokens": {name: f"{name}-token" for name, _, _ in TOKENS},
                "bin": str(programs),
                "audit_log": str(folder / "logs" / "audit.log"),
                "versions": {"kubernetes": KUBERNETES, "argo_rollouts": ROLLOUTS, "kwok": KWOK_VERSION},
                "seconds": round(seconds, 1),
            },
            indent=2,
        )
        + "\n",
        encoding="utf-8",
    )
    step(f"plane ready at {server} after {seconds:.1f} s")


def _run(command):
    ran = subprocess.run([str(word) for word in command], text=True, capture_output=True, check=False)
    if ran.returncode != 0:
        raise Failed(f"{command[0]} {command[1]}: {ran.stderr.strip()[-2000:]}")
    return ran.stdout


def _node_ready(kubectl):
    path = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    command = [str(word) for word in [*kubectl, "get", "node", "kwok-0", "-o", path]]
    return subprocess.run(command, text=True, capture_output=True, check=False).stdout == "True"


def _kubeconfigs(folder, pki, server):
    def embedded(name):
        return base64.b64encode((pki / name).read_bytes()).decode()

    users = {
        "admin": {
            "client-certificate-data": embedded("admin.crt"),
            "client-key-data": embedded("admin.key"),
        }
    }
    for name, _, _ in TOKENS:
        users[name] = {"token": f"{name}-token"}
    target = folder / "kubeconfig"
    target.mkdir(exist_ok=True)
    written = {}
    for name, user in users.items():
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "plane", "cluster": {"server": server, "certificate-authority-data": embedded("ca.crt")}}
            ],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "plane", "context": {"cluster": "plane", "user": name, "namespace": "default"}}],
            "current-context": "plane",
        }
        written[name] = target / f"{name}.yaml"
        written[name].write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return written
