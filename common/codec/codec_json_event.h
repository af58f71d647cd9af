/* SPDX-License-Identifier: MIT */
/*
 * A notification as collectd's amqp1, write_http and write_kafka write it (and
 * its readers, Prometheus' Alertmanager first, expect it): an array of one
 * alert with labels, annotations and startsAt. Meta data are annotations, as
 * strings, whatever their type; the message is the annotation "summary".
 */
#ifndef RMQ_CODEC_CODEC_JSON_EVENT_H
#define RMQ_CODEC_CODEC_JSON_EVENT_H

#include "common/base/buf.h"
#include "common/base/sample.h"

/* struct rmq_codec's encode_event. */
int rmq_codec_json_event_encode(const struct rmq_event *e, struct rmq_buf *out);

#endif
