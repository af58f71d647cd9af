/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/week.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WEEK_HALF_HOUR_S = 1800, WEEK_TOO_LONG_S = 7200 };

/* In the file rates are whole numbers of messages in 1000 s, up to here. */
static const double WEEK_RATE_MAX = 1e15;

void rmq_week_init(struct rmq_week *w) { *w = (struct rmq_week){.hour = -1}; }

/* ---- medians ---- */

static int compare_doubles(const void *a, const void *b) {
  double x, y;
  memcpy(&x, a, sizeof(x));
  memcpy(&y, b, sizeof(y));
  return (x > y) - (x < y);
}

/* Sorts the values; n > 0. */
static double median(double *values, size_t n) {
  qsort(values, n, sizeof(values[0]), compare_doubles);
  return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

static double usual_of(const struct rmq_week_hour *h) {
  double sorted[RMQ_WEEK_KEPT];
  if (h->count < RMQ_WEEK_LEARN)
    return (double)NAN;
  memcpy(sorted, h->rates, sizeof(sorted));
  return median(sorted, h->count);
}

/* ---- learning ---- */

/* Hour of the week and minute of the hour; false: there is no such time. */
static bool place(struct rmq_wall t, int *ret_hour, int *ret_minute) {
  time_t s = (time_t)(t.ns / RMQ_NS_PER_S);
  struct tm tm;
  if (t.ns < 0 || localtime_r(&s, &tm) == NULL)
    return false;
  *ret_hour = tm.tm_wday * 24 + tm.tm_hour;
  *ret_minute = tm.tm_min;
  return true;
}

static void learn(struct rmq_week_hour *h, double rate) {
  h->rates[h->next] = rate;
  h->next = (h->next + 1) % RMQ_WEEK_KEPT;
  if (h->count < RMQ_WEEK_KEPT)
    h->count++;
}

static void close_minute(struct rmq_week *w) {
  if (w->count > 0 && w->minutes_count < RMQ_WEEK_MINUTES)
    w->minutes[w->minutes_count++] = w->sum / (double)w->count;
  w->sum = 0;
  w->count = 0;
}

static bool close_hour(struct rmq_week *w) {
  close_minute(w);
  bool is_measured = w->hour >= 0 &&
                     w->minutes_count >= RMQ_WEEK_MEASURED_MIN &&
                     w->last.ns - w->first.ns >= rmq_s(WEEK_HALF_HOUR_S).ns;
  if (is_measured)
    learn(&w->hours[w->hour], median(w->minutes, w->minutes_count));
  w->minutes_count = 0;
  return is_measured;
}

bool rmq_week_feed(struct rmq_week *w, double rate, struct rmq_wall now) {
  int hour, minute_of_hour;
  bool has_learned = false;
  if (!isfinite(rate) || !place(now, &hour, &minute_of_hour))
    return false;
  if (hour != w->hour || now.ns - w->first.ns > rmq_s(WEEK_TOO_LONG_S).ns) {
    has_learned = close_hour(w);
    w->hour = hour;
    w->first = now;
  }
  int64_t minute = now.ns / rmq_s(RMQ_WEEK_MINUTES).ns;
  if (minute != w->minute)
    close_minute(w);
  w->minute = minute;
  w->last = now;
  w->sum += rate;
  w->count++;
  return has_learned;
}

/* ---- judging ---- */

double rmq_week_get(const struct rmq_week *w, struct rmq_wall now) {
  int hour, minute;
  if (!place(now, &hour, &minute))
    return (double)NAN;
  int step = minute < RMQ_WEEK_MINUTES / 2 ? RMQ_WEEK_HOURS - 1 : 1;
  double usual = usual_of(&w->hours[hour]);
  double beside = usual_of(&w->hours[(hour + step) % RMQ_WEEK_HOURS]);
  if (isnan(usual) || isnan(beside))
    return (double)NAN;
  return beside < usual ? beside : usual;
}

double rmq_week_drop(const struct rmq_week *w, double rate,
                     struct rmq_wall now) {
  double usual = rmq_week_get(w, now);
  if (isnan(usual) || isnan(rate))
    return (double)NAN;
  if (rate >= usual) /* also when nothing is usual */
    return 0;
  return 100 * (usual - rate) / usual;
}

/* ---- text ---- */

static const char head[] = "warren hours of the week 1";

static int write_hour(const struct rmq_week_hour *h, int number,
                      struct rmq_buf *buf) {
  int rc = h->count > 0 ? rmq_buf_appendf(buf, "%d", number) : 0;
  for (size_t i = 0; i < h->count && rc == 0; i++) { /* oldest first */
    size_t at = (h->next + RMQ_WEEK_KEPT - h->count + i) % RMQ_WEEK_KEPT;
    double rate = fmin(fmax(h->rates[at] * 1000, 0), WEEK_RATE_MAX);
    rc = rmq_buf_appendf(buf, " %" PRId64, (int64_t)llround(rate));
  }
  if (rc == 0 && h->count > 0)
    rc = rmq_buf_append_char(buf, '\n');
  return rc;
}

int rmq_week_write(const struct rmq_week *w, struct rmq_buf *buf,
                   const char *name, struct rmq_wall now) {
  int rc = rmq_buf_appendf(buf, "%s %" PRId64 " %s\n", head,
                           now.ns / RMQ_NS_PER_S, name);
  for (int i = 0; i < RMQ_WEEK_HOURS && rc == 0; i++)
    rc = write_hour(&w->hours[i], i, buf);
  return rc;
}

/* A number up to max at *at, and the character behind it skipped; -1 = none. */
static int64_t take_number(const char **at, int64_t max, char *ret_behind) {
  int64_t n = 0;
  const char *p = *at;
  if (*p < '0' || *p > '9')
    return -1;
  for (; *p >= '0' && *p <= '9'; p++) {
    n = 10 * n + (*p - '0');
    if (n > max)
      return -1;
  }
  if (*p != ' ' && *p != '\n')
    return -1;
  *ret_behind = *p;
  *at = p + 1;
  return n;
}

/* Behind the first line, or NULL. */
static const char *read_head(const char *p, const char *name,
                             struct rmq_wall now, struct rmq_error *err) {
  char behind = '\n';
  size_t len = strlen(name);
  const char *wrong = NULL;
  int64_t time = -1;
  if (strncmp(p, head, strlen(head)) == 0 && p[strlen(head)] == ' ') {
    p += strlen(head) + 1;
    time = take_number(&p, INT64_MAX / RMQ_NS_PER_S, &behind);
  }
  int64_t age = now.ns / RMQ_NS_PER_S - time;
  if (time < 0 || behind != ' ')
    wrong = "it does not begin as such a file does";
  else if (strncmp(p, name, len) != 0 || p[len] != '\n')
    wrong = "it is of another cluster";
  else if (age > RMQ_WEEK_KEPT * RMQ_WEEK_HOURS * 3600)
    wrong = "it is more than five weeks old";
  if (wrong == NULL)
    return p + len + 1;
  rmq_error_set(err, "%s", wrong);
  return NULL;
}

/* Behind one line, or NULL. */
static const char *read_hour(const char *p, struct rmq_week *w) {
  char behind = '\n';
  int64_t number = take_number(&p, RMQ_WEEK_HOURS - 1, &behind);
  if (number < 0 || behind != ' ' || w->hours[number].count > 0)
    return NULL;
  while (behind == ' ') {
    int64_t rate = take_number(&p, (int64_t)WEEK_RATE_MAX, &behind);
    if (rate < 0 || w->hours[number].count == RMQ_WEEK_KEPT)
      return NULL;
    learn(&w->hours[number], (double)rate / 1000);
  }
  return p;
}

int rmq_week_read(struct rmq_week *w, const char *text, size_t len,
                  const char *name, struct rmq_wall now,
                  struct rmq_error *err) {
  struct rmq_week read;
  rmq_week_init(&read);
  if (len > RMQ_WEEK_TEXT_MAX || memchr(text, '\0', len) != NULL)
    return rmq_error_set(err, "it is no text, or too long");
  char *copy = strndup(text, len); /* ends with a 0 */
  if (copy == NULL)
    return rmq_error_set(err, "out of memory");
  const char *p = read_head(copy, name, now, err);
  bool has_head = p != NULL;
  while (p != NULL && *p != '\0')
    p = read_hour(p, &read);
  free(copy);
  if (has_head && p == NULL)
    return rmq_error_set(err, "it has a line that is no hour of the week");
  if (p == NULL)
    return -1;
  memcpy(w->hours, read.hours, sizeof(w->hours));
  return 0;
}
