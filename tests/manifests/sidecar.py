"""What Dapr's injector makes of a pod: the container that its annotations, its chart's values and ours (k8s/dapr-values.yaml)
say, as far as policies and ports see it.
"""

import re

import yaml
from sources import MADE, ROOT, chart


def _defaults():
    """Default of each annotation and port, out of the injector's source."""
    text = (MADE / "dapr/sidecar.go").read_text()
    by_annotation = dict(re.findall(r'`annotation:"([^"]+)"\s+default:"([^"]*)"`', text))
    by_field = dict(re.findall(r'(Sidecar(?:HTTP|Public)Port)\s+int32\s+`default:"(\d+)"`', text))
    assert by_annotation["dapr.io/internal-grpc-port"] and by_field["SidecarHTTPPort"]
    return by_annotation, by_field


def values():
    """Values of the injector's chart, with ours over them."""
    known = yaml.safe_load(chart("charts/dapr_sidecar_injector/values.yaml"))
    ours = yaml.safe_load((ROOT / "k8s/dapr-values.yaml").read_text())["dapr_sidecar_injector"]
    unknown = set(ours) - set(known)
    assert not unknown, f"the chart does not know {unknown}"
    return {**known, **ours}


def ports(annotations):
    """The ports of the sidecar by what they are for."""
    by_annotation, by_field = _defaults()

    def port(annotation):
        return int(annotations.get(annotation, by_annotation[annotation]))

    return {
        "http": int(by_field["SidecarHTTPPort"]),
        "health": int(by_field["SidecarPublicPort"]),
        "grpc": port("dapr.io/grpc-port"),
        "internal": port("dapr.io/internal-grpc-port"),
        "metrics": port("dapr.io/metrics-port"),
    }


def listens(annotations):
    """Where its two APIs listen."""
    return annotations.get("dapr.io/sidecar-listen-addresses", "[::1],127.0.0.1").split(",")


def inject(metadata, spec, values):
    """The pod's spec with the sidecar in it, where it wants one."""
    annotations = metadata.get("annotations") or {}
    if annotations.get("dapr.io/enabled") != "true":
        return spec
    context = {
        "allowPrivilegeEscalation": False,
        "runAsNonRoot": values["sidecarRunAsNonRoot"],
        "readOnlyRootFilesystem": values["sidecarReadOnlyRootFilesystem"],
    }
    if profile := annotations.get("dapr.io/sidecar-seccomp-profile-type"):
        context["seccompProfile"] = {"type": profile}
    if values["sidecarDropALLCapabilities"]:
        context["capabilities"] = {"drop": ["ALL"]}
    daprd = {
        "name": "daprd",
        "securityContext": context,
        "ports": [{"name": f"dapr-{name}", "containerPort": port} for name, port in ports(annotations).items()],
    }
    token = {"name": "dapr-identity-token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
    return {
        **spec,
        "containers": [*spec["containers"], daprd],
        "volumes": [*(spec.get("volumes") or []), token],
    }
