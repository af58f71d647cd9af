/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/connection_options.h"

#include "tests/alloc.h"
#include "tests/testing.h"

#include <string.h>
#include <unistd.h>

/* What a role's options look like. */
struct options {
  struct rmq_connection_options connection;
};
static const struct rmq_option table[] = {
    RMQ_CONNECTION_OPTIONS(struct options), RMQ_OPTIONS_END};

enum { SET_MAX = 5 };
typedef const char *const set_t[SET_MAX][2]; /* names and values */

static void init(struct options *o, set_t set) {
  struct rmq_error err = {""};
  assert_int_equal(rmq_options_init(table, o, &err), 0);
  for (size_t i = 0; i < SET_MAX && set[i][0] != NULL; i++)
    if (rmq_options_set_text(table, o, set[i][0], set[i][1], NULL, &err) != 0)
      fail_msg("%s", err.text);
}

static struct rmq_connection_setup setup;
static struct rmq_connection_config config;

static void init_setup(const struct options *o) {
  struct rmq_error err = {""};
  memset(&config, 0, sizeof(config));
  assert_int_equal(rmq_connection_setup_init(&setup, &o->connection, "collectd",
                                             "agent", "main", &config, &err),
                   0);
}

/* ---- hosts ---- */

static void a_host_is_a_name_or_an_address_and_perhaps_a_port(void **state) {
  (void)state;
  static const struct {
    set_t set;
    const char *want_host;
    uint16_t want_port;
  } rows[] = {
      {{{NULL}}, "localhost", 5672},
      {{{"TLSEnabled", "true"}}, "localhost", 5671},
      {{{"Port", "1234"}}, "localhost", 1234},
      {{{"Port", "1234"}, {"TLSEnabled", "true"}}, "localhost", 1234},
      {{{"Host", "rabbit.example.com"}}, "rabbit.example.com", 5672},
      {{{"Host", "rabbit:1"}}, "rabbit", 1},
      {{{"Host", "rabbit:65535"}}, "rabbit", 65535},
      {{{"Host", "rabbit:99"}, {"Port", "1234"}}, "rabbit", 99},
      {{{"Host", "192.0.2.1:99"}}, "192.0.2.1", 99},
      {{{"Host", "::1"}}, "::1", 5672},
      {{{"Host", "2001:db8::1"}, {"Port", "7"}}, "2001:db8::1", 7},
      {{{"Host", "[2001:db8::1]"}}, "2001:db8::1", 5672},
      {{{"Host", "[2001:db8::1]:99"}}, "2001:db8::1", 99},
      {{{"Host", "[::1]:99"}, {"TLSEnabled", "true"}}, "::1", 99},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct options o;
    struct rmq_buf errors;
    rmq_buf_init(&errors, 1000);
    SHOW_ROW("%s port %u", rows[i].want_host, rows[i].want_port);
    init(&o, rows[i].set);
    assert_int_equal(rmq_connection_options_check(&o.connection, &errors), 0);
    init_setup(&o);
    assert_int_equal(config.endpoints_count, 1);
    assert_string_equal(config.endpoints[0].host, rows[i].want_host);
    assert_int_equal(config.endpoints[0].port, rows[i].want_port);
    rmq_connection_setup_fini(&setup);
    rmq_options_fini(table, &o);
    rmq_buf_fini(&errors);
  }
}

static void hosts_keep_their_order(void **state) {
  (void)state;
  static set_t set = {
      {"Host", "b:2"}, {"Host", "[::a]"}, {"Host", "c"}, {"Port", "9"}};
  struct options o;
  init(&o, set);
  init_setup(&o);
  assert_int_equal(config.endpoints_count, 3);
  assert_string_equal(config.endpoints[0].host, "b");
  assert_int_equal(config.endpoints[0].port, 2);
  assert_string_equal(config.endpoints[1].host, "::a");
  assert_int_equal(config.endpoints[1].port, 9);
  assert_string_equal(config.endpoints[2].host, "c");
  assert_int_equal(config.endpoints[2].port, 9);
  rmq_connection_setup_fini(&setup);
  rmq_options_fini(table, &o);
}

