"""Every pod keeps to Pod Security `restricted`, its sidecar included; each thing that it says for that is needed."""

import copy
import unittest

import sidecar
import yaml
from restricted import containers, violations
from sources import MADE, OVERLAYS, build, template, workloads

EXAMPLES = MADE / "admission"


def pods(overlay):
    """Name, pod as applied, and pod as it runs."""
    for document in workloads(build(overlay)):
        pod = template(document)
        running = sidecar.inject(pod["metadata"], pod["spec"], sidecar.values())
        yield document["metadata"]["name"], pod, running


class Restricted(unittest.TestCase):
    def test_every_pod_of_every_overlay_keeps_to_it(self):
        seen = set()
        for overlay in OVERLAYS:
            for name, pod, running in pods(overlay):
                seen.add(name)
                self.assertEqual([], violations(pod["spec"], pod["metadata"].get("annotations")), f"{overlay} {name}")
                self.assertEqual([], violations(running, pod["metadata"].get("annotations")), f"{overlay} {name}")
        self.assertEqual(
            seen, {"workflow-service", "ai-service", "callboard-migrate", "callboard-backup", "redis", "postgres"}
        )

    def test_the_namespace_asks_for_it(self):
        for overlay in OVERLAYS:
            (namespace,) = [d for d in build(overlay) if d["kind"] == "Namespace"]
            labels = namespace["metadata"]["labels"]
            self.assertEqual(labels["pod-security.kubernetes.io/enforce"], "restricted")
            self.assertNotEqual(labels["pod-security.kubernetes.io/enforce-version"], "latest")

    def test_each_broken_rule_is_noticed(self):
        count, unnoticed = 0, []
        for name, pod, running in [*pods("k8s/overlays/dev"), *pods("k8s/overlays/production")]:
            for what, broken in _breaks(running):
                count += 1
                if not violations(broken, pod["metadata"].get("annotations")):
                    unnoticed.append(f"{name}: {what}")
        self.assertEqual([], unnoticed, f"of {count}")
        self.assertGreater(count, 100)
        print(f"{count} broken pods, each noticed")

    def test_a_sidecar_without_what_dapr_has_to_be_told_is_noticed(self):
        """The annotation and the chart's values are what makes it fit; neither is there by default."""
        for name, pod, _ in pods("k8s/base"):
            if (pod["metadata"].get("annotations") or {}).get("dapr.io/enabled") != "true":
                continue
            silent = copy.deepcopy(pod)
            # Then only the container itself could say it.
            del silent["metadata"]["annotations"]["dapr.io/sidecar-seccomp-profile-type"]
            del silent["spec"]["securityContext"]["seccompProfile"]
            silent["spec"]["containers"][0]["securityContext"]["seccompProfile"] = {"type": "RuntimeDefault"}
            found = violations(sidecar.inject(silent["metadata"], silent["spec"], sidecar.values()))
            self.assertEqual(found, ["no seccomp: daprd"], name)
            known = {**sidecar.values(), "sidecarDropALLCapabilities": False}
            found = violations(sidecar.inject(pod["metadata"], pod["spec"], known))
            self.assertEqual(found, ["capabilities are not dropped: daprd"], name)

    def test_the_rules_judge_the_examples_of_kubernetes_as_kubernetes_does(self):
        count = 0
        for verdict, wanted in (("pass", False), ("fail", True)):
            for file in sorted((EXAMPLES / verdict).glob("*.yaml")):
                pod = yaml.safe_load(file.read_text())
                found = violations(pod["spec"], pod["metadata"].get("annotations"))
                self.assertEqual(bool(found), wanted, f"{verdict}/{file.name}: {found}")
                count += 1
        self.assertGreater(count, 60)
        print(f"{count} examples of Kubernetes, each judged as it does")


