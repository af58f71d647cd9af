#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A release and its RPM packages, made as their maker would make them, with a
key that is thrown away: in a clone of the commit that only bears the dates of a
release. What comes out is read by other programs than those that wrote it, and a
planted disagreement has to be refused. Nothing is tagged but in that clone.

usage: release.py --sources CLONE --work DIR --collectd-src TARBALL
                  --spdx-python PYTHON

TARBALL is the source of the collectd that is installed; PYTHON one that has
spdx-tools.
"""

import argparse
import datetime
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import installed  # noqa: E402
from rig import results  # noqa: E402

# What a build from a tarball has no need of; with these a run of one is seen.
AUTOTOOLS = ("aclocal", "aclocal-1.16", "autoconf", "autoheader", "autom4te",
             "automake", "automake-1.16", "autoreconf", "libtoolize", "perl",
             "pod2man")
SHIM = """#!/bin/sh
echo "$0 $*" >>'{log}'
exit 127
"""
SPDX_READER = """import json, sys
from spdx_tools.spdx.model.relationship import RelationshipType
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import (
    validate_full_spdx_document)
read = parse_file(sys.argv[1])
wrong = [m.validation_message for m in validate_full_spdx_document(read)]
linked = {r.related_spdx_element_id for r in read.relationships
          if r.relationship_type is RelationshipType.DYNAMIC_LINK}
json.dump({"wrong": wrong, "sums": {
    p.file_name: [c.value for c in p.checksums] for p in read.packages
    if p.checksums}, "linked": {
    p.name: [p.version, p.source_info] for p in read.packages
    if p.spdx_id in linked}}, sys.stdout)
