/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/unconfirmed.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Doubles count exactly up to here; more is no number of messages. */
static const double UNCONFIRMED_MAX = 9007199254740992.0; /* 2^53 */

void rmq_unconfirmed_init(struct rmq_unconfirmed *u) {
  *u = (struct rmq_unconfirmed){.sum = 0};
}

static void begin(struct rmq_unconfirmed *u, double in_flight,
                  struct rmq_mono now) {
  *u = (struct rmq_unconfirmed){.in_flight = in_flight, .sum = u->sum};
  if (!isnan(in_flight))
    u->seen[u->seen_count++] = (struct rmq_unconfirmed_seen){.at = now};
}

static bool is_held(const struct rmq_unconfirmed_seen *s, struct rmq_mono now) {
  return rmq_mono_since(now, s->at).ns >= rmq_s(RMQ_UNCONFIRMED_HOLD_S).ns;
}

/* Remembers the excess of now, and of before no more than has to be asked. */
static void remember(struct rmq_unconfirmed *u, struct rmq_mono now) {
  size_t gone = 0;
  while (gone + 1 < u->seen_count && is_held(&u->seen[gone + 1], now))
    gone++;
  u->seen_count -= gone;
  memmove(u->seen, u->seen + gone, u->seen_count * sizeof(u->seen[0]));
  if (u->seen_count < RMQ_UNCONFIRMED_SEEN_MAX) {
    u->seen[u->seen_count++] =
        (struct rmq_unconfirmed_seen){.at = now, .excess = u->excess};
    return;
  }
  struct rmq_unconfirmed_seen *last = &u->seen[u->seen_count - 1];
  last->excess = fmin(last->excess, u->excess);
}

/* What all polls of long enough have; what is counted already when they are not
 * there yet. */
static double get_lasting(const struct rmq_unconfirmed *u,
                          struct rmq_mono now) {
  if (!is_held(&u->seen[0], now))
    return u->counted;
  double lowest = u->seen[0].excess;
  for (size_t i = 1; i < u->seen_count; i++)
    lowest = fmin(lowest, u->seen[i].excess);
  return lowest;
}

int64_t rmq_unconfirmed_step(struct rmq_unconfirmed *u, int64_t received,
                             int64_t confirmed, double in_flight,
                             struct rmq_mono now) {
  bool is_known = received >= 0 && confirmed >= 0 && !isnan(in_flight);
  if (!is_known || u->seen_count == 0) {
    begin(u, in_flight, now);
    return -1;
  }
  u->excess +=
      (double)received - (double)confirmed - (in_flight - u->in_flight);
  u->in_flight = in_flight;
  remember(u, now);
  double added = get_lasting(u, now) - u->counted;
  if (!(added >= 1))
    return 0;
  if (!(added < UNCONFIRMED_MAX) || u->sum > INT64_MAX - (int64_t)added) {
    begin(u, in_flight, now);
    return -1;
  }
  u->counted += floor(added);
  u->sum += (int64_t)added;
  return (int64_t)added;
}
