# SPDX-License-Identifier: MIT
"""Three hosts on this machine, each a network namespace with an address of its
own on one bridge, so that a network between them can be cut: nobody is told, and
no packet comes through.

All of it lives in namespaces that end with whoever runs in them: see alone().
"""

import os
import subprocess

from .broker import Broker

NAMES = ("n1", "n2", "n3")
_NET = "10.99.0"
_NOBODY = "02:00:00:00:00:99"  # a hardware address that no host has
_BEGIN = "mount -t tmpfs tmpfs /run && mkdir /run/netns && ip link set lo up"


def alone(argv):
    """The command that runs argv in namespaces of its own: network, processes
    (all of which end with it), and mounts. Needs root."""
    return ["unshare", "--net", "--pid", "--fork", "--kill-child=KILL", "--mount",
            "--mount-proc", "--ipc", "--", "sh", "-c", f'{_BEGIN} && exec "$@"',
            "sh", *argv]


def is_possible():
    """Whether this machine allows it: not in each container."""
    probe = ["sh", "-c", "ip link add br0 type bridge && ip netns add n1 && "
             "ip link add vn1 type veth peer name eth0 netns n1 && "
             "ip netns exec n1 true"]
    return os.geteuid() == 0 and subprocess.run(
        alone(probe), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        check=False).returncode == 0


def _ip(*arguments, check=True):
    subprocess.run(["ip", *arguments], check=check)


def _address(i):
    return f"{_NET}.{i + 1}"


class Network:
    """Within alone() only."""

    def __init__(self, directory):
        hosts = os.path.join(directory, "hosts")
        with open("/etc/hosts", encoding="utf-8") as f:
            known = f.read()
        with open(hosts, "w", encoding="utf-8") as f:
            f.write(known + "\n")
            for i, name in enumerate(NAMES):
                f.write(f"{_address(i)} {name}\n")
        subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
        _ip("link", "add", "br0", "type", "bridge")
        _ip("addr", "add", f"{_NET}.254/24", "dev", "br0")
        _ip("link", "set", "br0", "up")
        for i, name in enumerate(NAMES):
            self._add(i, name)

    @staticmethod
    def _add(i, name):
        _ip("netns", "add", name)
        _ip("link", "add", f"v{name}", "type", "veth", "peer", "name", "eth0",
            "netns", name)
        _ip("link", "set", f"v{name}", "master", "br0", "up")
        _ip("-n", name, "addr", "add", f"{_address(i)}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            _ip("-n", name, "link", "set", link, "up")

    @staticmethod
    def makers():
        """For each host a class of brokers that run there."""
        return [type(f"BrokerOn{name}", (_Remote,),
                     {"address": _address(i), "host": name,
                      "entered": ("ip", "netns", "exec", name)})
                for i, name in enumerate(NAMES)]

    @staticmethod
    def _pairs(one):
        """(host, address that it shall not reach), in both directions."""
        i = NAMES.index(one)
        for k, other in enumerate(NAMES):
            if k != i:
                yield one, _address(k)
                yield other, _address(i)

    def cut(self, name):
        """That host reaches the others no more, nor they it. Everybody else,
        whoever observes them, reaches all of them."""
        for host, address in self._pairs(name):
            _ip("-n", host, "neigh", "replace", address, "lladdr", _NOBODY, "dev",
                "eth0", "nud", "permanent")

    def heal(self, name):
        for host, address in self._pairs(name):
            _ip("-n", host, "neigh", "del", address, "dev", "eth0", check=False)


class _Remote(Broker):
    """Each host has an epmd of its own, all on one port."""

    def _start_epmd(self):
        peer, self._peer = self._peer, None
        super()._start_epmd()
        self._peer = peer
