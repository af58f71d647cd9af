# SPDX-License-Identifier: MIT
"""TLS: our own CA, client certificates, and servers that must be refused."""

import contextlib
import pathlib
import socket
import ssl
import subprocess
import threading
import time

import pytest

from rig import modules as warren
from rig.broker import Broker
from rig.collectd import plugin
from rig.waiting import wait_for

CONFIG = """\
listeners.ssl.1 = 127.0.0.1:@AMQPS_PORT@
ssl_options.cacertfile = {d}/ca.pem
ssl_options.certfile = {d}/server.pem
ssl_options.keyfile = {d}/server.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = false
auth_mechanisms.1 = PLAIN
auth_mechanisms.2 = EXTERNAL
ssl_cert_login_from = common_name
"""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    where = tmp_path_factory.mktemp("certificates")
    script = pathlib.Path(__file__).resolve().parent.parent / "rig" / "tls.sh"
    subprocess.run([script, where], check=True, capture_output=True)
    return where


@pytest.fixture(scope="module")
def tls_broker(certificates, tmp_path_factory):
    with Broker(str(tmp_path_factory.mktemp("tls")), name="tls",
                extra_config=CONFIG.format(d=certificates),
                plugins=["rabbitmq_auth_mechanism_ssl"]) as b:
        b.must("PUT", "users/tlsuser", {"password_hash": "", "tags": ""})
        v = b.vhost("tls")
        v.permit("tlsuser")
        v.queue("q")
        v.bind("amq.fanout", "q", "")
        yield b, v


def publisher(rig, at, port, certificates, vhost="tls", **options):
    return rig.publisher(at, vhost, options={
        "Exchange": "amq.fanout", "Port": port, "TLSEnabled": True,
        "TLSCACert": str(certificates / "ca.pem"), "RetryDelay": 1,
        "RetryDelayMax": 2, **options}, Total=20, Delay=0.1)


def all_arrive(vhost, patience=60):
    wait_for(lambda: vhost.ready("q") == 20, patience, "all values in the queue")
    vhost.take_all("q")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_server_with_the_right_certificate_is_accepted(
        rig, tls_broker, certificates, host):
    broker, vhost = tls_broker
    a = publisher(rig, broker, broker.amqps_port, certificates, Host=host).start()
    all_arrive(vhost)
    assert a.stop() < 15


def test_a_client_certificate_is_a_login(rig, tls_broker, certificates):
    broker, vhost = tls_broker
    publisher(rig, broker, broker.amqps_port, certificates,
              AuthMethod="external", User=None, Password=None,
              TLSClientCert=str(certificates / "client.pem"),
              TLSClientKey=str(certificates / "client.key")).start()
    all_arrive(vhost)


def test_a_consumer_reads_over_tls(rig, tls_broker, certificates):
    broker, vhost = tls_broker
    vhost.queue("c")
    b = rig.consumer(broker, vhost, Queue="c", Port=broker.amqps_port,
                     TLSEnabled=True, TLSCACert=str(certificates / "ca.pem"))
    b.start()
    wait_for(lambda: vhost.consumers("c") == 1, 20, "consuming")
    now = int(time.time())  # MaxClockSkew refuses what is far from it
    big = b"".join(b"PUTVAL h/p/gauge-%d interval=10 %d:1\n" % (i, now)
                   for i in range(9000))
    vhost.publish("", "c", big, content_type="text/collectd")
    wait_for(lambda: len(b.record.refresh().values) >= 9000, 30,
             "a message larger than a TLS record")


def test_an_unreadable_ca_file_is_an_error_until_it_is_there(
        rig, tls_broker, certificates, tmp_path):
    broker, vhost = tls_broker
    ca = tmp_path / "ca.pem"
    a = publisher(rig, broker, broker.amqps_port, certificates,
                  TLSCACert=str(ca)).start()
    line = a.wait_log(rf"\[error\].*{ca}")[0]
    assert "No such file" in line and "TLSCACert" in line, line
    assert "remedy: " in line, line
    ca.write_bytes((certificates / "ca.pem").read_bytes())
    all_arrive(vhost, patience=90)
    assert len(a.log_lines(str(ca))) <= 3


class Impostor:
    """A TLS server with a certificate of one's choice. Remembers whether
    anybody told it anything."""

    def __init__(self, certificates, name, newest=None, wants_client=False):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if newest is not None:
            self._context.maximum_version = newest
        if wants_client:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(certificates / "ca.pem")
        self._context.load_cert_chain(certificates / f"{name}.pem",
                                      certificates / f"{name}.key")
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.visits = 0
        self.heard = b""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                visitor, _ = self._socket.accept()
            except OSError:
                return
            self.visits += 1
            visitor.settimeout(3)
            try:
                with self._context.wrap_socket(visitor, server_side=True) as s:
                    self.heard += s.recv(100)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()


@pytest.mark.parametrize("certificate", ["wronghost", "selfother"])
def test_an_impostor_is_refused_and_told_nothing(
        rig, broker, certificates, certificate):
    with Impostor(certificates, certificate) as server:
        a = publisher(rig, broker, server.port, certificates, vhost="/",
                      Host="localhost").start()
        wait_for(lambda: server.visits >= 2, 30, "it was tried again")
        assert server.heard == b""
        assert a.log_lines(r"\[error\].*(certificate|verif|hostname|host name)")
        wait_for(lambda: a.record.series("rabbitmq_publish-x/").get(
            "bool-connected") == 0, 30, "it is not connected")
        assert a.stop() < 15


