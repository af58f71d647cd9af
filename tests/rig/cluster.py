# SPDX-License-Identifier: MIT
"""Three nodes of RabbitMQ on loopback that are one cluster: an epmd and a cookie
of their own, small Erlang machines, a killed node comes back on its ports."""

import os

from .broker import Broker, VHost
from .waiting import wait_for

NAMES = ("c1", "c2", "c3")
# The others join the first. It knows of none of them: RabbitMQ 4 would wait for
# each that it knows before it begins.
CONFIG = """\
cluster_partition_handling = pause_minority
cluster_formation.peer_discovery_backend = classic_config
cluster_formation.classic_config.nodes.1 = {first}
"""


def patiently(declare, what, timeout=90):
    """For declarations, which a young cluster may take its time over, or
    refuse: they may be repeated."""
    def attempt():
        try:
            return declare()
        except (OSError, RuntimeError):
            return None
    return wait_for(attempt, timeout, what, pause=0.5)


class Cluster:
    """Between start() and destroy() it is ours alone."""

    def __init__(self, directory, makers=(Broker, Broker, Broker)):
        self.nodes = []
        config = CONFIG.format(first=f"{NAMES[0]}@{makers[0].host}")
        for make, name in zip(makers, NAMES):
            self.nodes.append(make(
                os.path.join(directory, name), name=name, extra_config=config,
                peer=self.nodes[0] if self.nodes else None, schedulers=1))

    def start(self, timeout=300):
        """The first one alone, so that no two fresh nodes each begin a cluster;
        then the others at the same time."""
        self.nodes[0].start(timeout)
        for node in self.nodes[1:]:
            node.start(wait=False)
        for node in self.nodes[1:]:
            node.wait_ready(timeout)
        wait_for(lambda: len(self._running()) == len(NAMES), timeout,
                 "all nodes know each other")
        return self

    def make_whole(self, timeout=120):
        """Starts the nodes that a test has killed."""
        for node in self.nodes:
            if not node.is_running():
                node.start(timeout)
        wait_for(lambda: len(self._running()) == len(NAMES), timeout,
                 "all nodes know each other")

    def _running(self):
        try:
            status, nodes = self.alive().api("GET", "nodes?columns=name,running")
        except OSError:
            return []
        return [n for n in nodes if n.get("running")] if status == 200 else []

    def alive(self):
        """A node that runs."""
        return next(n for n in self.nodes if n.is_running())

    def by_port(self, port):
        return next(n for n in self.nodes if n.amqp_port == int(port))

    @property
    def hosts(self):
        return [f"127.0.0.1:{n.amqp_port}" for n in self.nodes]

    def vhost(self, name):
        made = patiently(lambda: VHost(self.alive(), name), "a virtual host")
        self.wait_vhost(made)
        return made

    def wait_vhost(self, vhost, timeout=90):
        """Until every running node serves it. A node that was too busy when it
        should have begun stays without ("vhost is down") until it is told."""
        quoted = vhost.name.replace("/", "%2F")

        def runs():
            states = self.alive().must(
                "GET", f"vhosts/{quoted}").get("cluster_state", {})
            down = [n.node for n in self.nodes
                    if n.is_running() and states.get(n.node) != "running"]
            for node in down:
                self.alive().api("POST", f"vhosts/{quoted}/start/{node}")
            return not down
        patiently(runs, "every node serves the virtual host", timeout)

    def quorum_queue(self, vhost, name):
        """A queue with a member on every node."""
        patiently(lambda: vhost.queue(
            name, x_queue_type="quorum",
            x_quorum_initial_group_size=len(NAMES)) or True, "a quorum queue")

    def members_online(self, vhost, name):
        """How many members of a quorum queue are there now."""
        quoted = vhost.name.replace("/", "%2F")
        try:
            status, queue = self.alive().api(
                "GET", f"queues/{quoted}/{name}?columns=online")
        except OSError:
            return 0
        return len(queue.get("online", ())) if status == 200 else 0

    def destroy(self):
        for node in reversed(self.nodes):
            node.destroy()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.destroy()
