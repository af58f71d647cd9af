# SPDX-License-Identifier: MIT
"""An application that publishes at a rate, and one that consumes as it is told:
what a drill does to a broker."""

import threading
import time

PAYLOAD = b"x" * 100


class _Thread:
    """Runs with a connection of its own until end(). A broker that goes away
    ends it without an error: the drill may have killed it."""

    def __init__(self, vhost):
        self._vhost = vhost
        self._over = threading.Event()
        self.failure = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def begin(self):
        self._thread.start()
        return self

    def end(self):
        self._over.set()
        self._thread.join(20)
        assert not self._thread.is_alive(), "traffic does not end"

    def __enter__(self):
        return self.begin()

    def __exit__(self, *_):
        self.end()

    def _run(self):
        import pika
        try:
            with self._vhost.connect() as connection:
                self.work(connection, connection.channel())
        except (pika.exceptions.AMQPError, OSError) as e:
            self.failure = e


class Publisher(_Thread):
    """`rate` messages a second, which may be changed, to 0 too; each is counted
    in `sent`, and with `confirms` those that the broker refused in `nacked`."""

    def __init__(self, vhost, exchange, key, rate, mandatory=False, confirms=False):
        super().__init__(vhost)
        self.rate, self.sent, self.nacked = rate, 0, 0
        self._to, self._mandatory = (exchange, key), mandatory
        self._confirms = confirms

    def work(self, connection, channel):
        """Returned messages are read and forgotten."""
        if self._confirms:
            channel.confirm_delivery()
        due = time.monotonic()
        while not self._over.is_set():
            if self.rate == 0:
                due = time.monotonic()
            while self.rate and time.monotonic() >= due:
                self._publish(channel)
                due += 1 / self.rate
            connection.process_data_events(0.01)

    def _publish(self, channel):
        import pika
        try:
            channel.basic_publish(*self._to, PAYLOAD, mandatory=self._mandatory)
        except pika.exceptions.NackError:
            self.nacked += 1
        self.sent += 1


class Consumer(_Thread):
    """Acknowledges after `delay` seconds each; with `rejects` it gives every
    message back, or away for good where it does not requeue."""

    def __init__(self, vhost, queue, delay=0.0, rejects=False, prefetch=10,
                 requeues=True):
        super().__init__(vhost)
        self.delay, self.rejects, self.requeues = delay, rejects, requeues
        self._queue, self._prefetch = queue, prefetch
        self.handled = 0

    def work(self, connection, channel):
        channel.basic_qos(prefetch_count=self._prefetch)
        for method, _, _ in channel.consume(self._queue, inactivity_timeout=0.05):
            if self._over.is_set():
                return
            if method is None:
                continue
            self.handled += 1
            if self.rejects:
                channel.basic_reject(method.delivery_tag, requeue=self.requeues)
                time.sleep(0.005)
                continue
            if self.delay:
                connection.sleep(self.delay)
            channel.basic_ack(method.delivery_tag)
