# SPDX-License-Identifier: MIT
"""warren publish --listen: what an application that hands over a message by HTTP
may believe of each answer."""

import json
import pathlib
import re
import shlex
import shutil
import subprocess
import time

import pytest

from rig.collectd import built_program
from rig.listen import Crowd, Listener
from rig.waiting import wait_for

PAGE = pathlib.Path(__file__).resolve().parents[2] / "plugins" / "warren.pod"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def spooling(build, broker, vhost, tmp_path):
    with Listener(build, broker, vhost, str(tmp_path), spool_dir=tmp_path / "spool",
                  spool_mode="always") as listener:
        yield listener


def test_a_request_becomes_the_message_that_it_describes(spooling, vhost):
    vhost.exchange("events/1", "topic")
    vhost.queue("q")
    vhost.bind("events/1", "q", "a.b/c")
    status, headers, body = spooling.ask(
        "POST", "/publish/events%2F1/a.b%2Fc", b"\0\1\2", {
            "Content-Type": "application/x-thing", "Content-Encoding": "gzip",
            "Idempotency-Key": "order-1", "X-Correlation-Id": "c", "X-Reply-To": "r",
            "X-Type": "t", "X-Priority": "3", "X-Expiration": "60000",
            "X-Header-Tenant": "blue", "traceparent": TRACE})
    assert status == 202, body
    assert json.loads(body)["message_id"] == headers["X-Message-Id"] == "order-1"
    (p, got), = wait_for(lambda: vhost.take_all("q"), 60, "it arrives")
    assert got == b"\0\1\2"
    assert (p.content_type, p.content_encoding) == ("application/x-thing", "gzip")
    assert (p.message_id, p.correlation_id, p.reply_to, p.type) == (
        "order-1", "c", "r", "t")
    assert (p.priority, p.delivery_mode) == (3, 2)
    assert 0 < int(p.expiration) <= 60000, "what is left of it"
    assert p.headers["tenant"] == "blue" and p.headers["traceparent"] == TRACE

    status, headers, body = spooling.ask("POST", "/publish/amq.default/q?wait=confirm",
                                         "x")
    assert status == 200, body
    assert json.loads(body) == {"message_id": headers["X-Message-Id"],
                                "state": "confirmed"}
    (p, got), = vhost.take_all("q")
    assert got == b"x" and p.message_id == headers["X-Message-Id"]
    assert p.headers["traceparent"].startswith("00-")


def test_the_manuals_examples_do_what_it_says(build, broker, vhost, tmp_path):
    """The server's line, then each curl, by a shell."""
    vhost.queue("q")
    vhost.bind("amq.topic", "q", "orders.#")
    (tmp_path / "password").write_text("guest\n")

    def localized(text):
        text = text.replace("/run/warren/publish.sock", f"{tmp_path}/socket")
        text = text.replace("/var/lib/warren", f"{tmp_path}/spool")
        return text.replace("/etc/warren/password", f"{tmp_path}/password")
    server, = blocks(r"warren publish --listen")
    words = shlex.split(localized(server).replace("\\\n", " "))[2:]
    with Listener(build, broker, vhost, str(tmp_path), argv=words) as listener:
        for number, curl in enumerate(blocks("curl ")):
            done = subprocess.run(["bash", "-c", localized(curl)], text=True,
                                  capture_output=True, timeout=90, check=True)
            said = json.loads(done.stdout)
            assert said["state"] in ("stored", "confirmed"), done.stdout
            assert number or said["message_id"] == "order-4711"
        assert number == 1
        assert listener.stop()[0] == 0
    assert [(p.content_type, json.loads(body)["order"])
            for p, body in vhost.take_all("q")] == [
        ("application/json", 4711), ("application/json", 4712)]


def blocks(begin):
    """Verbatim blocks of the section in the manual."""
    section = re.search(r"^=head2 Messages by HTTP$(.*?)^=head", PAGE.read_text(),
                        re.M | re.S)[1]
    return [re.sub(r"^  ", "", b, flags=re.M)
            for b in re.findall(r"(?:^  .*\n)+", section, re.M)
            if re.match(f"  {begin}", b)]


