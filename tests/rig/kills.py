# SPDX-License-Identifier: MIT
"""Publishers that are killed again and again, and the sets that tell what their
spool promised and kept.

Three witnesses, none of which is the publisher: the sink, which the chain calls
right after the publisher and which writes each value down at once, knows what
was accepted; a copy of the spool file knows what was committed; the queue knows
what arrived.
"""

import collections
import random
import time

from . import spoolfile
from .waiting import wait_for

# A SIGKILL can fall between the publisher's callback and the sink's.
UNRECORDED = 1
GAP = 1_000_000  # between the numbers of one round and the next

Round = collections.namedtuple(
    "Round", "state seconds accepted committed series")


class Campaign:
    """Rounds on one spool and one queue "q" that the exchange fills."""

    def __init__(self, rig, gate, vhost, seed, rate, **options):
        self.random = random.Random(seed)
        self.rounds = []
        self._states = []
        self.arrived = []  # (message-id, numbers) in order, at the end
        self._rig, self._gate, self._vhost = rig, gate, vhost
        self._rate, self._options = rate, options
        self.spool = rig.dir / "spool"
        vhost.queue("q")
        vhost.bind("amq.fanout", "q", "")

    @property
    def file(self):
        return str(self.spool / "x.spool")

    def publisher(self, name, **loadgen):
        return self._rig.publisher(
            self._gate, self._vhost, name=name, how={"interval": 0.1},
            options={"Exchange": "amq.fanout"} | self._options, **loadgen)

    def kill_one(self, states, longest=1.2):
        """One life: starts, is loaded, and is killed at a random moment. A
        state is what the broker does: up, down, hung, or from up to one of the
        others at a random moment: up-down, up-hung, down-up."""
        number = len(self.rounds)
        state = self._next_state(states)
        seconds = self.random.uniform(0.1, longest)
        turn = self.random.uniform(0.2, 0.8) * seconds
        before, _, after = state.partition("-")
        self._become(before)
        # a death of the process costs no committed row with any of them
        if "SpoolDir" in self._options:
            self._options["SpoolSync"] = self.random.choice(
                ("none", "interval", "always"))
        a = self.publisher(f"kill-{number}", First=number * GAP, Series=20,
                           Rate=self._rate, Total=self._rate * 30, Delay=0.05)
        a.start()
        time.sleep(turn)
        if after:
            self._become(after)
        # a row that is deleted too early is so with the next tick
        time.sleep(seconds - turn + (1.2 if after == "hung" else 0))
        a.kill9()
        if state.endswith("hung"):
            self._gate.cut()  # what the broker has not read it never will
        accepted = a.record.numbers()
        committed = spoolfile.rows(self.file)
        self.rounds.append(Round(state, seconds, accepted, committed,
                                 a.record.series("rabbitmq_publish-x/")))
        return a

    def _next_state(self, states):
        """By chance, but each once before any comes again."""
        if not self._states:
            self._states = self.random.sample(states, len(states))
        return self._states.pop()

    def _become(self, state):
        {"up": self._gate.open, "down": self._gate.shut,
         "hung": self._gate.stall}[state]()

    def finish(self, patience=60):
        """A last life without load and with the broker up takes what is left
        to the queue; then the queue is read. Returns the daemon, stopped."""
        self._gate.open()
        self._gate.cut()
        a = self.publisher("last", First=len(self.rounds) * GAP, Total=1,
                           Delay=0.05)
        a.start()
        wait_for(lambda: self._is_idle(a), patience, "the spool is empty")
        a.stop()
        self.rounds.append(Round("last", 0, a.record.numbers(), [],
                                 a.record.series("rabbitmq_publish-x/")))
        self.arrived = [(p.message_id, spoolfile.numbers_of(body))
                        for p, body in self._vhost.take_all("q")]
        return a

    @staticmethod
    def _is_idle(a):
        s = a.record.series("rabbitmq_publish-x/")
        return (s.get("total_operations-accepted", 0) >= 1 and
                not any(s.get(f"queue_length-{q}", 0)
                        for q in ("outbox", "in_flight", "spooled")))

    # -- what must be true ---------------------------------------------------

    def numbers_arrived(self):
        return {n for _, numbers in self.arrived for n in numbers}

    def lost(self, round_):
        """Accepted and never arrived, in order."""
        arrived = self.numbers_arrived()
        return [n for n in round_.accepted if n not in arrived]

    def tail(self, round_):
        """Of the lost ones those younger than all of its round that arrived."""
        arrived = self.numbers_arrived()
        newest = max((n for n in round_.accepted if n in arrived), default=-1)
        return [n for n in self.lost(round_) if n > newest]

    def check_committed(self):
        """Every row that was committed at a kill has arrived, as it was."""
        arrived = self.numbers_arrived()
        ids = {message_id for message_id, _ in self.arrived}
        for i, r in enumerate(self.rounds):
            numbers = [n for row in r.committed
                       for n in spoolfile.numbers_of(row.body)]
            missing = [n for n in numbers if n not in arrived]
            assert not missing, (
                f"round {i} ({r.state}): {len(missing)} of {len(numbers)} "
                f"committed values never arrived, first {missing[:5]}")
            gone = [row.seq for row in r.committed if row.message_id
                    and row.message_id not in ids]
            assert not gone, f"round {i}: other ids than the rows {gone[:5]}"

    def check_recovered(self):
        """Every life that lived to report found what lay there at its start."""
        for i, r in enumerate(self.rounds[1:], 1):
            want = len(self.rounds[i - 1].committed)
            said = r.series.get("total_operations-recovered", want)
            assert said == want, f"round {i}: {said} recovered of {want} rows"

    def check_foreign(self):
        """Nothing arrived that was not accepted."""
        arrived = self.numbers_arrived()
        for i, r in enumerate(self.rounds):
            mine = {n for n in arrived if n // GAP == i}
            assert len(mine - set(r.accepted)) <= UNRECORDED, f"round {i}"

    def check_order(self):
        """First arrivals are in order of acceptance; what comes twice has the
        message-id of the first time. Returns the number of duplicates."""
        ids = {}
        for message_id, numbers in self.arrived:
            for n in numbers:
                assert ids.setdefault(n, message_id) == message_id, \
                    f"{n} came in two messages"
        order = list(dict.fromkeys(
            n for _, numbers in self.arrived for n in numbers))
        wrong = [(a, b) for a, b in zip(order, order[1:]) if a > b]
        assert not wrong, f"{len(wrong)} overtook, first {wrong[:5]}"
        return len(self.arrived) - len({m for m, _ in self.arrived})

    def figures(self):
        """What was measured, as text."""
        accepted = sum(len(r.accepted) for r in self.rounds)
        rows = [len(r.committed) for r in self.rounds[:-1]]
        lost = [len(self.lost(r)) for r in self.rounds]
        return (f"{len(rows)} kills, {accepted} accepted, rows committed at the "
                f"kills {sum(rows)} (most {max(rows)}), lost {sum(lost)} (most "
                f"in one kill {max(lost)})")
