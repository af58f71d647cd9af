/* SPDX-License-Identifier: MIT */
/* Whatever a client sends, the reader survives it, says why it refuses, hands
 * out only texts that AMQP can carry, and knows nothing of the request before.
 * The input is "METHOD TARGET", then a line "Name: value" for each header. */
#include "rmq_config.h"

#include "common/base/utf8.h"
#include "common/role/publish_request.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <strings.h>

static struct rmq_publish_request request;

/* Cuts the text before separator off *rest, which is NULL after the last. */
static char *cut(char **rest, char separator) {
  char *piece = *rest;
  *rest = strchr(piece, separator);
  if (*rest != NULL)
    *(*rest)++ = '\0';
  return piece;
}

static void check_text(const char *text) {
  fuzz_must(text == NULL || (strlen(text) <= RMQ_ENVELOPE_TEXT_MAX &&
                             rmq_utf8_is_valid(text, strlen(text))));
}

static void check_message(const struct rmq_outgoing *m) {
  const struct rmq_envelope *e = &m->envelope;
  const char *texts[] = {m->exchange,       m->routing_key, m->content_type,
                         m->message_id,     e->reply_to,    e->type,
                         e->correlation_id, e->traceparent};
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
    check_text(texts[i]);
  fuzz_must(m->exchange != NULL && m->routing_key != NULL);
  fuzz_must(m->body == NULL && m->body_len == 0 && m->tag == 0);
  fuzz_must(request.timeout.ns > 0 &&
            request.timeout.ns <= RMQ_PUBLISH_TIMEOUT_MAX.ns);
  fuzz_must(e->headers_count <= RMQ_ENVELOPE_HEADERS_MAX);
  for (size_t i = 0; i < e->headers_count; i++) {
    check_text(e->headers[i].name);
    check_text(e->headers[i].string);
    fuzz_must(e->headers[i].name[0] != '\0');
    for (size_t k = 0; k < i; k++)
      fuzz_must(strcasecmp(e->headers[i].name, e->headers[k].name) != 0);
  }
}

static int read_header(char *line, struct rmq_error *err) {
  char *rest = line;
  const char *name = cut(&rest, ':');
  const char *value = rest == NULL ? "" : rest + strspn(rest, " ");
  if (strcasecmp(name, "Host") == 0 && rmq_http_host_is_own(value))
    fuzz_must(value[strspn(value, "0123456789abcdefABCDEF.:[]lohstLOHST")] ==
              '\0');
  return rmq_publish_request_header(&request, name, value, err);
}

/* Cuts text up. */
static enum rmq_publish_wish read_request(char *text, struct rmq_error *err) {
  char *lines = text, *line = cut(&lines, '\n'), *target = line;
  const char *method = cut(&target, ' ');
  enum rmq_publish_wish wish = rmq_publish_request_begin(
      &request, method, target == NULL ? "" : target, rmq_s(30), err);
  fuzz_must(rmq_error_is_set(err) == (wish == RMQ_PUBLISH_WISH_BAD));
  if (wish != RMQ_PUBLISH_WISH_MESSAGE)
    return wish;
  int rc = 0;
  while (rc == 0 && lines != NULL)
    rc = read_header(cut(&lines, '\n'), err);
  if (rc == 0)
    rc = rmq_publish_request_end(&request, err);
  fuzz_must(rmq_error_is_set(err) == (rc != 0));
  fuzz_must(request.texts_len <= sizeof(request.texts));
  if (rc != 0)
    return RMQ_PUBLISH_WISH_BAD;
  check_message(&request.message);
  return wish;
}

/* With the wish, what was said of it; the texts lie in request. */
static enum rmq_publish_wish read_copy(const uint8_t *data, size_t size,
                                       struct rmq_error *err) {
  char *text = malloc(size + 1);
  fuzz_must(text != NULL);
  if (size > 0)
    memcpy(text, data, size);
  text[size] = '\0';
  *err = (struct rmq_error){.text = ""};
  enum rmq_publish_wish wish = read_request(text, err);
  free(text);
  if (wish == RMQ_PUBLISH_WISH_MESSAGE)
    check_message(&request.message); /* nothing of it lay in text */
  return wish;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct rmq_error first, second;
  enum rmq_publish_wish wish = read_copy(data, size, &first);
  size_t texts_len = request.texts_len;
  fuzz_must(read_copy(data, size, &second) == wish);
  fuzz_must(strcmp(first.text, second.text) == 0);
  fuzz_must(request.texts_len == texts_len);
  return 0;
}
