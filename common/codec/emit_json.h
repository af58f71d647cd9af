/* SPDX-License-Identifier: MIT */
/*
 * Sets as one JSON object each, on one line:
 *   {"time":1700000000.000,"cluster":"main","connection":{"bool_reachable":1},
 *    "lag":{},"errors":{},"resource":{},"throughput":{},"monitor":{},
 *    "nodes":[{"node":"rabbit@a","bool_running":1}],"vhosts":[],"queues":[]}
 * Every member is there, numbers that are not known are not; fields have the
 * names of line protocol, objects their raw names. An event is an object of its
 * own, before the set: {"event":"alert","time":...}.
 */
#ifndef RMQ_CODEC_EMIT_JSON_H
#define RMQ_CODEC_EMIT_JSON_H

#include "common/base/series.h"
#include "common/codec/emit.h"

struct rmq_emit_json; /* opaque: a buffer per member */

/* table says which indicator a series of the cluster belongs to; borrowed. NULL
 * without memory. */
struct rmq_emit_json *rmq_emit_json_new(const struct rmq_series *table);
void rmq_emit_json_free(struct rmq_emit_json *j);
/* Borrows j. */
struct rmq_emit rmq_emit_json_emit(struct rmq_emit_json *j);

#endif
