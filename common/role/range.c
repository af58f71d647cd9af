/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/range.h"

#include "common/codec/number.h"

#include <math.h>
#include <string.h>

/* A bound that is left out, or "~" as START, is the given one. */
static int parse_bound(const char *text, size_t len, double missing,
                       double *ret_bound) {
  if (len == 0) {
    *ret_bound = missing;
    return 0;
  }
  return rmq_number_get_double(text, len, ret_bound);
}

static int parse_start(const char *text, size_t len, double *ret_start) {
  if (len == 1 && text[0] == '~') {
    *ret_start = -(double)INFINITY;
    return 0;
  }
  return parse_bound(text, len, 0, ret_start);
}

static int parse(const char *text, struct rmq_range *ret_range) {
  struct rmq_range r = {.alerts_inside = text[0] == '@'};
  text += r.alerts_inside ? 1 : 0;
  const char *colon = strchr(text, ':');
  const char *end = colon != NULL ? colon + 1 : text;
  size_t start_len = colon != NULL ? (size_t)(colon - text) : 0;
  if (text[0] == '\0' || parse_start(text, start_len, &r.start) != 0 ||
      parse_bound(end, strlen(end), (double)INFINITY, &r.end) != 0 ||
      !(r.start <= r.end)) /* NaN neither */
    return -1;
  *ret_range = r;
  return 0;
}

int rmq_range_parse(const char *text, struct rmq_error *err,
                    struct rmq_range *ret_range) {
  if (parse(text, ret_range) == 0)
    return 0;
  return rmq_error_set(err,
                       "\"%s\" is no range; allowed: [@][START:]END with "
                       "numbers, START not above END, as in 10, 10:, ~:10, "
                       "10:20, @10:20",
                       text);
}

bool rmq_range_alerts(const struct rmq_range *r, double value) {
  if (isnan(value))
    return false;
  bool is_inside = value >= r->start && value <= r->end;
  return is_inside == r->alerts_inside;
}
