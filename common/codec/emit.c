/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/emit.h"

#include "common/codec/number.h"

#include <math.h>

size_t rmq_emit_put_value(char *to, const struct rmq_datum *d) {
  switch (d->kind) {
  case RMQ_GAUGE:
    return isfinite(d->value.gauge) ? rmq_number_put_double(to, d->value.gauge)
                                    : 0;
  case RMQ_DERIVE:
    return rmq_number_put_i64(to, d->value.derive);
  case RMQ_COUNTER:
    return rmq_number_put_u64(to, d->value.counter);
  case RMQ_ABSOLUTE:
    return rmq_number_put_u64(to, d->value.absolute);
  }
  return 0;
}
