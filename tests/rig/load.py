# SPDX-License-Identifier: MIT
"""Messages of numbered values for queues, published by pika: what was sent
follows from how much was sent."""

import threading
import time

HOST = "load.example.org"
PLUGIN = "load"
SERIES = 20
STEP_S = 0.001  # between two values of one series


def series_of(number):
    return f"{PLUGIN}-s{number % SERIES}/gauge-n"


def number_of(line):
    """The number in a PUTVAL line."""
    return int(float(line.rstrip().rsplit(b":", 1)[1]))


def numbers_of(body):
    return [number_of(line) for line in body.splitlines()]


class Load:
    """Message m has the id "load-m" and the values from m * per_message on.
    Value i belongs to the series i % SERIES; within a series times grow. With
    an exchange `queue` is only its routing key."""

    def __init__(self, vhost, queue, per_message, exchange=""):
        self._vhost, self._queue, self._exchange = vhost, queue, exchange
        self.per_message = per_message
        self.messages = 0
        self._begin = time.time()
        self._thread = None
        self._is_over = threading.Event()
        self._failure = None

    @property
    def sent(self):
        """The number of every value in a message that was published."""
        return range(self.messages * self.per_message)

    def body(self, message):
        first = message * self.per_message
        return "".join(
            f"PUTVAL {HOST}/{series_of(i)} interval=10.000 "
            f"{self._begin + i // SERIES * STEP_S:.3f}:{i}\n"
            for i in range(first, first + self.per_message)).encode()

    def put(self, messages, must_confirm=False):
        """Publishes at once, as fast as it goes. All of it is in the queue when
        this returns; with must_confirm the broker has said so of each."""
        with self._vhost.connect() as connection:
            channel = connection.channel()
            if must_confirm:
                channel.confirm_delivery()
            for _ in range(messages):
                self._publish(channel)
            self._sync(channel)

    def begin(self, rate):
        """Publishes `rate` messages a second until end()."""
        self._is_over.clear()
        self._thread = threading.Thread(target=self._run, args=(rate,),
                                        daemon=True)
        self._thread.start()

    def end(self):
        self._is_over.set()
        self._thread.join(60)
        assert not self._thread.is_alive(), "the load does not end"
        if self._failure is not None:
            raise self._failure

    def _publish(self, channel):
        import pika
        channel.basic_publish(
            self._exchange, self._queue, self.body(self.messages), pika.BasicProperties(
                content_type="text/collectd", delivery_mode=2,
                message_id=f"load-{self.messages}"))
        self.messages += 1

    def _sync(self, channel):
        """A channel works in order: what it answers now comes after all that it
        was given."""
        channel.exchange_declare("amq.direct", passive=True)

    def _run(self, rate):
        try:
            with self._vhost.connect() as connection:
                channel = connection.channel()
                began, first = time.monotonic(), self.messages
                while not self._is_over.is_set():
                    late = (time.monotonic() - began) * rate
                    while self.messages - first < late:
                        self._publish(channel)
                    connection.process_data_events(0.01)
                self._sync(channel)
        except Exception as e:  # pylint: disable=broad-except
            self._failure = e
