/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/drill_vhost.h"

#include "common/broker/alert_text.h"
#include "common/broker/management.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  REMOVALS = 3, /* tries to remove the virtual host */
  REMOVAL_PAUSE_MS = 1000,
  CLEANUP_MAX = 64, /* virtual hosts at a time */
  VHOST_SIZE = 256  /* AMQP's longest name, with its end */
};

int rmq_drill_vhost_explain(struct rmq_admin *a, const struct rmq_error *cause,
                            const char *remedy, struct rmq_error *err) {
  char why[160];
  struct rmq_buf text;
  if (a->status != 401 && a->status != 403)
    return rmq_error_set(err, "%s", cause->text);
  rmq_management_reason(rmq_buf_text(&a->body), a->body.len, why, sizeof(why));
  rmq_buf_init(&text, sizeof(why));
  rmq_alert_text_name(&text, why, sizeof(why));
  rmq_error_set(err, "%.200s answered with HTTP status %d (%s); %s", a->url,
                a->status, rmq_buf_text(&text), remedy);
  rmq_buf_fini(&text);
  return -1;
}

int rmq_drill_vhost_make(struct rmq_admin *a, const char *vhost,
                         struct rmq_error *err) {
  struct rmq_error cause = {.text = ""};
  if (rmq_admin_create_vhost(a, vhost, &cause) == 0)
    return 0;
  return rmq_drill_vhost_explain(a, &cause, RMQ_DRILL_ADMINISTRATOR, err);
}

int rmq_drill_vhost_remove(struct rmq_admin *a, const char *vhost,
                           const volatile sig_atomic_t *is_stopping, int rc,
                           struct rmq_error *err) {
  struct rmq_error left = {.text = ""};
  bool is_gone = false;
  const int tries = *is_stopping ? 1 : REMOVALS;
  for (int i = 0; i < tries && !is_gone; i++) {
    if (i > 0) /* a broker that restarts may be back */
      poll(NULL, 0, REMOVAL_PAUSE_MS);
    rmq_error_clear(&left);
    is_gone = rmq_admin_delete_vhost(a, vhost, &left) == 0;
  }
  if (is_gone)
    return rc;
  struct rmq_error cause = *err;
  rmq_error_clear(err);
  return rmq_error_set(err, "%.200s%s%s is left, --cleanup removes it: %.200s",
                       cause.text, cause.text[0] == '\0' ? "" : "; ", vhost,
                       left.text);
}

struct found {
  char names[CLEANUP_MAX][VHOST_SIZE];
  size_t count, left;
};

static void keep_found(void *ctx, const char *name) {
  struct found *f = ctx;
  if (strlen(name) >= VHOST_SIZE) /* none has such a name */
    return;
  if (f->count == CLEANUP_MAX)
    f->left++;
  else
    snprintf(f->names[f->count++], VHOST_SIZE, "%s", name);
}

int rmq_drill_vhost_cleanup(struct rmq_admin *a, size_t *ret_count,
                            size_t *ret_left, struct rmq_error *err) {
  struct rmq_error cause = {.text = ""};
  struct found *f = calloc(1, sizeof(*f));
  if (f == NULL)
    return rmq_error_set(err, "out of memory");
  int rc = rmq_admin_find_vhosts(a, RMQ_DRILL_VHOST, keep_found, f, &cause);
  for (size_t i = 0; rc == 0 && i < f->count; i++)
    rc = rmq_admin_delete_vhost(a, f->names[i], &cause);
  if (rc == 0) {
    *ret_count = f->count;
    *ret_left = f->left;
  }
  free(f);
  return rc == 0
             ? 0
             : rmq_drill_vhost_explain(a, &cause, RMQ_DRILL_ADMINISTRATOR, err);
}
