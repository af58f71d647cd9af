# SPDX-License-Identifier: MIT
"""SIGKILL of collectd at random moments under load: what each SpoolMode
promises, told by sets.

WARREN_KILL_SEED=n replays; WARREN_LONG=1 kills a hundred times a mode, or
WARREN_LONG_KILLS times.
"""

import os
import random
import re

import pytest

from rig import books
from rig.gate import Gate
from rig.kills import Campaign

KILLS = (int(os.environ.get("WARREN_LONG_KILLS", "100"))
         if os.environ.get("WARREN_LONG") else 8)
SEED = int(os.environ.get("WARREN_KILL_SEED", random.randrange(1 << 30)))
RATE = 2000           # values a second
FLUSH_S = 0.5         # FlushInterval, where batches are tried
COMMIT_S = 0.5        # one commit, on a machine that has much else to do
SYNC_S = 1            # the same where it waits for the disk
WINDOW, RAM = 64, 200
EVERYTHING = ("up", "down", "hung", "up-down", "up-hung", "down-up")


@pytest.fixture
def gate(broker):
    with Gate(broker.amqp_port) as g:
        yield g


def commit_s(a):
    """How long one commit of this life may take."""
    with open(a.path("collectd.conf"), encoding="utf-8") as f:
        sync = re.search(r'^ *SpoolSync "(\w+)"$', f.read(), re.M)
    return 0 if not sync else SYNC_S if sync[1] == "always" else COMMIT_S


def fight(rig, gate, vhost, states, **options):
    """Returns the campaign, and of each of its rounds how long a commit took at
    most."""
    campaign = Campaign(rig, gate, vhost, SEED, RATE, ConfirmWindow=WINDOW,
                        RetryDelay=0.1, RetryDelayMax=0.2, **options)
    print(f"WARREN_KILL_SEED={SEED}")
    commits = []
    for _ in range(KILLS):
        a = campaign.kill_one(states)
        books.check(a.record, least=0)
        commits.append(commit_s(a))
    last = campaign.finish()
    books.check(last.record)
    return campaign, [*commits, commit_s(last)]


def judge(campaign, commits, figure, what, most_lost):
    """`most_lost` beside what comes while one commit takes place."""
    campaign.check_committed()
    campaign.check_recovered()
    campaign.check_foreign()
    duplicates = campaign.check_order()
    figure(f"SIGKILL, {what}: {campaign.figures()}, at most {most_lost} "
           f"and a commit allowed; {duplicates} duplicates; seed {SEED}")
    for r, commit in zip(campaign.rounds, commits, strict=True):
        assert len(campaign.lost(r)) <= most_lost + RATE * commit, (
            r.state, r.seconds, commit)


def test_sigkill_without_a_spool_costs_only_what_was_not_confirmed(
        rig, gate, vhost, figure):
    campaign, commits = fight(rig, gate, vhost, ("up", "up-hung"))
    # All of what was not confirmed, as below; as much as comes in a life, which
    # a busy machine makes longer.
    judge(campaign, commits, figure, "no spool", most_lost=RATE * 6)
    arrived = campaign.numbers_arrived()
    for r in campaign.rounds:
        assert campaign.lost(r) == campaign.tail(r), "a hole in the middle"
        kept = sum(n in arrived for n in r.accepted)
        assert kept >= r.series.get("total_operations-confirmed", 0)


def test_sigkill_costs_nothing_that_was_committed_before_it_was_published(
        rig, gate, vhost, figure):
    """SpoolMode always: of what was accepted the youngest may be missing, as
    much as one commit takes, and nothing before them."""
    campaign, commits = fight(
        rig, gate, vhost, EVERYTHING, SpoolDir=str(rig.dir / "spool"),
        SpoolMode="always", SendQueueLimit=RAM)
    assert any(r.committed for r in campaign.rounds), "nothing was ever stored"
    judge(campaign, commits, figure, "always", most_lost=0)
    for r in campaign.rounds:
        assert campaign.lost(r) == campaign.tail(r), "a hole in the middle"


def test_sigkill_in_mid_overflow_costs_only_what_ram_held(
        rig, gate, vhost, figure):
    """SpoolMode overflow: what was in RAM or in flight is lost, and of what was
    on its way to the disk as much as one commit takes."""
    campaign, commits = fight(
        rig, gate, vhost, EVERYTHING, SpoolDir=str(rig.dir / "spool"),
        SpoolMode="overflow", SendQueueLimit=RAM)
    assert any(r.committed for r in campaign.rounds), "nothing was ever stored"
    judge(campaign, commits, figure, "overflow", most_lost=RAM + WINDOW)
    for r in campaign.rounds:
        older = set(campaign.lost(r)) - set(campaign.tail(r))
        assert len(older) <= RAM + WINDOW, (r.state, r.seconds)


def test_sigkill_with_batches_costs_at_most_the_open_one(
        rig, gate, vhost, figure):
    """Batches are sealed by age here: FlushInterval and one commit."""
    campaign, commits = fight(
        rig, gate, vhost, EVERYTHING, SpoolDir=str(rig.dir / "spool"),
        SpoolMode="always", SendQueueLimit=RAM, RoutingKey="k",
        BatchValues=100_000, BatchBytes="1MiB", FlushInterval=FLUSH_S)
    assert any(r.committed for r in campaign.rounds), "nothing was ever stored"
    judge(campaign, commits, figure, f"always, batches of {FLUSH_S} s",
          most_lost=int(RATE * FLUSH_S))
    for r in campaign.rounds:
        assert campaign.lost(r) == campaign.tail(r), "a hole in the middle"