def test_what_is_refused_has_its_status_and_its_reason(spooling, vhost):
    vhost.queue("full", x_max_length=0, x_overflow="reject-publish")
    rows = [
        ("POST", "/publish/amq.default/nobody?wait=confirm", 502, "no queue takes", {}),
        ("POST", "/publish/missing/key?wait=confirm&timeout=2", (502, 504), "", {}),
        ("POST", "/publish/amq.default/full?wait=confirm", 502, "refuses", {}),
        ("POST", "/publish/amq.default/q?wiat=confirm", 400, "wait=confirm", {}),
        ("POST", "/publish//q", 400, "amq.default", {}),
        ("POST", "/publish/e/a/b", 400, "%2F", {}),
        ("POST", "/publish/e/%zz", 400, "hexadecimal", {}),
        ("POST", "/publish/e/k", 400, "X-Priority", {"X-Priority": "300"}),
        ("GET", "/publish/e/k", 405, "method", {}),
        ("POST", "/health", 405, "method", {}),
        ("GET", "/", 404, "/publish/EXCHANGE", {}),
        ("POST", "/publish/e/k", 403, "web pages", {"Origin": "http://evil.example"}),
        ("POST", "/publish/e/k", 403, "Host", {"Host": "evil.example"}),
    ]
    for method, target, want, reason, headers in rows:
        status, _, body = spooling.ask(method, target, "x", headers)
        assert status in (want if isinstance(want, tuple) else (want,)), (target, body)
        assert reason in json.loads(body)["error"], (target, body)
    _, _, body = spooling.ask("POST", rows[0][1], "x")
    said = json.loads(body)
    assert (said["state"], said["reply_code"], said["reply_text"]) == (
        "returned", 312, "NO_ROUTE")
    status, _, body = spooling.ask("POST", "/publish/e/k", b"x" * (1 << 20) + b"x")
    assert status == 413, body
    status, _, _ = spooling.ask("GET", "/health", headers={"X-Long": "x" * 40000})
    assert status == 431 and "=item B<431>" in PAGE.read_text()


def test_a_wrong_exchange_delays_nobody_else(spooling, vhost):
    vhost.queue("q")
    for _ in range(20):
        assert spooling.ask("POST", "/publish/missing/k", "bad")[0] == 202
    took = []
    for number in range(20):
        assert spooling.ask("POST", "/publish/missing/k?wait=confirm", "bad")[0] == 502
        begun = time.monotonic()
        status, _, body = spooling.ask("POST", "/publish/amq.default/q?wait=confirm",
                                       str(number))
        assert status == 200, body
        took.append(time.monotonic() - begun)
    assert sorted(took)[10] < 3, "a channel is opened again at once"
    assert {body for _, body in vhost.take_all("q")} == {
        str(number).encode() for number in range(20)}


def test_the_page_for_prometheus_counts_what_was_asked(spooling, vhost):
    vhost.queue("q")
    for wait in "", "?wait=confirm", "?wait=confirm":
        assert spooling.ask("POST", f"/publish/amq.default/q{wait}", "x")[0] // 100 == 2
    assert spooling.ask("GET", "/nothing")[0] == 404

    def page():
        status, headers, body = spooling.ask("GET", "/metrics")
        assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = body.decode()
        return text, {name: float(value) for name, value in re.findall(
            r'^(\w+)\{block="\w+"\} (\S+)$', text, re.M)}
    wait_for(lambda: page()[1].get("warren_publish_operations_confirmed_total") == 3,
             60, "three confirms")
    text, values = page()
    assert values["warren_publish_bool_connected"] == 1
    codes = {k: values[f"warren_publish_http_response_codes_{k}_total"]
             for k in ("200", "202", "404", "503", "other")}
    assert codes.pop("200") >= 3, "the page itself, too"
    assert codes == {"202": 1, "404": 1, "503": 0, "other": 0}
    assert values["warren_publish_requests_http_total"] >= 5
    assert values["warren_publish_requests_http_publish_total"] == 3
    assert values["warren_publish_requests_http_publish_failed_total"] == 0
    assert spooling.ask("POST", "/publish/amq.default/nobody?wait=confirm", "x")[0] == 502
    text, values = page()
    assert values["warren_publish_requests_http_publish_total"] == 4
    assert values["warren_publish_requests_http_publish_failed_total"] == 1
    manual = PAGE.read_text()
    for name in values:
        if "http" in name:
            assert re.sub(r"codes_\w+_total", "codes_STATUS_total", name) in manual
    if shutil.which("promtool"):
        subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                       timeout=20, check=True)


