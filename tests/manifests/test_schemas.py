"""What kustomize renders is what the API servers accept: every field is one that Kubernetes, or Dapr's CRDs, know."""

import copy
import functools
import json
import unittest

import jsonschema
import kubernetes_validate
import yaml
from sources import OVERLAYS, build, chart, documents, one, template, workloads

# The oldest release that the manifests may be applied to (preStop's `sleep`), and a current one.
RELEASES = ["1.31", "1.37"]
CRDS = {"components", "configuration", "resiliency", "subscription"}


def _closed(schema):
    """The schema of a CRD, with unknown fields refused where the API server would drop them in silence."""
    schema = dict(schema)
    if "properties" in schema:
        schema["properties"] = {name: _closed(value) for name, value in schema["properties"].items()}
        if "additionalProperties" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema["additionalProperties"] = False
    elif isinstance(schema.get("additionalProperties"), dict):
        schema["additionalProperties"] = _closed(schema["additionalProperties"])
    if "items" in schema:
        schema["items"] = _closed(schema["items"])
    return schema


@functools.cache
def crds():
    found = {}
    for name in CRDS:
        crd = yaml.safe_load(chart(f"crds/{name}.yaml"))
        for version in crd["spec"]["versions"]:
            schema = dict(version["schema"]["openAPIV3Schema"])
            # Only the object's meta data is not the CRD's to describe.
            schema["properties"] = {
                **schema["properties"],
                "metadata": {"type": "object", "additionalProperties": True},
            }
            closed = _closed(schema)
            closed["properties"]["metadata"] = {"type": "object"}
            found[crd["spec"]["group"] + "/" + version["name"], crd["spec"]["names"]["kind"]] = closed
    return found


