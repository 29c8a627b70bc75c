"""What is under test: the manifests as kustomize renders them, the Compose file as Compose reads it, and what was taken
out of Dapr's and Kubernetes' own sources (scripts/manifests-ensure).
"""

import functools
import json
import os
import re
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
MADE = ROOT / ".cache/manifests"
OVERLAYS = ["k8s/base", "k8s/overlays/dev", "k8s/overlays/staging", "k8s/overlays/production"]
# Of pods that Kubernetes itself makes from these kinds.
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
# What .env has to say; the values are recognised where they turn up.
ENVIRONMENT = {
    name: f"given-{name.lower().replace('_', '-')}"
    for name in ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "DAPR_API_TOKEN", "APP_API_TOKEN")
}


def documents(path):
    """The YAML documents of a file of the repository."""
    return [document for document in yaml.safe_load_all((ROOT / path).read_text()) if document]


@functools.cache
def _built(overlay):
    made = subprocess.run([MADE / "kustomize", "build", ROOT / overlay], capture_output=True, text=True)
    if made.returncode != 0:
        raise AssertionError(f"kustomize build {overlay}: {made.stderr}")
    return made.stdout


def build(overlay):
    """What `kubectl apply -k` would send."""
    return [document for document in yaml.safe_load_all(_built(overlay)) if document]


def compose(environment=None, path=None):
    """The Compose file as Compose understands it: with variables, defaults and long forms; an error as an exception."""
    clean = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    clean.update(ENVIRONMENT if environment is None else environment)
    command = [MADE / "compose", path or ROOT / "compose.yaml"]
    made = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=clean)
    if made.returncode != 0:
        raise ValueError(made.stdout + made.stderr)
    return json.loads(made.stdout)


def template(document):
    """The pod of a workload: metadata and spec."""
    spec = document["spec"]
    return spec["jobTemplate"]["spec"]["template"] if document["kind"] == "CronJob" else spec["template"]


def workloads(rendered):
    return [document for document in rendered if document["kind"] in WORKLOADS]


def one(rendered, kind, name):
    found = [d for d in rendered if d["kind"] == kind and d["metadata"]["name"] == name]
    assert len(found) == 1, f"{len(found)} of {kind} {name}"
    return found[0]


def flags(program):
    """The flags of daprd, placement or scheduler, as their source defines them."""
    text = (MADE / f"dapr/{program}.go").read_text()
    found = set(re.findall(r'\bfs\.\w+\(\s*&?[\w.]+,\s*"([a-zA-Z0-9-]+)"', text))
    assert len(found) > 10, f"the source of {program} is not read any more"
    return found


def chart(path):
    """A file of Dapr's chart."""
    return (MADE / "dapr/chart" / path).read_text()


def annotations():
    """The annotations that Dapr's injector knows."""
    found = set(re.findall(r'"(dapr\.io/[a-z0-9-]+)"', (MADE / "dapr/annotations.go").read_text()))
    assert len(found) > 40
    return found


def arguments(command):
    """`--flag value`, `--flag=value` and `--flag` of a command, as a dictionary; and the words that are no flag."""
    given, words, rest = {}, [], list(command)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            words.append(word)
            continue
        name, _, value = word[2:].partition("=")
        if not value:
            value = rest.pop(0) if rest and not rest[0].startswith("--") else True
        assert name not in given, f"--{name} is given twice"
        given[name] = value
    return given, words
