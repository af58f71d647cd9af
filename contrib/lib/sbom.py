#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The bill of materials of a release, as SPDX 2.3 JSON: the tarball, and every
library that what was built from it is linked with, as the linker wrote it down,
with the Debian package and version that it came from.

Debian has no program that makes one of a C project; this reads the objects with
readelf, asks the dynamic loader for the files and dpkg for their packages. The
same build gives the same bytes.

usage: sbom.py --build DIR --tarball FILE --version V --commit C --epoch S
               --output FILE
"""

import argparse
import datetime
import hashlib
import json
import pathlib
import re
import subprocess

OBJECTS = (".libs/rabbitmq_consume.so", ".libs/rabbitmq_monitor.so",
           ".libs/rabbitmq_publish.so", "warren")


def output(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True,
                          check=True).stdout


def needed(path):
    """The libraries that an object names itself: {soname}."""
    return set(re.findall(r"\(NEEDED\).*\[(.+)\]", output("readelf", "-dW", path)))


def files(path):
    """What the loader would take: {soname: file}."""
    return dict(re.findall(r"^\s*(\S+) => (/\S+)", output("ldd", path), re.M))


def package_of(path):
    """The Debian package of a file, whichever way /lib is a link."""
    real = str(pathlib.Path(path).resolve())
    for name in (path, real, real.removeprefix("/usr"), f"/usr{path}"):
        found = subprocess.run(["dpkg-query", "-S", name], text=True, check=False,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if found.returncode == 0:
            return found.stdout.split(": ")[0].split(",")[0]
    raise SystemExit(f"sbom: no package has {path}")


def described(package):
    """What dpkg knows, as a dictionary."""
    fields = ("Package", "Version", "Architecture", "source:Package",
              "source:Version", "Homepage")
    form = "\\n".join(f"${{{f}}}" for f in fields)
    return dict(zip(fields, output("dpkg-query", "-W", "-f", form,
                                   package).split("\n")))


def identifier(name):
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.]", "-", name)


def library(package, sonames):
    """One package as SPDX has it."""
    known = described(package)
    purl = (f"pkg:deb/debian/{known['Package']}@{known['Version']}"
            f"?arch={known['Architecture']}").replace("+", "%2B")
    entry = {
        "name": known["Package"], "SPDXID": identifier(known["Package"]),
        "versionInfo": known["Version"], "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False, "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION", "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "LIBRARY",
        "sourceInfo": f"Debian source package {known['source:Package']} "
                      f"{known['source:Version']}; {', '.join(sorted(sonames))}",
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER",
                          "referenceType": "purl", "referenceLocator": purl}]}
    if known["Homepage"]:
        entry["homepage"] = known["Homepage"]
    return entry


def linked(build):
    """{package: {soname}} of all that is built."""
    packages = {}
    for name in OBJECTS:
        path = pathlib.Path(build) / name
        if name == "warren" and (path.parent / ".libs" / name).exists():
            path = path.parent / ".libs" / name
        where = files(path)
        for soname in needed(path):
            if soname in where:  # the loader itself has no "=>"
                packages.setdefault(package_of(where[soname]), set()).add(soname)
    return packages


def document(options):
    tarball = pathlib.Path(options.tarball)
    digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
    when = datetime.datetime.fromtimestamp(options.epoch, datetime.timezone.utc)
    ours = {
        "name": "warren", "SPDXID": "SPDXRef-warren",
        "versionInfo": options.version, "packageFileName": tarball.name,
        "downloadLocation": "NOASSERTION", "filesAnalyzed": False,
        "licenseConcluded": "MIT", "licenseDeclared": "MIT",
        "copyrightText": "Copyright (c) 2026 The Warren developers",
        "primaryPackagePurpose": "SOURCE",
        "supplier": "Organization: The Warren developers",
        "sourceInfo": f"git commit {options.commit}",
        "checksums": [{"algorithm": "SHA256", "checksumValue": digest}]}
    libraries = [library(package, sonames)
                 for package, sonames in sorted(linked(options.build).items())]
    return {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT", "name": f"warren-{options.version}",
        "documentNamespace":
            f"https://spdx.org/spdxdocs/warren-{options.version}-{digest}",
        "creationInfo": {"created": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
                         "creators": ["Organization: The Warren developers",
                                      "Tool: contrib/lib/sbom.py"]},
        "packages": [ours, *libraries],
        "relationships": [
            {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES",
             "relatedSpdxElement": "SPDXRef-warren"},
            *({"spdxElementId": "SPDXRef-warren",
               "relationshipType": "DYNAMIC_LINK",
               "relatedSpdxElement": entry["SPDXID"]} for entry in libraries)]}


def main():
    parser = argparse.ArgumentParser()
    for name in ("build", "tarball", "version", "commit", "output"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--epoch", required=True, type=int)
    options = parser.parse_args()
    made = document(options)
    if len(made["packages"]) < 2:
        raise SystemExit("sbom: nothing is linked with anything")
    with open(options.output, "w", encoding="utf-8") as f:
        json.dump(made, f, indent=2)
        f.write("\n")


if __name__ == "__main__":
    main()
