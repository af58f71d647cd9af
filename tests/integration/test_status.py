# SPDX-License-Identifier: MIT
"""warren status, as a person sees it and as a program reads it."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from rig.collectd import built_program
from rig.ports import free_ports
from rig.waiting import wait_for

ENVIRONMENT = dict(os.environ, WARREN_PASSWORD="guest", LC_ALL="C.UTF-8",
                   TERM="xterm", NO_COLOR="")
# How long a look may take; without it no longer than --over or --watch.
PATIENT = ("--interval", "10")


def status(build, *args, url, **environment):
    done = subprocess.run(
        [built_program(build, "warren"), "status", *args, "--url", url],
        capture_output=True, text=True, timeout=60,
        env=ENVIRONMENT | environment)
    assert done.stderr == "", done.stderr
    return done.returncode, done.stdout


def look(build, vhost, *args):
    return status(build, "--over", "1", *PATIENT, "--include-vhost", vhost.name,
                  *args, url=vhost.broker.url)


def test_a_backlog_is_shown_with_its_queue_and_escapes_are_not_sent(
        build, broker, vhost):
    evil = "evil\x1b[31m\u202ered"
    vhost.queue("orders")
    vhost.queue(evil)
    vhost.queue("empty")
    for name, count in (("orders", 12), (evil, 3)):
        for _ in range(count):
            vhost.publish("", name, b"x")

    def counted():
        answer = json.loads(look(build, vhost, "--json")[1])
        return [q.get("ready") for q in answer["worst_queues"]] == [12, 3]
    wait_for(counted, 60, "the messages are counted")
    code, text = look(build, vhost)
    assert code in (0, 3), text  # UNKNOWN while no message was published before
    assert re.search(rf"^orders in {re.escape(vhost.name)} +12 +0 .* 0 +-$",
                     text, re.M), text
    assert "evil?[31m?red in" in text
    assert "2 of 3 queues have messages" in text
    assert "messages wait without a consumer in 2 queues" in text
    assert re.search(rf"^{re.escape(broker.node)} +runs +\d+ %", text, re.M), text
    assert "\x1b" not in text and "\u202e" not in text
    assert [line.split()[:1] for line in text.split("\n\n")[1].splitlines()] == [
        ["connection"], ["lag"], ["errors"], ["resource"], ["throughput"]]


def test_json_says_what_the_text_says(build, vhost):
    vhost.queue("q")

    def seen():
        code, line = look(build, vhost, "--json", "--name", "prod")
        answer = json.loads(line)
        return answer.get("queues_total") == 1 and (code, answer)
    code, answer = wait_for(seen, 60, "the queue is listed")
    assert answer["cluster"] == "prod" and answer["answered"] is True
    assert [i["name"] for i in answer["indicators"]] == [
        "connection", "lag", "errors", "resource", "throughput"]
    words = {i["state"] for i in answer["indicators"]}
    assert answer["state"] in words and code == {
        "OK": 0, "WARNING": 1, "FAILURE": 2, "UNKNOWN": 3}[answer["state"]]
    assert answer["worst_queues"] == []
    assert answer["nodes"][0]["running"] is True


def test_a_broker_that_does_not_answer_is_a_failure_and_the_rest_unknown(build):
    code, text = status(build, url=f"http://127.0.0.1:{free_ports(1)[0]}")
    assert code == 2
    assert "connection FAILURE since before" in text and "no answer" in text
    assert len(re.findall(r"UNKNOWN +not known: see connection", text)) == 4
    assert len(re.findall("Could(n't| not) connect", text)) == 1, text


def test_a_refusal_is_no_silence_and_is_told_once(build, broker):
    code, text = status(build, "--user", "monitor", url=broker.url,
                        WARREN_PASSWORD="wrong")
    assert code == 2 and text.count("401") == 1, text
    assert re.search(r"^connection +FAILURE +refused: HTTP 401 "
                     r"\((Login failed|Not_Authorized)\) "
                     rf"from {broker.url}; check --user and", text, re.M), text
    assert "does not answer" not in text and "\n!" not in text, text


def test_a_probe_that_fails_is_a_failure_that_says_why(build, broker):
    port, = free_ports(1)
    for at, timeout, word in ((broker.amqp_port, "10s", "OK"),
                              (port, "1s", "FAILURE")):
        _, line = status(build, "--json", "--over", "0.1", *PATIENT, "--max-queues",
                         "0", "--probe", f"host=127.0.0.1,port={at},"
                         f"timeout={timeout},interval=10", url=broker.url)
        answer = json.loads(line)
        connection = answer["indicators"][0]
        assert connection["state"] == word, answer
        notes = " ".join(answer["notes"])
        is_said = "not usable: the probe's message" in notes and str(port) in notes
        assert is_said == (word == "FAILURE"), notes


class Screen:
    """The command on a terminal of its own, 90 x 24."""

    def __init__(self, *command, **environment):
        pid, self.fd = pty.fork()
        if pid == 0:
            os.execve(command[0], command, ENVIRONMENT | environment)
        self.pid, self.shown = pid, b""
        self.resize(90, 24)

    def resize(self, columns, rows):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds=0.1):
        while select.select([self.fd], [], [], seconds)[0]:
            try:
                got = os.read(self.fd, 65536)
            except OSError:
                return self
            if not got:
                return self
            self.shown += got
        return self

    def frames(self):
        """What was drawn, each time from the top left corner to the erasing of
        what is below; the newest may still be on its way."""
        text = self.read().shown.decode(errors="ignore")
        return [frame for frame in text.split("\x1b[H")[1:] if "\x1b[J" in frame]

    def lines(self, frame=None):
        """Of the last one, without colours."""
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", frame or self.frames()[-1])
        return re.split(r"\r*\n", plain)


def test_a_terminal_is_redrawn_in_place_and_given_back(build, broker, vhost):
    vhost.queue("orders")
    for _ in range(5):
        vhost.publish("", "orders", b"x")
    screen = Screen(built_program(build, "warren"), "status", "--watch", "1",
                    *PATIENT, "--include-vhost", vhost.name, "--url", broker.url)

    def whole():
        """The last frame, once it shows the queue."""
        frames = screen.frames()
        lines = screen.lines(frames[-1]) if len(frames) >= 4 else ()
        return (any(re.match("lag +OK +[\u2581-\u2588 ]*[\u2581-\u2588]  ", line)
                    for line in lines)
                and any(line.startswith("orders in") for line in lines)
                and (frames[-1], lines))
    try:
        frame, lines = wait_for(whole, 40, "three looks and the queue are shown")
        assert screen.shown.startswith(b"\x1b[?1049h")
        assert "\x1b[32mOK" in frame, "coloured"
        assert all(len(line) <= 90 for line in lines), lines
        assert len(lines) <= 24
        screen.resize(76, 20)
        wait_for(lambda: all(len(line) <= 76 for line in screen.lines()), 20,
                 "it is drawn anew for the smaller window")
        os.kill(screen.pid, signal.SIGTERM)
        screen.read(20)
        assert screen.shown.endswith(b"\x1b[?25h\x1b[?1049l"), screen.shown[-80:]
        assert os.WTERMSIG(os.waitpid(screen.pid, 0)[1]) == signal.SIGTERM
    except BaseException:
        os.kill(screen.pid, signal.SIGKILL)
        raise
    finally:
        os.close(screen.fd)


def test_without_a_terminal_reports_follow_each_other(build, broker, vhost):
    vhost.queue("q")
    command = subprocess.Popen(
        [built_program(build, "warren"), "status", "--watch=1", *PATIENT, "--url",
         broker.url, "--include-vhost", vhost.name],
        stdout=subprocess.PIPE, text=True, env=ENVIRONMENT | {"LC_ALL": "C"})
    try:
        began, text = time.monotonic(), ""
        while text.count("cluster main") < 3 and time.monotonic() - began < 60:
            text += command.stdout.readline()
        assert text.count("cluster main") == 3
        assert "\x1b" not in text and text.isascii(), text
    finally:
        command.kill()
        command.wait()
