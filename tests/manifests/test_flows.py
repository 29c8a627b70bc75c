"""The network policies let through what docs/kubernetes.md says, and nothing else; each of them is needed as it is."""

import unittest

import flows
import yaml
from changes import changes
from flows import Flow, Peer
from sources import OVERLAYS, build, chart, template, workloads
from world import ELSEWHERE, OTHERS, OURS, World, policies, table

STORES = "k8s/overlays/dev"


def expected(world, grid, stores):
    return grid.bits(lambda flow: world.expected(flow, table(), stores))


class Flows(unittest.TestCase):
    def test_every_flow_is_as_the_table_says(self):
        for overlay in OVERLAYS:
            with self.subTest(overlay):
                ours, world = policies(overlay), World(build(overlay))
                grid = world.grid(ours)
                wanted = expected(world, grid, overlay == STORES)
                found = flows.allowed(flows.rows(ours + OTHERS, grid), grid)
                said = [f"let through: {flow}" for flow in grid.flows(found & ~wanted)]
                said += [f"not let through: {flow}" for flow in grid.flows(wanted & ~found)]
                self.assertEqual([], said[:20])
                # Both verdicts are there: a table of one word would hold anything.
                self.assertGreater(bin(found).count("1"), 100)
                self.assertGreater(len(grid) - bin(found).count("1"), 10_000)

    def test_every_row_of_the_table_is_met(self):
        """A row about nobody, or to a port that nobody has, would say nothing."""
        groups = {group for overlay in OVERLAYS for group in World(build(overlay)).group.values()}
        for source, target, _, _ in table():
            self.assertIn(source, groups)
            self.assertIn(target, groups)

    def test_each_change_of_a_policy_is_noticed(self):
        seen = []
        for overlay in (STORES, "k8s/overlays/production"):
            ours, world = policies(overlay), World(build(overlay))
            grid = world.grid(ours)
            wanted = expected(world, grid, overlay == STORES)
            rows = flows.rows(ours + OTHERS, grid)
            self.assertEqual(wanted, flows.allowed(rows, grid))
            count, unnoticed = 0, []
            for number, policy in enumerate(ours):
                if policy in seen:
                    continue
                seen.append(policy)
                for what, changed in changes(policy):
                    row = flows.rows([changed], grid) if changed else []
                    count += 1
                    if flows.allowed(rows[:number] + row + rows[number + 1 :], grid) == wanted:
                        unnoticed.append(f"{policy['metadata']['name']}: {what}")
            self.assertEqual([], unnoticed, f"of {count}")
            self.assertGreater(count, 20)
            print(f"{count} changes of policies of {overlay}, each noticed over {len(grid)} flows")
        self.assertEqual(len(seen), 14)


