/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/unconfirmed.h"

#include <math.h>

/* Doubles count exactly up to here; more is no number of messages. */
static const double UNCONFIRMED_MAX = 9007199254740992.0; /* 2^53 */

void rmq_unconfirmed_init(struct rmq_unconfirmed *u) {
  *u = (struct rmq_unconfirmed){.sum = 0};
}

static void begin(struct rmq_unconfirmed *u, double in_flight) {
  *u = (struct rmq_unconfirmed){
      .has_before = !isnan(in_flight), .in_flight = in_flight, .sum = u->sum};
}

int64_t rmq_unconfirmed_step(struct rmq_unconfirmed *u, int64_t received,
                             int64_t confirmed, double in_flight) {
  bool is_known = received >= 0 && confirmed >= 0 && !isnan(in_flight);
  if (!is_known || !u->has_before) {
    begin(u, in_flight);
    return -1;
  }
  u->excess_before = u->excess;
  u->excess +=
      (double)received - (double)confirmed - (in_flight - u->in_flight);
  u->in_flight = in_flight;
  double added = fmin(u->excess, u->excess_before) - u->counted;
  if (!(added >= 1))
    return 0;
  if (!(added < UNCONFIRMED_MAX) || u->sum > INT64_MAX - (int64_t)added) {
    begin(u, in_flight);
    return -1;
  }
  u->counted += floor(added);
  u->sum += (int64_t)added;
  return (int64_t)added;
}
