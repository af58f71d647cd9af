# SPDX-License-Identifier: MIT
"""warren monitor's forms of output, each by whoever reads it: one broker, one
backlog that comes and goes, and all forms beside each other."""

import contextlib
import fcntl
import getpass
import http.client
import json
import os
import pathlib
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import types

import pytest

from rig import modules as warren
from rig.collectd import Daemon, Record, block, built_program, plugin
from rig.gate import Gate
from rig.ports import free_ports
from rig.process import end, spawn
from rig.waiting import wait_for

SOURCES = pathlib.Path(__file__).resolve().parents[2]
EVIL = 'quo"te\\ba ck,x=1 \u00fc\u2603{}'
RUDE = "emp\x1bty\t"  # line protocol has no words for it
READY = 5
READY_OF = "warren_monitor_queue_length_ready"
AS_PUTVAL = ["monitor", "--output", "putval"]
INDICATORS = ("connection", "lag", "errors", "resource", "throughput")


class Command:
    """`warren monitor` that goes on by itself; what it says goes to files."""

    def __init__(self, build, where, name, *options, stdin=subprocess.DEVNULL,
                 **environment):
        self._out, self._err = where / f"{name}.out", where / f"{name}.err"
        with open(self._out, "wb") as out, open(self._err, "wb") as err:
            self.process = spawn(
                [built_program(build, "warren"), "monitor", *options],
                stdin=stdin, stdout=out, stderr=err,
                env={"PATH": os.environ["PATH"], "WARREN_PASSWORD": "guest",
                     **environment})

    def out(self):
        return self._out.read_text("utf-8")

    def err(self):
        return self._err.read_text("utf-8")

    def objects(self, kind):
        """Whole lines of JSON: the sets, or the events."""
        found = [json.loads(line) for line in self.out().split("\n")[:-1]]
        return [o for o in found if ("event" in o) == (kind == "event")]

    def signal(self, number):
        os.kill(self.process.pid, number)

    def stop(self):
        seconds = end(self.process)
        assert self.process.returncode == 0, (self.process.returncode, self.err())
        return seconds

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end(self.process)


def get(port, path="/metrics", method="GET"):
    """(status, content type, text)"""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        client.request(method, path)
        answer = client.getresponse()
        return (answer.status, answer.getheader("Content-Type"),
                answer.read().decode("utf-8"))
    finally:
        client.close()


# -- readers of our own, from the formats' descriptions -----------------------

def exposition(text):
    """{family: (type, [(labels, value)])}; every rule of the text format that a
    document can break is an error."""
    families, current = {}, None
    assert text.endswith("\n")
    for line in text.split("\n")[:-1]:
        if line.startswith("# HELP "):
            _, _, current, said = line.split(" ", 3)
            assert current not in families, f"{current} comes twice"
            assert said and not re.search(r"\\[^\\n]", said)
            families[current] = [None, []]
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == current and families[name] == [None, []], line
            assert kind in ("gauge", "counter")
            assert (kind == "counter") == name.endswith("_total"), line
            families[name][0] = kind
            continue
        name = re.match("[a-zA-Z_:][a-zA-Z0-9_:]*", line)[0]
        assert name == current and families[name][0], f"{line} is not with its family"
        labels, rest = label_set(line, len(name))
        assert re.fullmatch(r" [-+0-9.eE]+", rest), f"no value, or more: {line}"
        families[name][1].append((labels, float(rest)))
    for name, (_, samples) in families.items():
        every = [tuple(sorted(labels.items())) for labels, _ in samples]
        assert samples and len(set(every)) == len(every), name
    return {name: (kind, samples) for name, (kind, samples) in families.items()}


def label_set(line, at):
    """({name: value}, what is behind it) of what begins with a brace."""
    labels = {}
    assert line[at] == "{"
    at += 1
    while line[at] != "}":
        m = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\["\\n])*)",?'
                       ).match(line, at)
        assert m and m[1] not in labels, line[at:]
        labels[m[1]] = re.sub(r"\\(.)", lambda e: "\n" if e[1] == "n" else e[1], m[2])
        at = m.end()
    return labels, line[at + 1:]


def of(families, name, **labels):
    """The values of a family whose labels are as said, at least."""
    return [v for has, v in families.get(name, ("", ()))[1]
            if labels.items() <= has.items()]