class Beyond(unittest.TestCase):
    """What is not in `restricted`, and held here all the same."""

    def test_no_root_file_system_can_be_written_to_and_no_token_is_mounted(self):
        for overlay in OVERLAYS:
            for name, pod, running in pods(overlay):
                spec = pod["spec"]
                self.assertIs(spec.get("automountServiceAccountToken"), False, name)
                for container in containers(running):
                    self.assertIs(container["securityContext"].get("readOnlyRootFilesystem"), True, name)
                for volume in spec.get("volumes") or []:
                    if "emptyDir" in volume:
                        self.assertIn("sizeLimit", volume["emptyDir"], name)
                for container in containers(spec):
                    self.assertLessEqual({"cpu", "memory"}, set(container["resources"]["limits"]), name)
                    self.assertLessEqual({"cpu", "memory"}, set(container["resources"]["requests"]), name)
            for account in (d for d in build(overlay) if d["kind"] == "ServiceAccount"):
                self.assertIs(account["automountServiceAccountToken"], False)
            self.assertFalse(
                [d for d in build(overlay) if d["kind"] in ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")]
            )


def _breaks(spec):
    """Yields what is broken, and the pod's spec after it."""

    def with_(change):
        broken = copy.deepcopy(spec)
        change(broken)
        return broken

    for name in ("hostNetwork", "hostPID", "hostIPC"):
        yield name, with_(lambda s, name=name: s.update({name: True}))
    yield "hostPath", with_(lambda s: s.setdefault("volumes", []).append({"name": "x", "hostPath": {"path": "/"}}))
    yield "sysctl", with_(lambda s: s["securityContext"].update(sysctls=[{"name": "kernel.msgmax", "value": "1"}]))
    yield "pod as root", with_(lambda s: s["securityContext"].update(runAsUser=0))
    yield "pod may be root", with_(lambda s: s["securityContext"].update(runAsNonRoot=False))
    yield "pod unconfined", with_(lambda s: s["securityContext"].update(seccompProfile={"type": "Unconfined"}))
    for index, container in enumerate(spec["containers"]):

        def context(change, index=index):
            return with_(lambda s: change(s["containers"][index]["securityContext"]))

        where = container["name"]
        if where != "daprd":
            # A sidecar says these for itself.
            yield f"{where}: neither says non-root", with_(lambda s: s["securityContext"].pop("runAsNonRoot"))
            yield f"{where}: neither says seccomp", with_(lambda s: s["securityContext"].pop("seccompProfile"))
        yield f"{where}: nothing about escalation", context(lambda c: c.pop("allowPrivilegeEscalation"))
        yield f"{where}: escalation", context(lambda c: c.update(allowPrivilegeEscalation=True))
        yield f"{where}: capabilities kept", context(lambda c: c.pop("capabilities"))
        yield f"{where}: some dropped", context(lambda c: c.update(capabilities={"drop": ["NET_RAW"]}))
        yield f"{where}: one added", context(lambda c: c["capabilities"].update(add=["NET_ADMIN"]))
        yield f"{where}: privileged", context(lambda c: c.update(privileged=True))
        yield f"{where}: as root", context(lambda c: c.update(runAsUser=0))
        yield f"{where}: may be root", context(lambda c: c.update(runAsNonRoot=False))
        yield f"{where}: unconfined", context(lambda c: c.update(seccompProfile={"type": "Unconfined"}))
        yield f"{where}: no AppArmor", context(lambda c: c.update(appArmorProfile={"type": "Unconfined"}))
        yield f"{where}: SELinux", context(lambda c: c.update(seLinuxOptions={"type": "spc_t"}))
        yield f"{where}: /proc", context(lambda c: c.update(procMount="Unmasked"))
        yield f"{where}: host port", with_(
            lambda s, index=index: s["containers"][index]
            .setdefault("ports", [])
            .append({"containerPort": 1, "hostPort": 1})
        )
        yield f"{where}: a probe of another host", with_(
            lambda s, index=index: s["containers"][index].update(
                livenessProbe={"httpGet": {"host": "10.0.0.1", "port": 1}}
            )
        )
        yield f"{where}: host process", context(lambda c: c.update(windowsOptions={"hostProcess": True}))


if __name__ == "__main__":
    unittest.main()
