# SPDX-License-Identifier: MIT
"""Every example of the manuals and of README.md is run: a verbatim block of a
page, a fenced one of README.md. A new one is found by itself; one that nobody
runs must be listed here with its reason."""

import os
import pathlib
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import time
import tomllib

import pytest

from rig import modules as warren
from rig.collectd import Daemon, built_program, plugin
from rig.waiting import wait_for

TOP = pathlib.Path(__file__).resolve().parents[2]

# What a block is, by how it begins, and who runs it. The first that fits.
ELSEWHERE = [
    (r"((LoadPlugin|WriteThreads) .*\n)*<Plugin (rabbitmq_\w+|amqp)>", "tests/check_samples.sh"),
    (r"<(Alert|Probe|Baseline)\b", "tests/check_samples.sh"),
    (r'<Target "write">', "test_consume_overdue"),
    (r"systemd-creds |# systemctl edit", "needs systemd as the first process"),
    (r"input \{ rabbitmq", "Logstash is in no package; test_formats reads the "
     "same messages as its codec does"),
    (r"rabbitmqadmin ", "comes with a broker, over HTTP; the same three calls are "
     "those of tests/rig/broker.py"),
    (r"PUTVAL |h\.cpu-0|swap,host=h", "test_formats reads and writes each form"),
    (r"apt-get |\./autogen\.sh", "contrib/run-tests does it, --packages in a clean "
     "root"),
    (r"contrib/demo", "test_demo; without --build in the long tier only"),
    (r"contrib/run-tests", "is what runs this"),
    (r"contrib/graph/warren-graph", "test_graph"),
    (r'\{"time":|<Plugin exec>|warren monitor --output prometheus', "test_outputs"),
    (r"warren publish --listen|curl .*publish\.sock", "test_listen"),
    (r"warren drill backlog --private", "test_warren_drill, in the long tier only: "
     "a broker is started"),
    (r"cp /usr/share/", "contrib/run-tests --packages"),
]
# What check and status say of a cluster that they could not ask.
NOT_ANSWERED = r"no answer|not answer|no verdict"
COMMAND = re.compile(r"^(.*\| *|[A-Z_]+=\S* *)*warren (-|[a-z])", re.M)


class Block:
    def __init__(self, page, line, text):
        self.page, self.line, self.text = page, line, text

    def __repr__(self):
        return f"{self.page}:{self.line}"

    def is_example(self):
        """Not a table or a formula: those have columns, or stand for numbers."""
        if re.match(r"[<\[$#]|\S+ ?\{|LoadPlugin|PUTVAL", self.text):
            return True
        rows = self.text.splitlines()
        has_columns = sum("   " in row.strip() for row in rows) * 2 >= len(rows)
        return not (has_columns or self.page.name == "warren.7.pod"
                    or re.match(r"min\(|\w+ [=>] \w+|text/|warren +=", self.text)
                    or re.fullmatch(r"(\S+ {2,}\S.*\n?)+", self.text))


def pod_blocks(page):
    """Runs of indented lines; one blank line within is part of it."""
    start, rows = 0, []
    for n, row in enumerate([*page.read_text().splitlines(), "", "=cut"], 1):
        if row.startswith("  "):
            start = start or n
            rows.append(row[2:])
        elif row and rows:
            yield Block(page, start, "\n".join(rows))
            start, rows = 0, []
        elif not row and rows:
            rows.append("")


def fenced_blocks(page):
    for m in re.finditer(r"^```\w*\n(.*?)^```", page.read_text(), re.M | re.S):
        line = page.read_text()[:m.start()].count("\n") + 2
        yield Block(page, line, m[1])


def all_blocks():
    for page in sorted((TOP / "plugins").glob("*.pod")):
        yield from pod_blocks(page)
    yield from fenced_blocks(TOP / "README.md")


EXAMPLES = [b for b in all_blocks() if b.is_example()]


def elsewhere(block):
    return next((why for begin, why in ELSEWHERE
                 if re.match(begin, block.text)), None)


def is_toml(block):
    return block.text.startswith("[[")


def commands_of(block):
    """The command lines of a block, as a shell takes them: what was answered
    below a prompt is not among them."""
    text = block.text
    if elsewhere(block) or is_toml(block):
        return None
    if re.search(r"^[$#] ", text, re.M):
        text = "\n".join(row[2:] for row in text.splitlines()
                         if re.match(r"[$#] ", row))
    return text if COMMAND.search(text) else None


def test_examples_are_found():
    assert len(EXAMPLES) >= 30
    assert {b.page.name for b in EXAMPLES} >= {
        "README.md", "rabbitmq_consume.pod", "rabbitmq_monitor.pod",
        "rabbitmq_publish.pod", "warren.pod"}


def test_each_example_is_run_by_somebody():
    nobody = [f"{b}: {b.text.splitlines()[0]}" for b in EXAMPLES
              if not (elsewhere(b) or is_toml(b) or commands_of(b)
                      or b.text.startswith(("rabbitmqctl ", "<Plugin threshold>")))]
    assert nobody == []


