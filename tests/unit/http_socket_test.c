/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/host/http_socket.h"

#include "tests/testing.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void addresses_are_of_this_host_or_said_not_to_be(void **state) {
  (void)state;
  static const struct {
    const char *text;
    bool want_fine, want_loopback;
  } rows[] = {
      {"127.0.0.1:9100", true, true},
      {"127.1.2.3:0", true, true},
      {"[::1]:9100", true, true},
      {"unix:/run/warren.sock", true, true},
      {"unix:relative", true, true},
      {"0.0.0.0:9100", true, false},
      {"192.168.1.2:65535", true, false},
      {"[::]:9100", true, false},
      {"[fe80::1]:9100", true, false},
      {"", false, false},
      {"9100", false, false},
      {":9100", false, false},
      {"localhost:9100", false, false},
      {"127.0.0.1", false, false},
      {"127.0.0.1:", false, false},
      {"127.0.0.1:65536", false, false},
      {"127.0.0.1:-1", false, false},
      {"127.0.0.1:99999999999", false, false},
      {"127.0.0.1:9100x", false, false},
      {"127.1:9100", false, false},
      {"::1:9100", false, false},
      {"[::1]", false, false},
      {"[127.0.0.1]:9100", false, false},
      {"unix:", false, false},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_http_address a;
    struct rmq_error err = {.text = ""};
    SHOW_ROW("%s", rows[i].text);
    int rc = rmq_http_address_parse(rows[i].text, &a, &err);
    assert_int_equal(rc, rows[i].want_fine ? 0 : -1);
    assert_true(rmq_error_is_set(&err) == !rows[i].want_fine);
    if (rc == 0)
      assert_true(a.is_loopback == rows[i].want_loopback);
  }
}

static void a_path_that_does_not_fit_is_refused(void **state) {
  (void)state;
  char text[200] = "unix:";
  struct rmq_http_address a;
  struct rmq_error err = {.text = ""};
  size_t max = sizeof(a.name.local.sun_path) - 1;
  memset(text + 5, 'p', max);
  assert_int_equal(rmq_http_address_parse(text, &a, &err), 0);
  text[5 + max] = 'p';
  assert_int_equal(rmq_http_address_parse(text, &a, &err), -1);
}

/* ---- files ---- */

struct fixture {
  char dir[64], path[80];
  struct rmq_http_address address;
};

static int set_up(void **state) {
  struct fixture *f = calloc(1, sizeof(*f));
  char text[100];
  struct rmq_error err = {.text = ""};
  assert_non_null(f);
  snprintf(f->dir, sizeof(f->dir), "/tmp/warren-http-XXXXXX");
  assert_non_null(mkdtemp(f->dir));
  snprintf(f->path, sizeof(f->path), "%s/s", f->dir);
  snprintf(text, sizeof(text), "unix:%s", f->path);
  assert_int_equal(rmq_http_address_parse(text, &f->address, &err), 0);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  struct fixture *f = *state;
  unlink(f->path);
  assert_int_equal(rmdir(f->dir), 0);
  free(f);
  return 0;
}

static bool is_there(const struct fixture *f) {
  struct stat st;
  return lstat(f->path, &st) == 0;
}

static void a_local_socket_has_its_mode_and_goes_with_its_server(void **state) {
  const struct fixture *f = *state;
  struct rmq_http_socket s;
  struct rmq_error err = {.text = ""};
  struct stat st;
  assert_int_equal(rmq_http_socket_open(&f->address, 0620, &s, &err), 0);
  assert_int_equal(lstat(f->path, &st), 0);
  assert_int_equal(st.st_mode & 07777, 0620);
  assert_string_equal(s.text + strlen("unix:"), f->path);
  rmq_http_socket_remove(&s);
  assert_false(is_there(f));
  close(s.fd);
}

static void a_socket_that_nobody_listens_on_is_replaced(void **state) {
  const struct fixture *f = *state;
  struct rmq_http_socket killed, s;
  struct rmq_error err = {.text = ""};
  assert_int_equal(rmq_http_socket_open(&f->address, 0600, &killed, &err), 0);
  close(killed.fd); /* as after kill -9 */
  assert_true(is_there(f));
  assert_int_equal(rmq_http_socket_open(&f->address, 0600, &s, &err), 0);
  assert_true(is_there(f));
  rmq_http_socket_remove(&killed); /* not its own any more */
  assert_true(is_there(f));
  rmq_http_socket_remove(&s);
  assert_false(is_there(f));
  close(s.fd);
}

static void a_socket_in_use_is_left_alone(void **state) {
  const struct fixture *f = *state;
  struct rmq_http_socket first, second;
  struct rmq_error err = {.text = ""};
  assert_int_equal(rmq_http_socket_open(&f->address, 0600, &first, &err), 0);
  assert_int_equal(rmq_http_socket_open(&f->address, 0600, &second, &err), -1);
  assert_non_null(strstr(err.text, "somebody listens there"));
  assert_true(is_there(f));
  close(first.fd);
}

static void a_file_that_is_no_socket_is_left_alone(void **state) {
  const struct fixture *f = *state;
  struct rmq_http_socket s;
  struct rmq_error err = {.text = ""};
  FILE *file = fopen(f->path, "w");
  assert_non_null(file);
  fclose(file);
  assert_int_equal(rmq_http_socket_open(&f->address, 0600, &s, &err), -1);
  assert_non_null(strstr(err.text, "not a socket"));
  assert_true(is_there(f));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(addresses_are_of_this_host_or_said_not_to_be),
      cmocka_unit_test(a_path_that_does_not_fit_is_refused),
      cmocka_unit_test_setup_teardown(
          a_local_socket_has_its_mode_and_goes_with_its_server, set_up,
          tear_down),
      cmocka_unit_test_setup_teardown(
          a_socket_that_nobody_listens_on_is_replaced, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_socket_in_use_is_left_alone, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(a_file_that_is_no_socket_is_left_alone,
                                      set_up, tear_down),
  };
  return run_all(tests);
}
