"""Everybody who might send something to our pods or get something from them, and what the table of docs/kubernetes.md says
about it.

Beside those who are meant there is, of each, somebody who differs in one thing: the same labels in another namespace, the
namespace with other labels, an address right within a range that is closed. Two kinds of pods have one side opened by a
policy of somebody else's, so that the wall of the other side is seen alone.
"""

import functools
import ipaddress
import re

from flows import Grid, Peer
from sources import ROOT, build, template, workloads

OURS = "callboard"
# Where each group of the table lives, and by what it is known.
ELSEWHERE = {
    "DNS": ("kube-system", {"k8s-app": "kube-dns"}),
    "Dapr's sentry": ("dapr-system", {"app": "dapr-sentry"}),
    "Dapr's operator": ("dapr-system", {"app": "dapr-operator"}),
    "Dapr's placement": ("dapr-system", {"app": "dapr-placement-server"}),
    "Dapr's scheduler": ("dapr-system", {"app": "dapr-scheduler-server"}),
    "collector": ("observability", {"app.kubernetes.io/name": "collector"}),
    "gateway": ("kong", {"app.kubernetes.io/name": "kong"}),
    "Prometheus": ("monitoring", {"app.kubernetes.io/name": "prometheus"}),
}
# Groups that are whole namespaces.
WHOLE = {"collector", "gateway"}
INTERNET = ["1.1.1.1", "93.184.216.34", "2606:4700::1111"]
# One address within each network that is nobody's business, and what is known to be there.
CLOSED = {
    "the metadata service of clouds": "169.254.169.254",
    "the Kubernetes API": "10.96.0.1",
    "a node": "192.168.1.10",
    "a database of the company": "172.31.0.5",
    "this network": "0.1.2.3",
    "carrier's": "100.100.100.200",
    "loopback": "127.0.0.1",
    "protocols": "192.0.0.170",
    "documents 1": "192.0.2.1",
    "6to4 relays": "192.88.99.1",
    "benchmarks": "198.19.0.1",
    "documents 2": "198.51.100.1",
    "documents 3": "203.0.113.1",
    "multicast": "239.1.1.1",
    "reserved": "250.0.0.1",
    "IPv6 loopback": "::1",
    "IPv4 in IPv6": "::ffff:10.0.0.1",
    "translated": "64:ff9b::a00:1",
    "IPv6 local": "fd00:ec2::254",
    "IPv6 link": "fe80::1",
    "IPv6 multicast": "ff02::1",
    "Teredo": "2001::1",
    "IPv6 documents": "2001:db8::1",
    "6to4": "2002:a00:1::1",
}
ALSO = [22, 80, 2379, 3500, 3501, 8081, 8091, 9000, 26379, 50001, 65000]

OPENED_OUT = {"opened": "out"}
OPENED_IN = {"opened": "in"}


def _opened(name, direction, side, labels):
    return {
        "metadata": {"name": name, "namespace": OURS},
        "spec": {"podSelector": {"matchLabels": labels}, "policyTypes": [direction], side: [{}]},
    }


# Policies of somebody else's in our namespace.
OTHERS = [
    _opened("opened-out", "Egress", "egress", OPENED_OUT),
    _opened("opened-in", "Ingress", "ingress", OPENED_IN),
]


