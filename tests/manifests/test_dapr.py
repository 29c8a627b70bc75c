"""Dapr's resources in a cluster are those of one machine, but for what a cluster does otherwise; sidecars are started
alike in the run file, in Compose and in Kubernetes.
"""

import json
import re
import unittest

import sidecar
import yaml
from sources import ROOT, annotations, arguments, build, chart, compose, documents, flags, one, template

APPS = {"workflow-service", "ai-service"}
# What stands in a cluster only: who may use which topic. Outside workers are not there unless somebody adds them.
TOPICS = {"protectedTopics", "subscriptionScopes", "publishingScopes"}


def metadata(component):
    return {item["name"]: item for item in component["spec"]["metadata"]}


def scopes(text):
    return {app: set(topics.split(",")) for app, topics in (part.split("=") for part in text.split(";"))}


def run_file():
    return yaml.safe_load((ROOT / "dapr/dapr.yaml").read_text())


class Resources(unittest.TestCase):
    def setUp(self):
        self.here = {
            d["metadata"]["name"]: d
            for f in ("statestore", "pubsub", "broadcast", "secrets", "resiliency")
            for d in documents(f"components/redis/{f}.yaml")
        }
        self.there = build("k8s/base")

    def test_components_are_those_of_one_machine(self):
        for name in ("statestore", "pubsub", "broadcast", "secrets"):
            here, there = self.here[name], one(self.there, "Component", name)
            self.assertEqual(
                (here["spec"]["type"], here["spec"]["version"]), (there["spec"]["type"], there["spec"]["version"])
            )
            mine, theirs = metadata(here), metadata(there)
            self.assertEqual(set(mine) - TOPICS, set(theirs) - TOPICS, name)
            for item in set(mine) - TOPICS:
                if item in ("redisHost", "redisPassword"):
                    # A Secret of the cluster instead of a variable.
                    key = item.removeprefix("redis").lower()
                    self.assertEqual(
                        theirs[item], {"name": item, "secretKeyRef": {"name": "callboard-redis", "key": key}}
                    )
                else:
                    self.assertEqual(mine[item], theirs[item], name)
        # The store of variables is only how one machine's files find their addresses.
        found = {d["metadata"]["name"] for d in self.there if d["kind"] == "Component"}
        self.assertEqual(found, {n for n, d in self.here.items() if d["kind"] == "Component"} - {"environment"})

    def test_secrets_of_components_are_read_by_the_operator(self):
        for component in (d for d in self.there if d["kind"] == "Component"):
            if any("secretKeyRef" in item for item in component["spec"]["metadata"]):
                self.assertEqual(component["auth"], {"secretStore": "kubernetes"})

    def test_every_resource_is_for_our_two_apps_and_nobody_else(self):
        found = [d for d in self.there if d["kind"] in ("Component", "Resiliency", "Subscription")]
        self.assertGreaterEqual(len(found), 5)
        for document in found:
            self.assertEqual(document.get("scopes"), ["workflow-service", "ai-service"], document["metadata"]["name"])

    def test_the_topics_are_those_of_the_program(self):
        """All of them, and where their messages end that nobody could handle; events have no reader of ours."""
        text = (ROOT / "actors/src/events.rs").read_text() + (ROOT / "actors/src/live/bus.rs").read_text()
        known = set(re.findall(r'pub const [A-Z_]+: &str = "(callboard\.[a-z]+)";', text))
        self.assertGreaterEqual(len(known), 6)
        live, events = {"callboard.live"}, {"callboard.events"}
        wanted = {"pubsub": known - live | {f"{t}.dead" for t in known - live - events}, "broadcast": live}
        for name, topics in wanted.items():
            items = {n: i.get("value") for n, i in metadata(one(self.there, "Component", name)).items()}
            self.assertEqual(set(items["protectedTopics"].split(",")), topics)
        subscribed, published = scopes(items["subscriptionScopes"]), scopes(items["publishingScopes"])
        self.assertEqual((subscribed, published), ({app: live for app in APPS},) * 2)

    def test_every_topic_is_protected_and_given_to_our_apps_only(self):
        for name in ("pubsub", "broadcast"):
            items = {n: i.get("value") for n, i in metadata(one(self.there, "Component", name)).items()}
            guarded = set(items["protectedTopics"].split(","))
            subscribed, published = scopes(items["subscriptionScopes"]), scopes(items["publishingScopes"])
            self.assertEqual(set(subscribed), APPS)
            self.assertEqual(set(published), APPS)
            self.assertLessEqual(set().union(*subscribed.values(), *published.values()), guarded)

    def test_a_failed_message_may_be_buried_by_the_app_that_got_it(self):
        """The sidecar publishes a dead letter in the app's name, so the app has to be allowed to."""
        items = {n: i.get("value") for n, i in metadata(one(self.there, "Component", "pubsub")).items()}
        subscribed, published = scopes(items["subscriptionScopes"]), scopes(items["publishingScopes"])
        for app, topics in subscribed.items():
            self.assertLessEqual({f"{topic}.dead" for topic in topics}, published[app])

    def test_the_policies_of_delivery_are_those_of_one_machine(self):
        self.assertEqual(self.here["callboard"]["spec"], one(self.there, "Resiliency", "callboard")["spec"])

    def test_service_invocation_is_denied(self):
        (here,) = documents("dapr/config.yaml")
        there = one(self.there, "Configuration", "callboard")
        self.assertEqual(here["spec"]["accessControl"], there["spec"]["accessControl"])
        self.assertEqual(there["spec"]["accessControl"]["defaultAction"], "deny")
        self.assertNotIn("policies", there["spec"]["accessControl"])

    def test_the_chart_knows_every_value_that_it_is_given(self):
        known = yaml.safe_load(chart("values.yaml"))
        known["dapr_sidecar_injector"] = yaml.safe_load(chart("charts/dapr_sidecar_injector/values.yaml"))

        def unknown(given, known, at=""):
            for key, value in given.items():
                if key not in known:
                    yield f"{at}{key}"
                elif isinstance(value, dict):
                    yield from unknown(value, known[key], f"{at}{key}.")

        given = yaml.safe_load((ROOT / "k8s/dapr-values.yaml").read_text())
        self.assertEqual(list(unknown(given, known)), [])
        self.assertEqual(list(unknown({"global": {"ha": {"on": 1}}}, known)), ["global.ha.on"])

    def test_redis_keeps_what_it_acknowledged_wherever_it_is_ours(self):
        store = template(one(build("k8s/overlays/dev"), "StatefulSet", "redis"))["spec"]["containers"][0]
        for said in (" ".join(store["command"]), " ".join(compose()["services"]["redis"]["command"])):
            for words in (
                "--appendonly yes",
                "--appendfsync everysec",
                "--maxmemory-policy noeviction",
                "--requirepass",
            ):
                self.assertIn(words, said)