"""
# What the packages are for, by the names that users know.
RPM_FILES = {
    "warren": {"bin/warren", "man1/warren.1", "man7/warren.7",
               "completions/warren"},
    "collectd-mod-rabbitmq": {
        *(f"collectd/{name}.so" for name in installed.OURS),
        *(f"man5/{name}.5" for name in installed.OURS)},
    "warren-doc": {"README.md", "SECURITY.md", "warren.html"}}
EXEC_S = 1800


class Disagrees(Exception):
    """What was looked at is not as it should be."""


def must(true, said):
    if not true:
        raise Disagrees(said)


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def edit(path, pattern, by):
    text = path.read_text(encoding="utf-8")
    new = re.sub(pattern, by, text, count=1, flags=re.M)
    must(new != text, f"nothing to plant in {path.name}")
    path.write_text(new, encoding="utf-8")


class Maker:
    """Who makes the release: a home and a key of his own."""

    def __init__(self, options):
        self.work = pathlib.Path(options.work).resolve()
        self.sources = pathlib.Path(options.sources).resolve()
        home = self.work / "home"
        (home / "gnupg").mkdir(parents=True, mode=0o700)
        (home / ".gitconfig").write_text(
            "[safe]\n\tdirectory = *\n[user]\n\tname = test\n"
            "\temail = test@localhost\n", encoding="utf-8")
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(home),
                            "GNUPGHOME": str(home / "gnupg"), "LC_ALL": "C",
                            "TMPDIR": str(self.work)}
        self.commit = self.git(self.sources, "rev-parse", "HEAD").strip()

    def run(self, *argv, environment=(), cwd=None):
        """(exit status, what was said)"""
        done = subprocess.run(
            [str(a) for a in argv], env={**self.environment, **dict(environment)},
            cwd=cwd, text=True, errors="replace", timeout=EXEC_S, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        return done.returncode, done.stdout

    def do(self, *argv, **how):
        """What was said by a command that has to succeed."""
        status, said = self.run(*argv, **how)
        must(status == 0, f"{argv[0]}: status {status}: {said[-3000:]}")
        return said

    def git(self, tree, *argv):
        return self.do("git", "-C", tree, *argv)

    def clone(self, name):
        """As one that is about to be released."""
        tree = self.work / name
        tree.parent.mkdir(parents=True, exist_ok=True)
        self.do("git", "clone", "-q", "--no-tags", self.sources, tree)
        self.git(tree, "checkout", "-q", "--detach", self.commit)
        edit(tree / "NEWS", r"^(\d[\d.]*) \(.*\)$",
             rf"\1 ({datetime.date.today():%Y-%m-%d})")
        edit(tree / "contrib/debian/changelog", r"\A(.*\)) \w+;", r"\1 unstable;")
        # The same commit in each clone: its time is that of the one below.
        self.settle(tree, "to be released")
        return tree

    def settle(self, tree, why):
        """Commits what was changed, as tested."""
        when = self.git(tree, "log", "-1", "--format=%ct").strip() + " +0000"
        self.do("git", "-C", tree, "commit", "-qam", why, environment={
            "GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when})
        (tree / ".git" / "warren-tested").write_text(
            self.git(tree, "rev-parse", "HEAD"), encoding="utf-8")

    def ends(self):
        self.run("gpgconf", "--kill", "all")


class Release:
    """What is shown, each step with what the earlier ones made."""

    def __init__(self, options):
        self.options = options
        self.maker = Maker(options)
        self.work = self.maker.work
        self.made = self.work / "made"
        self.figures, self.key, self.tree, self.version = {}, None, None, None

    # -- what is there -------------------------------------------------------

    def tarball(self):
        return self.made / f"warren-{self.version}.tar.xz"

    def bill(self):
        return self.made / f"warren-{self.version}.spdx.json"

    def contrib_release(self, tree, to, *argv):
        return self.maker.run("bash", tree / "contrib/release", *argv, to)

    # -- the release ---------------------------------------------------------

    def is_made(self):
        gpg = ("gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", "")
        self.maker.do(*gpg, "--quick-generate-key", "Test <test@localhost>",
                      "ed25519", "sign", "1d")
        listed = self.maker.do("gpg", "--list-keys", "--with-colons")
        self.key = re.search(r"^fpr:+([0-9A-F]+):", listed, re.M)[1]
        self.tree = self.maker.clone("clone")
        self.version = re.search(
            r"^AC_INIT\(\[warren\], \[(.*)\]\)$",
            (self.tree / "configure.ac").read_text("utf-8"), re.M)[1]
        status, said = self.contrib_release(self.tree, self.made, "--key", self.key)
        must(status == 0, said)
        there = {p.name for p in self.made.iterdir()}
        must(there == {self.tarball().name, self.bill().name, "SHA256SUMS",
                       "SHA256SUMS.asc"}, f"made {sorted(there)}")
        self.figures |= {"version": self.version,
                         "tarball_bytes": self.tarball().stat().st_size,
                         "tarball_sha256": sha256(self.tarball())}

    def is_the_same_elsewhere(self):
        """In a clone with a longer path, by somebody with other habits."""
        tree = self.maker.clone("somewhere/else/where/the/path/is/long/clone")
        self.maker.do(
            "bash", "-c", 'umask 077; . "$0/contrib/lib/build.sh" && '
            '. "$0/contrib/lib/dist.sh" && dist_make "$1/b" "$1/again"',
            tree, self.work, environment={
                "TZ": "Pacific/Kiritimati", "LC_ALL": "C.UTF-8",
                "XZ_OPT": "-1", "TAR_OPTIONS": "--owner=other"})
        again = self.work / "again" / self.tarball().name
        must(sha256(again) == sha256(self.tarball()), "it has other bytes")

    def sums_and_signature(self):
        """Good, and no longer when one byte is another."""
        sums = ("sha256sum", "--check", "--strict")
        self.maker.do(*sums, "SHA256SUMS", cwd=self.made)
        self.maker.do("gpg", "--verify", "SHA256SUMS.asc", "SHA256SUMS",
                      cwd=self.made)
        self.maker.git(self.tree, "tag", "-v", f"v{self.version}")
        must(self.maker.git(self.tree, "rev-parse", f"v{self.version}^{{commit}}")
             == self.maker.git(self.tree, "rev-parse", "HEAD"), "another is tagged")
        other = self.work / "other"
        shutil.copytree(self.made, other)
        for name in self.tarball().name, "SHA256SUMS":
            content = bytearray((other / name).read_bytes())
            content[7] ^= 1
            (other / name).write_bytes(content)
        must(self.maker.run("gpg", "--verify", "SHA256SUMS.asc", "SHA256SUMS",
                            cwd=other)[0] != 0, "a changed list is still signed")
        shutil.copy(self.made / "SHA256SUMS", other)
        must(self.maker.run(*sums, "SHA256SUMS", cwd=other)[0] != 0,
             "a changed tarball has its sum")

    def builds_without_autotools(self):
        """Nor perl, as README says."""
        shims, log = self.work / "shims", self.work / "shims.log"
        shims.mkdir()
        for name in AUTOTOOLS:
            (shims / name).write_text(SHIM.format(log=log), encoding="utf-8")
            (shims / name).chmod(0o755)
        without = {"PATH": f"{shims}:{os.environ['PATH']}"}
        self.maker.run("autoconf", "--version", environment=without)
        must(log.exists(), "the test would not see autoconf run")
        log.unlink()
        self.maker.do("tar", "-C", self.work, "-xf", self.tarball())
        unpacked = self.work / f"warren-{self.version}"
        built, root = self.work / "built", self.work / "root"
        built.mkdir()
        for argv in (unpacked / "configure", "--prefix=/usr"), \
                ("make", f"-j{os.cpu_count()}"), \
                ("make", "install", f"DESTDIR={root}"):
            self.maker.do(*argv, cwd=built, environment=without)
        must(not log.exists(), log.exists() and log.read_text("utf-8"))
        said = self.maker.do(root / "usr/bin/warren", "--version")
        must(self.version in said, said)

    # -- its bill of materials ------------------------------------------------

    def bill_is_read(self):
        """By spdx-tools, which judges it; by whom else: objdump says what is
        linked."""
        reader = self.work / "reader.py"
        reader.write_text(SPDX_READER, encoding="utf-8")
        read = json.loads(self.maker.do(self.options.spdx_python, reader,
                                        self.bill()))
        must(not read["wrong"], read["wrong"])
        must(read["sums"] == {self.tarball().name: [sha256(self.tarball())]},
             read["sums"])
        bill = json.loads(self.bill().read_text("utf-8"))
        must(f"commit {self.maker.git(self.tree, 'rev-parse', 'HEAD').strip()}"
             in bill["packages"][0]["sourceInfo"], "it names another commit")
        told = set()
        for name, (version, info) in read["linked"].items():
            here = self.maker.do("dpkg-query", "-W", "-f", "${Version}", name)
            must(version == here, f"{name} {version}, here is {here}")
            told |= set(info.split("; ")[1].split(", "))
        must(told == self.needed(), f"{sorted(told ^ self.needed())} differ")
        broken = self.work / "broken.spdx.json"
        broken.write_text(self.bill().read_text("utf-8").replace(
            '"SPDXRef-warren"', '"SPDXRef-none"', 1), encoding="utf-8")
        status, said = self.maker.run(self.options.spdx_python, reader, broken)
        must(status or json.loads(said)["wrong"], "the reader would read anything")
        self.figures["linked_with"] = {
            name: version for name, (version, _) in read["linked"].items()}

    def needed(self):
        """Sonames that what was built from the tarball names, but the loader's."""
        root = self.work / "root"
        objects = [root / "usr/bin/warren", *root.rglob("rabbitmq_*.so")]
        must(len(objects) == 4, f"installed: {objects}")
        found = set()
        for path in objects:
            found |= set(re.findall(r"^\s*NEEDED\s+(\S+)$",
                                    self.maker.do("objdump", "-p", path), re.M))
        return {name for name in found if not name.startswith("ld-linux")}

    def bill_is_the_same_of_another_build(self):
        commit = self.maker.git(self.tree, "rev-parse", "HEAD").strip()
        epoch = self.maker.git(self.tree, "log", "-1", "--format=%ct").strip()
        again = self.work / "again.spdx.json"
        self.maker.do(
            "/usr/bin/python3", self.tree / "contrib/lib/sbom.py", "--build",
            self.work / "built", "--tarball", self.tarball(), "--version",
            self.version, "--commit", commit, "--epoch", epoch, "--output", again)
        must(again.read_bytes() == self.bill().read_bytes(), "it says other things")

    # -- what is refused -------------------------------------------------------

    def refuses(self, file, pattern, by, words):
        """With another clone, in which that is planted."""
        tree, to = self.maker.clone("planted"), self.work / "planted-made"
        try:
            edit(tree / file, pattern, by)
            self.maker.settle(tree, "planted")
            status, said = self.contrib_release(tree, to, "--key", self.key)
            must(status == 1 and words in said, f"status {status}: {said[-3000:]}")
            must(not to.exists(), "something was made")
            must(not self.maker.git(tree, "tag"), "it was tagged")
        finally:
            shutil.rmtree(tree)

    def refuses_another_version(self):
        self.refuses("contrib/rpm/warren.spec", r"^Version: .*$", "Version: 9.9.9",
                     "contrib/rpm/warren.spec 9.9.9")

    def refuses_other_news(self):
        self.refuses("NEWS", r"^\d[\d.]* \(", "9.9.9 (", "NEWS 9.9.9")

    def refuses_news_without_a_date(self):
        self.refuses("NEWS", r"^(\d[\d.]*) \(.*\)$", r"\1 (not released)",
                     "has no date")

    def refuses_another_manual(self):
        """Of which a clone knows nothing: the page is made with the tarball."""
        self.refuses("Makefile.am", r'--release="\$\(PACKAGE_VERSION\)"',
                     '--release="9.9.9"', "warren.1 9.9.9")

    # -- RPM -------------------------------------------------------------------

    def rpm_is_built(self):
        to = self.work / "rpm"
        self.maker.do("bash", self.tree / "contrib/build-rpm", "--no-check",
                      "--collectd-src", self.options.collectd_src, to)
        packages = {}
        for path in to.glob("*.rpm"):
            if path.name.endswith(".src.rpm"):
                continue
            name, version = self.maker.do(
                "rpm", "-qp", "--qf", "%{NAME} %{VERSION}", path).split()
            must(version == self.version, f"{path.name} is {version}")
            packages[name] = path
        must(set(packages) == set(RPM_FILES), f"built {sorted(packages)}")
        for name, path in packages.items():
            there = re.sub(r"\.gz$", "", self.maker.do("rpm", "-qpl", path),
                           flags=re.M).split()
            for wanted in RPM_FILES[name]:
                must(any(f.endswith(f"/{wanted}") for f in there),
                     f"{path.name} has no {wanted}")
        self.figures["rpm"] = {p.name: p.stat().st_size
                               for p in sorted(packages.values())}
        self.unpack(packages.values())

    def unpack(self, packages):
        root = self.work / "rpm-root"
        root.mkdir()
        for path in packages:
            self.maker.do("bash", "-o", "pipefail", "-c",
                          'rpm2cpio "$0" | cpio -idm --quiet', path, cwd=root)

    def rpm_is_used(self):
        """Its modules in the installed collectd, its command beside them."""
        root = self.work / "rpm-root"
        modules, = {p.parent for p in root.rglob("rabbitmq_publish.so")}
        command, = root.rglob("bin/warren")
        daemons = installed.Daemons(self.work / "daemons", str(modules),
                                    str(command))
        try:
            daemons.start()
            for step in (daemons.values_travel, daemons.indicators_come,
                         daemons.command_prints, daemons.nothing_is_lost):
                said = step()
                must(not said, f"{step.__name__}: {said}")
        finally:
            daemons.close()


