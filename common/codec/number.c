/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/number.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Every integer up to here, and every power of ten in the table, is a double
 * without rounding: then one multiplication or division rounds once, which is
 * what a correct reader of the decimal text does. */
#define EXACT_MAX 9007199254740992.0 /* 2^53 */
enum { EXACT_POWERS = 22 };
static const double powers[EXACT_POWERS + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static size_t count_digits(uint64_t v) {
  size_t n = 1;
  for (; v >= 10000; v /= 10000)
    n += 4;
  return n + (v >= 10) + (v >= 100) + (v >= 1000);
}

/* Two digits a division, from the end. */
static size_t put_digits(char *to, uint64_t v, size_t at_least) {
  static const char pairs[] =
      "000102030405060708091011121314151617181920212223242526272829303132333435"
      "36"
      "373839404142434445464748495051525354555657585960616263646566676869707172"
      "73"
      "7475767778798081828384858687888990919293949596979899";
  size_t len = count_digits(v);
  len = len < at_least ? at_least : len;
  size_t at = len;
  for (; v >= 100; v /= 100)
    memcpy(to + (at -= 2), pairs + v % 100 * 2, 2);
  if (v >= 10)
    memcpy(to + (at -= 2), pairs + v * 2, 2);
  else
    to[--at] = (char)('0' + v);
  memset(to, '0', at);
  return len;
}

size_t rmq_number_put_u64(char *to, uint64_t v) { return put_digits(to, v, 1); }

size_t rmq_number_put_i64(char *to, int64_t v) {
  if (v >= 0)
    return put_digits(to, (uint64_t)v, 1);
  to[0] = '-';
  return 1 + put_digits(to + 1, -(uint64_t)v, 1);
}

/* mantissa / 10^decimals in positional notation. */
static size_t put_fixed(char *to, uint64_t mantissa, size_t decimals) {
  size_t n = put_digits(to, mantissa, decimals + 1);
  if (decimals == 0)
    return n;
  memmove(to + n - decimals + 1, to + n - decimals, decimals);
  to[n - decimals] = '.';
  return n + 1;
}

static size_t put_with_libc(char *to, double v, int digits) {
  char text[RMQ_NUMBER_MAX];
  int n = 0;
  for (; digits <= 17; digits++) {
    n = snprintf(text, sizeof(text), "%.*g", digits, v);
    if (digits == 17 || strtod(text, NULL) == v)
      break;
  }
  memcpy(to, text, (size_t)n);
  return (size_t)n;
}

size_t rmq_number_put_double(char *to, double v) {
  if (v == 0) {
    const char *zero = signbit(v) ? "-0.0" : "0";
    size_t n = strlen(zero);
    memcpy(to, zero, n);
    return n;
  }
  size_t sign = v < 0;
  double a = fabs(v);
  for (size_t k = 0; k <= EXACT_POWERS; k++) {
    double scaled = a * powers[k];
    if (scaled >= EXACT_MAX)
      break;
    uint64_t mantissa = (uint64_t)(scaled + 0.5);
    if ((double)mantissa / powers[k] != a)
      continue;
    to[0] = '-';
    return sign + put_fixed(to + sign, mantissa, k);
  }
  /* In the common range fewer digits would have been found above. */
  return put_with_libc(to, v, a >= 1e-5 && a < EXACT_MAX ? 17 : 15);
}

/* A decimal of at most 15 digits comes back from a double as it was: so when a
 * is the nearest to one, that is what printf would write. */
size_t rmq_number_put_general(char *to, double v) {
  double a = fabs(v);
  if (a >= 1e-4 && a < 1e15)
    for (size_t k = 0; k <= EXACT_POWERS; k++) {
      double scaled = a * powers[k];
      if (scaled >= 1e15)
        break;
      uint64_t mantissa = (uint64_t)(scaled + 0.5);
      if ((double)mantissa / powers[k] != a)
        continue;
      to[0] = '-';
      size_t sign = v < 0;
      return sign + put_fixed(to + sign, mantissa, k);
    }
  char text[RMQ_NUMBER_MAX];
  int n = snprintf(text, sizeof(text), "%.15g", v);
  memcpy(to, text, (size_t)n);
  return (size_t)n;
}

size_t rmq_number_put_gauge(char *to, double v) {
  if (isfinite(v))
    return rmq_number_put_double(to, v);
  const char *word = isnan(v) ? "nan" : v > 0 ? "inf" : "-inf";
  size_t n = strlen(word);
  memcpy(to, word, n);
  return n;
}

size_t rmq_number_put_seconds(char *to, int64_t ns) {
  uint64_t ms = ((uint64_t)ns + RMQ_NS_PER_MS / 2) / RMQ_NS_PER_MS;
  return put_fixed(to, ms, 3);
}

int rmq_number_get_u64(const char *text, size_t len, uint64_t *ret_v) {
  if (len == 0 || (text[0] == '0' && len > 1))
    return -1;
  uint64_t v = 0;
  for (size_t i = 0; i < len; i++) {
    if (!is_digit(text[i]))
      return -1;
    uint64_t digit = (uint64_t)(text[i] - '0');
    if (v > (UINT64_MAX - digit) / 10)
      return -1;
    v = v * 10 + digit;
  }
  *ret_v = v;
  return 0;
}

int rmq_number_get_i64(const char *text, size_t len, int64_t *ret_v) {
  bool is_negative = len > 0 && text[0] == '-';
  uint64_t v = 0;
  if (rmq_number_get_u64(text + is_negative, len - is_negative, &v) != 0)
    return -1;
  if (v > (uint64_t)INT64_MAX + is_negative)
    return -1;
  if (is_negative)
    *ret_v = v == 0 ? 0 : -(int64_t)(v - 1) - 1;
  else
    *ret_v = (int64_t)v;
  return 0;
}

/* A decimal number taken apart: mantissa * 10^exponent, as far as 19 digits
 * hold it; is_exact says whether they do. */
struct decimal {
  uint64_t mantissa;
  int exponent;
  bool is_exact;
};

/* Reads digits at text[*at], counting them in *digits; those behind the point
 * lower the exponent. */
static void get_digits(const char *text, size_t len, size_t *at,
                       bool behind_point, struct decimal *d, size_t *digits) {
  for (; *at < len && is_digit(text[*at]); (*at)++, (*digits)++) {
    if (d->mantissa >= UINT64_MAX / 10 - 1) {
      d->is_exact = false;
      continue;
    }
    d->mantissa = d->mantissa * 10 + (uint64_t)(text[*at] - '0');
    d->exponent -= behind_point;
  }
}

/* 0, or -1 unless all of text from at on is an exponent, or nothing. */
static int get_exponent(const char *text, size_t len, size_t at,
                        struct decimal *d) {
  if (at == len)
    return 0;
  if (text[at] != 'e' && text[at] != 'E')
    return -1;
  at++;
  bool is_negative = at < len && text[at] == '-';
  if (at < len && (text[at] == '-' || text[at] == '+'))
    at++;
  if (at == len)
    return -1;
  int e = 0;
  for (; at < len && is_digit(text[at]); at++)
    e = e > 9999 ? e : e * 10 + (text[at] - '0');
  d->exponent += is_negative ? -e : e;
  return at == len ? 0 : -1;
}

static int get_with_libc(const char *text, size_t len, double *ret_v) {
  char copy[401];
  if (len >= sizeof(copy))
    return -1;
  memcpy(copy, text, len);
  copy[len] = '\0';
  char *end = NULL;
  double v = strtod(copy, &end);
  if (end != copy + len || !isfinite(v))
    return -1;
  *ret_v = v;
  return 0;
}

int rmq_number_get_double(const char *text, size_t len, double *ret_v) {
  struct decimal d = {.is_exact = true};
  bool is_negative = len > 0 && text[0] == '-';
  size_t at = len > 0 && (text[0] == '-' || text[0] == '+');
  size_t digits = 0;
  get_digits(text, len, &at, false, &d, &digits);
  if (at < len && text[at] == '.') {
    at++;
    get_digits(text, len, &at, true, &d, &digits);
  }
  if (digits == 0 || get_exponent(text, len, at, &d) != 0)
    return -1;
  if (!d.is_exact || d.mantissa > (uint64_t)EXACT_MAX ||
      d.exponent > EXACT_POWERS || d.exponent < -EXACT_POWERS)
    return get_with_libc(text, len, ret_v);
  double v = (double)d.mantissa;
  v = d.exponent < 0 ? v / powers[-d.exponent] : v * powers[d.exponent];
  *ret_v = is_negative ? -v : v;
  return 0;
}

int rmq_number_get_gauge(const char *text, size_t len, double *ret_v) {
  static const struct {
    const char *word;
    double value;
  } words[] = {
      {"nan", NAN},
      {"-nan", NAN},
      {"U", NAN},
      {"inf", INFINITY},
      {"infinity", INFINITY},
      {"-inf", -INFINITY},
      {"-infinity", -INFINITY},
  };
  if (rmq_number_get_double(text, len, ret_v) == 0)
    return 0;
  for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
    if (strlen(words[i].word) == len &&
        strncasecmp(text, words[i].word, len) == 0) {
      *ret_v = words[i].value;
      return 0;
    }
  return -1;
}

int rmq_number_get_seconds(const char *text, size_t len, int64_t *ret_ns) {
  const char *point = memchr(text, '.', len);
  size_t whole_len = point == NULL ? len : (size_t)(point - text);
  uint64_t whole = 0;
  if (rmq_number_get_u64(text, whole_len, &whole) != 0 ||
      whole > RMQ_NUMBER_SECONDS_MAX)
    return -1;
  int64_t fraction = 0;
  int64_t unit = RMQ_NS_PER_S;
  for (size_t i = whole_len + 1; i < len; i++) {
    if (!is_digit(text[i]))
      return -1;
    unit /= 10;
    fraction += unit * (text[i] - '0');
  }
  if (point != NULL && whole_len + 1 == len)
    return -1;
  int64_t ns = (int64_t)whole * RMQ_NS_PER_S + fraction;
  if (ns > RMQ_NUMBER_SECONDS_MAX * RMQ_NS_PER_S)
    return -1;
  *ret_ns = ns;
  return 0;
}