static void what_is_no_host_is_refused_by_name(void **state) {
  (void)state;
  static const char *const rows[] = {
      "",        ":",         ":5672", "h:",   "h:0",    "h:65536",
      "h:amqp",  "h:12x",     "h:-1",  "h:+5", "h: 5",   "h:1 ",
      "[",       "[]",        "[]:1",  "[::1", "[::1]x", "[::1]:",
      "[::1]:0", "[::1]5672", "a\nb",  "a\x01"};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    const char *const set[SET_MAX][2] = {{"Host", rows[i]}, {"Host", "good"}};
    struct options o;
    struct rmq_buf errors;
    char want[100];
    rmq_buf_init(&errors, 1000);
    SHOW_ROW("%zu", i);
    init(&o, set);
    assert_int_equal(rmq_connection_options_check(&o.connection, &errors), -1);
    snprintf(want, sizeof(want), "option Host: \"%s\" is not valid", rows[i]);
    assert_non_null(strstr(rmq_buf_text(&errors), want));
    assert_null(strstr(rmq_buf_text(&errors), "good"));
    rmq_options_fini(table, &o);
    rmq_buf_fini(&errors);
  }
}

static void a_password_in_a_host_is_refused_and_not_repeated(void **state) {
  (void)state;
  static const char *const rows[] = {"u:hunter2@h", "u:hunter2@h:5672",
                                     "amqp://u:hunter2@h",
                                     "amqps://u:hunter2@h:5671/v"};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    const char *const set[SET_MAX][2] = {{"Host", rows[i]}};
    struct options o;
    struct rmq_buf errors;
    rmq_buf_init(&errors, 1000);
    SHOW_ROW("%s", rows[i]);
    init(&o, set);
    assert_int_equal(rmq_connection_options_check(&o.connection, &errors), -1);
    assert_non_null(strstr(rmq_buf_text(&errors), "option Host: a user or "));
    assert_null(strstr(rmq_buf_text(&errors), "hunter2"));
    rmq_options_fini(table, &o);
    rmq_buf_fini(&errors);
  }
}

/* ---- what no single option can say ---- */

static char too_long[257];

static void options_that_contradict_each_other_are_refused(void **state) {
  (void)state;
  memset(too_long, 'v', sizeof(too_long) - 1);
  static const struct {
    set_t set;
    const char *want; /* NULL = no error */
  } rows[] = {
      {{{NULL}}, NULL},
      {{{"VHost", too_long + 1}}, NULL},
      {{{"VHost", too_long}}, "option VHost: longer than 255 bytes"},
      {{{"RetryDelay", "61"}}, "option RetryDelayMax: must not be less"},
      {{{"RetryDelay", "61"}, {"RetryDelayMax", "61"}}, NULL},
      {{{"ConnectionRetryDelay", "2"}, {"RetryDelayMax", "1"}},
       "option RetryDelayMax: "},
      {{{"FailbackInterval", "300"}}, NULL},
      {{{"FailbackInterval", "300"}, {"HostSelection", "random"}},
       "option FailbackInterval: needs HostSelection ordered"},
      {{{"TLSClientKeyPassword", "p"}}, "option TLSClientKeyPassword: needs"},
      {{{"TLSClientKeyPasswordFile", "p"}},
       "option TLSClientKeyPassword: needs"},
      {{{"AuthMethod", "external"}}, "option AuthMethod: external needs"},
      {{{"AuthMethod", "external"}, {"TLSEnabled", "true"}},
       "option AuthMethod: external needs"},
      {{{"AuthMethod", "external"}, {"TLSClientCert", "c"}},
       "option AuthMethod: external needs"},
      {{{"AuthMethod", "external"},
        {"TLSEnabled", "true"},
        {"TLSClientCert", "c"}},
       NULL},
      {{{"TLSCACert", "c"}}, "option TLSEnabled: false, but"},
      {{{"TLSClientCert", "c"}}, "option TLSEnabled: false, but"},
      {{{"TLSClientKey", "c"}}, "option TLSClientKey: needs TLSClientCert"},
      {{{"TLSEnabled", "true"}, {"TLSClientKey", "c"}},
       "option TLSClientKey: needs TLSClientCert"},
      {{{"TLSEnabled", "true"}, {"TLSClientKey", "k"}, {"TLSClientCert", "c"}},
       NULL},
      {{{"TLSEnabled", "true"}, {"TLSCACert", "c"}}, NULL},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct options o;
    struct rmq_buf errors;
    rmq_buf_init(&errors, 1000);
    SHOW_ROW("%zu: %s", i, rows[i].want == NULL ? "fine" : rows[i].want);
    init(&o, rows[i].set);
    int rc = rmq_connection_options_check(&o.connection, &errors);
    assert_int_equal(rc, rows[i].want == NULL ? 0 : -1);
    if (rows[i].want == NULL)
      assert_int_equal(errors.len, 0);
    else
      assert_non_null(strstr(rmq_buf_text(&errors), rows[i].want));
    rmq_options_fini(table, &o);
    rmq_buf_fini(&errors);
  }
}

