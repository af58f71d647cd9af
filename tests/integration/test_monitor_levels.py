# SPDX-License-Identifier: MIT
"""A broker that becomes slow is asked for less, and for all again."""

import json
import time

from rig import modules as warren
from rig.collectd import block
from rig.waiting import wait_for
from rig.web import Web

OVERVIEW = {"rabbitmq_version": "3.10.8", "object_totals": {"queues": 1},
            "queue_totals": {"messages_ready": 3}}
QUEUE = {"vhost": "/", "name": "q", "messages_ready": 3,
         "messages_unacknowledged": 0, "consumers": 1, "memory": 7}
CLUSTER = "rabbitmq_monitor-main/"
OF_QUEUE = "rabbitmq_monitor-main-queue-%2F-q/"


class Slow:
    """A management API whose lists of queues take `seconds`."""
    seconds = 0

    def __call__(self, handler):
        path = handler.path.split("?")[0]
        if path == "/api/overview":
            said = OVERVIEW
        elif path == "/api/queues":
            time.sleep(self.seconds)
            said = ([QUEUE] if "page=" not in handler.path
                    else {"page_count": 1, "items": [QUEUE]})
        elif path == "/api/queues/%2F/q":
            said = QUEUE
        else:
            said = [{"name": "rabbit@web", "running": True}]
        handler.reply(200, json.dumps(said).encode())


def test_a_slow_broker_costs_detail_and_no_interval(rig):
    answer = Slow()
    with Web(answer) as web, Web(Slow()) as quick:
        m = rig.daemon("M", ["rabbitmq_monitor"], warren.monitor(
            block("Cluster", "main", URL=web.url, Interval=1, TimeBudget=0.7),
            block("Cluster", "quick", URL=quick.url, Interval=1))).start()

        def level():
            return m.record.series(CLUSTER).get("gauge-detail_level")

        wait_for(lambda: level() == 3, 60, "all is asked for")
        wait_for(lambda: m.record.series(OF_QUEUE).get("bytes-memory") == 7, 60,
                 "the queue is reported in full")
        answer.seconds = 0.8
        wait_for(lambda: level() == 0, 60, "no queue is asked for")
        asked = len(web.requests)
        answer.seconds = 0
        wait_for(lambda: level() == 3, 60, "all is asked for again")
        lists = [path for path, _ in web.requests[asked:]
                 if path.startswith("/api/queues?")]
        assert "sort=messages" in lists[0], "level 1 comes first"
        assert "enable_queue_totals=true" in [p for p in lists if "sort=" not in p][0]
        assert len(m.log_lines('"main".*detail level')) >= 4
        # What a busy machine takes from the one beside it as well, the slow
        # broker has not cost.
        slow, beside = (m.record.history(f"rabbitmq_monitor-{name}/bool-reachable")
                        for name in ("main", "quick"))
        assert len(slow) >= len(beside) - 3, f"gaps: {slow} {beside}"
        assert sum(v == 0 for _, v in slow) <= 1 + sum(v == 0 for _, v in beside), slow
        assert m.stop() < 15
