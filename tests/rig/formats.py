# SPDX-License-Identifier: MIT
"""Readers of the formats that no package brings: JSON without forgiveness, and
the shape that users of Logstash rely on."""

import json
import math


def _no_duplicates(pairs):
    keys = [k for k, _ in pairs]
    assert len(set(keys)) == len(keys), f"a key stands there twice: {keys}"
    return dict(pairs)


def _no_constants(word):
    raise AssertionError(f"{word} is no JSON")


def strict_json(body):
    """JSON as RFC 8259 has it: UTF-8, no NaN, no key twice."""
    return json.loads(body.decode("utf-8"), object_pairs_hook=_no_duplicates,
                      parse_constant=_no_constants)


TEXTS = ("host", "plugin", "plugin_instance", "type", "type_instance")
KINDS = {"gauge", "derive", "counter", "absolute"}


def logstash_events(body):
    """What Logstash's codec json makes of a body, checked field by field. An
    array becomes one event per element; filters then take `values`, `dstypes`
    and `dsnames` by the same index, `date { match => ["time", "UNIX"] }` the
    time, and the five names for the index and the fields."""
    events = strict_json(body)
    assert isinstance(events, list) and events, "codec json splits arrays only"
    for event in events:
        _check_event(event)
    return events


def _check_event(event):
    known = {"values", "dstypes", "dsnames", "time", "interval", "meta", *TEXTS}
    assert set(event) <= known and known - set(event) <= {"meta"}, event
    count = len(event["values"])
    assert count == len(event["dstypes"]) == len(event["dsnames"]) > 0, event
    assert all(isinstance(event[t], str) for t in TEXTS), event
    assert event["host"] and event["plugin"] and event["type"], event
    assert set(event["dstypes"]) <= KINDS, event
    assert len(set(event["dsnames"])) == count, event
    for kind, value in zip(event["dstypes"], event["values"]):
        _check_value(kind, value)
    for name in ("time", "interval"):
        assert isinstance(event[name], float) and math.isfinite(event[name]), event
    assert event["time"] > 0


def _check_value(kind, value):
    if kind == "gauge":  # null is what collectd writes for NaN
        assert value is None or type(value) in (int, float), value
    else:
        low = -(2**63) if kind == "derive" else 0
        high = 2**63 if kind == "derive" else 2**64
        assert type(value) is int and low <= value < high, (kind, value)


def logstash_alert(body):
    """A notification: an array of one alert, as collectd's writers send it to
    Alertmanager's kind of reader."""
    alert, = strict_json(body)
    assert all(isinstance(v, str) for part in ("labels", "annotations")
               for v in alert[part].values()), alert
    return alert
