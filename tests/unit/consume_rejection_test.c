/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/consume_rejection.h"
#include "tests/testing.h"

#include <string.h>

#include "tests/fake/host.h"

static struct fake_host host;
static struct rmq_session_log session;

static const char *last_line(const char *event) {
  for (size_t i = host.lines_count; i > 0; i--)
    if (strcmp(host.lines[i - 1].event, event) == 0)
      return host.lines[i - 1].message;
  fail_msg("no line about %s", event);
  return "";
}

/* With a directory that cannot be. */
static void begin(struct rmq_rejections *r, bool is_stream) {
  static char dir[] = "/dev/null/quarantine";
  const struct rmq_trust_options options = {.quarantine_dir = dir,
                                            .quarantine_max_bytes = 1000};
  fake_host_init(&host);
  rmq_session_log_init(&session, &host.host, "rabbitmq_consume", "b");
  assert_int_equal(rmq_rejections_init(r, &session, &options, is_stream), 0);
}

static void
what_becomes_of_a_message_that_cannot_be_filed_is_said_as_it_is(void **state) {
  (void)state;
#define DEAD "rejected to the dead-letter exchange, if the queue has one"
  static const struct {
    enum rmq_on_failure policy;
    enum rmq_settle how;
    bool is_stream;
    enum rmq_settle want;
    const char *said;
  } rows[] = {
      {RMQ_FAILURE_DROP, RMQ_SETTLE_DROP, false, RMQ_SETTLE_DROP, "dropped"},
      {RMQ_FAILURE_DEAD_LETTER, RMQ_SETTLE_DEAD_LETTER, false,
       RMQ_SETTLE_DEAD_LETTER, DEAD},
      {RMQ_FAILURE_REQUEUE, RMQ_SETTLE_DEAD_LETTER, false,
       RMQ_SETTLE_DEAD_LETTER, DEAD},
      {RMQ_FAILURE_QUARANTINE, RMQ_SETTLE_DROP, false, RMQ_SETTLE_DEAD_LETTER,
       DEAD},
      {RMQ_FAILURE_QUARANTINE, RMQ_SETTLE_DROP, true, RMQ_SETTLE_DROP,
       "dropped"},
      {RMQ_FAILURE_DROP, RMQ_SETTLE_DROP, true, RMQ_SETTLE_DROP, "dropped"},
      {RMQ_FAILURE_DEAD_LETTER, RMQ_SETTLE_DEAD_LETTER, true,
       RMQ_SETTLE_DEAD_LETTER, "dropped"},
  };
  const struct rmq_delivery d = {.routing_key = "k", .stream_offset = -1};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_rejections r;
    char want[300];
    SHOW_ROW("%zu", i);
    begin(&r, rows[i].is_stream);
    assert_memory_equal(last_line("quarantine"),
                        "rejected messages cannot be filed: ",
                        strlen("rejected messages cannot be filed: "));
    fake_host_advance(&host, rmq_s(3600)); /* time for the next such line */
    enum rmq_settle how = rmq_rejections_file(
        &r, rows[i].policy, &d, RMQ_REJECTION_parse, "", rows[i].how, host.now);
    assert_int_equal(how, rows[i].want);
    snprintf(want, sizeof(want),
             "rejected messages cannot be filed, and this one is %s: ",
             rows[i].said);
    assert_memory_equal(last_line("quarantine"), want, strlen(want));
    rmq_rejections_log(&r, &d, RMQ_REJECTION_parse, "", how, host.now);
    snprintf(want, sizeof(want),
             "message of 0 bytes with routing key \"k\" %s: ", rows[i].said);
    assert_memory_equal(last_line("rejected"), want, strlen(want));
    rmq_rejections_fini(&r);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(
          what_becomes_of_a_message_that_cannot_be_filed_is_said_as_it_is),
  };
  return run_all(tests);
}
