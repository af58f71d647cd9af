#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A private, throw-away RabbitMQ node on loopback.

Everything it needs lies under one directory: database, logs, cookie, an epmd of
its own. Ports are free ones below 32768 and stay the same over a restart. The
processes die with us, so nothing is left running.

As a command: `broker.py [DIR]` starts a node, prints where it listens and runs
until the end of its standard input or ^C.
"""

import base64
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

if __package__:
    from .ports import free_ports
    from .process import end, spawn
    from .waiting import NotInTime, wait_for
else:
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from rig.ports import free_ports
    from rig.process import end, spawn
    from rig.waiting import NotInTime, wait_for

# Not /usr/sbin/rabbitmq*: those change to the user rabbitmq.
BIN = os.environ.get("RABBITMQ_BIN", "/usr/lib/rabbitmq/bin")

MAX_MESSAGE_SIZE = 128 << 20
CONFIG = """\
listeners.tcp.1 = {address}:{amqp}
management.tcp.ip = {address}
management.tcp.port = {management}
prometheus.tcp.ip = {address}
prometheus.tcp.port = {prometheus}
loopback_users.guest = {is_loopback}
disk_free_limit.absolute = 50MB
# 3.x's default; 4.x has 16 MiB, and poison is larger.
max_message_size = {max_message_size}
vm_memory_high_watermark.absolute = 1GB
log.console = false
log.file.level = info
num_acceptors.tcp = 2
collect_statistics_interval = 1000
management.rates_mode = basic
management.sample_retention_policies.global.minute = 1
management.sample_retention_policies.basic.minute = 1
management.sample_retention_policies.detailed.minute = 1
"""


class Broker:
    """One node. Between start() and destroy() it is ours alone. `peer`, another
    node, shares its epmd and cookie, so that they can be a cluster."""

    address = "127.0.0.1"
    host = "localhost"
    entered = ()  # before each command: where it runs

    def __init__(self, directory, name="warren", extra_config="", plugins=(),
                 peer=None, schedulers=2):
        self.dir = os.path.abspath(directory)
        (self.amqp_port, self.management_port, self.prometheus_port,
         self.amqps_port, self._dist_port, self._epmd_port) = free_ports(6)
        self._peer = peer
        if peer is not None:
            self._epmd_port = peer._epmd_port
        self._schedulers = schedulers
        # epmd is ours alone, so the name need not be unique on this host.
        self.node = f"{name}@{self.host}"
        self._beam = None
        self._epmd = None
        self._write_files(extra_config, plugins)

    # -- files ---------------------------------------------------------------

    def _path(self, *parts):
        return os.path.join(self.dir, *parts)

    def _write_files(self, extra_config, plugins):
        for part in ("mnesia", "log", "schema", "home", "run"):
            os.makedirs(self._path(part), exist_ok=True)
        self.cookie = (base64.b32encode(os.urandom(15)).decode()
                       if self._peer is None else self._peer.cookie)
        cookie = self._path("home", ".erlang.cookie")
        with open(os.open(cookie, os.O_WRONLY | os.O_CREAT, 0o400), "w",
                  encoding="ascii") as f:
            f.write(self.cookie)
        enabled = ("rabbitmq_management", "rabbitmq_prometheus", *plugins)
        with open(self._path("enabled_plugins"), "w", encoding="ascii") as f:
            f.write(f"[{','.join(enabled)}].\n")
        with open(self._path("rabbitmq.conf"), "w", encoding="ascii") as f:
            f.write(CONFIG.format(address=self.address,
                                  is_loopback=str(self.address.startswith(
                                      "127.")).lower(),
                                  amqp=self.amqp_port,
                                  management=self.management_port,
                                  prometheus=self.prometheus_port,
                                  max_message_size=MAX_MESSAGE_SIZE))
            f.write(extra_config.replace("@AMQPS_PORT@", str(self.amqps_port)))

    def environment(self):
        """What the server and its tools need. Not our own environment: a broker
        that logs at debug level prints all of it."""
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": self._path("home"), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": self.address,
            "RABBITMQ_NODENAME": self.node, "RABBITMQ_USE_LONGNAME": "false",
            # else /etc/rabbitmq/rabbitmq-env.conf is sourced
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": self._path("rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": self._path("advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": self._path("enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": self._path("mnesia"),
            "RABBITMQ_LOG_BASE": self._path("log"),
            "RABBITMQ_SCHEMA_DIR": self._path("schema"),
            "RABBITMQ_GENERATED_CONFIG_DIR": self._path("schema"),
            "RABBITMQ_PID_FILE": self._path("run", "pid"),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
                f"+S {self._schedulers}:{self._schedulers} "
                f"+SDio {self._schedulers} +sbwt none "
                "-kernel inet_dist_use_interface "
                f"{{{self.address.replace('.', ',')}}}",
            "RABBITMQ_SERVER_START_ARGS": "",
            # the script then execs erl: the pid we know is the broker itself
            "detached": "1",
            "ERL_CRASH_DUMP": self._path("log", "erl_crash.dump"),
            "ERL_CRASH_DUMP_SECONDS": "5",
        }

    # -- life ----------------------------------------------------------------

    def start(self, timeout=120, wait=True):
        """Starts the node, the first time or again on the same ports."""
        assert self._beam is None, "already running"
        self._start_epmd()
        with open(self._path("log", "stdout"), "ab") as out:
            self._beam = spawn([*self.entered, f"{BIN}/rabbitmq-server"], cwd=self.dir,
                               env=self.environment(), stdin=subprocess.DEVNULL,
                               stdout=out, stderr=out)
        if wait:
            self.wait_ready(timeout)
        return self

    def _start_epmd(self):
        if self._peer is not None:
            self._peer._start_epmd()
            return
        if self._epmd is not None and self._epmd.poll() is None:
            return
        with open(self._path("log", "epmd.log"), "ab") as out:
            self._epmd = spawn(
                [*self.entered, "epmd", "-port", str(self._epmd_port),
                 "-address", self.address],
                env=self.environment() | {"ERL_EPMD_RELAXED_COMMAND_CHECK": "1"},
                stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        wait_for(lambda: _accepts(self.address, self._epmd_port), 10, "epmd listens")

    def is_ready(self):
        """AMQP answers with connection.start and management with its overview.
        No rabbitmqctl: each call boots an Erlang machine."""
        if self._beam.poll() is not None:
            raise RuntimeError(f"the broker ended at its start:\n{self.log()[-3000:]}")
        return _speaks_amqp(self.address, self.amqp_port) and self._answers_overview()

    def wait_ready(self, timeout=120):
        wait_for(self.is_ready, timeout, f"broker {self.node} is ready")

    def _answers_overview(self):
        try:
            return self.api("GET", "overview", timeout=2)[0] == 200
        except OSError:
            return False

    @property
    def pid(self):
        return self._beam.pid

    def is_running(self):
        return self._beam is not None and self._beam.poll() is None

    def kill9(self):
        """Power off: no chance to say goodbye."""
        os.kill(self._beam.pid, signal.SIGKILL)
        self._beam.wait()
        self._beam = None

    def stop(self):
        """A clean stop; takes RabbitMQ some 7 s."""
        if self._beam is not None:
            end(self._beam, ((signal.SIGTERM, 30), (signal.SIGKILL, 10)))
            self._beam = None

    def hang(self):
        os.kill(self._beam.pid, signal.SIGSTOP)

    def cont(self):
        os.kill(self._beam.pid, signal.SIGCONT)

    def restart(self, timeout=120):
        """kill -9 and start again, same ports, same database."""
        if self._beam is not None:
            self.kill9()
        return self.start(timeout)

    def destroy(self, keep_files=False):
        if self._beam is not None:
            end(self._beam, ((signal.SIGKILL, 10),))
            self._beam = None
        if self._epmd is not None:
            end(self._epmd, ((signal.SIGTERM, 3), (signal.SIGKILL, 3)))
            self._epmd = None
        if not keep_files:
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.destroy()

    def log(self):
        """Everything the node has logged."""
        text = ""
        for name in sorted(os.listdir(self._path("log"))):
            if name.endswith(".log") or name == "stdout":
                with open(self._path("log", name), encoding="utf-8",
                          errors="replace") as f:
                    text += f.read()
        return text

    # -- tools ---------------------------------------------------------------

    @property
    def url(self):
        return f"http://{self.address}:{self.management_port}"

    @property
    def metrics_url(self):
        return f"http://{self.address}:{self.prometheus_port}"

    def eval(self, expression, timeout=60):
        """The node evaluates Erlang, within milliseconds: rabbitmqctl would
        boot an Erlang machine of its own for it, which takes seconds. Returns
        the text of the result."""
        done = subprocess.run(
            ["erl_call", "-address", f"{self.address}:{self._dist_port}", "-e"],
            cwd=self.dir, env=self.environment(), timeout=timeout, text=True,
            input=f"{expression}\n", stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, check=False)
        answer = re.fullmatch(r"\{ok, (.*)\}\s*", done.stdout, re.S)
        if done.returncode or not answer:
            raise RuntimeError(f"{expression}: {done.stdout}")
        return answer[1]

    def ctl(self, *arguments, timeout=60):
        """What rabbitmqctl says, decoded. It takes seconds."""
        done = subprocess.run(
            [f"{BIN}/rabbitmqctl", "--silent", "--formatter", "json", *arguments],
            cwd=self.dir, env=self.environment(), timeout=timeout, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if done.returncode:
            raise RuntimeError(f"{arguments}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def api(self, method, path, body=None, timeout=30, user="guest",
            password="guest"):
        """Asks the management API; returns (status, decoded answer)."""
        connection = http.client.HTTPConnection(
            self.address, self.management_port, timeout=timeout)
        login = base64.b64encode(f"{user}:{password}".encode()).decode()
        try:
            connection.request(
                method, f"/api/{path}",
                None if body is None else json.dumps(body),
                {"Authorization": f"Basic {login}",
                 "Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        except http.client.HTTPException as e:
            raise OSError(str(e)) from e
        finally:
            connection.close()
        try:
            return answer.status, json.loads(text) if text else None
        except ValueError:
            return answer.status, text

    def must(self, method, path, body=None):
        """As api(), for requests that have to succeed."""
        status, answer = self.api(method, path, body)
        if status >= 300:
            raise RuntimeError(f"{method} /api/{path}: {status} {answer}")
        return answer

    # -- faults --------------------------------------------------------------

    def close_connections(self, why="test"):
        """Every client gets connection.close 320."""
        self.eval(f'rabbit_networking:close_all_connections("{why}").')

    def memory_alarm(self, on):
        self.eval("vm_memory_monitor:set_vm_memory_high_watermark({absolute, \"%s\"})."
                  % ("10MiB" if on else "1GiB"))

    def disk_alarm(self, on):
        self.eval("rabbit_disk_monitor:set_disk_free_limit(%d)."
                  % (10**15 if on else 50_000_000))

    def max_message_size(self, size=MAX_MESSAGE_SIZE):
        """Where RabbitMQ 3 looks for it, and where 4 does."""
        self.eval(f"application:set_env(rabbit, max_message_size, {size}), "
                  f"persistent_term:put(max_message_size, {size}).")

    def consumer_timeout(self, milliseconds):
        """How long a delivery may stay unacknowledged; None for the default."""
        if milliseconds is None:
            self.eval("application:set_env(rabbit, consumer_timeout, 1800000), "
                      "application:set_env(rabbit, channel_tick_interval, 60000).")
        else:
            self.eval(f"application:set_env(rabbit, consumer_timeout, {milliseconds}), "
                      "application:set_env(rabbit, channel_tick_interval, 500).")

    def forget_consumers(self, vhost, queue):
        """The process of a classic queue drops its consumers, of which their
        channels hear nothing."""
        self.eval(
            "{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r("
            f'<<"{vhost}">>, queue, <<"{queue}">>)), '
            "[ok = gen_server2:call(amqqueue:get_pid(Q), {basic_cancel, "
            'element(1, C), element(2, C), undefined, <<"test">>}) '
            "|| C <- rabbit_amqqueue:consumers(Q)].")

    def sync(self):
        """Puts declarations on disk. Without it a kill -9 right after them
        can cost a binding: mnesia writes its log behind."""
        self.eval("mnesia:sync_log().")

    # -- virtual hosts -------------------------------------------------------

    def vhost(self, name):
        return VHost(self, name)


class VHost:
    """A virtual host of its own for a test: 20 ms to make, 30 ms to remove."""

    def __init__(self, broker, name):
        self.broker = broker
        self.name = name
        self._quoted = urllib.parse.quote(name, safe="")
        broker.must("PUT", f"vhosts/{self._quoted}")
        self.permit("guest")

    def permit(self, user, configure=".*", write=".*", read=".*"):
        self.broker.must("PUT", f"permissions/{self._quoted}/{user}",
                         {"configure": configure, "write": write, "read": read})

    def delete(self):
        self.broker.api("DELETE", f"vhosts/{self._quoted}", timeout=60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.delete()

    def _put(self, kind, name, body):
        self.broker.must(
            "PUT", f"{kind}/{self._quoted}/{urllib.parse.quote(name, safe='')}", body)

    def exchange(self, name, kind="direct", **arguments):
        self._put("exchanges", name, {"type": kind, "durable": True,
                                      "arguments": arguments})

    def queue(self, name, durable=True, **arguments):
        """Declares a queue; x_max_length=3 stands for x-max-length."""
        self._put("queues", name,
                  {"durable": durable,
                   "arguments": {k.replace("_", "-"): v
                                 for k, v in arguments.items()}})

    def bind(self, exchange, queue, key="#"):
        self.broker.must(
            "POST", f"bindings/{self._quoted}/e/{urllib.parse.quote(exchange, safe='')}"
            f"/q/{urllib.parse.quote(queue, safe='')}", {"routing_key": key})

    def unbind(self, exchange, queue, key):
        self.broker.must(
            "DELETE", f"bindings/{self._quoted}/e/{exchange}/q/{queue}/{key}")

    def delete_queue(self, name):
        self.broker.must(
            "DELETE", f"queues/{self._quoted}/{urllib.parse.quote(name, safe='')}")

    def delete_exchange(self, name):
        self.broker.must(
            "DELETE", f"exchanges/{self._quoted}/{urllib.parse.quote(name, safe='')}")

    def connect(self, password="guest"):
        """A pika connection to this virtual host."""
        import pika  # only tests need it
        return pika.BlockingConnection(pika.ConnectionParameters(
            self.broker.address, self.broker.amqp_port, self.name,
            pika.PlainCredentials("guest", password),
            blocked_connection_timeout=20, socket_timeout=20))

    def publish(self, exchange, key, body, **properties):
        """Publishes one message and waits for the broker's confirm."""
        import pika
        with self.connect() as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            channel.basic_publish(exchange, key, body,
                                  pika.BasicProperties(**properties))

    def ready(self, queue):
        """Messages ready in a queue, exactly: the API lags by its interval."""
        with self.connect() as connection:
            return connection.channel().queue_declare(
                queue, passive=True).method.message_count

    def state(self):
        """What the API says of the virtual host, some seconds old."""
        return self.broker.must("GET", f"vhosts/{self._quoted}")

    def queue_state(self, queue):
        """What the API says of a queue, some seconds old; {} while nothing."""
        status, answer = self.broker.api(
            "GET", f"queues/{self._quoted}/{urllib.parse.quote(queue, safe='')}")
        return answer if status == 200 else {}

    def consumers(self, queue):
        """How many consume from a queue; none while there is no such queue."""
        import pika
        with self.connect() as connection:
            try:
                return connection.channel().queue_declare(
                    queue, passive=True).method.consumer_count
            except pika.exceptions.ChannelClosedByBroker:
                return 0

    def take_all(self, queue, idle=0.1):
        """Empties a queue; returns [(properties, body)], in its order. However
        slow the machine is: what was on its way when nothing had come for
        `idle` seconds goes back and is taken in the next round."""
        taken = []
        with self.connect() as connection:
            channel = connection.channel()
            channel.basic_qos(prefetch_count=1000)

            def count():
                return channel.queue_declare(
                    queue, passive=True).method.message_count
            while ready := count():
                before = len(taken)
                self._take_some(channel, queue, idle, taken)
                if len(taken) - before < ready:
                    _is_in_time(count)  # a quorum queue takes back some time later
        return taken

    @staticmethod
    def _take_some(channel, queue, idle, taken):
        newest = None  # tag 0 would also mean what has not been read yet
        for method, properties, body in channel.consume(
                queue, inactivity_timeout=idle):
            if method is None:
                break
            newest = method.delivery_tag
            taken.append((properties, body))
            if len(taken) % 500 == 0:
                channel.basic_ack(newest, multiple=True)
        if newest is not None and len(taken) % 500:
            channel.basic_ack(newest, multiple=True)
        channel.cancel()
        channel.basic_recover(requeue=True)


def _is_in_time(predicate, patience=5):
    try:
        return wait_for(predicate, patience, "it may come")
    except NotInTime:
        return False


def _accepts(address, port):
    try:
        socket.create_connection((address, port), 1).close()
        return True
    except OSError:
        return False


def _speaks_amqp(address, port):
    try:
        with socket.create_connection((address, port), 1) as s:
            s.settimeout(2)
            s.sendall(b"AMQP\0\0\x09\x01")
            return s.recv(1) == b"\x01"
    except OSError:
        return False


def main():
    """Runs a node for somebody who wants to look at one."""
    where = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="broker.")
    broker = Broker(where)
    began = time.monotonic()
    try:
        broker.start()
        print(f"ready in {time.monotonic() - began:.1f} s, pid {broker.pid}")
        print(f"AMQP amqp://guest:guest@127.0.0.1:{broker.amqp_port}/  "
              f"management {broker.url}  Prometheus {broker.metrics_url}")
        print("ends with its standard input or ^C", flush=True)
        sys.stdin.read()
    except KeyboardInterrupt:
        pass
    finally:
        broker.destroy(keep_files=len(sys.argv) > 1)


if __name__ == "__main__":
    main()