def test_without_a_spool_nothing_is_promised_before_the_confirm(
        build, broker, vhost, tmp_path):
    vhost.queue("q")
    with Listener(build, broker, vhost, str(tmp_path),
                  address=f"unix:{tmp_path}/socket") as listener:
        wait_for(lambda: listener.ask("GET", "/health")[0] == 200, 60, "connected")
        status, _, body = listener.ask("POST", "/publish/amq.default/q", "x")
        assert status == 400 and b"wait=confirm" in body
        assert listener.ask("POST", "/publish/amq.default/q?wait=confirm", "y")[0] == 200
        assert [body for _, body in vhost.take_all("q")] == [b"y"]
        assert listener.stop()[0] == 0
    assert not (tmp_path / "socket").exists()


def test_at_the_bound_and_without_a_broker_the_answer_says_so(build, tmp_path):
    with Listener(build, Nobody, "/", str(tmp_path), send_queue_limit=2, shutdown_timeout=1,
                  listen_timeout=1) as listener:
        assert listener.ask("GET", "/health")[0] == 503
        for _ in range(2):
            status, headers, body = listener.ask(
                "POST", "/publish/amq.default/q?wait=confirm", "x")
            assert status == 504 and json.loads(body)["state"] == "unknown"
            assert headers["X-Message-Id"] == json.loads(body)["message_id"]
        status, headers, body = listener.ask(
            "POST", "/publish/amq.default/q?wait=confirm", "x")
        assert status == 503 and headers["Retry-After"] == "1", body
        status, seconds = listener.stop()
        assert status == 1 and seconds < 12
        log = listener.log()
    assert "2 messages were not confirmed at the end" in log
    assert re.search("ended: 2 messages accepted, .* 2 dropped", log)