def test_a_client_certificate_of_another_ca_is_refused(
        rig, tls_broker, certificates):
    broker, vhost = tls_broker
    a = publisher(rig, broker, broker.amqps_port, certificates,
                  AuthMethod="external", User=None, Password=None,
                  TLSClientCert=str(certificates / "rogue.pem"),
                  TLSClientKey=str(certificates / "rogue.key")).start()
    a.wait_log(r"\[(error|warning)\].*x", timeout=20)
    assert vhost.ready("q") == 0
    assert a.stop() < 15


# -- why a server is not trusted ----------------------------------------------


def blocks(rig, name, *made, **how):
    """One daemon with several publishing blocks, so that many troubles cost
    the time of one."""
    return rig.daemon(name, ["rabbitmq_publish"], warren.publish(*made), **how)


def tls_block(name, at, port, certificates, **options):
    return warren.publish_block(name, at, "tls", **{
        "Exchange": "amq.fanout", "Host": "localhost", "Port": port,
        "TLSEnabled": True, "TLSCACert": str(certificates / "ca.pem"),
        "Metrics": False, "RetryDelay": 1, "RetryDelayMax": 2, **options})


def test_each_reason_to_refuse_a_server_has_its_sentence(
        rig, tls_broker, certificates):
    broker, _ = tls_broker
    rows = [  # block, certificate, options, what the log says
        ("expired", "expired", {}, "has expired.*renew"),
        ("future", "future", {}, "not valid yet.*clock"),
        ("unknown", "selfother", {}, "no CA that is trusted.*TLSCACert"),
        ("name", "wronghost", {}, "for another host name.*Host"),
        ("address", "nameonly", {"Host": "127.0.0.1"}, "not for this IP address"),
    ]
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Impostor(certificates, row[1]))
                   for row in rows]
        old = stack.enter_context(Impostor(
            certificates, "server", newest=ssl.TLSVersion.TLSv1_2))
        a = blocks(
            rig, "reasons",
            *(tls_block(name, broker, server.port, certificates, **options)
              for (name, _, options, _), server in zip(rows, servers)),
            tls_block("old", broker, old.port, certificates, TLSMinVersion="1.3"),
            tls_block("plain", broker, broker.amqp_port, certificates)).start()
        for name, _, _, says in rows:
            a.wait_log(rf'\[error\].*"{name}": .*{says}')
        a.wait_log(r'\[error\].*"old": .*TLSMinVersion')
        a.wait_log(r'\[error\].*"plain": .*does not speak TLS.*5671')
        assert not any(s.heard for s in servers)
        assert a.stop() < 15


def test_the_systems_cas_are_trusted_when_none_is_named(
        rig, tls_broker, certificates):
    broker, vhost = tls_broker
    at = tls_block("x", broker, broker.amqps_port, certificates,
                   TLSCACert=None, Metrics=True)
    rig.daemon("system", ["match_regex", "loadgen", "rabbitmq_publish"],
               plugin("loadgen", Result=f"{rig.dir}/result", Total=20, Delay=0.1),
               warren.publish(at),
               warren.only_to_writer("loadgen", "rabbitmq_publish/x"),
               environment={"SSL_CERT_FILE": str(certificates / "ca.pem")}).start()
    all_arrive(vhost)


# -- our own certificate ------------------------------------------------------


def test_an_encrypted_key_needs_its_password_and_never_asks(
        rig, tls_broker, certificates, tmp_path):
    broker, _ = tls_broker
    secret = tmp_path / "key.password"
    secret.write_text("wrong\n")
    key = {"TLSClientCert": str(certificates / "client.pem"),
           "TLSClientKey": str(certificates / "encrypted.key"),
           "AuthMethod": "external", "User": None, "Password": None}
    made = [tls_block(name, broker, broker.amqps_port, certificates, **key, **how)
            for name, how in (
                ("none", {}), ("wrong", {"TLSClientKeyPassword": "key-wrong"}),
                ("right", {"TLSClientKeyPassword": "${KEY_PASSWORD}"}),
                ("file", {"TLSClientKeyPasswordFile": str(secret)}))]
    a = blocks(rig, "keys", *made, environment={"KEY_PASSWORD": "key-s3cret"})
    a.start()
    a.wait_log(r'\[error\].*"none": .*encrypted, and there is no password')
    a.wait_log(r'\[error\].*"wrong": .*the password is wrong.*TLSClientKeyPassword')
    a.wait_log(r'\[error\].*"file": .*the password is wrong')
    a.wait_log(r'\[notice\].*"right": .*connected')
    secret.write_text("key-s3cret\n")
    a.wait_log(r'\[notice\].*"file": .*connected')
    assert not a.log_lines("key-(wrong|s3cret)|PEM pass phrase")


def test_a_renewed_client_certificate_needs_no_restart(
        rig, tls_broker, certificates, tmp_path):
    broker, vhost = tls_broker
    pair = [tmp_path / "my.pem", tmp_path / "my.key"]

    def install(name):
        for path, suffix in zip(pair, ("pem", "key")):
            path.write_bytes((certificates / f"{name}.{suffix}").read_bytes())
    install("rogue")
    a = publisher(rig, broker, broker.amqps_port, certificates,
                  AuthMethod="external", User=None, Password=None,
                  TLSClientCert=str(pair[0]), TLSClientKey=str(pair[1])).start()
    line = a.wait_log(r"\[error\].*does not trust the CA of TLSClientCert")[0]
    assert "remedy: " in line
    install("client")
    all_arrive(vhost)


def test_without_the_certificate_that_the_server_wants_it_says_so(
        rig, tls_broker, certificates):
    with Impostor(certificates, "server", wants_client=True) as server:
        a = blocks(rig, "bare", tls_block(
            "x", tls_broker[0], server.port, certificates)).start()
        a.wait_log(r"\[error\].*wants a client certificate.*TLSClientCert")
