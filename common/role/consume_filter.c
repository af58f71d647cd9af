/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/consume_filter.h"

#include "common/base/filter.h"
#include "common/base/names.h"

#include <stdlib.h>
#include <string.h>

static const char host_word[] = "%{host}";
static const char user_word[] = "%{user_id}";

/* The last name that was asked about: records of one host come together, and an
 * expression costs more than all else here. */
struct answer {
  char name[RMQ_NAME_MAX + 1]; /* "" = none yet */
  bool is_wanted;
};

struct rmq_consume_filter {
  const struct rmq_trust_options *options;
  struct rmq_filter *hosts, *plugins;
  struct answer host, plugin;
  const char *user_id;
  /* HostFromHeader: the header's text, or why it names no host. */
  char told[RMQ_NAME_MAX + 1];
  enum rmq_refusal told_refusal;
  struct rmq_wall oldest, newest; /* of this message's values */
  /* The last host rewritten, and what became of it; "" = it cannot be one. */
  char own[RMQ_NAME_MAX + 1], rewritten[RMQ_NAME_MAX + 1];
  bool has_rewritten;
};

/* ------------------------------------------------------------------------
 * The template */

static bool starts_with(const char *text, const char *word) {
  return strncmp(text, word, strlen(word)) == 0;
}

/* Appends the piece that text begins with; returns its length, 0 for a
 * percent sign that begins none. */
static size_t put_piece(struct rmq_buf *out, const char *text, const char *host,
                        const char *user_id) {
  if (starts_with(text, host_word)) {
    rmq_buf_append_text(out, host);
    return strlen(host_word);
  }
  if (starts_with(text, user_word)) {
    rmq_buf_append_text(out, user_id);
    return strlen(user_word);
  }
  if (text[0] == '%' && text[1] != '%')
    return 0;
  rmq_buf_append_char(out, text[0]);
  return text[0] == '%' ? 2 : 1;
}

/* 0, or -1 when the result is not the name of a host. */
static int render(const char *template, const char *host, const char *user_id,
                  char ret_name[RMQ_NAME_MAX + 1]) {
  struct rmq_buf out;
  rmq_buf_init(&out, RMQ_NAME_MAX);
  size_t n = 0;
  while (*template != '\0' &&
         (n = put_piece(&out, template, host, user_id)) > 0)
    template += n;
  bool ok = !out.failed && *template == '\0' &&
            rmq_names_are_safe(rmq_buf_bytes(&out), out.len);
  if (ok) {
    memcpy(ret_name, rmq_buf_bytes(&out), out.len);
    ret_name[out.len] = '\0';
  }
  rmq_buf_fini(&out);
  return ok ? 0 : -1;
}

int rmq_consume_filter_check_template(const char *text, struct rmq_error *err) {
  char name[RMQ_NAME_MAX + 1];
  if (render(text, "h", "u", name) == 0)
    return 0;
  return rmq_error_set(err,
                       "\"%.100s\" is not valid; allowed is the name of a "
                       "host, in which %%{host} and %%{user_id} stand for "
                       "those of the message, and %%%% for a percent sign",
                       text);
}

/* NULL when it is not the name of a host. */
static const char *rewritten(struct rmq_consume_filter *f, const char *host) {
  if (!f->has_rewritten || strcmp(f->own, host) != 0) {
    f->rewritten[0] = '\0';
    rmq_span_copy(rmq_span_of(host), f->own, sizeof(f->own));
    render(f->options->rewrite_host, host, f->user_id, f->rewritten);
    f->has_rewritten = true;
  }
  return f->rewritten[0] == '\0' ? NULL : f->rewritten;
}

/* ------------------------------------------------------------------------ */

struct rmq_consume_filter *
rmq_consume_filter_new(const struct rmq_trust_options *options,
                       struct rmq_error *err) {
  static const struct rmq_strings none = {.count = 0};
  struct rmq_consume_filter *f = calloc(1, sizeof(*f));
  if (f == NULL) {
    rmq_error_set(err, "no memory");
    return NULL;
  }
  f->options = options;
  f->user_id = "";
  f->hosts = rmq_filter_new(&options->allow_host, &none, err);
  f->plugins = rmq_filter_new(&options->allow_plugin, &none, err);
  if (f->hosts != NULL && f->plugins != NULL)
    return f;
  rmq_consume_filter_free(f);
  return NULL;
}

void rmq_consume_filter_free(struct rmq_consume_filter *f) {
  if (f == NULL)
    return;
  rmq_filter_free(f->hosts);
  rmq_filter_free(f->plugins);
  free(f);
}

bool rmq_consume_filter_takes_user(const struct rmq_consume_filter *f,
                                   const char *user_id) {
  const struct rmq_strings *users = &f->options->require_user_id;
  for (size_t i = 0; i < users->count; i++)
    if (user_id[0] != '\0' && strcmp(users->items[i], user_id) == 0)
      return true;
  return users->count == 0;
}