/* ---- password ---- */

static char dir[] = "/tmp/rmq_connection.XXXXXX";
static char path[64];

static void write_password(const char *text) {
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
}

static void asks_for(const char *want) {
  struct rmq_error err = {""};
  struct rmq_buf password;
  rmq_buf_init(&password, 8192);
  assert_int_equal(config.password(config.password_ctx, &password, &err), 0);
  assert_string_equal(rmq_buf_text(&password), want);
  rmq_buf_fini(&password);
}

static void the_password_is_guest_or_what_was_set(void **state) {
  (void)state;
  static set_t nothing = {{NULL}}, other = {{"Password", "s3cret"}};
  struct options o;
  init(&o, nothing);
  init_setup(&o);
  asks_for("guest");
  rmq_connection_setup_fini(&setup);
  rmq_options_fini(table, &o);
  init(&o, other);
  init_setup(&o);
  asks_for("s3cret");
  rmq_connection_setup_fini(&setup);
  rmq_options_fini(table, &o);
}

static void a_password_file_wins_and_is_read_at_every_login(void **state) {
  (void)state;
  const char *const set[SET_MAX][2] = {{"Password", "not-me"},
                                       {"PasswordFile", path}};
  struct options o;
  init(&o, set);
  init_setup(&o);
  write_password("old\nsecond line\n");
  asks_for("old");
  write_password("new\n");
  asks_for("new");
  rmq_connection_setup_fini(&setup);
  rmq_options_fini(table, &o);
}

static void a_password_that_cannot_be_had_is_an_error_without_it(void **state) {
  (void)state;
  const char *const set[SET_MAX][2] = {{"Password", "s3cret"},
                                       {"PasswordFile", path}};
  static const struct {
    const char *file; /* NULL = there is none */
    size_t room;      /* for the password */
  } rows[] = {
      {NULL, 100}, {"", 100}, {"\nfile-s3cret\n", 100}, {"file-s3cret", 5}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct options o;
    struct rmq_error err = {""};
    struct rmq_buf password;
    SHOW_ROW("%zu", i);
    unlink(path);
    if (rows[i].file != NULL)
      write_password(rows[i].file);
    init(&o, set);
    init_setup(&o);
    rmq_buf_init(&password, rows[i].room);
    assert_int_equal(config.password(config.password_ctx, &password, &err), -1);
    assert_int_equal(password.len, 0);
    assert_non_null(strstr(err.text, "PasswordFile"));
    assert_non_null(strstr(err.text, path));
    assert_null(strstr(err.text, "s3cret"));
    rmq_buf_fini(&password);
    rmq_connection_setup_fini(&setup);
    rmq_options_fini(table, &o);
  }
}

static int key_password(struct rmq_buf *text, struct rmq_error *err) {
  rmq_buf_init(text, 100);
  return setup.tls.key_password(setup.tls.key_password_ctx, text, err);
}