class World:
    """Peers by group, and the flows between them that concern our namespace."""

    def __init__(self, rendered):
        self.group = {}
        self._next = 1
        labels = {d["metadata"]["name"]: template(d)["metadata"]["labels"] for d in workloads(rendered)}
        roles = [("workflow-service", "platform"), ("ai-service", "platform"), ("callboard-migrate", "migration")]
        roles += [("callboard-backup", "backup")] if "callboard-backup" in labels else []
        for name, group in roles:
            self.pod(name, group, OURS, labels[name])
            self.pod(f"{name} in another namespace", None, "default", labels[name])
            self.pod(f"{name}, opened outwards", group, OURS, {**labels[name], **OPENED_OUT})
            self.pod(f"{name}, opened inwards", group, OURS, {**labels[name], **OPENED_IN})
        # Its labels are those of stores in the namespace, also where they are not ours.
        for name, group in (("redis", "Redis"), ("postgres", "Postgres")):
            wanted = labels.get(name, {"app": name})
            self.pod(name, group, OURS, wanted)
            self.pod(f"{name} in another namespace", None, "default", wanted)
            self.pod(f"{name}, opened inwards", group, OURS, {**wanted, **OPENED_IN})
        self.pod("a stranger in our namespace", None, OURS, {"app": "stranger"})
        self.pod("a stranger, opened outwards", None, OURS, {"app": "stranger", **OPENED_OUT})
        self.pod("a stranger, opened inwards", None, OURS, {"app": "stranger", **OPENED_IN})
        self.pod("a pod of another namespace", None, "default", {"app": "stranger"})
        for group, (namespace, known_by) in ELSEWHERE.items():
            self.pod(group, group, namespace, known_by)
            self.pod(f"{group}, in another namespace", None, "default", known_by)
            self.pod(f"{group}, in ours", None, OURS, {**known_by, **OPENED_IN})
            self.pod(f"{group}, in ours, opened outwards", None, OURS, {**known_by, **OPENED_OUT})
            other = group if group in WHOLE else None
            self.pod(f"another pod beside {group}", other, namespace, {"app": "another"})
        for address in INTERNET:
            self.peer(Peer(address, address), "the internet")
        for name, address in CLOSED.items():
            self.peer(Peer(f"{name} ({address})", address), None)

    def pod(self, name, group, namespace, labels):
        address = str(ipaddress.ip_address("10.244.0.0") + self._next)
        self._next += 1
        self.peer(Peer(name, address, namespace, tuple(sorted(labels.items()))), group)

    def peer(self, peer, group):
        self.group[peer] = group

    def grid(self, policies):
        """All that may matter: each port that a policy names, the one after it, and others that are known."""
        named = {
            (entry["port"], entry.get("protocol", "TCP"))
            for policy in policies
            for side in ("ingress", "egress")
            for rule in policy["spec"].get(side) or []
            for entry in rule.get("ports") or []
        }
        ports = named | {(port + 1, protocol) for port, protocol in named} | {(port, "TCP") for port in ALSO}
        ports |= {(port, "UDP") for port, _ in named}
        ours = [peer for peer in self.group if peer.namespace == OURS]
        pairs = {(a, b) for a in ours for b in self.group} | {(a, b) for a in self.group for b in ours}
        pairs = sorted((pair for pair in pairs if pair[0] != pair[1]), key=lambda pair: (pair[0].name, pair[1].name))
        return Grid(pairs, sorted(ports))

    def expected(self, flow, table, stores):
        """Whether the table lets this flow pass. `stores`: their own walls are in these manifests."""
        source, target = self.group[flow.source], self.group[flow.target]
        listed = (source, target, flow.port, flow.protocol) in table
        both = source == target == "platform"
        out = flow.source.namespace != OURS or ("opened", "out") in flow.source.labels or listed
        into = flow.target.namespace != OURS or ("opened", "in") in flow.target.labels
        if target in ("Redis", "Postgres") and not stores:
            # Then nothing here lets anybody in.
            return out and into
        return out and (into or listed or both)


@functools.cache
def table():
    """The flows of docs/kubernetes.md as (from, to, port, protocol)."""
    text = (ROOT / "docs/kubernetes.md").read_text()
    found = re.search(r"^\| From \| To \| Port \|\n\|[-|]+\|\n((?:\|.*\|\n)+)", text, re.M)
    assert found, "docs/kubernetes.md has no table of flows"
    known = {"platform", "migration", "backup", "Redis", "Postgres", "the internet", *ELSEWHERE}
    rows = set()
    for line in found[1].splitlines():
        sources, targets, ports = (cell.strip() for cell in line.strip("|").split("|"))
        for source in sources.split(", "):
            for target in targets.split(", "):
                assert {source, target} <= known, f"nobody is called {source} or {target}"
                for port in ports.split(", "):
                    number, _, protocol = port.partition(" ")
                    rows.add((source, target, int(number), protocol or "TCP"))
    return rows


def policies(overlay):
    return [d for d in build(overlay) if d["kind"] == "NetworkPolicy"]
