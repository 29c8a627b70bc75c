"""Each command of the two pages is one that the files support: what it names is there, by that name."""

import re
import shlex
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import yaml
from sources import MADE, OVERLAYS, ROOT, build, compose, template, workloads

PAGES = ["docs/kubernetes.md", "docs/compose.md"]
OVERLAY = "k8s/overlays/dev"
PROGRAMS = {"kubectl", "kustomize", "docker", "helm", "curl", "cp", "git", "callboard"}


def text(page):
    return (ROOT / page).read_text()


def commands(page):
    """The lines of indented blocks and the inline pieces that begin with a program, as words."""
    joined = re.sub(r"\\\n\s+", " ", text(page))
    # A piece that was wrapped goes on in the next line.
    pieces = [re.sub(r"\s+", " ", piece) for piece in re.findall(r"`([^`]+)`", joined)]
    pieces += [line.strip() for line in joined.splitlines() if line.startswith("    ")]
    found = []
    for piece in pieces:
        inner = re.fullmatch(r"\(cd \S+ && (.*)\)", piece)
        piece = inner[1] if inner else piece
        if piece.split(" ")[0] in PROGRAMS and " " in piece:
            found.append(shlex.split(piece))
    assert len(found) > 10, page
    return found


def secrets():
    """By name, the keys that the manifests ask of a Secret."""
    found = {}

    def look(value):
        if isinstance(value, dict):
            if isinstance(reference := value.get("secretKeyRef"), dict):
                found.setdefault(reference["name"], set()).add(reference["key"])
            value = value.values()
        if isinstance(value, (list, type({}.values()))):
            for inner in value:
                look(inner)

    look(build(OVERLAY))
    for document in workloads(build(OVERLAY)):
        said = template(document)["metadata"].get("annotations") or {}
        for annotation in ("dapr.io/api-token-secret", "dapr.io/app-token-secret"):
            if annotation in said:
                found.setdefault(said[annotation], set()).add("token")
    return found


class Kubernetes(unittest.TestCase):
    page = "docs/kubernetes.md"

    def test_secrets_of_the_page_are_those_that_the_manifests_ask_for(self):
        made = {}
        for words in commands(self.page):
            if words[0] == "kubectl" and "secret" in words and "create" in words:
                keys = {w.split("=")[1] for w in words if w.startswith("--from-literal=")}
                made[words[words.index("generic") + 1]] = keys
        self.assertEqual(made, secrets())

    def test_what_kubectl_names_is_there(self):
        rendered = build(OVERLAY)
        rendered += [d for d in build("k8s/overlays/production") if d["kind"] == "CronJob"]
        known = {f"{d['kind'].lower()}/{d['metadata']['name']}" for d in rendered}
        containers = {c["name"] for d in workloads(rendered) for c in template(d)["spec"]["containers"]} | {"daprd"}
        seen = 0
        for words in commands(self.page):
            if words[0] != "kubectl":
                continue
            for number, word in enumerate(words):
                if word.startswith(("deployment/", "job/")):
                    self.assertIn(word, known)
                    seen += 1
                if word.startswith("--from=cronjob/"):
                    self.assertIn(word.removeprefix("--from="), known)
                if words[number - 1] == "delete":
                    self.assertIn(f"{word}/{words[number + 1]}", known)
                if words[number - 1] == "create" and word == "job":
                    known.add(f"job/{words[number + 1]}")
                if word == "-n":
                    self.assertIn(words[number + 1], {"callboard", "kong"})
                if word == "-c":
                    self.assertIn(words[number + 1], containers)
                if word == "-k":
                    self.assertTrue((ROOT / words[number + 1] / "kustomization.yaml").is_file(), word)
                    self.assertIn(words[number + 1], OVERLAYS)
                if word == "-l":
                    key, value = words[number + 1].split("=")
                    picked = [d["kind"] for d in rendered if d["metadata"].get("labels", {}).get(key) == value]
                    self.assertEqual(picked, ["Job"])
        self.assertGreater(seen, 8)

    def test_files_and_folders_are_there(self):
        for folder in re.findall(r"\(cd (\S+) &&", text(self.page)):
            self.assertTrue((ROOT / folder / "kustomization.yaml").is_file())
        for words in commands(self.page):
            for number, word in enumerate(words):
                if word == "--values":
                    self.assertTrue((ROOT / words[number + 1]).is_file())
                if word.startswith("@"):
                    self.assertTrue((ROOT / word[1:]).is_file())

    def test_the_image_can_be_set_as_the_page_says(self):
        said = [words[1:] for words in commands(self.page) if words[0] == "kustomize"]
        self.assertEqual([words[:3] for words in said], [["edit", "set", "image"]] * 2)
        for overlay in OVERLAYS[1:]:
            with tempfile.TemporaryDirectory() as folder:
                for name in ("k8s", "config"):
                    shutil.copytree(ROOT / name, Path(folder) / name)
                subprocess.run([MADE / "kustomize", *said[0]], cwd=Path(folder) / overlay, check=True)
                built = subprocess.run(
                    [MADE / "kustomize", "build", Path(folder) / overlay], capture_output=True, text=True, check=True
                )
                named = [
                    container["image"]
                    for document in workloads([d for d in yaml.safe_load_all(built.stdout) if d])
                    for container in template(document)["spec"]["containers"]
                ]
                wanted = said[0][3].removeprefix("callboard=")
                self.assertEqual([image for image in named if "callboard" in image], [wanted] * 3)

    def test_names_of_services_outside_are_ours(self):
        for words in commands(self.page):
            if "externalname" in words:
                name, target = words[words.index("externalname") + 1], words[words.index("--external-name") + 1]
                self.assertEqual(target, f"{name}.callboard.svc.cluster.local")
                self.assertIn(target, (ROOT / "k8s/base/callboard.toml").read_text())


class Compose(unittest.TestCase):
    page = "docs/compose.md"

    def test_what_docker_compose_names_is_there(self):
        services = compose()["services"]
        profiles = {p for s in services.values() for p in s.get("profiles") or []}
        takes_services = {"up", "run", "restart", "kill", "logs"}
        seen = set()
        for words in commands(self.page):
            if words[:2] != ["docker", "compose"]:
                continue
            rest = words[2:]
            if rest[0] == "--profile":
                self.assertIn(rest[1], profiles)
                rest = rest[2:]
            seen.add(rest[0])
            named = [word for word in rest[1:] if not word.startswith("--")]
            if rest[0] == "run":
                named = named[:1]
            if rest[0] in takes_services:
                self.assertLessEqual(set(named), set(services), rest)
        self.assertLessEqual({"up", "run", "build", "ps", "logs", "down"}, seen)

    def test_ports_are_published(self):
        published = {int(p["published"]) for s in compose()["services"].values() for p in s.get("ports") or []}
        named = {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", text(self.page))}
        self.assertEqual(named, published)

    def test_files_are_there(self):
        for words in commands(self.page):
            if words[0] == "cp":
                self.assertTrue((ROOT / words[1]).is_file())
                self.assertIn(words[2], (ROOT / ".gitignore").read_text().splitlines())
            for word in words:
                if word.startswith("@"):
                    self.assertTrue((ROOT / word[1:]).is_file())


class Both(unittest.TestCase):
    def test_paths_that_are_named_are_there(self):
        for page in PAGES:
            for path in re.findall(r"`((?:k8s|kong|config|dapr|components)/[A-Za-z0-9_./-]+)`", text(page)):
                self.assertTrue((ROOT / path).exists(), f"{page}: {path}")


if __name__ == "__main__":
    unittest.main()