static void a_key_password_file_wins_and_is_read_for_every_link(void **state) {
  (void)state;
  const char *const set[SET_MAX][2] = {{"TLSEnabled", "true"},
                                       {"TLSClientCert", "c"},
                                       {"TLSClientKeyPassword", "not-me"},
                                       {"TLSClientKeyPasswordFile", path}};
  struct options o;
  struct rmq_buf text;
  struct rmq_error err = {""};
  init(&o, set);
  init_setup(&o);
  static const char *const rows[] = {"old", "new"};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    write_password(rows[i]);
    assert_int_equal(key_password(&text, &err), 0);
    assert_string_equal(rmq_buf_text(&text), rows[i]);
    rmq_buf_fini(&text);
  }
  unlink(path);
  assert_int_equal(key_password(&text, &err), -1);
  assert_non_null(strstr(err.text, "TLSClientKeyPasswordFile"));
  assert_non_null(strstr(err.text, path));
  rmq_buf_fini(&text);
  rmq_connection_setup_fini(&setup);
  rmq_options_fini(table, &o);
}

static void a_directory_is_no_password_file(void **state) {
  (void)state;
  const char *const set[SET_MAX][2] = {{"PasswordFile", dir}};
  struct options o;
  struct rmq_error err = {""};
  struct rmq_buf password;
  init(&o, set);
  init_setup(&o);
  rmq_buf_init(&password, 100);
  assert_int_equal(config.password(config.password_ctx, &password, &err), -1);
  assert_non_null(strstr(err.text, dir));
  rmq_buf_fini(&password);
  rmq_connection_setup_fini(&setup);
  rmq_options_fini(table, &o);
}

/* ---- the room below ---- */

static void options_reach_the_connection(void **state) {
  (void)state;
  struct options o;
  struct rmq_error err = {""};
  static const char *const set[][2] = {{"HostSelection", "random"},
                                       {"VHost", "v"},
                                       {"User", "u"},
                                       {"ConnectTimeout", "2"},
                                       {"RPCTimeout", "3"},
                                       {"Heartbeat", "4"},
                                       {"RetryDelay", "5"},
                                       {"RetryDelayMax", "6"},
                                       {"AuthRetryDelay", "7"},
                                       {"ConnectionName", "n"},
                                       {"TLSEnabled", "true"},
                                       {"TLSVerifyPeer", "false"},
                                       {"TLSVerifyHostName", "no"},
                                       {"TLSCACert", "ca"},
                                       {"TLSClientCert", "cert"},
                                       {"TLSClientKey", "key"},
                                       {"TLSClientKeyPassword", "p"},
                                       {"TLSMinVersion", "1.3"},
                                       {"BlockedTimeout", "8"},
                                       {"FrameMax", "8KiB"},
                                       {"FailbackInterval", "9"},
                                       {"AuthMethod", "external"}};
  assert_int_equal(rmq_options_init(table, &o, &err), 0);
  for (size_t i = 0; i < COUNT_OF(set); i++)
    assert_int_equal(
        rmq_options_set_text(table, &o, set[i][0], set[i][1], NULL, &err), 0);
  init_setup(&o);
  assert_true(config.is_random_order);
  assert_string_equal(config.vhost, "v");
  assert_string_equal(config.user, "u");
  assert_int_equal(config.auth, RMQ_AUTH_EXTERNAL);
  assert_int_equal(config.connect_timeout.ns, rmq_s(2).ns);
  assert_int_equal(config.rpc_timeout.ns, rmq_s(3).ns);
  assert_int_equal(config.heartbeat.ns, rmq_s(4).ns);
  assert_int_equal(config.retry_min.ns, rmq_s(5).ns);
  assert_int_equal(config.retry_max.ns, rmq_s(6).ns);
  assert_int_equal(config.refused_delay.ns, rmq_s(7).ns);
  assert_int_equal(config.blocked_timeout.ns, rmq_s(8).ns);
  assert_int_equal(config.frame_max, 8192);
  assert_int_equal(config.failback_interval.ns, rmq_s(9).ns);
  assert_string_equal(config.connection_name, "n");
  assert_ptr_equal(setup.link.tls, &setup.tls);
  assert_int_equal(setup.link.address_timeout.ns, rmq_s(1).ns);
  assert_int_equal(setup.link.user_timeout.ns, rmq_s(8).ns);
  assert_false(setup.tls.verify_peer);
  assert_false(setup.tls.verify_host);
  assert_string_equal(setup.tls.ca_file, "ca");
  assert_string_equal(setup.tls.client_cert, "cert");
  assert_string_equal(setup.tls.client_key, "key");
  struct rmq_buf key_password;
  rmq_buf_init(&key_password, 100);
  assert_int_equal(
      setup.tls.key_password(setup.tls.key_password_ctx, &key_password, &err),
      0);
  assert_string_equal(rmq_buf_text(&key_password), "p");
  rmq_buf_fini(&key_password);
  assert_int_equal(setup.tls.min_version, RMQ_TLS_1_3);
  rmq_connection_setup_fini(&setup);
  rmq_options_fini(table, &o);
}

