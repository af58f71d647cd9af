/* SPDX-License-Identifier: MIT */
/*
 * rawlimit: what rabbitmq-c and the broker can do with nothing around them, and
 * a reader that empties a queue and says what was in it.
 *
 *   rawlimit publish HOST PORT VHOST QUEUE COUNT BODY_BYTES WINDOW
 *   rawlimit consume HOST PORT VHOST QUEUE COUNT PREFETCH ACK_BATCH
 *   rawlimit read HOST PORT VHOST QUEUE COUNT
 *
 * publish: persistent, confirmed, at most WINDOW unconfirmed. consume: COUNT
 * messages, each ACK_BATCH-th delivery acked with multiple; the rate is that
 * between the first tenth and the last. read: takes COUNT
 * messages, however slowly they come, and any more that are there. Both print
 * one JSON object. What read says: messages, bytes and values (PUTVAL lines, or
 * "values" members of JSON), and how often the number after the last ':' of a
 * message-id ("late_messages") or of a PUTVAL line of loadgen's ("late_values")
 * was not above all before it.
 */
#include "rmq_config.h"

#include "tests/bench/plain.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { PATIENCE_MS = 30000, MORE_MS = 300, PREFETCH = 2000, ACK_EVERY = 500 };

static double cpu_s(void) {
  struct rusage r;
  getrusage(RUSAGE_SELF, &r);
  return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
         1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static int publish(struct plain *p, const char *queue, uint64_t count,
                   size_t size) {
  char *body = malloc(size > 0 ? size : 1);
  if (body == NULL)
    return 1;
  memset(body, 'x', size);
  double began = plain_now_s(), cpu = cpu_s();
  int rc = 0;
  while (rc == 0 && plain_confirmed(p) < count) {
    if (plain_published(p) < count && plain_has_room(p))
      rc = plain_publish(p, PLAIN_FEW, queue, body, size);
    else
      rc = plain_wait(p, -1);
  }
  double seconds = plain_now_s() - began;
  free(body);
  if (rc != 0)
    return 1;
  printf("{\"messages\": %" PRIu64 ", \"seconds\": %.6f, \"rate\": %.1f, "
         "\"cpu_us\": %.3f}\n",
         count, seconds, (double)count / seconds,
         (cpu_s() - cpu) / (double)count * 1e6);
  return 0;
}

static int consume(struct plain *p, const char *queue, uint64_t count,
                   int prefetch, uint64_t ack_batch) {
  struct plain_delivery d = {0};
  double began = 0, ended = 0, began_cpu = 0, ended_cpu = 0;
  uint64_t low = count / 10, high = count - count / 10;
  if (plain_consume(p, queue, prefetch) != 0)
    return 1;
  for (uint64_t n = 1; n <= count; n++) {
    if (plain_take(p, -1, &d) != 1)
      return 1;
    if ((n % ack_batch == 0 || n == count) && plain_ack(p, d.tag) != 0)
      return 1;
    if (n == low) {
      began = plain_now_s();
      began_cpu = cpu_s();
    } else if (n == high) {
      ended = plain_now_s();
      ended_cpu = cpu_s();
    }
  }
  double messages = (double)(high - low);
  printf("{\"messages\": %" PRIu64 ", \"seconds\": %.6f, \"rate\": %.1f, "
         "\"cpu_us\": %.3f}\n",
         count, ended - began, messages / (ended - began),
         (ended_cpu - began_cpu) / messages * 1e6);
  return 0;
}

/* ------------------------------------------------------------------------ */

struct contents {
  uint64_t messages, bytes, values;
  uint64_t late_messages, late_values;
  double last_message, last_value;
};

/* Notes the number after the last ':' of a text; it should rise. */
static void note(const char *text, size_t len, double *last, uint64_t *late) {
  char digits[64] = "";
  const char *colon = len > 0 ? memrchr(text, ':', len) : NULL;
  size_t n = colon == NULL ? 0 : len - (size_t)(colon - text) - 1;
  if (n == 0 || n >= sizeof(digits))
    return;
  memcpy(digits, colon + 1, n);
  double number = strtod(digits, NULL);
  if (number <= *last)
    (*late)++;
  else
    *last = number;
}

static void read_line(struct contents *c, const char *line, size_t len) {
  if (len < 7 || memcmp(line, "PUTVAL ", 7) != 0)
    return;
  c->values++;
  note(line, len, &c->last_value, &c->late_values);
}

static void read_json(struct contents *c, const char *body, size_t size) {
  static const char member[] = "\"values\":";
  const char *end = body + size;
  while ((body = memmem(body, (size_t)(end - body), member,
                        sizeof(member) - 1)) != NULL) {
    c->values++;
    body += sizeof(member) - 1;
  }
}

static void read_body(struct contents *c, const char *body, size_t size) {
  if (size > 0 && body[0] == '[') {
    read_json(c, body, size);
    return;
  }
  while (size > 0) {
    const char *newline = memchr(body, '\n', size);
    size_t len = newline == NULL ? size : (size_t)(newline - body) + 1;
    read_line(c, body, len);
    body += len;
    size -= len;
  }
}

static int read_queue(struct plain *p, const char *queue, uint64_t count) {
  struct contents c = {.last_message = -1, .last_value = -1};
  struct plain_delivery d = {0};
  int rc = plain_consume(p, queue, PREFETCH);
  while (rc == 0 &&
         (rc = plain_take(p, c.messages < count ? PATIENCE_MS : MORE_MS, &d)) ==
             1) {
    c.messages++;
    c.bytes += d.size;
    note(d.message_id, d.message_id_len, &c.last_message, &c.late_messages);
    read_body(&c, d.body, d.size);
    rc = c.messages % ACK_EVERY == 0 ? plain_ack(p, d.tag) : 0;
  }
  if (rc != 0 || (c.messages > 0 && plain_ack(p, d.tag) != 0))
    return 1;
  printf("{\"messages\": %" PRIu64 ", \"bytes\": %" PRIu64
         ", \"values\": %" PRIu64 ", \"late_messages\": %" PRIu64
         ", \"late_values\": %" PRIu64 "}\n",
         c.messages, c.bytes, c.values, c.late_messages, c.late_values);
  return 0;
}

static int usage(void) {
  fputs("usage: rawlimit publish HOST PORT VHOST QUEUE COUNT BYTES WINDOW\n"
        "       rawlimit consume HOST PORT VHOST QUEUE COUNT PREFETCH "
        "ACK_BATCH\n"
        "       rawlimit read HOST PORT VHOST QUEUE COUNT\n",
        stderr);
  return 2;
}

int main(int argc, char **argv) {
  const char *verb = argc > 1 ? argv[1] : "";
  bool is_publish = argc == 9 && strcmp(verb, "publish") == 0;
  bool is_consume = argc == 9 && strcmp(verb, "consume") == 0;
  bool is_read = argc == 7 && strcmp(verb, "read") == 0;
  if (!is_publish && !is_consume && !is_read)
    return usage();
  uint64_t count = strtoull(argv[6], NULL, 10);
  size_t first = is_read ? 0 : (size_t)strtoul(argv[7], NULL, 10);
  size_t second = is_read ? 0 : (size_t)strtoul(argv[8], NULL, 10);
  if (!is_read && (first == 0 || second == 0 || (is_consume && count < 10)))
    return usage();
  struct plain *p =
      plain_new(argv[2], atoi(argv[3]), argv[4], is_publish ? second : 0);
  if (p == NULL)
    return 1;
  int rc = 0;
  if (is_publish)
    rc = publish(p, argv[5], count, first);
  else if (is_consume)
    rc = consume(p, argv[5], count, (int)first, second);
  else
    rc = read_queue(p, argv[5], count);
  plain_free(p);
  return rc;
}
