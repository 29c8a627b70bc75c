"""The image is built from what is there, by a compiler that fits; every image has a version."""

import json
import re
import shutil
import subprocess
import tempfile
import tomllib
import unittest
from pathlib import Path, PurePosixPath

from sources import OVERLAYS, ROOT, build, compose, template, workloads

DOCKERFILE = ROOT / "Dockerfile"


def instructions():
    """The Dockerfile as (instruction, rest), continued lines joined."""
    joined = re.sub(r"\\\n", " ", DOCKERFILE.read_text())
    lines = [line.strip() for line in joined.splitlines()]
    return [tuple(line.split(None, 1)) for line in lines if line and not line.startswith("#")]


def stages():
    """Name or number of each stage, and its instructions."""
    found = []
    for instruction, rest in instructions():
        if instruction == "FROM":
            image, _, name = rest.partition(" AS ")
            found.append((name or "last", image, []))
        else:
            found[-1][2].append((instruction, rest))
    return found


def _pattern(text):
    """A line of .dockerignore as a regular expression over a path and what is below it."""
    made = ""
    for part in re.split(r"(\*\*/|\*\*|\*|\?)", text):
        made += {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part))
    return re.compile(f"^{made}(?:/.*)?$")


def in_context(path):
    """Whether a file of the repository is sent to the build: the last line that fits it decides."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        line = line.strip()
        if line and not line.startswith("#") and _pattern(line.lstrip("!").strip("/")).match(path):
            sent = line.startswith("!")
    return sent


def tracked():
    # What is not committed yet counts, what Git passes over does not.
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted(set(listed.stdout.splitlines()))


def images():
    """Every image that is named, with where."""
    for overlay in OVERLAYS:
        for document in workloads(build(overlay)):
            for container in template(document)["spec"]["containers"]:
                yield f"{overlay} {document['metadata']['name']}", container["image"]
    for name, service in compose()["services"].items():
        yield f"compose {name}", service["image"]


class Images(unittest.TestCase):
    def test_every_image_has_a_full_version(self):
        names = {}
        for where, image in images():
            name, _, tag = image.partition(":")
            self.assertRegex(tag, r"^\d+\.\d+\.\d+(-[a-z0-9-]+)?$", f"{where}: {image}")
            names.setdefault(name, set()).add(tag)
        # One version of each, wherever it is named.
        self.assertEqual({name: tags for name, tags in names.items() if len(tags) > 1}, {})

    def test_ours_has_the_version_of_the_workspace(self):
        version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
        ours = {image for _, image in images() if image.startswith("callboard:")}
        self.assertEqual(ours, {f"callboard:{version}"})
        self.assertIn(("ARG", f"VERSION={version}"), instructions())

    def test_dapr_is_a_release_that_is_safe_and_the_one_that_is_checked(self):
        tags = {image.split(":")[1] for _, image in images() if image.startswith("daprio/")}
        (tag,) = tags
        self.assertGreaterEqual(tuple(map(int, tag.split("."))), (1, 18, 3))
        self.assertIn(f"github.com/dapr/dapr@v{tag}", (ROOT / "scripts/manifests-ensure").read_text())
        self.assertIn(f"--version {tag} ", (ROOT / "k8s/dapr-values.yaml").read_text())


class Dockerfile(unittest.TestCase):
    def test_bases_are_pinned_by_their_hash(self):
        own = {name for name, _, _ in stages()}
        foreign = [image for _, image, _ in stages() if image not in own]
        self.assertEqual(len(foreign), 2)
        for image in foreign:
            self.assertRegex(image, r"^[a-z0-9./-]+:[a-z0-9.-]+@sha256:[0-9a-f]{64}$")

    def test_the_compiler_is_the_images_own_and_fits(self):
        (image,) = [image for _, image, _ in stages() if image.startswith("rust:")]
        version = re.match(r"rust:(\d+\.\d+\.\d+)-", image)[1]
        self.assertIn(("ENV", f"RUSTUP_TOOLCHAIN={version}"), instructions())
        wanted = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["rust-version"]
        self.assertGreaterEqual(tuple(map(int, version.split("."))), tuple(map(int, wanted.split("."))))
        channel = tomllib.loads((ROOT / "rust-toolchain.toml").read_text())["toolchain"]["channel"]
        if channel != "stable":
            self.assertEqual(channel, version)

    def test_builder_and_image_are_of_one_debian(self):
        """A newer glibc than the image's would not load."""
        names = [image for _, image, _ in stages()]
        self.assertTrue(
            any("-trixie@" in image for image in names) and any("-debian13:" in image for image in names), names
        )

    def test_dependencies_are_built_before_the_sources_are_there(self):
        (build_stage,) = [steps for name, _, steps in stages() if name == "build"]
        said = [f"{i} {r}" for i, r in build_stage]
        cook = next(n for n, line in enumerate(said) if "cargo chef cook" in line)
        sources = next(n for n, line in enumerate(said) if line == "COPY . .")
        make = next(n for n, line in enumerate(said) if "cargo build" in line)
        self.assertTrue(cook < sources < make)
        for line in (said[cook], said[make]):
            for word in ("--locked", "--profile dist", "--package callboard"):
                self.assertIn(word, line)
        profiles = tomllib.loads((ROOT / "Cargo.toml").read_text())["profile"]
        self.assertIn("dist", profiles)
        self.assertTrue(any("target/dist/callboard" in line for line in said))

    def test_the_image_runs_as_a_number_without_a_shell(self):
        _, image, steps = stages()[-1]
        self.assertIn("/distroless/", image)
        self.assertEqual([r for i, r in steps if i == "USER"], ["65532:65532"])
        self.assertFalse([r for i, r in steps if i in ("RUN", "SHELL", "HEALTHCHECK", "ADD", "VOLUME")])
        (entry,) = [json.loads(r) for i, r in steps if i == "ENTRYPOINT"]
        self.assertEqual(entry, ["/usr/local/bin/callboard"])
        labels = " ".join(r for i, r in steps if i == "LABEL")
        for label in ("title", "description", "licenses", "version", "revision"):
            self.assertIn(f"org.opencontainers.image.{label}=", labels)
        # The user and the folder are those that the manifests say.
        for overlay in OVERLAYS:
            for document in workloads(build(overlay)):
                spec = template(document)["spec"]
                if spec["containers"][0]["image"].startswith("callboard:"):
                    self.assertEqual(spec["securityContext"]["runAsUser"], 65532)
        # Not above the data, which would then be a folder that was merely found.
        self.assertEqual([r for i, r in steps if i == "WORKDIR"], ["/home/nonroot"])
        # The program is root's and the folder is not.
        copies = [r for i, r in steps if i == "COPY"]
        self.assertEqual(
            copies,
            ["--from=build /image/bin/ /usr/local/bin/", "--from=build --chown=65532:65532 /image/lib/ /var/lib/"],
        )
        made = " ".join(r for name, _, steps in stages() if name == "build" for i, r in steps if i == "RUN")
        self.assertIn("target/dist/callboard /image/bin/callboard", made)
        self.assertIn("install -d -m 700 /image/lib/callboard", made)