def influx_line(line):
    """(measurement, tags, fields) of line protocol."""
    def parts(text, at):
        return re.split(rf"(?<!\\){at}", text)

    def plain(text):
        return re.sub(r"\\([, =])", r"\1", text)
    m = re.fullmatch(r'((?:\\.|[^ \\])+) ((?:"(?:\\.|[^"\\])*"|[^ "])+) (\d+)', line)
    assert m, line
    measurement, *tags = parts(m[1], ",")
    fields = re.findall(r'([^=,]+)=("(?:\\.|[^"\\])*"|[^,]+)', m[2])
    return (measurement, {plain(k): plain(v) for k, v in
                          (parts(t, "=") for t in tags)}, dict(fields))


# -- the journey --------------------------------------------------------------

@contextlib.contextmanager
def for_nobody(build):
    """(user, program) as collectd's exec may run it: never as root."""
    where = tempfile.mkdtemp(prefix="warren-outputs-")
    os.chmod(where, 0o755)
    try:
        yield ("nobody" if os.getuid() == 0 else getpass.getuser(),
               shutil.copy(built_program(build, "warren"), where))
    finally:
        shutil.rmtree(where)


def collectd(where, built, program, broker, vhost, *options):
    """The module as cluster mod, and exec with the command as cluster cmd."""
    record = f"{where}/record"
    daemon = Daemon(str(where), built, ["sink", "rabbitmq_monitor", "exec"], [
        plugin("sink", File=record),
        warren.monitor(warren.cluster_block(
            "mod", broker, block("Alert", "backlog", Failure=3, Hold=1, ClearHold=0),
            Interval=1, IncludeVHost=vhost.name)),
        plugin("exec", Exec=[*program, *AS_PUTVAL, "--name", "cmd", *options])],
        environment={"WARREN_PASSWORD": "guest"})
    daemon.record = Record(record)
    return daemon


@pytest.fixture(scope="module")
def journey(broker, build, built, tmp_path_factory):
    """A queue is filled and emptied. What each reader had before, between and
    after."""
    where = tmp_path_factory.mktemp("outputs")
    page, = free_ports(1)
    file = where / "warren.prom"
    with broker.vhost("outputs/1") as vhost, contextlib.ExitStack() as stack:
        vhost.queue(EVIL)
        vhost.queue(RUDE)
        common = ["--url", broker.url, "--include-vhost", vhost.name,
                  "--alert", "backlog:failure=3,hold=1,clear-hold=0"]

        def command(name, *options, **more):
            return stack.enter_context(Command(
                build, where, name, *common, "--interval", "1", *options, **more))
        influx = command("influx")
        as_json = command(
            "json", "--output", "json", "--name", "prod", "--probe",
            f"host=127.0.0.1,port={broker.amqp_port},vhost={vhost.name},user=guest,"
            "interval=5,timeout=5", WARREN_PROBE_PASSWORD="guest")
        in_file = command("file", "--output", "prometheus", "--file", str(file))
        on_page = command("page", "--output", "prometheus", "--listen",
                          f"127.0.0.1:{page}")
        daemon = stack.enter_context(collectd(
            where / "collectd", built, stack.enter_context(for_nobody(build)), broker,
            vhost, *common))

        def alerts(text):
            return of(exposition(text), "warren_monitor_alert", queue=EVIL)

        def show():
            """What the page answers, None before it listens."""
            try:
                return get(page)
            except ConnectionRefusedError:
                return None

        def told(severity, number):
            """Whether each of them has heard it."""
            notes = [n for n in daemon.record.refresh().notifications
                     if n[0] == number]
            return (f",severity={severity}" in influx.out()
                    and any(e["severity"] == severity
                            for e in as_json.objects("event"))
                    and alerts(file.read_text("utf-8")) == [2 * (number == 1)]
                    and alerts(get(page)[2]) == [2 * (number == 1)]
                    and len(notes) == 2)
        wait_for(lambda: file.exists() and (p := show()) and p[0] == 200
                 and as_json.objects("set")[1:], 60, "each has told something")
        assert not alerts(file.read_text("utf-8"))
        with vhost.connect() as connection:
            channel = connection.channel()
            for _ in range(READY):
                channel.basic_publish("", EVIL, b"x")
        wait_for(lambda: told("failure", 1), 60, "each tells the backlog")
        seen = types.SimpleNamespace(
            vhost=vhost, file=file.read_text("utf-8"), page=get(page),
            mode=file.stat().st_mode & 0o7777, missing=get(page, "/metric"),
            posted=get(page, method="POST"), record=daemon.record,
            collectd=daemon, common=common)
        seen.series = wait_for(
            lambda: (s := alike(seen))[0] == s[1] and s, 60,
            "module and exec tell the same series")
        assert len(vhost.take_all(EVIL)) == READY
        wait_for(lambda: told("okay", 4), 60, "each tells its end")
        seen.after = exposition(get(page)[2])
        seen.collectd_seconds = daemon.stop()
        for c in influx, as_json, in_file, on_page:
            assert c.stop() < 15
        seen.is_file_left = file.exists()
        seen.influx, seen.json = influx, as_json
        seen.err = {c: c.err() for c in (influx, as_json, in_file, on_page)}
        yield seen


