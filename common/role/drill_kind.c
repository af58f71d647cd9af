/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/drill_kind.h"

#include <math.h>
#include <string.h>

static const struct {
  const char *word, *series, *alert, *what;
  bool is_private;
} drills[] = {
#define RMQ_X(name, word, series, alert, is_private, what)                     \
  {word, series, alert, what, is_private},
    RMQ_DRILLS(RMQ_X)
#undef RMQ_X
};

const char *rmq_drill_kind_to_str(enum rmq_drill_kind k) {
  switch (k) {
#define RMQ_X(name, word, series, alert, is_private, what)                     \
  case RMQ_DRILL_##name:                                                       \
    return word;
    RMQ_DRILLS(RMQ_X)
#undef RMQ_X
  }
  return "unknown";
}

const char *rmq_drill_kind_series(enum rmq_drill_kind k) {
  return drills[k].series;
}
const char *rmq_drill_kind_alert(enum rmq_drill_kind k) {
  return drills[k].alert;
}
bool rmq_drill_kind_is_share(enum rmq_drill_kind k) {
  return strcmp(drills[k].alert, "errors") == 0;
}
bool rmq_drill_kind_is_private(enum rmq_drill_kind k) {
  return drills[k].is_private;
}
const char *rmq_drill_kind_help(enum rmq_drill_kind k) {
  return drills[k].what;
}

int rmq_drill_kind_from_str(const char *word, enum rmq_drill_kind *ret_kind) {
  for (int k = 0; k < RMQ_DRILLS_COUNT; k++)
    if (strcmp(word, drills[k].word) == 0) {
      *ret_kind = (enum rmq_drill_kind)k;
      return 0;
    }
  return -1;
}

bool rmq_drill_passed(const struct rmq_drill_result *r) {
  return !isnan(r->moved_s) && !isnan(r->raised_s) && !isnan(r->over_s);
}