class Names(unittest.TestCase):
    """What the policies name is what is there."""

    def test_the_required_policies_are_as_required(self):
        by_name = {p["metadata"]["name"]: p["spec"] for p in policies("k8s/base")}
        self.assertEqual(by_name["default-deny-all"], {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})
        platform = {"matchLabels": {"app": "workflow-platform"}}
        self.assertEqual(
            by_name["allow-internal"],
            {"podSelector": platform, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": platform}]}]},
        )

    def test_labels_and_ports_of_the_control_plane_are_those_of_its_chart(self):
        found = {}
        for part, file in {
            "Dapr's sentry": "dapr_sentry/templates/dapr_sentry_deployment.yaml",
            "Dapr's operator": "dapr_operator/templates/dapr_operator_deployment.yaml",
            "Dapr's placement": "dapr_placement/templates/dapr_placement_statefulset.yaml",
            "Dapr's scheduler": "dapr_scheduler/templates/dapr_scheduler_statefulset.yaml",
        }.items():
            text, label = chart(f"charts/{file}"), ELSEWHERE[part][1]["app"]
            self.assertIn(f"app: {label}\n", text)
            values = yaml.safe_load(chart(f"charts/{file.split('/')[0]}/values.yaml"))["ports"]
            port = values.get("apiPort") or values.get("targetPort")
            if port is None:
                # The scheduler's is written into its template.
                port = 50006
            wanted = "{{ .Values.ports.apiPort }}" if "apiPort" in values else port
            self.assertIn(f"- containerPort: {wanted}\n", text)
            found[part] = port
        listed = {target: port for _, target, port, _ in table() if target in found}
        self.assertEqual(listed, found)

    def test_every_selector_of_ours_picks_a_pod(self):
        for overlay in OVERLAYS:
            pods = [template(d)["metadata"]["labels"] for d in workloads(build(overlay))]
            for policy in policies(overlay):
                self.assertEqual(policy["metadata"]["namespace"], OURS)
                self.assertTrue(any(flows.selects(policy["spec"]["podSelector"], labels) for labels in pods))


class Evaluator(unittest.TestCase):
    """Its own rules, by the documentation of Kubernetes."""

    def verdict(self, specs, flow):
        made = [{"metadata": {"namespace": "a"}, "spec": spec} for spec in specs]
        grid = flows.Grid([(flow.source, flow.target)], [(flow.port, flow.protocol)])
        return bool(flows.allowed(flows.rows(made, grid), grid))

    def setUp(self):
        self.web = Peer("web", "10.0.0.1", "a", (("app", "web"),), (("http", 80),))
        self.db = Peer("db", "10.0.0.2", "a", (("app", "db"),))
        self.far = Peer("far", "10.0.1.1", "b", (("app", "db"),))
        self.world = Peer("world", "1.1.1.1")

    def test_without_a_policy_all_is_open(self):
        self.assertTrue(self.verdict([], Flow(self.web, self.db, 1)))

    def test_a_selected_side_is_closed_and_the_other_is_not(self):
        deny = {"podSelector": {"matchLabels": {"app": "db"}}}
        self.assertFalse(self.verdict([deny], Flow(self.web, self.db, 1)))
        self.assertTrue(self.verdict([deny], Flow(self.db, self.web, 1)))

    def test_policies_add_up(self):
        deny = {"podSelector": {}, "policyTypes": ["Ingress"]}
        allow = {"podSelector": {}, "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}]}
        self.assertTrue(self.verdict([deny, allow], Flow(self.web, self.db, 1)))
        self.assertFalse(self.verdict([deny, allow], Flow(self.far, self.db, 1)))

    def test_namespace_and_pod_in_one_peer_are_both_needed_and_in_two_either(self):
        both = [
            {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "b"}},
                "podSelector": {"matchLabels": {"app": "web"}},
            }
        ]
        either = [{key: value} for key, value in both[0].items()]
        spec = {"podSelector": {"matchLabels": {"app": "db"}}}
        self.assertFalse(self.verdict([{**spec, "ingress": [{"from": both}]}], Flow(self.far, self.db, 1)))
        self.assertTrue(self.verdict([{**spec, "ingress": [{"from": either}]}], Flow(self.far, self.db, 1)))
        self.assertTrue(self.verdict([{**spec, "ingress": [{"from": either}]}], Flow(self.web, self.db, 1)))

    def test_a_pod_selector_means_the_policys_namespace(self):
        spec = {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]}
        self.assertTrue(self.verdict([spec], Flow(self.db, self.web, 1)))
        self.assertFalse(self.verdict([spec], Flow(self.far, self.web, 1)))

    def test_empty_rules_mean_everything_and_no_rules_nothing(self):
        self.assertTrue(self.verdict([{"podSelector": {}, "ingress": [{}]}], Flow(self.world, self.web, 1)))
        self.assertFalse(self.verdict([{"podSelector": {}, "ingress": []}], Flow(self.world, self.web, 1)))

    def test_ports_by_number_range_name_and_protocol(self):
        def spec(**port):
            return {"podSelector": {}, "ingress": [{"ports": [port]}]}

        flow = Flow(self.db, self.web, 80)
        self.assertTrue(self.verdict([spec(port=80)], flow))
        self.assertFalse(self.verdict([spec(port=81)], flow))
        self.assertFalse(self.verdict([spec(port=80, protocol="UDP")], flow))
        self.assertTrue(self.verdict([spec(port=79, endPort=80)], flow))
        self.assertTrue(self.verdict([spec(port="http")], flow))
        self.assertFalse(self.verdict([spec(port="http")], Flow(self.db, self.web, 81)))

    def test_blocks_and_their_exceptions(self):
        spec = {
            "podSelector": {},
            "policyTypes": ["Egress"],
            "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]}],
        }
        self.assertTrue(self.verdict([spec], Flow(self.web, self.world, 1)))
        self.assertFalse(self.verdict([spec], Flow(self.web, Peer("", "10.9.9.9"), 1)))
        self.assertFalse(self.verdict([spec], Flow(self.web, Peer("", "2606::1"), 1)))

    def test_a_policy_with_egress_alone_judges_both_ways_unless_it_says_which(self):
        spec = {"podSelector": {}, "egress": [{}]}
        self.assertFalse(self.verdict([spec], Flow(self.far, self.web, 1)))
        self.assertTrue(self.verdict([{**spec, "policyTypes": ["Egress"]}], Flow(self.far, self.web, 1)))


if __name__ == "__main__":
    unittest.main()
