# SPDX-License-Identifier: MIT
"""A broker's listener for AMQP over TLS that a test opens and shuts."""

import contextlib


def files(certificates, name):
    """An Erlang list of options of TLS."""
    return (f'[{{cacertfile, "{certificates}/ca.pem"}}, '
            f'{{certfile, "{certificates}/{name}.pem"}}, '
            f'{{keyfile, "{certificates}/{name}.key"}}]')


@contextlib.contextmanager
def listener(broker, certificates, name):
    """One more listener for AMQP over TLS, with that certificate."""
    broker.eval(f'rabbit_networking:start_ssl_listener({{"127.0.0.1", '
                f"{broker.amqps_port}, auto}}, {files(certificates, name)}, 1).")
    try:
        yield
    finally:  # its row in the list of listeners, too
        broker.eval(f'catch rabbit_networking:stop_tcp_listener({{"127.0.0.1", '
                    f"{broker.amqps_port}, auto}}).")
