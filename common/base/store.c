/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/store.h"

const char *rmq_store_loss_to_str(enum rmq_store_loss l) {
  switch (l) {
#define RMQ_X(name, meaning)                                                   \
  case RMQ_STORE_##name:                                                       \
    return meaning;
    RMQ_STORE_LOSSES(RMQ_X)
#undef RMQ_X
  }
  return "unknown";
}

const char *rmq_store_put_to_str(enum rmq_store_put p) {
  switch (p) {
  case RMQ_STORE_TOOK:
    return "took";
  case RMQ_STORE_BUSY:
    return "busy";
  case RMQ_STORE_UNUSABLE:
    return "unusable";
  }
  return "unknown";
}

/* FNV-1a; it is on disk, so it never changes. */
uint32_t rmq_store_key_hash(const char *key) {
  uint32_t h = 2166136261u;
  for (; *key != '\0'; key++)
    h = (h ^ (unsigned char)*key) * 16777619u;
  return h;
}

/* The high bits of a product, since those of FNV's sums are mixed best there
 * after one more multiplication. */
unsigned rmq_store_lane_of(uint32_t key_hash, unsigned lanes) {
  uint32_t mixed = key_hash * 2654435769u;
  return (unsigned)(((uint64_t)mixed * lanes) >> 32);
}