SHOWN = {
    "a release is made and signed": Release.is_made,
    "made elsewhere, the tarball has the same bytes": Release.is_the_same_elsewhere,
    "sums, signature and tag are good, of these bytes only":
        Release.sums_and_signature,
    "it builds without autotools and perl": Release.builds_without_autotools,
    "another reader reads the bill of materials": Release.bill_is_read,
    "another build has the same bill": Release.bill_is_the_same_of_another_build,
    "another version in the spec is refused": Release.refuses_another_version,
    "another version in NEWS is refused": Release.refuses_other_news,
    "NEWS without a date is refused": Release.refuses_news_without_a_date,
    "a manual of another version is refused": Release.refuses_another_manual,
    "rpmbuild builds the packages": Release.rpm_is_built,
    "collectd loads their modules, values travel": Release.rpm_is_used}


def main():
    parser = argparse.ArgumentParser()
    for name in ("sources", "work", "collectd-src", "spdx-python"):
        parser.add_argument(f"--{name}", required=True)
    options = parser.parse_args()
    release, failures = Release(options), installed.Failures()
    done, began = [], time.monotonic()
    try:
        for what, function in SHOWN.items():
            since = time.monotonic()
            ok = failures.look(what, function, release)
            done.append({"what": what, "status": "ok" if ok else "FAILED",
                         "seconds": round(time.monotonic() - since, 1)})
            if release.version is None or function is Release.is_made and not ok:
                break  # there is nothing to look at
    finally:
        release.maker.ends()
    results.write("release", {
        "seconds": round(time.monotonic() - began), **release.figures,
        "tools": {name: results.package(name) for name in (
            "automake", "autoconf", "tar", "xz-utils", "gnupg", "rpm")},
        "passed": sum(d["status"] == "ok" for d in done),
        "failed": failures.count, "looked_at": done})
    return 1 if failures.count else 0


if __name__ == "__main__":
    sys.exit(main())