def alike(seen):
    """Of the module and of exec: {series: value or "" where two askers may see
    different ones}."""
    both = []
    for name in "mod", "cmd":
        said = seen.record.series(f"rabbitmq_monitor-{name}")
        both.append({k: v if "queue_length" in k or "bool-" in k or "nodes" in k
                     else "" for k, v in said.items()})
    return both


def test_collectds_exec_dispatches_the_same_series_as_the_module(journey):
    of_module, of_exec = journey.series
    assert of_module == of_exec and len(of_module) > 50
    name, = (k for k in of_exec if "%22te" in k and k.endswith("queue_length-ready"))
    assert of_exec[name] == READY and name.startswith("-queue-outputs%2F1-quo%22te")
    assert [k for k in of_exec if "-emp%1Bty%09/queue_length-ready" in k]
    with open(f"{journey.collectd.dir}/record", encoding="utf-8") as f:
        hosts = {line.split(" ")[2].split("/")[0] for line in f
                 if line.startswith("V ") and "/rabbitmq_monitor-cmd" in line}
    assert hosts == {"rig.example.org"}
    assert journey.collectd_seconds < 15
    # Standard error is collectd's log; nothing else is wrong there, but that a
    # busy machine held collectd up.
    assert not journey.collectd.log_lines(
        r"^(?!.*(state=(answering|failure|okay)|took [\d.]+ seconds)).*"
        r"(error|warning)\]")
    # The broker's own 500 is told truly: of a connection that closes as it is listed.
    assert not journey.collectd.log_lines(
        "exec_read_one: (?!.*HTTP status 500 ).* (W!|T!|D!)")


def test_alerts_are_notifications_of_collectd_and_say_what_the_module_says(journey):
    said = {"mod": [], "cmd": []}
    for severity, source, message in journey.record.notifications:
        name = re.search(r"cluster (mod|cmd)|rabbitmq_monitor-(mod|cmd)",
                         f"{message} {source}")
        name = name[1] or name[2]
        said[name].append((severity, source.replace(f"-{name}", "-NAME"), re.sub(
            r", after .*", "", message.replace(f"cluster {name}", "cluster NAME"))))
    assert said["mod"] == said["cmd"], said
    assert [s for s, _, _ in said["cmd"]] == [1, 4]
    assert EVIL in said["cmd"][0][2]


@pytest.mark.parametrize("which", ["file", "page"])
def test_promtool_has_nothing_against_it(journey, which):
    text = journey.file if which == "file" else journey.page[2]
    done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                          capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("which", ["file", "page"])
def test_the_exposition_is_what_its_description_says(journey, which):
    text = journey.file if which == "file" else journey.page[2]
    families = exposition(text)
    assert of(families, READY_OF, cluster="main", vhost="outputs/1",
              queue=EVIL) == [READY]
    assert of(families, "warren_monitor_bool_reachable") == [1]
    (labels, value), = families["warren_monitor_alert"][1]
    assert value == 2 and labels == {
        "cluster": "main", "vhost": "outputs/1", "queue": EVIL,
        "indicator": "backlog", "priority": "P1", "object": EVIL,
        "series": "queue_length_ready"}, labels
    assert of(journey.after, "warren_monitor_alert", queue=EVIL) == [0]
    assert of(journey.after, READY_OF, queue=EVIL) == [0]


def test_the_page_is_served_and_the_file_is_for_everybody(journey):
    status, kind, _ = journey.page
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert journey.missing[0] == 404 and journey.posted[0] == 405
    assert journey.mode == 0o644
    assert not journey.is_file_left, "old numbers are left"