def test_a_server_that_cannot_start_ends_the_role_first(build, tmp_path):
    """With one descriptor too few for libmicrohttpd."""
    for descriptors in range(4, 40):
        done = subprocess.run(
            ["prlimit", f"--nofile={descriptors}", built_program(build, "warren"),
             "publish", "--host", "127.0.0.1:1", "--listen",
             f"unix:{tmp_path}/socket"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
            check=False)
        assert done.returncode in (1, 127), done
        if "libmicrohttpd does not start" in done.stderr:
            break
    assert "ended: 0 messages accepted" in done.stderr, done.stderr
    assert not (tmp_path / "socket").exists()


class Nobody:
    amqp_port = 1  # refused


def said(listener, method, target, body=None):
    """(status, object) of an answer, and whether it came at once, instead of
    after --listen-timeout's half a minute."""
    begun = time.monotonic()
    status, _, answer = listener.ask(method, target, body)
    return status, json.loads(answer), time.monotonic() - begun < 10


def test_a_spool_that_cannot_be_opened_promises_nothing(
        build, broker, vhost, tmp_path):
    """What waits for the broker's confirm goes on without it."""
    vhost.queue("q")
    (tmp_path / "spool").write_text("not a directory")
    how = {"spool_dir": tmp_path / "spool", "spool_mode": "always",
           "shutdown_timeout": 1}
    with Listener(build, Nobody, "/", str(tmp_path), **how) as listener:
        wait_for(lambda: said(listener, "GET", "/health")[0] == 503, 60, "it is seen")
        status, health, _ = said(listener, "GET", "/health")
        assert status == 503 and health["status"] == "the spool cannot be written"
        assert health["can_spool"] is False
        status, answer, at_once = said(listener, "POST", "/publish/amq.default/q", "x")
        assert status == 503 and "the spool cannot be written" in answer["error"]
        assert at_once and "message_id" not in answer, "it was not taken"
        status, answer, _ = said(
            listener, "POST", "/publish/amq.default/q?wait=confirm&timeout=1", "x")
        assert status == 504 and answer["state"] == "unknown", answer
        assert "in memory only" in answer["error"]
    with Listener(build, broker, vhost, str(tmp_path), **how) as listener:
        assert said(listener, "POST", "/publish/amq.default/q?wait=confirm",
                    "y")[0] == 200
        assert said(listener, "GET", "/health")[0] == 503
        assert said(listener, "POST", "/publish/amq.default/q", "x")[0] == 503
    assert [body for _, body in vhost.take_all("q")] == [b"y"]


def test_a_spool_that_goes_away_promises_nothing_until_it_is_back(build, tmp_path):
    spool = tmp_path / "spool"
    with Listener(build, Nobody, "/", str(tmp_path), spool_dir=spool,
                  spool_mode="always", shutdown_timeout=1) as listener:
        wait_for(lambda: said(listener, "GET", "/health")[0] == 200, 60, "it spools")
        assert said(listener, "POST", "/publish/amq.default/q", "x")[0] == 202
        status, answer, _ = said(
            listener, "POST", "/publish/amq.default/q?wait=confirm&timeout=3", "x")
        assert status == 504 and answer["state"] == "stored", answer
        assert "also after a restart" in answer["error"]
        spool.rename(tmp_path / "away")
        spool.write_text("in the way")
        wait_for(lambda: said(listener, "GET", "/health")[0] == 503, 60, "it is seen")
        status, _, at_once = said(listener, "POST", "/publish/amq.default/q", "x")
        assert status == 503 and at_once
        spool.unlink()
        (tmp_path / "away").rename(spool)
        wait_for(lambda: said(listener, "GET", "/health")[0] == 200, 60, "it is back")
        assert said(listener, "POST", "/publish/amq.default/q", "x")[0] == 202


def test_what_was_answered_arrives_whoever_is_killed(
        build, victim, victim_vhost, tmp_path, figure):
    """64 clients; the broker is killed and started, then warren itself."""
    victim_vhost.queue("q")
    victim.sync()
    with Listener(build, victim, victim_vhost, str(tmp_path),
                  address=f"unix:{tmp_path}/socket", spool_dir=tmp_path / "spool",
                  spool_mode="always", spool_sync="always") as listener:
        with Crowd(listener, "/publish/amq.default/q") as crowd:
            wait_for(lambda: crowd.count(200) > 100, 60, "confirms")
            victim.kill9()
            accepted = crowd.count(202)
            wait_for(lambda: crowd.count(202) > accepted + 100, 60,
                     "202 without a broker")
            victim.start()
            confirmed = crowd.count(200)
            wait_for(lambda: crowd.count(200) > confirmed + 40, 60,
                     "confirms again")
            listener.kill9()
            accepted = crowd.count(202)
            listener.start()
            wait_for(lambda: crowd.count(202) > accepted + 100, 60,
                     "202 after the restart")
        wait_for(listener.is_idle, 60, "the spool is empty")
        assert listener.stop()[0] == 0
    arrived = [p.message_id for p, _ in victim_vhost.take_all("q")]
    told = crowd.told
    assert not set(told) - {200, 202, 503, 504}, {s: len(i) for s, i in told.items()}
    lost = (told[200] | told[202]) - set(arrived)
    assert not lost, f"{len(lost)} were answered and never arrived: {sorted(lost)[:5]}"
    figure(f"listen: {len(told[202])} answered 202 and {len(told[200])} 200 to 64 "
           f"clients over a kill of the broker and one of warren, all arrived; "
           f"{len(arrived) - len(set(arrived))} twice, {crowd.broken} requests "
           "without an answer")
