# SPDX-License-Identifier: MIT
"""Where the monitor's numbers come from: the Prometheus plugins of a broker's
nodes or the management API, and what is left when a part of them is missing."""

import os
import re
import subprocess
import time

import pika
import pytest

from rig.broker import Broker
from rig.collectd import built_program
from rig.ports import free_ports
from rig.process import end, spawn
from rig.waiting import wait_for
from rig.web import Web

NO_STATISTICS = "management_agent.disable_metrics_collector = true\n"
LINE = re.compile(r"^rabbitmq_monitor,((?:\\.|[^ \\])+) (\S+) \d+$")


@pytest.fixture(scope="module")
def dry(tmp_path_factory):
    """A broker without the management API's statistics."""
    with Broker(str(tmp_path_factory.mktemp("dry")), name="dry",
                extra_config=NO_STATISTICS) as b:
        yield b


class Command:
    """`warren monitor`; a sample per call."""

    def __init__(self, build, *options, password="guest"):
        environment = {"PATH": os.environ["PATH"]}
        if password:
            environment["WARREN_PASSWORD"] = password
        self.process = spawn(
            [built_program(build, "warren"), "monitor", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=environment)
        os.set_blocking(self.process.stdout.fileno(), False)
        os.set_blocking(self.process.stderr.fileno(), False)
        self._said = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end(self.process)

    def said(self):
        self._said += (self.process.stderr.read() or b"").decode()
        return self._said

    def sample(self, timeout=12):
        """{tags: {field: value}} of one set; the cluster's tags are ""."""
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        text, quiet = "", 0
        until = time.monotonic() + timeout
        while time.monotonic() < until and quiet < 8:
            piece = self.process.stdout.read()
            quiet = 0 if piece else quiet + (1 if text else 0)
            text += (piece or b"").decode()
            time.sleep(0.02)
        found = {}
        for line in text.split("\n")[:-1]:
            match = LINE.match(line)
            assert match, line
            tags = match[1].replace("cluster=main", "", 1).lstrip(",")
            found[tags] = {k: float(v.rstrip("i")) for k, v in
                           (f.split("=") for f in match[2].split(","))}
        assert found, f"no sample; {self.said()}"
        return found


def monitor(build, broker, *options, **more):
    return Command(build, "--url", broker.url, *options, **more)


def queue_tags(vhost, queue):
    return f"vhost={vhost.name},queue={queue}"


def settled(command, queue, ready, timeout=40):
    """The first sample in which the queue has so many messages."""
    return wait_for(
        lambda: (s := command.sample()).get(queue, {}).get(
            "queue_length_ready") == ready and s, timeout,
        f"{ready} messages are ready")


def publish_some(vhost, queue):
    """Three that stay, one returned, one dropped, one rejected."""
    with vhost.connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for body in (b"1", b"2", b"3", b"4"):
            channel.basic_publish("", queue, body)
        channel.basic_publish("", "nowhere", b"dropped")
        with pytest.raises(pika.exceptions.UnroutableError):
            channel.basic_publish("", "nowhere", b"returned", mandatory=True)
        method, _, _ = channel.basic_get(queue)
        channel.basic_reject(method.delivery_tag, requeue=False)


def test_without_statistics_the_plugin_tells_what_management_cannot(build, dry):
    with dry.vhost("v") as vhost:
        vhost.queue("q", x_dead_letter_exchange="", x_dead_letter_routing_key="d")
        vhost.queue("d")
        queue = queue_tags(vhost, "q")
        with monitor(build, dry) as plain, \
                monitor(build, dry, "--metrics-url", dry.metrics_url) as both:
            wait_for(lambda: both.sample()[""].get("total_operations_publish") == 0,
                     40, "the nodes count from 0")
            publish_some(vhost, "q")
            settled(both, queue, 3)
            told = settled(both, "", 4)[""]  # with what was dead-lettered
            assert (told["total_operations_publish"],
                    told["total_operations_confirm"]) == (6, 6)
            assert told["total_events_returned"] == 1
            assert told["total_events_dropped_unroutable"] == 1
            assert told["total_events_dead_lettered_rejected"] == 1
            assert told["total_operations_get"] == 1
            assert told["gauge_nodes_running"] == 1
            assert "response_time_prometheus" in told
            said = both.said()
            assert said.count("through its Prometheus plugin") == 1, said
            assert "W!" not in said and "E!" not in said, said
            # the same broker through management alone
            for _ in range(3):
                told = plain.sample()
            assert told[queue] == {"queue_length_ready": 3,
                                   "queue_length_unacked": 0,
                                   "gauge_growth": 0}
            assert told[""]["queue_length_ready"] == 4
            assert told[""]["bool_reachable"] == 1
            assert told[f"node={dry.node}"] == {"bool_running": 1}
            assert not [f for f in told[""] if "total_operations" in f]
            assert plain.said().count("disabled on the broker") == 1
            assert (vhost.ready("q"), vhost.ready("d")) == (3, 1)


def test_nacks_show_as_unconfirmed(build, broker, vhost):
    vhost.queue("full", x_max_length=1, x_overflow="reject-publish")
    with monitor(build, broker, "--metrics-url", broker.metrics_url) as command:
        before = settled(command, queue_tags(vhost, "full"), 0)
        with vhost.connect() as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            channel.basic_publish("", "full", b"fits")
            for _ in range(3):
                with pytest.raises(pika.exceptions.NackError):
                    channel.basic_publish("", "full", b"too many")
            wait_for(lambda: command.sample()[""].get("total_events_unconfirmed", 0)
                     >= before[""].get("total_events_unconfirmed", 0) + 3, 40,
                     "three nacks are seen")
        time.sleep(1)
        after = [command.sample() for _ in range(2)][-1][""]
        assert after["total_events_unconfirmed"] == \
            before[""].get("total_events_unconfirmed", 0) + 3
        assert after["percent_error_rate"] > 20


def test_a_node_without_the_plugin_is_observed_through_management(
        build, broker, vhost):
    vhost.queue("q")
    closed = f"http://127.0.0.1:{free_ports(1)[0]}"
    with monitor(build, broker, "--metrics-url", closed) as command:
        settled(command, queue_tags(vhost, "q"), 0)
        for _ in range(3):
            assert "response_time_prometheus" not in command.sample()[""]
        said = command.said()
    assert said.count("through the management API") == 1, said
    assert f"{broker.node} runs and does not answer at any MetricsURL" in said
    assert "W!" not in said and "E!" not in said, said


def test_without_management_the_nodes_are_enough(build, broker, vhost):
    vhost.queue("q")
    vhost.publish("", "q", b"x")
    closed = f"http://127.0.0.1:{free_ports(1)[0]}"
    with Command(build, "--url", closed, "--metrics-url",
                 broker.metrics_url) as command:
        told = settled(command, queue_tags(vhost, "q"), 1)
        command.sample()
        assert told[""]["bool_reachable"] == 1
        assert told[""]["gauge_nodes_running"] == 1
        assert told[f"node={broker.node}"]["bool_running"] == 1
        assert command.said().count("W!") == 1, command.said()


def test_what_a_user_may_not_see_is_left_out_and_no_more(build, broker, vhost):
    vhost.queue("seen")
    with broker.vhost(vhost.name + "-hidden") as hidden:
        hidden.queue("hidden")
        broker.must("PUT", "users/watcher", {"password": "s", "tags": "monitoring"})
        try:
            vhost.permit("watcher", "^$", "^$", "^$")
            with monitor(build, broker, "--user", "watcher",
                         password="s") as command:
                told = settled(command, queue_tags(vhost, "seen"), 0)
                assert queue_tags(hidden, "hidden") not in told
                assert told[f"node={broker.node}"]["bool_running"] == 1
                wait_for(lambda: command.sample() and "no permission" in
                         command.said(), 40, "it is said")
                for _ in range(3):
                    command.sample()
                said = command.said()
                assert said.count("are in virtual hosts on which the user has "
                                  "no permission") == 1, said
                assert said.count("W!") == 1 and "E!" not in said, said
            with monitor(build, broker, "--user", "watcher", "--metrics-url",
                         broker.metrics_url, password="s") as command:
                told = settled(command, queue_tags(hidden, "hidden"), 0)
                assert queue_tags(vhost, "seen") in told
        finally:
            broker.api("DELETE", "users/watcher")


NODE = b"""rabbitmq_build_info{rabbitmq_version="4.0.5"} 1
rabbitmq_identity_info{rabbitmq_node="rabbit@web"} 1
rabbitmq_connections 7
"""


def test_a_token_is_read_from_its_file_each_time(build, tmp_path):
    token = tmp_path / "token"

    def answer(handler):
        handler.reply(200, NODE)

    with Web(answer) as web:
        token.write_text("first\n")
        token.chmod(0o600)
        with Command(build, "--source", "prometheus", "--metrics-url", web.url,
                     "--bearer-token-file", str(token), password=None) as command:
            assert command.sample()[""]["current_connections_open"] == 7
            token.write_text("second\n")
            command.sample()
        shown = [headers.get("Authorization") for _, headers in web.requests]
    assert shown == ["Bearer first"] * 2 + ["Bearer second"] * 2
    assert [path for path, _ in web.requests][0] == "/metrics"


def test_a_secret_that_cannot_be_read_blinds_nobody(build, tmp_path):
    """The last one that could be is shown, or none, and least of all a default."""
    def answer(handler):
        handler.reply(200, NODE)

    for option in ("--password-file", "--bearer-token-file"):
        secret = tmp_path / option.strip("-")
        with Web(answer) as web:
            with Command(build, "--source", "prometheus", "--metrics-url", web.url,
                         option, str(secret), password=None) as command:
                for text in (None, "first\n", None):
                    if text is not None:
                        secret.write_text(text)
                        secret.chmod(0o600)
                    elif secret.exists():
                        secret.unlink()
                    assert command.sample()[""]["current_connections_open"] == 7
                said = command.said()
            shown = [headers.get("Authorization") for _, headers in web.requests]
        kind = "Basic" if option == "--password-file" else "Bearer"
        assert shown[:2] == [None] * 2, shown
        assert len(shown) == 6 and all(
            s.startswith(kind) and s == shown[2] for s in shown[2:]), shown
        assert f'{secret}" cannot be read: No such file' in said


def test_no_redirect_carries_anything_elsewhere(build):
    with Web(lambda h: h.reply(200, NODE)) as elsewhere:
        with Web(lambda h: h.reply(302, Location=elsewhere.url + h.path)) as web:
            with Command(build, "--source", "prometheus", "--metrics-url",
                         web.url) as command:
                assert command.sample()[""]["bool_reachable"] == 0
                assert "HTTP status 302" in command.said()
        assert elsewhere.requests == []


def test_urls_that_hang_hide_none_behind_them(build, broker, vhost):
    """Although each of them may take as long as a whole poll."""
    vhost.queue("q")
    with Web(lambda h: h.hang()) as first, Web(lambda h: h.hang()) as second:
        with Command(build, "--url", first.url, "--url", second.url, "--url",
                     broker.url, "--interval", "4", "--timeout", "4") as command:
            told = [command.sample(timeout=30)[""]["bool_reachable"]
                    for _ in range(3)]
            # a busy machine may need a second poll
            assert told[1:] == [1, 1], f"{told}: {command.said()}"
            settled(command, queue_tags(vhost, "q"), 0)
        # then the one that answers is asked first
        for web in (first, second):
            asked = [path for path, _ in web.requests if "overview" in path]
            assert 1 <= len(asked) <= 2, web.requests


def test_a_node_that_hangs_or_floods_costs_its_part_only(build):
    def flood(handler):
        handler.chunks(b"x" * 65536 for _ in range(1100))  # 69 MiB

    def healthy(handler):
        handler.reply(200, NODE if handler.path == "/metrics" else
                      b'rabbitmq_detailed_queue_messages_ready'
                      b'{vhost="/",queue="q"} 5\n')

    with Web(healthy) as good, Web(lambda h: h.hang()) as bad, \
            Web(flood) as worse:
        with Command(build, "--source", "prometheus", "--timeout", "5",
                     "--metrics-url", bad.url, "--metrics-url", good.url,
                     "--metrics-url", worse.url) as command:
            began = time.monotonic()
            told = command.sample(timeout=40)
            assert time.monotonic() - began < 9.5
            assert told["vhost=/,queue=q"]["queue_length_ready"] == 5
            assert told["node=rabbit@web"]["bool_running"] == 1
            # of the whole cluster nothing is known
            assert "current_connections_open" not in told[""]
            assert command.said().count("W!") == 1, command.said()
