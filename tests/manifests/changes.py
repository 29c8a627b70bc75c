"""Each small thing that can be wrong with a NetworkPolicy, done to a copy of it."""

import copy


def changes(policy):
    """Yields what was changed, and the policy after it; None where it is gone."""
    yield "deleted", None
    yield from _selector(policy, ["spec", "podSelector"])
    types = policy["spec"]["policyTypes"]
    for kind in types:
        other = [t for t in types if t != kind] or (["Egress"] if kind == "Ingress" else ["Ingress"])
        yield f"policyTypes without {kind}", _with(policy, ["spec", "policyTypes"], other)
    for side, end in (("ingress", "from"), ("egress", "to")):
        for number, rule in enumerate(policy["spec"].get(side) or []):
            at = ["spec", side, number]
            yield f"{side} {number} deleted", _without(policy, at)
            yield f"{side} {number} for everybody", _without(policy, [*at, end])
            yield f"{side} {number} for everything", _with(policy, at, {})
            for index, peer in enumerate(rule.get(end) or []):
                yield from _peer(policy, [*at, end, index], peer)
            yield from _ports(policy, [*at, "ports"], rule.get("ports"))


def _peer(policy, at, peer):
    name = ".".join(map(str, at[1:]))
    if len(_get(policy, at[:-1])) > 1:
        yield f"{name} deleted", _without(policy, at)
    for key in ("namespaceSelector", "podSelector"):
        if key in peer:
            if len(peer) > 1:
                yield f"{name} without {key}", _without(policy, [*at, key])
            yield from _selector(policy, [*at, key])
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        yield f"{name} without exceptions", _without(policy, [*at, "ipBlock", "except"])
        for index, cut in enumerate(block["except"]):
            yield f"{name} without the exception {cut}", _without(policy, [*at, "ipBlock", "except", index])
        wider = "::/0" if ":" in block["cidr"] else "0.0.0.0/0"
        narrower = "2000::/16" if ":" in block["cidr"] else "0.0.0.0/1"
        for cidr in {wider, narrower} - {block["cidr"]}:
            kept = [cut for cut in block["except"] if cidr == wider]
            yield f"{name} {cidr}", _with(policy, [*at, "ipBlock"], {"cidr": cidr, "except": kept})


def _ports(policy, at, ports):
    name = ".".join(map(str, at[1:]))
    if not ports:
        # A rule for every port: the nearest mistake is to have one.
        yield f"{name} only 8080", _with(policy, at, [{"protocol": "TCP", "port": 8080}])
        return
    yield f"{name} widened to all", _without(policy, at)
    for index, port in enumerate(ports):
        if len(ports) > 1:
            yield f"{name}.{index} deleted", _without(policy, [*at, index])
        yield f"{name}.{index} another port", _with(policy, [*at, index, "port"], port["port"] + 1)
        yield f"{name}.{index} a range", _with(policy, [*at, index, "endPort"], port["port"] + 1000)
        yield f"{name}.{index} every port of the protocol", _without(policy, [*at, index, "port"])
        other = "UDP" if port.get("protocol", "TCP") == "TCP" else "TCP"
        yield f"{name}.{index} {other}", _with(policy, [*at, index, "protocol"], other)


def _selector(policy, at):
    name, selector = ".".join(map(str, at[1:])), _get(policy, at)
    if not selector:
        yield f"{name} picks few", _with(policy, at, {"matchLabels": {"app": "workflow-platform"}})
        return
    yield f"{name} picks all", _with(policy, at, {})
    for key, value in (selector.get("matchLabels") or {}).items():
        yield f"{name} another {key}", _with(policy, [*at, "matchLabels", key], f"{value}-2")
        if len(selector["matchLabels"]) > 1:
            yield f"{name} without {key}", _without(policy, [*at, "matchLabels", key])
    for index, rule in enumerate(selector.get("matchExpressions") or []):
        yield f"{name} not", _with(policy, [*at, "matchExpressions", index, "operator"], "NotIn")
        for number, value in enumerate(rule["values"]):
            yield f"{name} without {value}", _without(policy, [*at, "matchExpressions", index, "values", number])


def _get(document, path):
    for step in path:
        document = document[step]
    return document


def _with(policy, path, value):
    changed = copy.deepcopy(policy)
    _get(changed, path[:-1])[path[-1]] = copy.deepcopy(value)
    return changed


def _without(policy, path):
    changed = copy.deepcopy(policy)
    del _get(changed, path[:-1])[path[-1]]
    return changed