class Stage:
    """A directory in which the paths, hosts and files of the manuals exist."""

    def __init__(self, where, build, broker, vhost, spool):
        self.where, self.broker, self.vhost = where, broker, vhost
        self.program = built_program(build, "warren")
        (where / "bin").mkdir()
        executable(where / "bin" / "warren", f"""
            options=()
            case "$1" in publish | consume)
              options=(--port {broker.amqp_port} --vhost {vhost.name})
              [[ "$*" == *" --host "* ]] || options+=(--host 127.0.0.1) ;;
            esac
            command=$1
            shift
            exec {os.path.abspath(self.program)} "$command" \
              "${{options[@]}}" "$@" """)
        executable(where / "send-mail", "cat; echo")
        (where / "password").write_text("guest\n")
        (where / "password").chmod(0o600)
        shutil.copytree(spool, where / "spool")
        shutil.copy(where / "spool" / "main.spool", where)

    def localized(self, text):
        """The same with hosts, ports and files of this machine."""
        text = re.sub(r"http://rabbit\d:15672", self.broker.url, text)
        text = re.sub(r"http://rabbit\d:15692", self.broker.metrics_url, text)
        text = re.sub(r"(/etc|~)/[\w./-]*", str(self.where / "password"), text)
        text = re.sub(r"--host (\w+)", "--host 127.0.0.1", text)
        text = re.sub(r"--probe host=\w+", "--probe host=127.0.0.1,port="
                      f"{self.broker.amqp_port}", text)
        text = re.sub(r"(--probe \S+,timeout)=2s", r"\1=9s", text)  # a busy machine's
        text = re.sub(r"--drain 2s", "--drain 3s", text)             # likewise
        text = re.sub(r"/var/lib/(collectd|telegraf)/spool",
                      str(self.where / "spool"), text)
        text = re.sub(r"--user (monitor|collectd)\b", "--user guest", text)
        return re.sub(r'"--user", "\w+"', '"--user", "guest"', text)

    def shell(self, text, **how):
        return subprocess.run(
            ["bash", "-c", "set -o pipefail; " + self.localized(text)],
            cwd=self.where, capture_output=True, text=True, timeout=120,
            input="\n", env=dict(
                os.environ, WARREN_PASSWORD="guest",
                PATH=f"{self.where / 'bin'}:{os.environ['PATH']}"), **how)


@pytest.fixture(scope="module")
def spool(built, tmp_path_factory):
    """What a publisher leaves on the disk when there is no broker."""
    where = tmp_path_factory.mktemp("spooled")
    block = warren.publish_block(
        "main", DeadBroker(), "/", Exchange="metrics", SpoolDir=str(where / "spool"),
        SpoolMode="always", Format="Influx", ContentEncoding="gzip",
        BatchValues=200, ShutdownTimeout=2)
    with Daemon(str(where / "a"), built, ["loadgen", "rabbitmq_publish"],
                [plugin("loadgen", Result=str(where / "result"), Series=20,
                        Total=2000), warren.publish(block)]) as a:
        wait_for(lambda: (where / "result").exists(), 60, "loadgen is done")
        a.stop()
    return where / "spool"


class DeadBroker:
    amqp_port = 1


def executable(path, script):
    path.write_text("#!/bin/bash\n" + script)
    path.chmod(0o755)


def set_up_broker(vhost):
    """What the examples name: exchanges, and queues with a message each."""
    for exchange in ("events", "metrics"):
        vhost.exchange(exchange, "topic")
    for queue in ("events", "mails", "metrics", "orders"):
        vhost.queue(queue)
        for body in b"m,host=a v=1 1700000000000000000", b"m v=2i 1700000000000000000":
            vhost.publish("", queue, body, content_type="text/influx")
    vhost.bind("metrics", "metrics", "#")
    vhost.bind("events", "events", "a.#")


@pytest.fixture
def stage(tmp_path, build, broker, vhost, spool):
    set_up_broker(vhost)
    return Stage(tmp_path, build, broker, vhost, spool)


def told_wrong_arguments(done):
    return re.search(r"there is no (option|command|indicator)|is not an option|"
                     r"not allowed|usage:|syntax error|command not found",
                     done.stderr)


@pytest.mark.parametrize("block", filter(commands_of, EXAMPLES), ids=str)
def test_a_command_line_of_the_manuals_works(block, stage):
    if re.search(r"\bjq\b", block.text) and not shutil.which("jq"):
        pytest.skip("jq is missing")
    done = stage.shell(commands_of(block))
    assert not told_wrong_arguments(done), done.stderr
    errors = re.findall(r"^E! .*\n?", block.text, re.M)
    # check and status answer what they find; the others have a stage to succeed on.
    allowed = ({0, 1, 2, 3} if re.search(r"warren (check|status)\b", block.text)
               else {1} if errors else {0})
    assert done.returncode in allowed, (done.returncode, done.stderr)
    assert all(error.strip() in done.stderr for error in errors), done.stderr
    assert done.stdout or "warren publish" in block.text, "nothing was shown"
    if allowed == {0, 1, 2, 3}:  # an answer of the broker, whatever it is
        assert not re.search(NOT_ANSWERED, done.stdout), done.stdout


