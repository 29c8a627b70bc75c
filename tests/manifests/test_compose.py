"""The Compose file is one that Compose takes, starts what it should in the order it should, and shows nothing to others."""

import re
import tempfile
import unittest
from pathlib import Path

import yaml
from sources import ENVIRONMENT, ROOT, arguments, build, compose, one

APPS = {"workflow-1": "workflow-service", "workflow-2": "workflow-service", "ai": "ai-service"}
CONTROL = {"placement": "50005", "scheduler": "50006"}


class File(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.all = compose()
        cls.services = cls.all["services"]

    def test_the_processes_are_two_for_workflows_one_for_agents_and_what_they_need(self):
        beside = {f"{name}-dapr" for name in APPS}
        self.assertEqual(
            set(self.services), {*APPS, *beside, "migrate", "placement", "scheduler", "redis", "postgres", "kong"}
        )
        self.assertEqual({n for n, s in self.services.items() if s.get("profiles")}, {"kong"})

    def test_an_app_and_its_sidecar_are_on_one_loopback(self):
        """Callbacks are bound to it. The sidecar owns the network, so it is there before the app and after it."""
        for name, app_id in APPS.items():
            app, beside = self.services[name], self.services[f"{name}-dapr"]
            self.assertEqual(app["network_mode"], f"service:{name}-dapr")
            self.assertEqual(app["depends_on"][f"{name}-dapr"]["condition"], "service_started")
            self.assertNotIn("networks", app)
            self.assertNotIn("ports", app)
            given, _ = arguments(beside["command"])
            self.assertEqual(given["app-id"], app_id)
            self.assertEqual(given["app-port"], arguments(app["command"])[0]["app-port"])
            self.assertNotIn("dapr-listen-addresses", given)
            self.assertIn(app_id, beside["networks"]["edge"]["aliases"])

    def test_each_waits_for_what_it_needs(self):
        for name in APPS:
            waits = {n: d["condition"] for n, d in self.services[name]["depends_on"].items()}
            self.assertEqual(waits["migrate"], "service_completed_successfully")
            self.assertEqual(waits["postgres"], "service_healthy")
            waits = {n: d["condition"] for n, d in self.services[f"{name}-dapr"]["depends_on"].items()}
            self.assertEqual(
                waits, {"redis": "service_healthy", "placement": "service_started", "scheduler": "service_started"}
            )
        self.assertEqual(self.services["migrate"]["depends_on"]["postgres"]["condition"], "service_healthy")
        for service in self.services.values():
            for name, wanted in (service.get("depends_on") or {}).items():
                if wanted["condition"] == "service_healthy":
                    self.assertIn("test", self.services[name]["healthcheck"], name)

    def test_addresses_lead_to_a_service_and_its_port(self):
        for name in APPS:
            given, _ = arguments(self.services[f"{name}-dapr"]["command"])
            for control, port in CONTROL.items():
                self.assertEqual(given[f"{control}-host-address"], f"{control}:{port}")
                self.assertEqual(arguments(self.services[control]["command"])[0]["port"], port)
            self.assertEqual(self.services[f"{name}-dapr"]["environment"]["REDIS_HOST"], "redis:6379")
        for name in (*APPS, "migrate"):
            url = self.services[name]["environment"]["CALLBOARD__CATALOG__URL"]
            store = self.services["postgres"]["environment"]
            wanted = (
                f"postgres://{store['POSTGRES_USER']}:{store['POSTGRES_PASSWORD']}@postgres:5432/{store['POSTGRES_DB']}"
            )
            self.assertEqual(url, wanted)

    def test_nothing_is_published_but_on_loopback(self):
        published = {}
        for name, service in self.services.items():
            for port in service.get("ports") or []:
                self.assertEqual(port["host_ip"], "127.0.0.1", name)
                published[name] = port["target"]
        listened = {f"{n}-dapr": int(arguments(self.services[n]["command"])[0]["listen"].rsplit(":")[-1]) for n in APPS}
        self.assertEqual(published, {n: listened[n] for n in ("workflow-1-dapr", "workflow-2-dapr")} | {"kong": 8000})

    def test_stores_and_control_plane_are_on_a_network_without_a_way_out(self):
        self.assertIs(self.all["networks"]["inner"]["internal"], True)
        for name in ("redis", "postgres", "placement", "scheduler", "migrate"):
            self.assertEqual(set(self.services[name]["networks"]), {"inner"})
        self.assertEqual(set(self.services["kong"]["networks"]), {"edge"})

    def test_our_containers_may_do_little(self):
        for name in (*APPS, *(f"{n}-dapr" for n in APPS), "migrate"):
            service = self.services[name]
            self.assertIs(service["read_only"], True, name)
            self.assertEqual(service["cap_drop"], ["ALL"], name)
            self.assertEqual(service["security_opt"], ["no-new-privileges:true"], name)
            self.assertFalse(service.get("privileged"), name)

    def test_what_must_last_is_in_volumes(self):
        mounted = {
            v["target"]: v["source"]
            for s in self.services.values()
            for v in s.get("volumes") or []
            if v["type"] == "volume"
        }
        for target, volume in {"/data": "redis", "/var/lib/postgresql": "postgres", "/var/lock": "scheduler"}.items():
            self.assertEqual(mounted[target], volume)
        given, _ = arguments(self.services["scheduler"]["command"])
        self.assertTrue(given["etcd-data-dir"].startswith("/var/lock/"))
        for name in APPS:
            (data,) = [v for v in self.services[name]["volumes"] if v["type"] == "volume"]
            self.assertEqual(data["target"], "/var/lib/callboard")
            self.assertTrue(
                self.services[name]["environment"]["CALLBOARD__DATA__DIR"].startswith("/var/lib/callboard/")
            )
        for service in self.services.values():
            for volume in service.get("volumes") or []:
                if volume["type"] == "bind":
                    self.assertTrue(Path(volume["source"]).exists(), volume["source"])
                    self.assertIs(volume["read_only"], True)

    def test_a_stop_leaves_time_for_the_calls_under_way(self):
        for name in APPS:
            self.assertGreaterEqual(int(self.services[name]["stop_grace_period"].removesuffix("s")), 20 + 5)

    def test_no_secret_stands_in_the_file_and_each_must_be_given(self):
        text = (ROOT / "compose.yaml").read_text()
        for value in ENVIRONMENT.values():
            self.assertNotIn(value, text)
        example = {
            line.split("=")[0]
            for line in (ROOT / ".env.example").read_text().splitlines()
            if "=" in line and line[0] != "#"
        }
        used = set(re.findall(r"\$\{(\w+)", text))
        self.assertEqual(example, used)
        for line in (ROOT / ".env.example").read_text().splitlines():
            self.assertTrue(line == "" or line.startswith("#") or line.endswith("="), line)
        for name in ENVIRONMENT:
            left = {n: v for n, v in ENVIRONMENT.items() if n != name}
            with self.assertRaisesRegex(ValueError, f"{name}.*set it in .env"):
                compose(left)
        ignored = (ROOT / ".gitignore").read_text().splitlines()
        self.assertLessEqual({".env", "secrets.env", "kong/consumers.yaml"}, set(ignored))
        self.assertIn("**/.env", (ROOT / ".dockerignore").read_text().splitlines())

    def test_mistakes_in_the_file_are_noticed(self):
        text = (ROOT / "compose.yaml").read_text()
        for right, wrong in (
            ("networks: [inner]", "networks: [innner]"),
            ("- redis:/data", "- rediss:/data"),
            ("postgres: {condition: service_healthy}", "postgres: {condition: healthy}"),
            ("restart: unless-stopped", "restarts: unless-stopped"),
            ("network_mode: service:ai-dapr", "network_mode: service:ai-sidecar"),
        ):
            self.assertIn(right, text)
            with tempfile.NamedTemporaryFile("w", suffix=".yaml", dir=ROOT / ".cache") as broken:
                broken.write(text.replace(right, wrong, 1))
                broken.flush()
                with self.assertRaises(ValueError, msg=wrong):
                    compose(path=broken.name)


class Kong(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        text = (ROOT / "kong/kong.yaml").read_text()
        cls.config = yaml.safe_load(text)
        # As the container joins them.
        cls.joined = yaml.safe_load(text + (ROOT / "kong/consumers.example.yaml").read_text())
        cls.services = {s["name"]: s for s in cls.config["services"]}

    def plugins(self, service):
        return {p["name"]: p.get("config") or {} for p in self.services[service]["plugins"]}

    def test_routes_and_plugins_are_as_required(self):
        (route,) = self.services["workflow-service"]["routes"]
        self.assertEqual(route, {"name": "workflow-api", "paths": ["/api/v1/workflows"], "strip_path": True})
        plugins = self.plugins("workflow-service")
        self.assertEqual(set(plugins), {"key-auth", "rate-limiting"})
        self.assertEqual((plugins["rate-limiting"]["second"], plugins["rate-limiting"]["hour"]), (5, 10000))
        (route,) = self.services["ai-service"]["routes"]
        self.assertEqual((route["name"], route["paths"]), ("ai-api", ["/api/v1/ai"]))
        self.assertEqual(set(self.plugins("ai-service")), {"jwt", "cors"})

    def test_every_service_asks_who_comes(self):
        for name in self.services:
            self.assertTrue({"key-auth", "jwt"} & set(self.plugins(name)), name)

    def test_a_path_arrives_as_it_was_sent(self):
        """The route takes its path off, the URL puts it on again."""
        for service in self.services.values():
            for route in service["routes"]:
                for path in route["paths"]:
                    self.assertIs(route["strip_path"], True)
                    self.assertRegex(service["url"], rf"^http://[a-z-]+:\d+{path}$")

    def test_upstreams_are_there_in_compose_and_in_kubernetes(self):
        services, rendered = compose()["services"], build("k8s/base")
        for service in self.services.values():
            host, port = re.match(r"http://([a-z-]+):(\d+)/", service["url"]).groups()
            behind = [
                n
                for n, s in services.items()
                if host in ((s.get("networks") or {}).get("edge") or {}).get("aliases", [])
            ]
            self.assertTrue(behind, host)
            for name in behind:
                app = services[name.removesuffix("-dapr")]
                self.assertEqual(arguments(app["command"])[0]["listen"], f"0.0.0.0:{port}")
                self.assertIn(host, app["environment"]["CALLBOARD__SERVER__HOSTS"].split(","))
            ports = one(rendered, "Service", host)["spec"]["ports"]
            self.assertEqual([p["port"] for p in ports], [int(port)])

    def test_who_may_come_is_not_in_the_file_and_joins_it(self):
        self.assertEqual(set(self.config), {"_format_version", "services"})
        self.assertEqual(set(self.joined), {"_format_version", "services", "consumers"})

    def test_pages_are_named(self):
        cors = self.plugins("ai-service")["cors"]
        self.assertNotIn("*", cors["origins"])
        self.assertIs(cors["credentials"], False)


if __name__ == "__main__":
    unittest.main()