def is_schema(value, schema):
    """Whether a value has the shape: a type, {key: shape} (with "*" for all
    others), or [shape of each]."""
    if isinstance(schema, list):
        return isinstance(value, list) and all(is_schema(v, schema[0]) for v in value)
    if isinstance(schema, dict):
        return isinstance(value, dict) and all(
            k in value for k in schema if k != "*") and all(
            k in schema and is_schema(v, schema[k]) or
            k not in schema and "*" in schema and is_schema(v, schema["*"])
            for k, v in value.items())
    return isinstance(value, schema) and not isinstance(value, bool)


NUMBER = (int, float)
SET = {"time": NUMBER, "cluster": str, "monitor": {"*": NUMBER},
       **{i: {"*": NUMBER} for i in INDICATORS},
       "nodes": [{"node": str, "*": NUMBER}],
       "vhosts": [{"vhost": str, "*": NUMBER}],
       "queues": [{"vhost": str, "queue": str, "*": NUMBER}]}
EVENT = {"event": str, "time": NUMBER, "severity": str, "series": str,
         "indicator": str, "priority": str, "value": NUMBER, "threshold": NUMBER,
         "object": str, "cluster": str, "vhost": str, "queue": str, "message": str}


def names(a_set):
    """(member, field) of all that an object tells."""
    return {(member, field) for member, value in a_set.items()
            for part in (value if isinstance(value, list) else [value])
            if isinstance(part, dict) for field in part}


def test_what_the_manual_shows_of_json_and_exec_is_what_there_is(journey):
    page = (SOURCES / "plugins" / "warren.pod").read_text("utf-8")
    shown = json.loads(re.search(r'^  (\{"time":.*?\]\})$', page, re.M | re.S)[1])
    assert is_schema(shown, SET)
    there = set().union(*map(names, journey.json.objects("set")))
    assert names(shown) and names(shown) <= there, names(shown) - there
    line, = re.findall(r'^    Exec "nobody" "/usr/bin/warren" (.*)$', page, re.M)
    assert shlex.split(line) == AS_PUTVAL


def test_json_has_its_schema_and_the_numbers(journey):
    sets, events = journey.json.objects("set"), journey.json.objects("event")
    for o in sets:
        assert is_schema(o, SET), o
        assert o["cluster"] == "prod" and abs(o["time"] - time.time()) < 240
    for o in events:
        assert is_schema(o, EVENT), o
    assert not is_schema(dict(sets[0], queues=[{"queue": EVIL}]), SET)
    assert [(e["severity"], e["indicator"], e["object"]) for e in events] == [
        ("failure", "backlog", EVIL), ("okay", "backlog", EVIL)]
    assert {q["queue"] for q in sets[-1]["queues"]
            if not q["queue"].startswith("amq.gen-")} == {EVIL, RUDE}, "the probe's"
    assert READY in [q.get("queue_length_ready") for o in sets for q in o["queues"]
                     if q["queue"] == EVIL], "a new queue has no numbers at first"
    times = [o["time"] for o in sets]
    assert times == sorted(set(times))


def test_the_probe_says_that_the_broker_can_be_used(journey):
    said = [o["connection"].get("bool_amqp_usable")
            for o in journey.json.objects("set")]
    assert 1 in said and 0 not in said, said
    assert any(o["lag"].get("latency_probe_confirm", 0) > 0
               for o in journey.json.objects("set"))


def test_a_name_with_control_characters_is_as_it_is_or_left_out(journey):
    assert of(exposition(journey.file), READY_OF, queue=RUDE) == [0]
    assert "cannot express; it is left out" in journey.err[journey.influx]
    assert "emp\x1b" not in journey.influx.out()
    assert "left out" not in journey.err[journey.json]


def test_line_protocol_has_the_event_and_names_as_they_are(journey):
    lines = [influx_line(line) for line in journey.influx.out().split("\n")[:-1]]
    assert {m for m, _, _ in lines} == {"rabbitmq_monitor", "rabbitmq_monitor_event"}
    assert str(READY) in [f.get("queue_length_ready") for _, t, f in lines
                          if t.get("queue") == EVIL]
    events = [(t, f) for m, t, f in lines if m == "rabbitmq_monitor_event"]
    assert [t["severity"] for t, _ in events] == ["failure", "okay"]
    tags, fields = events[0]
    assert tags == {"cluster": "main", "vhost": "outputs/1", "queue": EVIL,
                    "indicator": "backlog", "priority": "P1", "object": EVIL,
                    "severity": "failure"}
    assert float(fields["value"]) == READY and float(fields["threshold"]) == 3
    assert fields["message"].startswith('"')