static const struct rmq_wire_header *find_text(const struct rmq_kept *kept,
                                               const char *name) {
  for (size_t i = 0; kept != NULL && i < kept->headers_count; i++)
    if (rmq_span_equals(kept->headers[i].name, name) &&
        kept->headers[i].type == RMQ_HEADER_STRING)
      return &kept->headers[i];
  return NULL;
}

static void take_told_host(struct rmq_consume_filter *f,
                           const struct rmq_kept *kept) {
  const struct rmq_wire_header *h =
      find_text(kept, f->options->host_from_header);
  if (h == NULL) {
    f->told_refusal = RMQ_REFUSAL_no_host;
  } else if (!rmq_names_are_safe(h->string.bytes, h->string.len)) {
    f->told_refusal = RMQ_REFUSAL_bad_name;
  } else {
    f->told_refusal = RMQ_REFUSAL_none;
    rmq_span_copy(h->string, f->told, sizeof(f->told));
  }
}

/* The host that the rules are asked about. */
static const char *source_host(const struct rmq_consume_filter *f,
                               const char *own) {
  return f->options->host_from_header == NULL ? own : f->told;
}

void rmq_consume_filter_begin(struct rmq_consume_filter *f,
                              const struct rmq_delivery *d,
                              struct rmq_wall now) {
  const struct rmq_trust_options *o = f->options;
  f->user_id = d->user_id;
  f->has_rewritten = false;
  if (o->host_from_header != NULL)
    take_told_host(f, d->kept);
  f->oldest.ns = o->max_age.ns > 0 ? now.ns - o->max_age.ns : 0;
  f->newest.ns =
      o->max_clock_skew.ns > 0 ? now.ns + o->max_clock_skew.ns : INT64_MAX;
}

static bool is_wanted(const struct rmq_filter *filter, struct answer *last,
                      const char *name) {
  if (last->name[0] != '\0' && strcmp(last->name, name) == 0)
    return last->is_wanted;
  bool answer = rmq_filter_wants(filter, name);
  if (strlen(name) < sizeof(last->name)) {
    memcpy(last->name, name, strlen(name) + 1);
    last->is_wanted = answer;
  }
  return answer;
}

static enum rmq_refusal refuse(struct rmq_error *err, enum rmq_refusal why,
                               const char *what, const char *name) {
  rmq_error_set(err, "%s \"%s\"", what, name);
  return why;
}

static enum rmq_refusal check_told(const struct rmq_consume_filter *f,
                                   struct rmq_error *err) {
  const char *name = f->options->host_from_header;
  if (name == NULL || f->told_refusal == RMQ_REFUSAL_none)
    return RMQ_REFUSAL_none;
  return refuse(err, f->told_refusal,
                f->told_refusal == RMQ_REFUSAL_no_host
                    ? "its message has no text in the header"
                    : "no name of a host is in the header",
                name);
}

static enum rmq_refusal check_names(struct rmq_consume_filter *f,
                                    const struct rmq_identity *id,
                                    struct rmq_error *err) {
  const struct rmq_trust_options *o = f->options;
  const char *host = source_host(f, id->host);
  enum rmq_refusal told = check_told(f, err);
  if (told != RMQ_REFUSAL_none)
    return told;
  if (o->allow_host.count > 0 && !is_wanted(f->hosts, &f->host, host))
    return refuse(err, RMQ_REFUSAL_not_allowed,
                  "AllowHost does not have the host", host);
  if (o->allow_plugin.count > 0 &&
      !is_wanted(f->plugins, &f->plugin, id->plugin))
    return refuse(err, RMQ_REFUSAL_not_allowed,
                  "AllowPlugin does not have the plugin", id->plugin);
  if (o->rewrite_host != NULL && rewritten(f, host) == NULL)
    return refuse(err, RMQ_REFUSAL_bad_name,
                  "RewriteHost does not make a name of the host", host);
  return RMQ_REFUSAL_none;
}

enum rmq_refusal rmq_consume_filter_check(struct rmq_consume_filter *f,
                                          const struct rmq_identity *id,
                                          struct rmq_wall time,
                                          struct rmq_error *err) {
  if (time.ns != 0 && time.ns < f->oldest.ns) {
    rmq_error_set(err, "a time %.0f s older than MaxAge allows",
                  (double)(f->oldest.ns - time.ns) / RMQ_NS_PER_S);
    return RMQ_REFUSAL_too_old;
  }
  if (time.ns > f->newest.ns) {
    rmq_error_set(err, "a time %.0f s further ahead than MaxClockSkew allows",
                  ((double)time.ns - (double)f->newest.ns) / RMQ_NS_PER_S);
    return RMQ_REFUSAL_future;
  }
  return check_names(f, id, err);
}

const char *rmq_consume_filter_host(struct rmq_consume_filter *f,
                                    const char *host) {
  const char *source = source_host(f, host);
  if (f->options->rewrite_host == NULL)
    return source;
  const char *name = rewritten(f, source);
  return name == NULL ? source : name;
}
