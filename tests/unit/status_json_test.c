/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/status_json.h"
#include "tests/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void what_is_not_known_is_not_in_it(void **state) {
  struct rmq_status_report *r = calloc(1, sizeof(*r));
  struct rmq_buf out;
  (void)state;
  assert_non_null(r);
  snprintf(r->cluster, sizeof(r->cluster), "m\"ain");
  r->time.ns = 1500 * RMQ_NS_PER_MS;
  r->is_answered = true;
  for (int i = 0; i < RMQ_STATUS_INDICATORS; i++) {
    r->indicators[i].indicator = (enum rmq_verdict_indicator)i;
    r->indicators[i].since.ns = RMQ_NS_PER_S;
  }
  r->indicators[1].history[0] = 4;
  r->indicators[1].history_count = 1;
  r->indicators[2].history[0] = (double)NAN;
  r->indicators[2].history_count = 1;
  r->queues_count = r->queues_seen = r->queues_filled = 1;
  r->queues[0] = (struct rmq_status_queue){.vhost = "/",
                                           .name = "\033q",
                                           .ready = 4,
                                           .unacked = NAN,
                                           .consumers = 0,
                                           .growth = -0.5,
                                           .drain = 8,
                                           .head_age = NAN};
  r->nodes_count = 1;
  r->nodes[0] = (struct rmq_status_node){.name = "rabbit@a",
                                         .running = 1,
                                         .memory_alarm = NAN,
                                         .disk_alarm = 0,
                                         .memory = 12.5,
                                         .memory_limit = NAN,
                                         .disk_free = NAN,
                                         .disk_limit = NAN,
                                         .file_handles = NAN,
                                         .processes = NAN,
                                         .cpu = NAN};
  rmq_buf_init(&out, 64 * 1024);
  rmq_status_json(r, 0, &out);
  assert_string_equal(
      rmq_buf_text(&out),
      "{\"cluster\":\"m\\\"ain\",\"time\":1.500,\"answered\":true,\"state\":"
      "\"OK\",\"headline\":\"all five are well\",\"indicators\":["
      "{\"name\":\"connection\",\"state\":\"OK\",\"since\":1.000,"
      "\"since_before\":false,\"text\":\"\"},"
      "{\"name\":\"lag\",\"state\":\"OK\",\"since\":1.000,"
      "\"since_before\":false,\"figure\":4,\"text\":\"\"},"
      "{\"name\":\"errors\",\"state\":\"OK\",\"since\":1.000,"
      "\"since_before\":false,\"text\":\"\"},"
      "{\"name\":\"resource\",\"state\":\"OK\",\"since\":1.000,"
      "\"since_before\":false,\"text\":\"\"},"
      "{\"name\":\"throughput\",\"state\":\"OK\",\"since\":1.000,"
      "\"since_before\":false,\"text\":\"\"}],"
      "\"nodes\":[{\"name\":\"rabbit@a\",\"running\":true,\"disk_alarm\":false,"
      "\"memory_percent\":12.5}],\"queues_total\":1,"
      "\"queues_with_messages\":1,\"worst_queues\":[{\"vhost\":\"/\","
      "\"name\":\"\\u001bq\",\"state\":\"OK\",\"ready\":4,\"consumers\":0,"
      "\"growth_per_minute\":-30,\"drain_s\":8}],\"notes\":[]}");
  rmq_buf_fini(&out);
  free(r);
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_not_known_is_not_in_it)};
  cmocka_set_message_output(CM_OUTPUT_TAP);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
