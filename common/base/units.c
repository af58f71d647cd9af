/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/units.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

struct unit {
  const char *word;
  double factor;
};

static const struct unit bytes_units[] = {
    {"", 1},
    {"B", 1},
    {"kB", 1e3},
    {"MB", 1e6},
    {"GB", 1e9},
    {"TB", 1e12},
    {"KiB", 1024.0},
    {"MiB", 1024.0 * 1024},
    {"GiB", 1024.0 * 1024 * 1024},
    {"TiB", 1024.0 * 1024 * 1024 * 1024},
    {NULL, 0},
};

/* Of time, in seconds. */
static const struct unit time_units[] = {
    {"", 1},     {"ms", 1e-3}, {"s", 1},  {"m", 60},
    {"h", 3600}, {"d", 86400}, {NULL, 0},
};

/* INT64_MAX as a double is 2^63, one too many. */
static const double int64_end = 9223372036854775808.0;

int rmq_units_integer_from_double(double value, int64_t *ret_value) {
  if (!(value >= -int64_end && value < int64_end)) /* false for NaN */
    return -1;
  int64_t whole = (int64_t)value;
  if ((double)whole != value)
    return -1;
  *ret_value = whole;
  return 0;
}

int rmq_units_duration_from_double(double seconds,
                                   struct rmq_dur *ret_duration) {
  double ns = seconds * 1e9;
  if (!(ns >= 0 && ns < int64_end))
    return -1;
  *ret_duration = rmq_dur_from_seconds(seconds);
  return 0;
}

int rmq_units_parse_integer(const char *text, int64_t *ret_value) {
  bool is_negative = *text == '-';
  if (is_negative)
    text++;
  if (*text == '\0')
    return -1;
  uint64_t value = 0;
  const uint64_t max = (uint64_t)INT64_MAX + (is_negative ? 1 : 0);
  for (; *text != '\0'; text++) {
    if (*text < '0' || *text > '9')
      return -1;
    uint64_t digit = (uint64_t)(*text - '0');
    if (value > (max - digit) / 10)
      return -1;
    value = value * 10 + digit;
  }
  if (is_negative && value > 0)
    *ret_value = -(int64_t)(value - 1) - 1;
  else
    *ret_value = (int64_t)value;
  return 0;
}

/* "12", "1.5", ".5": at most 15 digits, so that the quotient below is the
 * nearest double. ret_end is behind the last digit. */
static int parse_decimal(const char *text, double *ret_value,
                         const char **ret_end) {
  enum { DIGITS_MAX = 15 };
  double digits = 0, scale = 1;
  int count = 0;
  bool is_fraction = false;
  for (; (*text >= '0' && *text <= '9') || (*text == '.' && !is_fraction);
       text++) {
    if (*text == '.') {
      is_fraction = true;
      continue;
    }
    if (++count > DIGITS_MAX)
      return -1;
    digits = digits * 10 + (*text - '0');
    if (is_fraction)
      scale *= 10;
  }
  if (count == 0)
    return -1;
  *ret_value = digits / scale;
  *ret_end = text;
  return 0;
}

int rmq_units_parse_number(const char *text, double *ret_value) {
  double value;
  const char *rest;
  if (parse_decimal(text, &value, &rest) != 0 || *rest != '\0')
    return -1;
  *ret_value = value;
  return 0;
}

static int parse_with_unit(const char *text, const struct unit *units,
                           bool ignore_case, double *ret_value) {
  double value;
  const char *rest;
  if (parse_decimal(text, &value, &rest) != 0)
    return -1;
  if (*rest == ' ' && rest[1] != '\0')
    rest++;
  for (const struct unit *u = units; u->word != NULL; u++)
    if (ignore_case ? strcasecmp(rest, u->word) == 0
                    : strcmp(rest, u->word) == 0) {
      *ret_value = value * u->factor;
      return 0;
    }
  return -1;
}

int rmq_units_parse_bytes(const char *text, int64_t *ret_bytes) {
  double value;
  if (parse_with_unit(text, bytes_units, /* ignore_case = */ true, &value) != 0)
    return -1;
  if (!(value < int64_end))
    return -1;
  *ret_bytes = (int64_t)value;
  return 0;
}

int rmq_units_parse_duration(const char *text, struct rmq_dur *ret_duration) {
  double seconds;
  if (parse_with_unit(text, time_units, /* ignore_case = */ false, &seconds) !=
      0)
    return -1;
  return rmq_units_duration_from_double(seconds, ret_duration);
}
