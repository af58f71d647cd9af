/* SPDX-License-Identifier: MIT */
/* A web server in memory: rules say what is answered, and the fake host's clock
 * goes on by what that takes. */
#ifndef TESTS_FAKE_WEB_H
#define TESTS_FAKE_WEB_H

#include "common/broker/http.h"
#include "tests/fake/host.h"

/* One answer; the first rule whose text is in the URL counts. status 0 = it
 * does not answer (body says why), -1 = cancelled. */
struct fake_web_rule {
  const char *in_url;
  int status;
  const char *body;
  double seconds; /* that it takes, or the timeout where that is shorter */
};

struct fake_web {
  const struct fake_web_rule *rules; /* ends with a NULL in_url */
  struct fake_host *clock;
  int64_t certificate_expires_s; /* of https, where it is wanted */
  char asked[32][400];
  size_t asked_count;
};

/* Valid as long as w. */
struct rmq_http fake_web_http(struct fake_web *w);

#endif
