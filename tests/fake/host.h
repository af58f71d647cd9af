/* SPDX-License-Identifier: MIT */
/*
 * A host for tests: a clock that is turned by hand, samples and log lines that
 * are kept and can be asked for, by recall, too. One thread at a time may log
 * or sample.
 */
#ifndef RMQ_TESTS_FAKE_HOST_H
#define RMQ_TESTS_FAKE_HOST_H

#include "common/base/host.h"

enum { FAKE_HOST_SAMPLES = 4096, FAKE_HOST_LINES = 256, FAKE_HOST_EVENTS = 64 };

struct fake_host {
  struct rmq_host host;
  struct rmq_mono now;
  struct rmq_wall wall;
  struct fake_sample {
    char name[300]; /* PLUGIN-INSTANCE/TYPE-TYPE_INSTANCE */
    char labels[700];
    char type[32], source[16];
    enum rmq_kind kind;
    union rmq_value value;
    struct rmq_wall time;
    struct rmq_dur interval;
  } samples[FAKE_HOST_SAMPLES];
  size_t samples_count;
  struct fake_line {
    enum rmq_level level;
    char event[32], state[32], message_id[64], message[1000];
  } lines[FAKE_HOST_LINES];
  size_t lines_count;
  struct fake_event {
    enum rmq_severity severity;
    char name[300];  /* as that of a sample */
    char meta[1000]; /* KEY=VALUE; of each */
    char message[300];
  } events[FAKE_HOST_EVENTS];
  size_t events_count; /* also of those that were not kept */
};

/* Static storage: it is large. The clock starts at 1000 s. */
void fake_host_init(struct fake_host *h);
/* Turns both clocks. */
void fake_host_advance(struct fake_host *h, struct rmq_dur d);
/* Forgets what was kept. */
void fake_host_clear(struct fake_host *h);
/* The newest sample of that name, or NULL. */
const struct fake_sample *fake_host_find(const struct fake_host *h,
                                         const char *name);
/* Its value as a number; NaN when there is none. */
double fake_host_value(const struct fake_host *h, const char *name);
/* How many lines there are whose event is that word. */
size_t fake_host_count(const struct fake_host *h, const char *event);

#endif
