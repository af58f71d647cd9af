# SPDX-License-Identifier: MIT
"""A TCP door before a broker that a test can shut and open: the broker behind it
stays warm, and nobody else notices."""

import socket
import struct
import threading

from .ports import free_ports

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close() sends RST


class Gate:
    """Listens on a port of its own and hands on to `port`. As an argument it
    stands for a broker: it has an amqp_port."""

    def __init__(self, port, is_open=True):
        self._target = port
        self.amqp_port, = free_ports(1)
        self._lock = threading.Lock()
        self._sockets = set()
        self._flowing = threading.Event()
        self._flowing.set()
        self._listener = None
        self.accepted = 0
        if is_open:
            self.open()

    def open(self):
        """Accepts again, and what stood still flows on."""
        self._flowing.set()
        if self._listener is not None:
            return
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.amqp_port))
        self._listener.listen(16)
        threading.Thread(target=self._accept, args=(self._listener,),
                         daemon=True).start()

    def shut(self):
        """The broker is gone: connections are reset, new ones refused."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.cut()

    def cut(self):
        """Resets every connection; new ones are welcome."""
        with self._lock:
            sockets, self._sockets = self._sockets, set()
        for s in sockets:
            try:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def stall(self):
        """The broker hangs: it is there, but no byte goes in or out."""
        self.open()
        self._flowing.clear()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shut()
        self._flowing.set()

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return  # shut
            self.accepted += 1
            threading.Thread(target=self._serve, args=(client,),
                             daemon=True).start()

    def _serve(self, client):
        try:
            server = socket.create_connection(("127.0.0.1", self._target), 10)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        for s in (client, server):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._sockets |= {client, server}
        threading.Thread(target=self._pump, args=(server, client),
                         daemon=True).start()
        self._pump(client, server)

    def _pump(self, source, sink):
        try:
            while True:
                self._flowing.wait()
                data = source.recv(65536)
                self._flowing.wait()
                if not data:
                    break
                sink.sendall(data)
        except OSError:
            pass
        with self._lock:
            self._sockets -= {source, sink}
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()
