/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/fate.h"

const char *rmq_fate_to_str(enum rmq_fate f) {
  switch (f) {
#define RMQ_X(name, word, meaning)                                             \
  case RMQ_FATE_##name:                                                        \
    return word;
    RMQ_FATES(RMQ_X)
#undef RMQ_X
  }
  return "unknown";
}

bool rmq_fate_is_final(enum rmq_fate f) { return f != RMQ_FATE_STORED; }