static void without_options_the_connection_is_plain_and_named(void **state) {
  (void)state;
  static set_t nothing = {{NULL}};
  struct options o;
  init(&o, nothing);
  init_setup(&o);
  assert_null(setup.link.tls);
  assert_false(config.is_random_order);
  assert_int_equal(config.auth, RMQ_AUTH_PLAIN);
  assert_string_equal(config.connection_name, "collectd/agent/main");
  assert_true(setup.tls.verify_peer);
  assert_true(setup.tls.verify_host);
  assert_int_equal(setup.tls.min_version, RMQ_TLS_1_2);
  rmq_connection_setup_fini(&setup);
  rmq_options_fini(table, &o);
}

static void without_memory_there_is_no_setup_and_no_leak(void **state) {
  (void)state;
  static set_t nothing = {{NULL}};
  struct options o;
  init(&o, nothing);
  for (size_t n = 1;; n++) {
    struct rmq_error err = {""};
    alloc_fail_at(n);
    int rc = rmq_connection_setup_init(&setup, &o.connection, "collectd",
                                       "agent", "main", &config, &err);
    bool has_failed = alloc_works_again();
    if (!has_failed) {
      assert_int_equal(rc, 0);
      break;
    }
    if (rc == 0) { /* only a buffer that was to shrink */
      assert_string_equal(config.connection_name, "collectd/agent/main");
      rmq_connection_setup_fini(&setup);
      continue;
    }
    assert_int_equal(rc, -1);
    assert_non_null(strstr(err.text, "main"));
    assert_null(setup.endpoints);
  }
  rmq_connection_setup_fini(&setup);
  rmq_options_fini(table, &o);
}

static int make_dir(void **state) {
  (void)state;
  if (mkdtemp(dir) == NULL)
    return -1;
  snprintf(path, sizeof(path), "%s/password", dir);
  return 0;
}

static int remove_dir(void **state) {
  (void)state;
  unlink(path);
  return rmdir(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_host_is_a_name_or_an_address_and_perhaps_a_port),
      cmocka_unit_test(hosts_keep_their_order),
      cmocka_unit_test(what_is_no_host_is_refused_by_name),
      cmocka_unit_test(a_password_in_a_host_is_refused_and_not_repeated),
      cmocka_unit_test(options_that_contradict_each_other_are_refused),
      cmocka_unit_test(the_password_is_guest_or_what_was_set),
      cmocka_unit_test(a_password_file_wins_and_is_read_at_every_login),
      cmocka_unit_test(a_password_that_cannot_be_had_is_an_error_without_it),
      cmocka_unit_test(a_directory_is_no_password_file),
      cmocka_unit_test(a_key_password_file_wins_and_is_read_for_every_link),
      cmocka_unit_test(options_reach_the_connection),
      cmocka_unit_test(without_options_the_connection_is_plain_and_named),
      cmocka_unit_test(without_memory_there_is_no_setup_and_no_leak),
  };
  cmocka_set_message_output(CM_OUTPUT_TAP);
  return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