@pytest.mark.parametrize("block", filter(is_toml, EXAMPLES), ids=str)
def test_a_block_for_telegraf_is_toml_and_its_command_works(block, stage):
    tables = tomllib.loads(block.text)
    for plugin in [p for kind in tables.values() for ps in kind.values() for p in ps]:
        if "command" not in plugin:
            continue
        line = shlex.join(plugin["command"])
        assert plugin["command"][0] in ("warren", "/usr/bin/warren")
        done = stage.shell(f"printf '\\n' | {line}")
        assert not told_wrong_arguments(done), done.stderr
        assert done.returncode == 0, done.stderr
        if plugin.get("data_format") == "influx" and "monitor" in line:
            assert re.search(r"^rabbitmq_monitor,cluster=\S+ \S", done.stdout, re.M)


def lines_for_rabbitmqctl():
    """Each once, in the order of the pages; a user before who uses it."""
    lines = {}
    for block in EXAMPLES:
        if block.text.startswith("rabbitmqctl "):
            for line in block.text.replace("\\\n", " ").splitlines():
                lines[tuple(shlex.split(line, comments=True))] = block
    return sorted(lines.items(), key=lambda line: line[0][1] != "add_user")


def test_what_rabbitmqctl_is_told_the_broker_takes(broker, vhost):
    """By the management API, which has the same calls: each rabbitmqctl is a
    virtual machine that has to start."""
    users = set()

    def user(name, tags=""):
        users.add(name)
        broker.must("PUT", f"users/{name}", {"password": "password", "tags": tags})

    for (program, verb, *words), block in lines_for_rabbitmqctl():
        assert program == "rabbitmqctl", block
        if verb == "add_user":
            (name,) = words
            user(name)
        elif verb == "set_user_tags":
            name, *tags = words
            user(name, ",".join(tags))
        else:
            assert verb == "set_permissions", block
            option, where, name, configure, write, read = words
            assert (option, where) == ("-p", "/"), block
            if name not in users:  # the manual leaves making it to the reader
                user(name)
            vhost.permit(name, configure, write, read)
    assert users == {"collectd", "monitor", "probe"}
    for name in users:
        broker.must("DELETE", f"users/{name}")


@pytest.mark.parametrize("block", [b for b in EXAMPLES if b.text.startswith(
    "<Plugin threshold>")], ids=str)
def test_collectd_starts_with_the_thresholds_of_the_manual(block, built, tmp_path):
    """Its plugin reads them, and ends the daemon where it cannot."""
    with Daemon(str(tmp_path / "a"), built, ["threshold"], [block.text]) as a:
        a.stop()
        # Its daemon warns of a busy machine, too.
        assert not a.log_lines(r"\[(error|warning)\] (?!Not sleeping|"
                               r"plugin_read_thread)"), a.log()


SHELLS = {"bash": (["--norc", "--noprofile", "-i"], ""),
          "zsh": (["-f", "-i"], "autoload -U compinit bashcompinit; "
                                "compinit -u -D; bashcompinit; ")}


class Shell:
    """On a terminal of its own."""

    def __init__(self, name, where):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(where)
            os.environ.update(PATH=f"{where}/bin:{os.environ['PATH']}", PS1="> ",
                              TERM="dumb", INPUTRC="/dev/null")
            os.execvp(name, [name, *SHELLS[name][0]])
        self.said = ""
        self.type(SHELLS[name][1] + f"source {TOP / 'contrib/completion/warren'}; echo re''ady\n")
        self.wait_for("ready")

    def type(self, text):
        self.said = ""
        os.write(self.fd, text.encode())

    def wait_for(self, want):
        deadline = time.monotonic() + 60
        while want not in self.said:
            assert time.monotonic() < deadline, f"{want!r} not in {self.said!r}"
            if select.select([self.fd], [], [], 0.5)[0]:
                self.said += os.read(self.fd, 4096).decode(errors="replace")

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.fd)
        os.waitpid(self.pid, 0)


@pytest.mark.parametrize("name", SHELLS)
def test_tab_completes_what_the_command_has(name, build, tmp_path):
    """In a real shell on a terminal."""
    if not shutil.which(name):
        pytest.skip(f"{name} is missing")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "warren").symlink_to(
        os.path.abspath(built_program(build, "warren")))
    (tmp_path / "a_password").touch()
    shell = Shell(name, tmp_path)
    try:
        for typed, want in (("warren moni", "warren monitor "),
                            ("warren monitor --max-vh", "--max-vhosts "),
                            ("warren monitor --source man", "--source management "),
                            ("warren check thr", "check throughput "),
                            ("warren drill clo", "drill closed-connection "),
                            ("warren monitor --password-file a_p", "a_password ")):
            shell.type(typed + "\t")
            shell.wait_for(want)
            shell.type("\x15")  # the line is emptied
    finally:
        shell.close()