def mistakes(document, release="1.37"):
    known = crds()
    kind = (document["apiVersion"], document["kind"])
    if kind in known:
        return [e.message for e in jsonschema.Draft202012Validator(known[kind]).iter_errors(document)]
    try:
        kubernetes_validate.validate(document, release, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [error.message]
    return []


class Schemas(unittest.TestCase):
    def test_every_document_is_valid(self):
        seen = {}
        for overlay in OVERLAYS:
            rendered = build(overlay)
            self.assertGreater(len(rendered), 25)
            # Most of an overlay is the base's.
            seen |= {json.dumps(d, sort_keys=True): (overlay, d) for d in rendered}
        for overlay, document in seen.values():
            for release in RELEASES:
                name = f"{overlay}: {document['kind']} {document['metadata']['name']} ({release})"
                self.assertEqual([], mistakes(document, release), name)

    def test_resources_of_one_machine_are_valid_too(self):
        files = ["statestore", "pubsub", "broadcast", "secrets", "resiliency"]
        for document in [d for f in files for d in documents(f"components/redis/{f}.yaml")] + documents(
            "dapr/config.yaml"
        ):
            self.assertEqual([], mistakes(document), document["metadata"]["name"])

    def test_a_mistake_in_any_kind_is_noticed(self):
        """A field with a wrong name, in every kind, as deep as its mistakes usually are."""
        rendered = build("k8s/overlays/dev")
        for document in rendered + build("k8s/overlays/production"):
            name = f"{document['kind']} {document['metadata']['name']}"
            broken = {**copy.deepcopy(document), "colour": "red"}
            self.assertTrue(mistakes(broken), name)
            if document.get("spec"):
                broken = copy.deepcopy(document)
                broken["spec"]["colour"] = "red"
                self.assertTrue(mistakes(broken), name)
        deployment = one(rendered, "Deployment", "workflow-service")
        for change in (
            lambda d: template(d)["spec"]["containers"][0].update(readinesProbe={}),
            lambda d: template(d)["spec"]["containers"][0]["readinessProbe"]["httpGet"].pop("port"),
            lambda d: d["spec"].update(replicas="three"),
        ):
            broken = copy.deepcopy(deployment)
            change(broken)
            self.assertTrue(mistakes(broken))
        store = one(rendered, "Component", "statestore")
        for change in (
            lambda d: d["spec"].pop("type"),
            lambda d: d["spec"]["metadata"][0].update(secretKeyRef={"name": "a", "kee": "b"}),
            lambda d: d.update(scopes="workflow-service"),
        ):
            broken = copy.deepcopy(store)
            change(broken)
            self.assertTrue(mistakes(broken))


class References(unittest.TestCase):
    """Names that one document says of another."""

    def test_what_pods_name_is_there_or_is_a_secret_of_the_page(self):
        for overlay in OVERLAYS:
            rendered = build(overlay)
            maps = {d["metadata"]["name"] for d in rendered if d["kind"] == "ConfigMap"}
            claims = {d["metadata"]["name"] for d in rendered if d["kind"] == "PersistentVolumeClaim"}
            accounts = {d["metadata"]["name"] for d in rendered if d["kind"] == "ServiceAccount"} | {None}
            for document in workloads(rendered):
                spec = template(document)["spec"]
                self.assertIn(spec.get("serviceAccountName"), accounts)
                for volume in spec.get("volumes") or []:
                    if "configMap" in volume:
                        self.assertIn(volume["configMap"]["name"], maps)
                    if "persistentVolumeClaim" in volume:
                        self.assertIn(volume["persistentVolumeClaim"]["claimName"], claims)
                mounted = {v["name"] for v in spec.get("volumes") or []}
                mounted |= {v["metadata"]["name"] for v in document["spec"].get("volumeClaimTemplates") or []}
                for container in spec["containers"]:
                    for mount in container.get("volumeMounts") or []:
                        self.assertIn(mount["name"], mounted)

    def test_selectors_pick_the_pods_of_their_own_workload(self):
        for overlay in OVERLAYS:
            rendered = build(overlay)
            pods = {d["metadata"]["name"]: template(d) for d in workloads(rendered)}
            for document in rendered:
                kind, name = document["kind"], document["metadata"]["name"]
                if kind in ("Deployment", "StatefulSet", "PodDisruptionBudget"):
                    wanted = document["spec"]["selector"]["matchLabels"]
                elif kind == "Service":
                    wanted = document["spec"]["selector"]
                else:
                    continue
                picked = [n for n, p in pods.items() if wanted.items() <= p["metadata"]["labels"].items()]
                self.assertEqual(picked, [name], f"{overlay}: {kind} {name}")

    def test_a_service_leads_to_a_port_of_its_pod(self):
        for overlay in OVERLAYS:
            rendered = build(overlay)
            for service in (d for d in rendered if d["kind"] == "Service"):
                (pod,) = [
                    template(d) for d in workloads(rendered) if d["metadata"]["name"] == service["metadata"]["name"]
                ]
                ports = {p["containerPort"] for c in pod["spec"]["containers"] for p in c["ports"]}
                for port in service["spec"]["ports"]:
                    self.assertIn(port["targetPort"], ports)

    def test_all_of_it_is_in_our_namespace(self):
        for overlay in OVERLAYS:
            for document in build(overlay):
                if document["kind"] != "Namespace":
                    self.assertEqual(document["metadata"]["namespace"], "callboard")

    def test_no_secret_is_here(self):
        """Only their names are: neither a Secret nor a value that looks like one."""
        for overlay in OVERLAYS:
            rendered = build(overlay)
            self.assertFalse([d for d in rendered if d["kind"] == "Secret"])
            for document in workloads(rendered):
                for container in template(document)["spec"]["containers"]:
                    for variable in container.get("env") or []:
                        secret = any(word in variable["name"] for word in ("TOKEN", "KEY", "PASSWORD", "_URL", "AUTH"))
                        self.assertEqual(secret, "valueFrom" in variable, variable["name"])


class Shape(unittest.TestCase):
    """What the requirements say of a Deployment, and of the environments."""

    def test_deployments_are_as_required(self):
        rendered = build("k8s/base")
        for name, port in (("workflow-service", 8000), ("ai-service", 9000)):
            deployment = one(rendered, "Deployment", name)
            spec, container = deployment["spec"], template(deployment)["spec"]["containers"][0]
            self.assertEqual(spec["replicas"], 3)
            self.assertEqual(
                spec["strategy"], {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
            )
            self.assertEqual(container["name"], name)
            self.assertEqual([p["containerPort"] for p in container["ports"]], [8080])
            self.assertEqual(
                container["resources"],
                {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "500m", "memory": "512Mi"}},
            )
            self.assertEqual(container["livenessProbe"]["httpGet"], {"path": "/health", "port": 8080})
            self.assertEqual(container["readinessProbe"]["httpGet"], {"path": "/ready", "port": 8080})
            self.assertEqual(template(deployment)["metadata"]["labels"]["app"], "workflow-platform")
            service = one(rendered, "Service", name)
            self.assertEqual([(p["port"], p["targetPort"]) for p in service["spec"]["ports"]], [(port, 8080)])

    def test_environments_are_as_required(self):
        for overlay, replicas, limits in (
            ("staging", (2, 1), {"cpu": "1", "memory": "1Gi"}),
            ("production", (3, 2), {"cpu": "2", "memory": "2Gi"}),
        ):
            rendered = build(f"k8s/overlays/{overlay}")
            found = [one(rendered, "Deployment", name) for name in ("workflow-service", "ai-service")]
            self.assertEqual(tuple(d["spec"]["replicas"] for d in found), replicas)
            for deployment in found:
                self.assertEqual(template(deployment)["spec"]["containers"][0]["resources"]["limits"], limits)

    def test_production_is_backed_up_as_required(self):
        job = one(build("k8s/overlays/production"), "CronJob", "callboard-backup")
        self.assertEqual(job["spec"]["schedule"], "0 */6 * * *")
        self.assertFalse([d for d in build("k8s/overlays/staging") if d["kind"] == "CronJob"])
        # By a pg_dump that is as new as the server that we name.
        server = template(one(build("k8s/overlays/dev"), "StatefulSet", "postgres"))["spec"]["containers"][0]["image"]
        self.assertEqual(template(job)["spec"]["containers"][0]["image"], server)


if __name__ == "__main__":
    unittest.main()