def test_standard_error_has_telegrafs_prefixes_and_each_change(journey):
    for text in journey.err.values():
        for line in text.split("\n")[:-1]:
            assert line[:3] in ("E! ", "W! ", "I! ", "D! ", "T! "), line
        changes = re.findall(r"(?m)^(..) .*limit 3.*state=(\w+)\]$", text)
        assert changes == [("E!", "failure"), ("I!", "okay")], text


# -- on its own ---------------------------------------------------------------

def silent():
    """A port where nobody answers."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(16)
    return listening, f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_a_page_without_a_set_is_503_and_a_silent_broker_is_not_reachable(
        build, tmp_path):
    port, = free_ports(1)
    listening, url = silent()
    with listening, Command(
            build, tmp_path, "page", "--url", url, "--output", "prometheus",
            "--listen", f"127.0.0.1:{port}", "--interval", "5", "--timeout", "5") as c:
        def page():
            try:
                return get(port)
            except ConnectionRefusedError:
                return None
        status, _, text = wait_for(page, 30, "it listens")
        assert status == 503 and "no set" in text, text
        status, _, text = wait_for(
            lambda: (p := page()) and p[0] == 200 and p, 30, "a set")
        assert of(exposition(text), "warren_monitor_bool_reachable") == [0]
        assert not re.search("queue_length|nodes_running", text)
        assert c.stop() < 15, "SIGTERM ends it while the broker hangs"


@pytest.mark.parametrize("how,want", [(["--interval", "30"], 0), (["--once"], 1)],
                         ids=["interval", "once"])
def test_a_broker_that_hangs_does_not_keep_it_from_ending(build, tmp_path, how, want):
    """Standard output is read: what runs is given up, and nothing half is said. A
    patience that runs out would be status 1 of --interval."""
    listening, url = silent()
    with listening, Command(build, tmp_path, "hung", "--url", url, "--timeout", "20",
                            "--output", "prometheus", *how) as c:
        asked, _ = listening.accept()
        with asked:
            assert asked.recv(3) == b"GET"
            end(c.process)
        assert c.process.returncode == want, c.err()
        assert c.out() == "" and c.err() == ""


def test_a_probe_that_hangs_does_not_keep_it_from_ending(build, broker, tmp_path):
    with Gate(broker.amqp_port) as gate, Command(
            build, tmp_path, "probe", "--url", broker.url, "--output", "json",
            "--interval", "1", "--max-queues", "0", "--probe",
            f"host=127.0.0.1,port={gate.amqp_port},user=guest",
            WARREN_PROBE_PASSWORD="guest") as c:
        wait_for(lambda: any(s["connection"].get("bool_amqp_usable") == 1
                             for s in c.objects("set")), 20, "the probe passes")
        gate.stall()
        c.stop()


def test_a_reader_that_hangs_does_not_keep_it_from_ending(build, broker, tmp_path):
    reading, writing = os.pipe()
    os.write(writing, b"x" * fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096))
    with open(tmp_path / "err", "wb") as err:
        process = spawn([built_program(build, "warren"), "monitor", "--url", broker.url,
                         "--interval", "1"], stdin=subprocess.DEVNULL, stdout=writing,
                        stderr=err, env=dict(os.environ, WARREN_PASSWORD="guest"))
    os.close(writing)
    try:
        wait_for(lambda: b"answers" in (tmp_path / "err").read_bytes(), 20,
                 "it has something to write")
        assert end(process, ((signal.SIGTERM, 15), (signal.SIGKILL, 5))) < 12
        assert process.returncode == 1
    finally:
        end(process, ((signal.SIGKILL, 5),))
        os.close(reading)


def test_each_of_telegrafs_signals_is_one_set(build, broker, vhost, tmp_path):
    with Command(build, tmp_path, "signals", "--url", broker.url, "--output", "json",
                 "--include-vhost", vhost.name, stdin=subprocess.PIPE) as c:
        def sets():
            return len(c.objects("set"))

        def line():
            c.process.stdin.write(b"\n")
            c.process.stdin.flush()
        line()
        wait_for(lambda: sets() == 1, 20, "a line is one set")
        for number, ask in enumerate([
                lambda: c.signal(signal.SIGHUP), lambda: c.signal(signal.SIGUSR1),
                line, lambda: c.signal(signal.SIGUSR2)], 2):
            ask()
            wait_for(lambda n=number: sets() >= n, 30, f"set {number}")
            time.sleep(0.2)
            assert sets() == number
        c.process.stdin.close()
        assert c.process.wait(20) == 0
        assert sets() == 5


def test_what_comes_while_a_set_is_late_is_one_more(build, tmp_path):
    """Each set takes seconds here, for nobody answers."""
    listening, url = silent()
    with listening, Command(build, tmp_path, "late", "--url", url, "--timeout", "2",
                            "--output", "json", stdin=subprocess.PIPE) as c:
        def line():
            c.process.stdin.write(b"\n")
            c.process.stdin.flush()
        line()
        # Once it asks, the first set is being made and signals are taken.
        assert select.select([listening], [], [], 30)[0], "it asks"
        for _ in range(4):
            line()
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            c.signal(number)
        wait_for(lambda: len(c.objects("set")) >= 2, 60, "two sets")
        c.process.stdin.close()
        assert c.process.wait(40) == 0
        assert len(c.objects("set")) <= 3, "lines and signals, each once"


def test_the_manuals_file_is_one_that_the_rule_watches():
    manual = (SOURCES / "plugins" / "warren.pod").read_text("utf-8")
    rules = (SOURCES / "contrib" / "prometheus" / "rules.yml").read_text("utf-8")
    pattern, = re.findall(r'node_textfile_mtime_seconds\{file=~"(.*?)"\}', rules)
    files = re.findall(r"--file (\S+\.prom)", manual)
    assert files and all(re.fullmatch(pattern, f) for f in files), files


def test_without_an_interval_the_file_is_written_nevertheless(
        build, broker, vhost, tmp_path):
    file = tmp_path / "warren.prom"
    with Command(build, tmp_path, "a", "--url", broker.url, "--include-vhost",
                 vhost.name, "--output", "prometheus", "--file", str(file)) as c:
        wait_for(file.exists, 20, "it writes")
        c.stop()


def test_with_once_the_file_stays_and_the_status_tells(build, broker, vhost, tmp_path):
    def once(url, file):
        return subprocess.run(
            [built_program(build, "warren"), "monitor", "--once", "--url", url,
             "--include-vhost", vhost.name, "--output", "prometheus", "--file", file],
            env=dict(os.environ, WARREN_PASSWORD="guest"), capture_output=True,
            text=True, timeout=20, check=False)
    file = tmp_path / "w.prom"
    done = once(broker.url, file)
    assert (done.returncode, done.stdout) == (0, ""), done
    assert of(exposition(file.read_text("utf-8")),
              "warren_monitor_bool_reachable") == [1]
    assert os.listdir(tmp_path) == ["w.prom"]
    done = once(f"http://127.0.0.1:{free_ports(1)[0]}", file)
    assert done.returncode == 3
    assert of(exposition(file.read_text("utf-8")),
              "warren_monitor_bool_reachable") == [0]
    done = once(broker.url, tmp_path / "no" / "w.prom")
    assert done.returncode == 1, done
    assert re.search("^E! .*cannot be written: No such file", done.stderr, re.M), done


def test_the_file_of_one_that_was_killed_stays_and_is_replaced(
        build, broker, vhost, tmp_path):
    file = pathlib.Path(tmp_path, "warren.prom")
    argv = ("--url", broker.url, "--include-vhost", vhost.name, "--interval", "1",
            "--output", "prometheus", "--file", str(file))
    with Command(build, tmp_path, "a", *argv) as c:
        wait_for(file.exists, 20, "it writes")
        end(c.process, ((signal.SIGKILL, 10),))
    assert file.exists()
    pathlib.Path(f"{file}.tmp").write_text("half of it", encoding="ascii")
    before = file.stat().st_ino, file.stat().st_mtime_ns
    with Command(build, tmp_path, "b", *argv) as c:
        wait_for(lambda: (file.stat().st_ino, file.stat().st_mtime_ns) != before, 20,
                 "it is replaced")
        exposition(file.read_text("utf-8"))
        c.stop()
    assert not file.exists() and not os.path.exists(f"{file}.tmp")
