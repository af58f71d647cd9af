/* SPDX-License-Identifier: MIT */
/*
 * Which of several hosts is tried next. Every host is tried once per round; the
 * caller waits between rounds. Within a round the hosts come in order of
 * preference (or by chance), those that failed a short while ago after the
 * others; each has a back-off of its own for how long that counts. A host that
 * refused us, which asking again soon cannot change, is not tried at all until
 * its bar ends.
 *
 * Hosts are numbers, 0 .. count - 1; 0 is the preferred one.
 */
#ifndef RMQ_BASE_HOSTS_H
#define RMQ_BASE_HOSTS_H

#include "common/base/backoff.h"
#include "common/base/prng.h"

#include <stdbool.h>
#include <stddef.h>

struct rmq_hosts_entry {
  struct rmq_backoff penalty;
  struct rmq_mono shunned_until; /* tried last before that */
  struct rmq_mono barred_until;  /* not tried before that */
  bool is_tried;                 /* in this round */
};

struct rmq_hosts {
  struct rmq_hosts_entry *entries;
  size_t count;
  bool is_random;
  size_t current; /* tried last, or connected */
  size_t forced;  /* the next choice; count = none */
};

/* penalty: first and longest time for which a failure counts. count > 0. -1
 * without memory. */
int rmq_hosts_init(struct rmq_hosts *h, size_t count, bool is_random,
                   struct rmq_dur penalty_min, struct rmq_dur penalty_max);
void rmq_hosts_fini(struct rmq_hosts *h);

void rmq_hosts_begin_round(struct rmq_hosts *h);
/* Makes the next host of the round current. When none is left, which the caller
 * avoids by rmq_hosts_has_more, the one whose bar ends first. */
void rmq_hosts_choose(struct rmq_hosts *h, struct rmq_prng *prng,
                      struct rmq_mono now);
/* Hosts of this round that are not barred are left. */
bool rmq_hosts_has_more(const struct rmq_hosts *h, struct rmq_mono now);
/* From when on at least one host is not barred. */
struct rmq_mono rmq_hosts_free_at(const struct rmq_hosts *h);

/* What became of the current host. */
void rmq_hosts_failed(struct rmq_hosts *h, struct rmq_prng *prng,
                      struct rmq_mono now);
void rmq_hosts_refused(struct rmq_hosts *h, struct rmq_mono until);
/* Its next failure is a first one. */
void rmq_hosts_worked(struct rmq_hosts *h);
/* Not again in this round. */
void rmq_hosts_skip(struct rmq_hosts *h);

/* The next choice is this host, whatever else is known of it. */
void rmq_hosts_force(struct rmq_hosts *h, size_t host);
/* The first host after `after` (count = from the beginning) that is preferred
 * to the current one and not barred; count when there is none. */
size_t rmq_hosts_better(const struct rmq_hosts *h, size_t after,
                        struct rmq_mono now);

#endif
