/* SPDX-License-Identifier: MIT */
/*
 * Reading a notification from the alert that collectd's writers send, and
 * codec_json_event.c with them:
 *   {"labels":{"alertname":"collectd_cpu","instance":"HOST","cpu":"0",
 *    "type":"wait","severity":"FAILURE","service":"collectd"},
 *    "annotations":{"summary":"MESSAGE"},"startsAt":"2023-11-14T22:13:20Z"}
 *
 * The form does not say everything, so some of the identity is a conclusion:
 * - the label that is none of alertname, instance, type, severity and service
 *   has the plugin for its name and the plugin instance for its text (the type
 *   instance, where there was no plugin instance, cannot be told from it);
 * - alertname is collectd_PLUGIN_TYPE, or collectd_TYPE where the type begins
 *   with the plugin's name: the types that are known decide. Without a label of
 *   the plugin it is what stands before the longest known type, and a known
 *   type alone is both.
 * All annotations but summary become meta data, texts all of them. Control
 * characters of texts become spaces.
 */
#ifndef RMQ_CODEC_CODEC_JSON_ALERT_H
#define RMQ_CODEC_CODEC_JSON_ALERT_H

#include "common/codec/json_record.h"
#include "common/codec/samples.h"

/* Pushes the notification that r is; -1: it is none, or sink takes none. */
int rmq_codec_json_alert_read(struct rmq_json_record *r,
                              const struct rmq_types *types,
                              struct rmq_samples *set, struct rmq_error *err);

#endif
