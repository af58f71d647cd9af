# SPDX-License-Identifier: MIT
"""TLS: our own CA, client certificates, and servers that must be refused."""

import pathlib
import socket
import ssl
import subprocess
import threading

import pytest

from rig.broker import Broker
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


def all_arrive(vhost, patience=20):
    wait_for(lambda: vhost.ready("q") == 20, patience, "all values in the queue")
    vhost.take_all("q")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_server_with_the_right_certificate_is_accepted(
        rig, tls_broker, certificates, host):
    broker, vhost = tls_broker
    a = publisher(rig, broker, broker.amqps_port, certificates, Host=host).start()
    all_arrive(vhost)
    assert a.stop() < 7


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
    big = b"".join(b"PUTVAL h/p/gauge-%d interval=10 %d:1\n" % (i, 2_000_000_000)
                   for i in range(9000))
    vhost.publish("", "c", big, content_type="text/collectd")
    wait_for(lambda: len(b.record.refresh().values) >= 9000, 30,
             "a message larger than a TLS record")


def test_an_unreadable_ca_file_is_an_error_until_it_is_there(
        rig, tls_broker, certificates, tmp_path):
    broker, vhost = tls_broker
    ca = tmp_path / "ca.pem"
    a = publisher(rig, broker, broker.amqps_port, certificates,
                  TLSCACert=str(ca)).start(timeout=10)
    line = a.wait_log(rf"\[error\].*{ca}")[0]
    assert "No such file" in line and "TLSCACert" in line, line
    assert "remedy: " in line, line
    ca.write_bytes((certificates / "ca.pem").read_bytes())
    all_arrive(vhost, patience=90)
    assert len(a.log_lines(str(ca))) <= 3


class Impostor:
    """A TLS server with a certificate of one's choice. Remembers whether
    anybody told it anything."""

    def __init__(self, certificates, name):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
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
        assert a.record.series("rabbitmq_publish-x/")["bool-connected"] == 0
        assert a.stop() < 8


def test_a_client_certificate_of_another_ca_is_refused(
        rig, tls_broker, certificates):
    broker, vhost = tls_broker
    a = publisher(rig, broker, broker.amqps_port, certificates,
                  AuthMethod="external", User=None, Password=None,
                  TLSClientCert=str(certificates / "rogue.pem"),
                  TLSClientKey=str(certificates / "rogue.key")).start()
    a.wait_log(r"\[(error|warning)\].*x", timeout=20)
    assert vhost.ready("q") == 0
    assert a.stop() < 8
