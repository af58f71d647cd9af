# SPDX-License-Identifier: MIT
"""warren publish --listen where there is no room left, with the broker away: 202
stands for a message that will arrive, so at the bound of the spool and on a full
disk the answer is another one, and what was promised before is kept."""

import subprocess

import pytest

from rig.gate import Gate
from rig.listen import Crowd, Listener
from rig.waiting import wait_for
from rig.world import World

TARGET = "/publish/amq.default/q"
SIZE = 1000  # bytes of a body: a spool of 1 MiB has room for hundreds


def server(build, gate, vhost, where, **options):
    """Most of what it takes is on the disk only."""
    return Listener(build, gate, vhost, str(where), address=f"unix:{where}/socket",
                    spool_dir=where / "spool", spool_mode="always", spool_sync="always",
                    send_queue_limit=50, listen_timeout=1, shutdown_timeout=2,
                    **options)


def wait_for_more(crowd, count, *statuses):
    """Of these answers together."""
    def now():
        return sum(crowd.count(s) for s in statuses)
    before = now()
    try:
        wait_for(lambda: now() >= before + count, 60, f"{count} more of {statuses}")
    except AssertionError as e:
        raise AssertionError(sizes(crowd)) from e


def sizes(crowd):
    return {status: len(ids) for status, ids in list(crowd.told.items())}


def check(vhost, crowd, what, figure):
    """All that was promised is there, and nothing of what was refused."""
    ids = [p.message_id for p, _ in vhost.take_all("q")]
    told, arrived = crowd.told, set(ids)
    assert not set(told) - {200, 202, 503, 504}, sizes(crowd)
    lost = (told[200] | told[202]) - arrived
    assert not lost, f"{len(lost)} promised and lost: {sorted(lost)[:5]}"
    refused = told.get(503, set()) & arrived
    assert not refused, f"{len(refused)} refused and published: {sorted(refused)[:5]}"
    figure(f"listen: {what}: {sizes(crowd)}, all of 200 and 202 arrived, none of 503; "
           f"{len(ids) - len(arrived)} twice")


def test_at_the_bound_of_the_spool_202_is_kept_and_503_is_said(
        build, broker, vhost, tmp_path, figure):
    """64 clients, the bound, warren killed there, and the broker at last."""
    vhost.queue("q")
    with Gate(broker.amqp_port, is_open=False) as gate, \
            server(build, gate, vhost, tmp_path, spool_max_bytes="1MiB") as listener:
        with Crowd(listener, TARGET, size=SIZE) as crowd:
            wait_for_more(crowd, 100, 202)
            wait_for_more(crowd, 500, 503)
            promised = crowd.count(202)
            status, headers, body = listener.ask("POST", TARGET, "x" * SIZE)
            assert (status, headers["Retry-After"]) == (503, "1"), body
            # one that each client may not have counted yet
            assert crowd.count(202) < promised + 64, "there is no room"
            listener.kill9()
            listener.start()
            wait_for_more(crowd, 500, 503)
            gate.open()
            wait_for_more(crowd, 500, 202)
        wait_for(listener.is_idle, 60, "the spool is empty")
        assert listener.stop()[0] == 0
    check(vhost, crowd, "at the bound of the spool", figure)


@pytest.fixture
def small_disk(tmp_path):
    """The spool's directory has a disk of its own."""
    where = tmp_path / "spool"
    where.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs",
                           str(where)], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("needs root and the right to mount")
    yield where
    subprocess.run(["umount", str(where)], check=True)


def play_full_disk(gate, crowd, fill=lambda: None, then=lambda: None):
    wait_for_more(crowd, 100, 202)
    fill()
    wait_for_more(crowd, 200, 503, 504)
    then()
    gate.open()
    wait_for_more(crowd, 200, 200)


def test_a_disk_that_the_spool_fills_breaks_no_promise(
        build, broker, vhost, tmp_path, small_disk, figure):
    """And what was promised is read there by the next process."""
    def kill():
        listener.kill9()
        listener.start()
    vhost.queue("q")
    with Gate(broker.amqp_port, is_open=False) as gate, \
            server(build, gate, vhost, tmp_path) as listener:
        with Crowd(listener, TARGET, size=SIZE) as crowd:
            play_full_disk(gate, crowd, then=kill)
        wait_for(listener.is_idle, 60, "all has ended")
        assert listener.stop()[0] == 0
    check(vhost, crowd, "on a disk that is full", figure)


def test_a_disk_that_has_no_room_any_more_breaks_no_promise(
        build, broker, vhost, tmp_path, figure):
    vhost.queue("q")
    (tmp_path / "spool").mkdir()
    world = World(build, tmp_path / "world", str(tmp_path / "spool"))
    with Gate(broker.amqp_port, is_open=False) as gate, \
            server(build, gate, vhost, tmp_path,
                   environment=world.environment) as listener:
        with Crowd(listener, TARGET, size=SIZE) as crowd:
            play_full_disk(gate, crowd,
                           fill=lambda: world.change(write_errno="ENOSPC"))
        wait_for(listener.is_idle, 60, "all has ended")
        assert listener.stop()[0] == 0
    check(vhost, crowd, "on a disk that somebody else filled", figure)
