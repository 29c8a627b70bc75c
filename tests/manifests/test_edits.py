"""The other checks can fail, too: mistakes that are easily made, one at a time in a copy of the files, each of them noticed
by the check that is for it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sources import ROOT

# fmt: off
COPIED = ["actors/src/events.rs", "actors/src/live/bus.rs", "Dockerfile", ".dockerignore", ".env.example", ".gitignore", "Cargo.toml", "compose.yaml", "rust-toolchain.toml",
          "components", "config", "dapr", "docs", "k8s", "kong", "scripts", "tests/manifests"]

WORKFLOW = "k8s/base/workflow-service.yaml"
# (file, what stands there, what somebody might write instead, the check that has to say so)
EDITS = [
    # A flag, a port, a name in one of the places only.
    ("dapr/dapr.yaml", "appPort: 8081", "appPort: 8085", "test_dapr.Sidecars.test_all_three_ways_say_the_same"),
    ("dapr/dapr.yaml", "appHealthThreshold: 3", "appHealthThreshold: 5", "test_dapr.Sidecars.test_all_three_ways_say_the_same"),
    (WORKFLOW, "dapr.io/app-protocol: http", "dapr.io/app-protocol: grpc", "test_dapr.Sidecars.test_all_three_ways_say_the_same"),
    (WORKFLOW, 'dapr.io/app-port: "8081"', 'dapr.io/app-port: "8080"', "test_dapr.Sidecars.test_all_three_ways_say_the_same"),
    ("compose.yaml", "--app-id, ai-service", "--app-id, ai", "test_dapr.Sidecars.test_all_three_ways_say_the_same"),
    (WORKFLOW, "dapr.io/graceful-shutdown-seconds", "dapr.io/graceful-shutdown", "test_dapr.Sidecars.test_annotations_are_ones_that_the_injector_knows"),
    ("compose.yaml", "--dapr-internal-grpc-port", "--internal-grpc-port", "test_dapr.Sidecars.test_flags_are_ones_that_the_programs_have"),
    ("compose.yaml", "--etcd-data-dir", "--etcd-dir", "test_dapr.Sidecars.test_flags_are_ones_that_the_programs_have"),
    (WORKFLOW, "--role, workflow", "--role, all", "test_dapr.Sidecars.test_the_apps_are_started_as_the_run_file_starts_them"),
    (WORKFLOW, "secretKeyRef: {name: app-api-token", "secretKeyRef: {name: dapr-api-token", "test_dapr.Sidecars.test_tokens_go_both_ways_between_an_app_and_its_sidecar"),
    (WORKFLOW, "dapr.io/config: callboard", "dapr.io/config: default", "test_dapr.Sidecars.test_all_three_ways_say_the_same"),
    (WORKFLOW, "dapr.io/block-shutdown-duration: 35s", "dapr.io/block-shutdown-duration: 20s", "test_dapr.Sidecars.test_a_stop_leaves_time_for_each_part"),
    ("k8s/base/callboard.toml", 'drain = "20s"', 'drain = "30s"', "test_dapr.Sidecars.test_a_stop_leaves_time_for_each_part"),
    (WORKFLOW, "path: /ready,", "path: /readyz,", "test_dapr.Sidecars.test_probes_ask_routes_that_are_there"),
    (WORKFLOW, "mountPath: /etc/callboard/agents,", "mountPath: /etc/callboard/crew,", "test_dapr.Sidecars.test_files_that_are_named_are_mounted"),
    # Components and topics.
    ("components/redis/pubsub.yaml", 'value: "30000"', 'value: "60000"', "test_dapr.Resources.test_components_are_those_of_one_machine"),
    ("k8s/base/dapr.yaml", "    - name: keyPrefix\n      value: name\n", "", "test_dapr.Resources.test_components_are_those_of_one_machine"),
    ("k8s/base/dapr.yaml", "  - workflow-service\n  - ai-service\n---", "  - workflow-service\n---", "test_dapr.Resources.test_every_resource_is_for_our_two_apps_and_nobody_else"),
    ("k8s/base/dapr.yaml", ";ai-service=callboard.tasks\"", "\"", "test_dapr.Resources.test_every_topic_is_protected_and_given_to_our_apps_only"),
    ("k8s/base/dapr.yaml", ";ai-service=callboard.tasks.dead", ";ai-service=callboard.tasks", "test_dapr.Resources.test_a_failed_message_may_be_buried_by_the_app_that_got_it"),
    ("k8s/base/dapr.yaml", "callboard.events,callboard.commands.dead,", "callboard.commands.dead,", "test_dapr.Resources.test_the_topics_are_those_of_the_program"),
    ("k8s/base/dapr.yaml", "maxRetries: 10", "maxRetries: 100", "test_dapr.Resources.test_the_policies_of_delivery_are_those_of_one_machine"),
    ("k8s/base/dapr.yaml", "defaultAction: deny", "defaultAction: allow", "test_dapr.Resources.test_service_invocation_is_denied"),
    ("k8s/stores/redis.yaml", "noeviction", "volatile-lru", "test_dapr.Resources.test_redis_keeps_what_it_acknowledged_wherever_it_is_ours"),
    ("k8s/dapr-values.yaml", "sidecarDropALLCapabilities: true", "sidecarDropALLCapabilities: false", "test_restricted.Restricted.test_every_pod_of_every_overlay_keeps_to_it"),
    # Compose.
    ("compose.yaml", 'ports: ["127.0.0.1:8080:8000"]', 'ports: ["8080:8000"]', "test_compose.File.test_nothing_is_published_but_on_loopback"),
    ("compose.yaml", "    internal: true\n", "    internal: false\n", "test_compose.File.test_stores_and_control_plane_are_on_a_network_without_a_way_out"),
    ("compose.yaml", "migrate: {condition: service_completed_successfully}", "migrate: {condition: service_started}", "test_compose.File.test_each_waits_for_what_it_needs"),
    ("compose.yaml", "network_mode: service:workflow-2-dapr", "network_mode: service:workflow-1-dapr", "test_compose.File.test_an_app_and_its_sidecar_are_on_one_loopback"),
    ("compose.yaml", "${REDIS_PASSWORD:?set it in .env}", "${REDIS_PASSWORD:-redis}", "test_compose.File.test_no_secret_stands_in_the_file_and_each_must_be_given"),
    ("compose.yaml", "@postgres:5432/callboard", "@database:5432/callboard", "test_compose.File.test_addresses_lead_to_a_service_and_its_port"),
    ("kong/kong.yaml", "second: 5", "second: 50", "test_compose.Kong.test_routes_and_plugins_are_as_required"),
    ("kong/kong.yaml", "http://ai-service:9000/api/v1/ai", "http://ai-service:9000", "test_compose.Kong.test_a_path_arrives_as_it_was_sent"),
    ("kong/kong.yaml", "http://ai-service:9000", "http://ai-service:9001", "test_compose.Kong.test_upstreams_are_there_in_compose_and_in_kubernetes"),
    # Images.
    ("k8s/stores/redis.yaml", "redis:7.4.11-alpine", "redis:latest", "test_images.Images.test_every_image_has_a_full_version"),
    ("k8s/stores/redis.yaml", "redis:7.4.11-alpine", "redis:7.4.10-alpine", "test_images.Images.test_every_image_has_a_full_version"),
    ("Cargo.toml", 'version = "0.1.0"\nedition', 'version = "0.2.0"\nedition', "test_images.Images.test_ours_has_the_version_of_the_workspace"),
    ("Dockerfile", "FROM rust:1.95.0-trixie@", "FROM rust:1.90.0-trixie@", "test_images.Dockerfile.test_the_compiler_is_the_images_own_and_fits"),
    ("Dockerfile", "--profile dist --package callboard\n#", "--release --package callboard\n#", "test_images.Dockerfile.test_dependencies_are_built_before_the_sources_are_there"),
    ("Dockerfile", "--chown=65532:65532 ", "", "test_images.Dockerfile.test_the_image_runs_as_a_number_without_a_shell"),
    ("Dockerfile", "USER 65532:65532\n", "", "test_images.Dockerfile.test_the_image_runs_as_a_number_without_a_shell"),
    ("Dockerfile", "-debian13:nonroot@", "-debian12:nonroot@", "test_images.Dockerfile.test_builder_and_image_are_of_one_debian"),
    # Shapes and references.
    ("k8s/base/ai-service.yaml", "port: 9000", "port: 8000", "test_schemas.Shape.test_deployments_are_as_required"),
    (WORKFLOW, "configMap: {name: callboard-agents}", "configMap: {name: callboard-crew}", "test_schemas.References.test_what_pods_name_is_there_or_is_a_secret_of_the_page"),
    (WORKFLOW, "valueFrom: {secretKeyRef: {name: callboard-catalog, key: url}}", "value: postgres://me:secret@db/x", "test_schemas.References.test_no_secret_is_here"),
    # The page.
    ("docs/kubernetes.md", "| platform | Redis | 6379 |", "| platform | Redis | 6379, 26379 |", "test_flows.Flows.test_every_flow_is_as_the_table_says"),
    ("docs/kubernetes.md", "--from-literal=host=redis:6379 ", "", "test_pages.Kubernetes.test_secrets_of_the_page_are_those_that_the_manifests_ask_for"),
    ("docs/kubernetes.md", "job/callboard-migrate --timeout=5m", "job/migrate --timeout=5m", "test_pages.Kubernetes.test_what_kubectl_names_is_there"),
    ("docs/compose.md", "docker compose logs workflow-1 ai", "docker compose logs workflow ai", "test_pages.Compose.test_what_docker_compose_names_is_there"),
]
# fmt: on


def noticed(edit):
    """What is wrong with the check of this edit; nothing if it fails on it, and on nothing else."""
    path, right, wrong, check = edit
    with tempfile.TemporaryDirectory() as folder:
        for name in COPIED:
            source, target = ROOT / name, Path(folder) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, target) if source.is_dir() else shutil.copyfile(source, target)
        (Path(folder) / ".cache").symlink_to(ROOT / ".cache")
        file = Path(folder) / path
        text = file.read_text()
        if right not in text:
            return f"{path} has no `{right}` any more"
        file.write_text(text.replace(right, wrong))
        command = [sys.executable, "-m", "unittest", check]
        ran = subprocess.run(
            command, cwd=Path(folder) / "tests/manifests", capture_output=True, text=True, env=os.environ
        )
        # An error is a check that broke, which is as loud but says less.
        if ran.returncode == 0 or "FAILED" not in ran.stderr:
            return f"{check} does not notice `{wrong}` in {path}: {ran.stderr[-300:]}"
    return None


class Edits(unittest.TestCase):
    def test_each_mistake_is_noticed_by_its_check(self):
        with ThreadPoolExecutor(2) as pool:
            missed = [said for said in pool.map(noticed, EDITS) if said]
        self.assertEqual([], missed)
        print(f"{len(EDITS)} mistakes, each noticed")


if __name__ == "__main__":
    unittest.main()
