# SPDX-License-Identifier: MIT
"""Errors of the world: collectd starts, one clear error says what to do, it is
repeated ever more rarely, and when the cause goes away so does the trouble.

All cases run at the same time, each in a daemon of its own, since a refused
login is deliberately tried again only after a minute."""

import re
import time

import pytest

from conftest import Rig
from rig.waiting import NotInTime, wait_for

WATCHED_S = 10   # within which an error that is repeated each time would show
RECOVERY_S = 150
SECRET = "s3cret-wrong"


class Case:
    """A trouble: the daemon that has it, what its error says, its cure, and
    how to see that it is over."""

    def __init__(self, daemon, names, remedy, mend, is_over):
        self.daemon = daemon
        self.names = names
        self.remedy = remedy
        self.mend = mend
        self.is_over = is_over
        self.started_in = self.recovered_in = None
        self.early = []

    def errors(self):
        return [line for line in self.daemon.log_lines(r"\[(error|warning)\]")
                if re.search(self.names, line)]


def publisher(rig, broker, vhost, name, **options):
    return rig.publisher(
        broker, vhost, name=name, options={
            "Exchange": "amq.fanout", "RetryDelay": 1, "RetryDelayMax": 2,
            "MaxAttempts": 1000, **options}, Total=50, Delay=0.1)


def confirmed(daemon):
    return lambda: daemon.record.series("rabbitmq_publish-x/").get(
        "total_operations-confirmed") == 50


def consuming(vhost, queue="q"):
    return lambda: vhost.consumers(queue) == 1


def with_queue(broker, name):
    vhost = broker.vhost(name)
    vhost.queue("q")
    vhost.bind("amq.fanout", "q", "")
    return vhost


def user(broker, name, password="p"):
    broker.must("PUT", f"users/{name}", {"password": password, "tags": ""})


def missing_exchange(rig, broker):
    v = with_queue(broker, "world/exchange")

    def mend():
        v.exchange("not.there", "fanout")
        v.bind("not.there", "q", "")
    a = publisher(rig, broker, v, "exchange", Exchange="not.there")
    return Case(a, "not.there", "declare|ExchangeType|exchange", mend, confirmed(a))


def missing_alternate_exchange(rig, broker):
    """Mended, it gets what the exchange, to which nothing is bound, cannot
    route."""
    v = broker.vhost("world/alternate")
    v.queue("q")

    def mend():
        v.exchange("not.yet", "fanout")
        v.bind("not.yet", "q", "")
    a = publisher(rig, broker, v, "alternate", Exchange="lonely",
                  ExchangeType="topic", AlternateExchange="not.yet")
    return Case(a, "404.*not.yet", "AlternateExchange", mend, confirmed(a))


def wrong_password(rig, broker):
    v = with_queue(broker, "world/password")
    user(broker, "somebody", "right")
    v.permit("somebody")
    a = publisher(rig, broker, v, "password", User="somebody", Password=SECRET)
    return Case(a, "403|ACCESS_REFUSED|refused", "Password",
                lambda: user(broker, "somebody", SECRET), confirmed(a))


def unknown_vhost(rig, broker):
    a = publisher(rig, broker, "world/later", "vhost")
    return Case(a, "world/later", "VHost|vhost",
                lambda: with_queue(broker, "world/later"), confirmed(a))


def no_permission_to_publish(rig, broker):
    v = with_queue(broker, "world/outsider")
    user(broker, "outsider")
    a = publisher(rig, broker, v, "outsider", User="outsider", Password="p")
    return Case(a, "outsider", "permission", lambda: v.permit("outsider"),
                confirmed(a))


def no_permission_to_consume(rig, broker):
    v = with_queue(broker, "world/reader")
    user(broker, "reader")
    b = rig.consumer(broker, v, name="reader", Queue="q", User="reader",
                     Password="p", RetryDelay=1, RetryDelayMax=2)
    return Case(b, "reader", "permission", lambda: v.permit("reader"),
                consuming(v))


def inequivalent_arguments(rig, broker):
    v = broker.vhost("world/arguments")
    v.queue("q", x_max_length=5)
    b = rig.consumer(broker, v, name="arguments", Queue="q", RetryDelay=1,
                     RetryDelayMax=2)
    return Case(b, "406|PRECONDITION|inequivalent|x-max-length",
                "delete|same|Queue", lambda: v.delete_queue("q"), consuming(v))


def missing_queue(rig, broker):
    v = broker.vhost("world/queue")
    b = rig.consumer(broker, v, name="queue", Queue="later", QueuePassive=True,
                     RetryDelay=1, RetryDelayMax=2)
    return Case(b, "later", "declare|QueuePassive|queue",
                lambda: v.queue("later"), consuming(v, "later"))


CASES = [missing_exchange, missing_alternate_exchange, wrong_password, unknown_vhost,
         no_permission_to_publish, no_permission_to_consume,
         inequivalent_arguments, missing_queue]


@pytest.fixture(scope="module")
def cases(built, broker, tmp_path_factory):
    rig = Rig(built, tmp_path_factory.mktemp("world"))
    made = {make.__name__: make(rig, broker) for make in CASES}
    try:
        for case in made.values():
            began = time.monotonic()
            case.daemon.start()
            case.started_in = time.monotonic() - began
        time.sleep(WATCHED_S)
        for case in made.values():
            await_error(case)
            case.early = case.errors()
            case.mend()
        watch_recovery(made.values())
        yield made
    finally:
        rig.close()
        for name in ("exchange", "alternate", "password", "later", "outsider", "reader",
                     "arguments", "queue"):
            broker.api("DELETE", f"vhosts/world%2F{name}")


def await_error(case):
    try:
        wait_for(case.errors, 60, "it says so")
    except NotInTime:
        pass  # the test of each case says so


def watch_recovery(cases):
    began = time.monotonic()

    def all_over():
        for case in cases:
            if case.recovered_in is None and case.is_over():
                case.recovered_in = time.monotonic() - began
        return all(case.recovered_in for case in cases)
    try:
        wait_for(all_over, RECOVERY_S, "all recovered", pause=0.5)
    except NotInTime:
        pass  # the test of each case says so


@pytest.fixture(params=[make.__name__ for make in CASES])
def case(request, cases):
    return cases[request.param]


def test_collectd_starts_all_the_same(case):
    assert case.started_in < 40


def test_the_error_names_the_block_and_the_remedy(case):
    assert case.early, case.daemon.log()
    assert 'block "x"' in case.early[0]
    assert re.search(case.remedy, case.early[0]), case.early[0]


def test_the_error_is_not_repeated_at_every_attempt(case):
    assert 1 <= len(case.early) <= 3, case.early


def test_it_recovers_by_itself(case, figure):
    assert case.recovered_in, case.daemon.log()[-3000:]
    figure(f"{case.daemon.dir.rsplit('/', 1)[-1]}: recovered "
           f"{case.recovered_in:.0f} s after the cause went away")


def test_no_password_is_in_a_log(cases):
    for case in cases.values():
        assert SECRET not in case.daemon.log()
