# SPDX-License-Identifier: MIT
"""A consumer by RabbitMQ's stream protocol, as little of one as makes the
broker know how far behind it is: it gives credit for as many chunks as it is
told, and throws away what comes.

https://github.com/rabbitmq/rabbitmq-server/blob/v3.10.8/deps/rabbitmq_stream/docs/PROTOCOL.adoc
"""

import socket
import struct

SUBSCRIBE, CREDIT = 7, 9
PEER_PROPERTIES, SASL_HANDSHAKE, SASL_AUTHENTICATE = 17, 18, 19
TUNE, OPEN = 20, 21
RESPONSE = 0x8000
OFFSET_FIRST = 1
OK = 1


def text(value):
    data = value.encode()
    return struct.pack(">h", len(data)) + data


class StreamConsumer:
    """Subscribed from the first message on, with credit for `chunks`."""

    def __init__(self, port, stream, vhost="/", user="guest", password="guest",
                 chunks=1):
        self._correlation = 0
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        self._ask(PEER_PROPERTIES, struct.pack(">i", 0))
        self._ask(SASL_HANDSHAKE, b"")
        secret = f"\0{user}\0{password}".encode()
        self._ask(SASL_AUTHENTICATE,
                  text("PLAIN") + struct.pack(">i", len(secret)) + secret)
        self._send(TUNE, self._await(TUNE))
        self._ask(OPEN, text(vhost))
        self._ask(SUBSCRIBE, struct.pack(">B", 0) + text(stream) +
                  struct.pack(">hh", OFFSET_FIRST, chunks) +
                  struct.pack(">i", 0))

    def credit(self, chunks):
        self._send(CREDIT, struct.pack(">Bh", 0, chunks))

    def close(self):
        self._socket.close()

    def _send(self, key, payload):
        self._socket.sendall(struct.pack(">IHH", 4 + len(payload), key, 1) +
                             payload)

    def _read(self, size):
        data = b""
        while len(data) < size:
            more = self._socket.recv(size - len(data))
            if not more:
                raise EOFError("the broker has closed the connection")
            data += more
        return data

    def _await(self, key):
        """The payload of the next frame of that key; others are thrown away."""
        while True:
            size, got, _version = struct.unpack(">IHH", self._read(8))
            payload = self._read(size - 4)
            if got == key:
                return payload

    def _ask(self, key, payload):
        self._correlation += 1
        self._send(key, struct.pack(">I", self._correlation) + payload)
        answer = self._await(RESPONSE | key)
        code = struct.unpack(">IH", answer[:6])[1]
        if code != OK:
            raise RuntimeError(f"command {key} was answered with {code}")
