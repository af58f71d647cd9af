# SPDX-License-Identifier: MIT
"""Configuration of our own modules, for the demo and the tests alike."""

from .collectd import block, plugin


def _access(broker, vhost):
    return {"Host": "127.0.0.1", "Port": broker.amqp_port, "VHost": vhost,
            "User": "guest", "Password": "guest"}


def publish_block(name, broker, vhost, **options):
    """One <Publish> block; options override the connection's."""
    return block("Publish", name, **(_access(broker, vhost) | options))


def subscribe_block(name, broker, vhost, **options):
    return block("Subscribe", name, **(_access(broker, vhost) | options))


def cluster_block(name, broker, *inner, **options):
    """Blocks within the block stand before its end."""
    head = block("Cluster", name, **({
        "URL": broker.url, "User": "guest", "Password": "guest"} | options))
    lines = head.split("\n")
    return "\n".join([*lines[:-1], *("  " + line for b in inner
                                     for line in b.split("\n")), lines[-1]])


def probe_block(broker, vhost, **options):
    return block("Probe", **({"ConnectionName": "probe"}
                             | _access(broker, vhost) | options))


def publish(*blocks, **options):
    return plugin("rabbitmq_publish", *blocks, **options)


def consume(*blocks, **options):
    return plugin("rabbitmq_consume", *blocks, **options)


def monitor(*blocks, **options):
    return plugin("rabbitmq_monitor", *blocks, **options)


def only_to_writer(source, writer):
    """A filter chain by which one writer sees nothing but what the plugin
    `source` dispatches, so that its counters can be compared with a number
    known beforehand. The sink sees everything. Needs match_regex loaded."""
    return "\n".join([
        '<Chain "PostCache">', '  <Rule>', '    <Match "regex">',
        f'      Plugin "^{source}$"', '    </Match>', '    <Target "write">',
        f'      Plugin "{writer}"', '      Plugin "sink"', '    </Target>',
        '    <Target "stop">', '    </Target>', '  </Rule>',
        '  <Target "write">', '    Plugin "sink"', '  </Target>', '</Chain>',
        'PostCacheChain "PostCache"'])
