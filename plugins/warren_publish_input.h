/* SPDX-License-Identifier: MIT */
/*
 * Standard input of warren publish made messages, and how long there is
 * patience with broker and queue. Main thread only.
 */
#ifndef RMQ_PLUGINS_WARREN_PUBLISH_INPUT_H
#define RMQ_PLUGINS_WARREN_PUBLISH_INPUT_H

#include "common/base/host.h"
#include "common/host/host_execd_lines.h"
#include "plugins/warren_publish.h"
#include "plugins/warren_publish_fates.h"

struct warren_publish_input {
  const struct warren_publish_options *options;
  const struct rmq_host *host;
  const struct warren_voice *voice;
  struct rmq_role_publish *role;
  struct warren_fates fates;
  struct rmq_execd_lines lines;
  /* Lines of one key that wait for others: Influx with BatchValues. */
  struct rmq_buf batch;
  char batch_key[RMQ_RKEY_MAX + 1];
  int64_t batch_lines;
  struct rmq_mono batch_due;
  uint64_t lost; /* records that never became messages */
  uint64_t seen; /* messages that had ended when there was progress last */
  struct rmq_mono progress;
  struct rmq_mono told_to_end; /* a signal; 0 = none */
  bool gave_up;                /* --timeout */
};

/* Borrows all. From here on SIGTERM and SIGINT are ours, and SIGHUP unless it
 * is ignored. -1 without file descriptors. */
int warren_publish_input_init(struct warren_publish_input *s,
                              const struct warren_publish_options *options,
                              const struct rmq_host *host,
                              const struct warren_voice *voice,
                              struct rmq_role_publish *role);
void warren_publish_input_fini(struct warren_publish_input *s);

/* All of standard input, until its end or a signal; what cannot be published is
 * said and counted as lost. */
void warren_publish_read(struct warren_publish_input *s);

/* Whether SIGHUP is ignored, as under nohup, and is to stay so. */
bool warren_publish_outlives_hangup(void);
bool warren_publish_is_told_to_end(const struct warren_publish_input *s);
/* Until a signal, the last message's end, or input where that is wanted. True
 * when there is input. */
bool warren_publish_wait(struct warren_publish_input *s, bool wants_input,
                         int timeout_ms);
/* After a signal ShutdownTimeout; with --wait also when the broker has answered
 * nothing for --timeout. */
bool warren_publish_is_patient(struct warren_publish_input *s);

#endif