class Context(unittest.TestCase):
    def test_what_the_sources_take_in_is_sent(self):
        """Files that are compiled in, and everything that Cargo wants to see of the workspace."""
        wanted = set()
        sources = [
            p for p in tracked() if p.endswith(".rs") and p.startswith(("actors/", "crates/")) and "/tests" not in p
        ]
        for file in sources:
            for path in re.findall(r'include_(?:str|bytes|dir)!\(\s*"([^"]+)"', (ROOT / file).read_text()):
                target = (PurePosixPath(file).parent / path).as_posix()
                wanted.add((ROOT / target).resolve().relative_to(ROOT).as_posix())
        self.assertGreater(len(wanted), 8)
        missing = {path for path in wanted if not in_context(path)}
        self.assertEqual(missing, set())
        self.assertTrue(in_context("Cargo.lock") and in_context(".cargo/config.toml"))

    def test_nothing_else_is_sent(self):
        for path in (
            ".git/HEAD",
            ".env",
            "secrets.env",
            "target/debug/callboard",
            "docs/api.md",
            "README.md",
            "data/catalog.db",
            "compose.yaml",
            "k8s/base/dapr.yaml",
            "kong/consumers.yaml",
            ".cache/dapr/daprd",
            "crates/core/target/x",
        ):
            self.assertFalse(in_context(path), path)

    def test_cargo_understands_the_workspace_in_it(self):
        with tempfile.TemporaryDirectory() as folder:
            for path in tracked():
                if in_context(path) and (ROOT / path).is_file():
                    target = Path(folder) / path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(ROOT / path, target)
            command = ["cargo", "metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"]
            made = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            self.assertEqual(made.returncode, 0, made.stderr)
            self.assertIn("callboard", {package["name"] for package in json.loads(made.stdout)["packages"]})


if __name__ == "__main__":
    unittest.main()
