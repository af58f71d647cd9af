# SPDX-License-Identifier: MIT
"""A publisher's own account, report by report, and what must be true of each."""

OPERATIONS = "total_operations-"
QUEUES = "queue_length-"
FIRST = "bool-connected"


def reports(record, block="x"):
    """Every complete report of a publisher that the sink saw, oldest first."""
    record.refresh()
    head = f"rabbitmq_publish-{block}/"
    found, current = [], {}
    for _, name, value in record.values:
        if not name.startswith(head):
            continue
        series = name[len(head):]
        if series == FIRST and current:
            found.append(current)
            current = {}
        current[series] = float(value)
    return found  # the last may still be incomplete


def dropped(report):
    return sum(v for k, v in report.items()
               if k.startswith(OPERATIONS + "dropped_"))


def difference(report):
    """What was taken over minus what became of it: 0 at every moment."""
    def operations(*names):
        return sum(report.get(OPERATIONS + n, 0) for n in names)

    def queues(*names):
        return sum(report.get(QUEUES + n, 0) for n in names)
    return (operations("accepted", "recovered")
            - operations("confirmed", "unconfirmed", "returned", "rejected",
                         "expired")
            - dropped(report) - queues("outbox", "spooled", "in_flight"))


def check(record, block="x", least=1):
    """Every report balances, and there are some."""
    seen = reports(record, block)
    assert len(seen) >= least, f"only {len(seen)} reports"
    wrong = [(i, difference(r), r) for i, r in enumerate(seen) if difference(r)]
    assert not wrong, (f"{len(wrong)} of {len(seen)} reports do not balance; "
                       f"the first: {wrong[0]}")
    return seen