class Sidecars(unittest.TestCase):
    """How a sidecar is started, three times."""

    def test_annotations_are_ones_that_the_injector_knows(self):
        known = annotations()
        for name in APPS:
            pod = template(one(build("k8s/base"), "Deployment", name))["metadata"]
            said = {key for key in pod["annotations"] if key.startswith("dapr.io/")}
            self.assertLessEqual(said, known)
            self.assertEqual(pod["annotations"]["dapr.io/enabled"], "true")

    def test_all_three_ways_say_the_same(self):
        run, services, rendered = run_file(), compose()["services"], build("k8s/base")
        for app in run["apps"]:
            name, common = app["appID"], run["common"]
            wanted = {
                "app-id": name,
                "app-port": str(app["appPort"]),
                "app-protocol": common["appProtocol"],
                "enable-app-health-check": common["enableAppHealthCheck"],
                "app-health-check-path": common["appHealthCheckPath"],
                "app-health-probe-interval": str(common["appHealthProbeInterval"]),
                "app-health-probe-timeout": str(common["appHealthProbeTimeout"]),
                "app-health-threshold": str(common["appHealthThreshold"]),
            }
            said = template(one(rendered, "Deployment", name))["metadata"]["annotations"]
            in_cluster = {key: said[f"dapr.io/{key}"] for key in wanted}
            in_cluster["enable-app-health-check"] = in_cluster["enable-app-health-check"] == "true"
            self.assertEqual(in_cluster, wanted)
            self.assertEqual(said["dapr.io/config"], one(rendered, "Configuration", "callboard")["metadata"]["name"])
            own = [arguments(s["command"])[0] for s in services.values() if (s.get("command") or [""])[0] == "./daprd"]
            own = [given for given in own if given["app-id"] == name]
            self.assertTrue(own)
            for given in own:
                self.assertEqual({key: given.get(key) for key in wanted}, wanted)

    def test_the_apps_are_started_as_the_run_file_starts_them(self):
        """Role, callbacks' port and agents; only addresses are the place's own."""
        rendered, services = build("k8s/base"), compose()["services"]
        for app in run_file()["apps"]:
            name, (_, *command) = app["appID"], app["command"]
            wanted, words = arguments(command)
            in_cluster = template(one(rendered, "Deployment", name))["spec"]["containers"][0]["args"]
            commands = [
                in_cluster,
                *(
                    s["command"]
                    for s in services.values()
                    if ["--role", wanted["role"]] == (s.get("command") or [])[1:3]
                ),
            ]
            self.assertGreaterEqual(len(commands), 2)
            for said in commands:
                given, said_words = arguments(said)
                self.assertEqual((said_words, given["role"]), (words, wanted["role"]))
                self.assertEqual(given["app-port"], str(app["appPort"]))
                self.assertTrue(given["agents"].endswith("/agents.yaml"))
                self.assertLessEqual(set(given) - {"config"}, set(wanted) | {"app-port", "agents"})

    def test_files_that_are_named_are_mounted(self):
        rendered = build("k8s/base")
        maps = {d["metadata"]["name"]: d["data"] for d in rendered if d["kind"] == "ConfigMap"}
        for name in APPS:
            spec = template(one(rendered, "Deployment", name))["spec"]
            given, _ = arguments(spec["containers"][0]["args"])
            sources = {v["name"]: v for v in spec["volumes"]}
            held = {}
            for mount in spec["containers"][0]["volumeMounts"]:
                volume = sources[mount["name"]]
                held[mount["mountPath"]] = list(maps[volume["configMap"]["name"]]) if "configMap" in volume else None
            self.assertEqual(held[given["config"]], ["callboard.toml"])
            folder, _, file = given["agents"].rpartition("/")
            self.assertEqual(held[folder], [file])
            self.assertIsNone(held["/var/lib/callboard"])

    def test_probes_ask_routes_that_are_there(self):
        paths = set(json.loads((ROOT / "docs/openapi.json").read_text())["paths"])
        for name in APPS:
            container = template(one(build("k8s/base"), "Deployment", name))["spec"]["containers"][0]
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                self.assertIn(container[probe]["httpGet"]["path"], paths)
                self.assertEqual(container[probe]["httpGet"]["port"], 8080)

    def test_tokens_go_both_ways_between_an_app_and_its_sidecar(self):
        rendered, services = build("k8s/base"), compose()["services"]
        for name in APPS:
            pod = template(one(rendered, "Deployment", name))
            said, env = pod["metadata"]["annotations"], pod["spec"]["containers"][0]["env"]
            given = {v["name"]: v.get("valueFrom", {}).get("secretKeyRef") for v in env}
            # The injector gives the sidecar the key `token` of these Secrets.
            self.assertEqual(given["DAPR_API_TOKEN"], {"name": said["dapr.io/api-token-secret"], "key": "token"})
            self.assertEqual(given["APP_API_TOKEN"], {"name": said["dapr.io/app-token-secret"], "key": "token"})
        for service in services.values():
            if service.get("network_mode"):
                beside = services[service["network_mode"].removeprefix("service:")]
                for token in ("DAPR_API_TOKEN", "APP_API_TOKEN"):
                    self.assertTrue(service["environment"][token])
                    self.assertEqual(service["environment"][token], beside["environment"][token])

    def test_the_sidecars_apis_are_the_pods_own(self):
        for name in APPS:
            said = template(one(build("k8s/base"), "Deployment", name))["metadata"]["annotations"]
            self.assertEqual(sidecar.listens(said), ["[::1]", "127.0.0.1"])
            self.assertEqual(sidecar.ports(said)["internal"], 50002)
            self.assertEqual(sidecar.ports(said)["metrics"], 9090)

    def test_flags_are_ones_that_the_programs_have(self):
        seen = set()
        for service in compose()["services"].values():
            program = (service.get("command") or [""])[0].removeprefix("./")
            if program in ("daprd", "placement", "scheduler"):
                seen.add(program)
                given, words = arguments(service["command"])
                self.assertEqual(words, [f"./{program}"])
                self.assertLessEqual(set(given), flags(program), program)
        self.assertEqual(seen, {"daprd", "placement", "scheduler"})

    def test_a_stop_leaves_time_for_each_part(self):
        for name in APPS:
            pod = template(one(build("k8s/base"), "Deployment", name))
            said, container = pod["metadata"]["annotations"], pod["spec"]["containers"][0]
            hidden = container["lifecycle"]["preStop"]["sleep"]["seconds"]
            drain, linger = _drain(), 5
            blocked = int(said["dapr.io/block-shutdown-duration"].removesuffix("s"))
            graceful = int(said["dapr.io/graceful-shutdown-seconds"])
            self.assertGreaterEqual(blocked, hidden + drain + linger)
            self.assertGreaterEqual(pod["spec"]["terminationGracePeriodSeconds"], blocked + graceful)


def _drain():
    text = (ROOT / "k8s/base/callboard.toml").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("drain =")]
    return int(line.split('"')[1].removesuffix("s"))


if __name__ == "__main__":
    unittest.main()
