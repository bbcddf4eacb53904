"""Lists what the program and its components are made of, as a CycloneDX document.

    supply/sbom.py OUT.json

It names every crate that `cargo` compiles into `qualm`, the detector's component and the command's, for Linux on x86-64, with
its licence, its digest and what it needs itself; and the script that the live page brings along. What is written is checked:
against CycloneDX's own schema, and against the crates that `cargo tree` names.
"""

import json
import re
import subprocess
import sys
import tomllib
from hashlib import sha256
from pathlib import Path

from cyclonedx.contrib.hash.factories import HashTypeFactory
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

ROOT = Path(__file__).resolve().parent.parent
# Each with what it is compiled for.
PROGRAMS = {
    "qualm": "x86_64-unknown-linux-gnu",
    "qualm-detector": "wasm32-unknown-unknown",
    "qualm-cli": "wasm32-unknown-unknown",
}


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments, "--locked"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def digests():
    """The digest of each crate from elsewhere, by name and version."""
    packages = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    return {(one["name"], one["version"]): one["checksum"] for one in packages if "checksum" in one}


def needed(name, target):
    """The packages of a program, and what each of them needs in it: no tests, and nothing that only runs while compiling."""
    told = json.loads(cargo("metadata", "--format-version", "1", "--filter-platform", target))
    packages = {one["id"]: one for one in told["packages"]}
    nodes = {one["id"]: one for one in told["resolve"]["nodes"]}
    first = next(one["id"] for one in packages.values() if one["name"] == name)
    found, left = {}, [first]
    while left:
        one = left.pop()
        if one not in found:
            needs = [dep["pkg"] for dep in nodes[one]["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]
            found[one] = needs
            left += needs
    return first, {one: (packages[one], needs) for one, needs in found.items()}


def component(package, digest, kind):
    name, version = package["name"], package["version"]
    licence = package["license"].replace("/", " OR ")
    return Component(
        type=kind,
        name=name,
        version=version,
        description=package["description"],
        licenses=[LicenseFactory().make_from_string(licence)],
        hashes=[HashTypeFactory().from_hashlib_alg("sha256", digest)] if digest else [],
        purl=PackageURL("cargo", name=name, version=version) if digest else None,
        bom_ref=f"{name}@{version}",
    )


def plot():
    """The one script of the live page that others wrote."""
    vendor = ROOT / "http/src/live/vendor"
    version = re.search(r"uPlot (\S+)", (vendor / "README.md").read_text()).group(1)
    found = {"name": "uPlot", "version": version, "license": "MIT", "description": "Draws the live page's charts"}
    made = component(found, sha256((vendor / "uPlot.iife.min.js").read_bytes()).hexdigest(), ComponentType.LIBRARY)
    made.purl = PackageURL("npm", name="uplot", version=version)
    return made


def bom():
    digest = digests()
    document, components = Bom(), {}
    graph = {}
    for program, target in PROGRAMS.items():
        first, found = needed(program, target)
        for one, (package, needs) in found.items():
            if one not in components:
                kind = ComponentType.APPLICATION if one == first else ComponentType.LIBRARY
                components[one] = component(package, digest.get((package["name"], package["version"])), kind)
            graph.setdefault(one, set()).update(needs)
        if program == "qualm":
            document.metadata.component = components[first]
            main = first
        else:
            graph[main].add(first)  # it is carried within
    components["uPlot"] = plot()
    graph[main].add("uPlot")
    for one, made in components.items():
        if one != main:
            document.components.add(made)
        document.register_dependency(made, [components[need] for need in graph.get(one, ())])
    return document


def check(text):
    """Against the schema, and against what cargo says a second time in another way."""
    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if wrong is not None:
        sys.exit(f"sbom.py: it is not as CycloneDX's schema has it: {wrong}")
    told = json.loads(text)
    listed = {one["bom-ref"] for one in [told["metadata"]["component"], *told["components"]]}
    for program, target in PROGRAMS.items():
        tree = cargo("tree", "--package", program, "--target", target, "--edges", "normal", "--prefix", "none")
        crates = {"@".join(line.split()[:2]).replace("@v", "@") for line in tree.splitlines() if line}
        missing = crates - listed
        if missing or not crates:
            sys.exit(f"sbom.py: of {program} it lacks {', '.join(sorted(missing)) or 'all'}")
    return len(listed)


def main():
    out = Path(sys.argv[1])
    text = JsonV1Dot6(bom()).output_as_string(indent=2)
    count = check(text)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text + "\n")
    print(f"{out}: {count} components, as CycloneDX 1.6 has them")


main()
