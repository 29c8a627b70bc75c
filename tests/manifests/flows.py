"""Computes what a set of NetworkPolicies lets through.

A flow is one connection: from a peer, to a peer, to a port. It is let through if the policies of the sender's side let it
out and those of the receiver's side let it in. A side that no policy selects is open.

A policy judges each flow by itself, and the verdict is a union: so what each says of all flows is kept as a set of bits,
and a changed policy costs one new row.
"""

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """A pod, or an address outside of the cluster (then without a namespace)."""

    name: str
    address: str
    namespace: str = ""
    labels: tuple = ()
    # Named ports of its containers.
    ports: tuple = ()

    def is_pod(self):
        return bool(self.namespace)


@dataclass(frozen=True)
class Flow:
    source: Peer
    target: Peer
    port: int
    protocol: str = "TCP"

    def __str__(self):
        return f"{self.source.name} -> {self.target.name} {self.port}/{self.protocol}"


def selects(selector, labels):
    """Whether a label selector picks these labels. An empty one picks all."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for rule in selector.get("matchExpressions") or []:
        key, operator, values = rule["key"], rule["operator"], rule.get("values") or []
        holds = {
            "In": key in labels and labels[key] in values,
            "NotIn": key not in labels or labels[key] not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }[operator]
        if not holds:
            return False
    return True


def _namespace(peer):
    # Kubernetes gives every namespace this label; ours are told by nothing else.
    return {"kubernetes.io/metadata.name": peer.namespace}


def _block_has(block, address):
    address, cidr = ipaddress.ip_address(address), ipaddress.ip_network(block["cidr"])
    if address not in cidr:
        return False
    for cut in block.get("except") or []:
        if not ipaddress.ip_network(cut).subnet_of(cidr):
            raise ValueError(f"{cut} is not within {cidr}")
    return not any(address in ipaddress.ip_network(cut) for cut in block.get("except") or [])


def _peer_fits(rule, peer, own):
    if "ipBlock" in rule:
        # Whether a block also means pods is left to the network plugin: here it does, which is the worse case.
        return _block_has(rule["ipBlock"], peer.address)
    if not peer.is_pod():
        return False
    if "namespaceSelector" in rule:
        if not selects(rule["namespaceSelector"] or {}, _namespace(peer)):
            return False
    elif peer.namespace != own:
        return False
    return "podSelector" not in rule or selects(rule["podSelector"] or {}, dict(peer.labels))


def _port_fits(rule, flow):
    if rule.get("protocol", "TCP") != flow.protocol:
        return False
    port = rule.get("port")
    if port is None:
        return True
    if isinstance(port, str):
        return dict(flow.target.ports).get(port) == flow.port
    return port <= flow.port <= rule.get("endPort", port)


class Grid:
    """Every pair with every port. A flow is a bit: those of a pair lie side by side."""

    def __init__(self, pairs, ports):
        self.pairs, self.ports = list(pairs), list(ports)

    def __len__(self):
        return len(self.pairs) * len(self.ports)

    def flow(self, bit):
        pair, port = divmod(bit, len(self.ports))
        return Flow(*self.pairs[pair], *self.ports[port])

    def bits(self, holds):
        """The flows for which something holds, as bits."""
        return sum(1 << bit for bit in range(len(self)) if holds(self.flow(bit)))

    def flows(self, bits):
        return [self.flow(bit) for bit in range(len(self)) if bits >> bit & 1]


def _ports(rules, target, ports):
    """The ports that a rule names, as bits; where it names none, all."""
    if not rules:
        return (1 << len(ports)) - 1
    fits = (any(_port_fits(rule, Flow(None, target, *port)) for rule in rules) for port in ports)
    return sum(1 << bit for bit, fit in enumerate(fits) if fit)


def _row(policy, grid):
    """Of one policy: which flows it judges and which it lets through, each for going out and coming in."""
    own, spec = policy["metadata"]["namespace"], policy["spec"]
    types = spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
    width = len(grid.ports)
    row = []
    for direction, side, rules in (("Egress", "to", spec.get("egress")), ("Ingress", "from", spec.get("ingress"))):
        judged, passed, known, masks = [], [], {}, {}
        for source, target in grid.pairs if direction in types else []:
            peer, other = (source, target) if direction == "Egress" else (target, source)
            if peer not in known:
                selected = selects(spec.get("podSelector") or {}, dict(peer.labels))
                known[peer] = peer.is_pod() and peer.namespace == own and selected
            mask = 0
            if known[peer]:
                # Only a named port depends on whose it is.
                key = (other, target.ports)
                if key not in masks:
                    masks[key] = 0
                    for rule in rules or []:
                        ends = rule.get(side)
                        # A list that is missing or empty means everybody, everywhere.
                        if not ends or any(_peer_fits(end, other, own) for end in ends):
                            masks[key] |= _ports(rule.get("ports"), target, grid.ports)
                mask = masks[key]
            judged.append((1 << width) - 1 if known[peer] else 0)
            passed.append(mask)
        row += [_join(judged, width), _join(passed, width)]
    return tuple(row)


def _join(masks, width):
    """Puts the bits of each pair behind those of the pair before, halves first: long numbers are costly."""
    if len(masks) <= 1:
        return masks[0] if masks else 0
    half = len(masks) // 2
    return _join(masks[:half], width) | _join(masks[half:], width) << half * width


def rows(policies, grid):
    return [_row(policy, grid) for policy in policies]


def allowed(rows, grid):
    """The flows that pass, as bits."""
    everything = (1 << len(grid)) - 1
    out_judged = out_passed = in_judged = in_passed = 0
    for row in rows:
        out_judged, out_passed = out_judged | row[0], out_passed | row[1]
        in_judged, in_passed = in_judged | row[2], in_passed | row[3]
    return ((everything & ~out_judged) | out_passed) & ((everything & ~in_judged) | in_passed)
