# SPDX-License-Identifier: MIT
"""What a real broker says now and then: blocked connections, certificates that
expire, refused logins; a node that says nothing any more; and who is believed
to be the broker behind https."""

import contextlib
import pathlib
import re
import socket
import ssl
import subprocess
import threading

import pika
import pytest

from rig import modules as warren
from rig.collectd import block
from rig.ports import free_ports
from rig.tls import listener
from rig.waiting import wait_for

RIG = pathlib.Path(__file__).resolve().parent.parent / "rig"
FAILURE, WARNING, OKAY = 1, 2, 4
MAIN = "rabbitmq_monitor-main/"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    where = tmp_path_factory.mktemp("certificates")
    subprocess.run([RIG / "tls.sh", where], check=True, capture_output=True)
    return where


def alert(kind, **options):
    return block("Alert", kind, **options)


def monitor(rig, *clusters):
    return rig.daemon("M", ["rabbitmq_monitor"], warren.monitor(*clusters))


def said(daemon, text):
    """The severities of the monitor's notifications that have it, a pattern."""
    return [severity for severity, source, message
            in daemon.record.refresh().notifications
            if "/rabbitmq_monitor/" in source and re.search(text, message)]


def last(daemon, name):
    return daemon.record.refresh().series().get(name)


def relay(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def serve(server, context, port):
    while True:
        try:
            raw, _ = server.accept()
        except OSError:
            return
        with contextlib.suppress(OSError):
            client = context.wrap_socket(raw, server_side=True)
            behind = socket.create_connection(("127.0.0.1", port))
            for pair in ((client, behind), (behind, client)):
                threading.Thread(target=relay, args=pair, daemon=True).start()


@contextlib.contextmanager
def front(port, certificates, name, clients_ca=None):
    """A proxy that ends TLS before a port; yields its own. With clients_ca it
    speaks with those only whom that authority knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / f"{name}.pem",
                            certificates / f"{name}.key")
    if clients_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificates / f"{clients_ca}.pem")
    with socket.create_server(("127.0.0.1", free_ports(1)[0])) as server:
        threading.Thread(target=serve, args=(server, context, port),
                         daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def days(daemon, cluster):
    value = last(daemon, f"rabbitmq_monitor-{cluster}/gauge-certificate_days")
    return value is not None and 4.9 < value <= 5


def test_a_certificate_that_expires_in_five_days_is_a_failure(
        rig, victim, certificates):
    with listener(victim, certificates, "soon"), \
            front(victim.management_port, certificates, "soon") as port:
        url = f"https://127.0.0.1:{port}"
        m = monitor(
            rig,
            warren.cluster_block("main", victim, alert("certificate"),
                                 Interval=1),
            warren.cluster_block("front", victim, alert("certificate"), URL=url,
                                 CACert=str(certificates / "ca.pem"),
                                 Interval=1)).start()
        for name in ("main", "front"):
            wait_for(lambda n=name: days(m, n), 40, f"the days of {name}")
            wait_for(lambda n=name: said(m, f"cluster {n}: a TLS certificate") ==
                     [FAILURE], 40, f"the alert of {name}")
        m.wait_log('"main".*that of the listener amqp/ssl, port '
                   f"{victim.amqps_port}, of {victim.node}, on ")
    assert not m.log_lines("(certificates|quorum|connections)_missing|"
                           "not reported")


# Each shows a certificate, the last one asks for the client's.
FRONTS = {"server": ("server",), "other": ("selfother",),
          "wronghost": ("wronghost",), "expired": ("expired",),
          "mutual": ("server", "ca")}
# Which of them it is, what is configured, and why it is not believed.
UNTRUSTED = "unable to get local issuer|self.signed"
TRUST = {
    "own": ("server", {}, None),
    "system": ("server", {"CACert": None}, UNTRUSTED),
    "otherca": ("other", {}, UNTRUSTED),
    "anyca": ("other", {"VerifyPeer": False}, None),
    "wronghost": ("wronghost", {}, "no alternative certificate subject"),
    "anyhost": ("wronghost", {"VerifyHost": False}, None),
    "expired": ("expired", {}, "certificate has expired"),
    "nobody": ("mutual", {}, "."),
    "client": ("mutual", {"ClientCert": "client.pem", "ClientKey": "client.key"},
               None),
    "rogue": ("mutual", {"ClientCert": "rogue.pem", "ClientKey": "rogue.key"},
              ".")}


def test_only_a_broker_with_the_right_certificate_is_asked(
        rig, broker, certificates):
    """And it may ask who we are."""
    with contextlib.ExitStack() as fronts:
        ports = {name: fronts.enter_context(
            front(broker.management_port, certificates, *how))
            for name, how in FRONTS.items()}
        blocks = []
        for name, (shown, options, _) in TRUST.items():
            files = {"CACert": "ca.pem"} | options
            blocks.append(warren.cluster_block(
                name, broker, URL=f"https://127.0.0.1:{ports[shown]}",
                MaxQueues=0, Interval=1, **{
                    option: str(certificates / value)
                    if isinstance(value, str) else value
                    for option, value in files.items()}))
        m = monitor(rig, *blocks).start()
        for name, (_, _, why_not) in TRUST.items():
            reachable = f"rabbitmq_monitor-{name}/bool-reachable"
            if why_not is None:
                wait_for(lambda r=reachable: last(m, r) == 1, 40,
                         f"{name} is believed")
            else:
                m.wait_log(f'"{name}".*not observed.*({why_not})')
                wait_for(lambda r=reachable: last(m, r) == 0, 40,
                         f"{name} is not believed")
        for name, (_, _, why_not) in TRUST.items():
            assert why_not is None or last(
                m, f"rabbitmq_monitor-{name}/bool-reachable") == 0, name


def connect(broker):
    return pika.BlockingConnection(pika.ConnectionParameters(
        "127.0.0.1", broker.amqp_port))


def refused_logins(broker, count):
    for _ in range(count):
        with contextlib.suppress(pika.exceptions.AMQPConnectionError):
            pika.BlockingConnection(pika.ConnectionParameters(
                "127.0.0.1", broker.amqp_port,
                credentials=pika.PlainCredentials("guest", "wrong")))


def test_an_alarm_blocks_connections_and_wrong_passwords_are_counted(rig, victim):
    m = monitor(rig, warren.cluster_block(
        "main", victim, alert("auth-failed", Failure=3, Warning=0, Hold=0),
        MetricsURL=victim.metrics_url, Interval=1)).start()
    blocked = MAIN + "current_connections-blocked"
    wait_for(lambda: last(m, blocked) == 0, 40, "nobody is blocked")
    with connect(victim) as publisher:
        channel = publisher.channel()
        channel.queue_declare("", exclusive=True)
        victim.memory_alarm(True)
        try:
            channel.basic_publish("", "nowhere", b"x")
            refused_logins(victim, 4)
            wait_for(lambda: (last(m, blocked) or 0) >= 1, 40, "it is blocked")
            # The fourth may be counted after the limit is reached.
            wait_for(lambda: said(m, "refused logins: [34] in a minute, limit 3") ==
                     [FAILURE], 40, "wrong passwords are said")
        finally:
            victim.memory_alarm(False)
        wait_for(lambda: last(m, blocked) == 0, 40, "nobody is blocked any more")


def test_a_node_that_says_nothing_any_more_is_said(rig, broker, victim):
    m = monitor(rig, warren.cluster_block(
        "main", broker, alert("connection", Hold=5, ClearHold=0),
        MetricsURL=[broker.metrics_url, victim.metrics_url],
        Source="prometheus", Timeout=1, Interval=2)).start()
    scraped = f"rabbitmq_monitor-main-node-{victim.node}/bool-scraped"
    silence = f"node {victim.node}: the node"
    wait_for(lambda: last(m, scraped) == 1, 40, "both nodes answer")
    victim.hang()
    try:
        wait_for(lambda: last(m, scraped) == 0, 40, "one says nothing")
        wait_for(lambda: said(m, silence) == [FAILURE], 40, "it is said")
    finally:
        victim.cont()
    wait_for(lambda: said(m, silence) == [FAILURE, OKAY], 40, "its end, too")
    wait_for(lambda: last(m, MAIN + "bool-reachable") == 1, 30,
             "the other one answers")
