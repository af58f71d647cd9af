#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check_layers.sh sees what it is there to see: a clean small tree passes, and
# each planted violation fails exactly the rule that forbids it.
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$here/lib/tap.sh"
tree=$(mktemp -d) || exit 1
trap 'rm -rf "$tree"' EXIT

put() { # FILE CONTENT
  mkdir -p "$tree/$(dirname "$1")"
  printf '/* SPDX-License-Identifier: MIT */\n%b' "$2" >"$tree/$1"
}

clean_tree() {
  rm -rf "${tree:?}"/*
  local guard='#ifndef RMQ_X_H\n#define RMQ_X_H\n#endif\n'
  put common/base/x.h "$guard"
  put common/codec/x.h "$guard"
  put common/amqp/x.h "$guard"
  put common/role/x.h "$guard"
  put common/host/collectd_api.h "#ifndef RMQ_X_H\n#include \"plugin.h\"\n#endif\n"
  put common/host/host_collectd.h "#ifndef RMQ_X_H\n#include \"common/host/collectd_api.h\"\n#endif\n"
  put common/base/x.c '#include "rmq_config.h"\n#include "common/base/x.h"\n#include <string.h>\n/* time(0) printf("") in a comment */\nconst char *s = "fopen(x) default:";\nint f(struct x *p) { return p->read(p) + p->time(1) + rmq_open(2); }\n'
  put common/amqp/wire.c '#include "rmq_config.h"\n#include <amqp.h>\n'
  put common/role/x.c '#include "rmq_config.h"\n#include "common/amqp/x.h"\n#include "common/codec/x.h"\n'
  put plugins/rabbitmq_x.c '#include "rmq_config.h"\n#include "common/host/host_collectd.h"\n'
}

# caught RULE FILE LINES: with LINES at the end of FILE only RULE fails.
caught() {
  local rule=$1 file=$2 report failed
  clean_tree
  [ -e "$tree/$file" ] || put "$file" '#include "rmq_config.h"\n'
  printf '%b' "$3" >>"$tree/$file"
  report=$(bash "$here/check_layers.sh" "$tree" 2>&1)
  failed=$(sed -n 's/^not ok [0-9]* - //p' <<<"$report" | tr '\n' ' ')
  if [ "$failed" = "$rule " ] && grep -q "^# $file" <<<"$report"; then
    tap_ok "$rule catches ${3%%\\n*}"
  else
    tap_not_ok "$rule catches ${3%%\\n*}" "failed rules: ${failed:-none}
$report"
  fi
}

clean_tree
violations() { bash "$here/check_layers.sh" "$tree" | grep -A9 '^not ok'; true; }
tap_silent "a clean tree passes" violations

caught rooms_are_known common/util/x.c 'int util;\n'
caught own_includes_follow_the_arrows common/base/x.c '#include "common/codec/x.h"\n'
caught own_includes_follow_the_arrows common/amqp/x.h '#include "common/codec/x.h"\n'
caught own_includes_follow_the_arrows common/codec/x.h '#  include "common/amqp/x.h"\n'
caught own_includes_follow_the_arrows common/role/x.c '#include "common/host/x.h"\n'
caught own_includes_follow_the_arrows plugins/rabbitmq_x.c '#include "common/amqp/x.h"\n'
caught own_includes_follow_the_arrows common/codec/x.h '#include "x.h"\n'
caught own_includes_follow_the_arrows common/codec/x.h '#include "common/base/gone.h"\n'
caught foreign_headers_have_one_place common/amqp/link.c '#include <rabbitmq-c/amqp.h>\n'
caught foreign_headers_have_one_place common/amqp/link.c '#include <amqp_framing.h>\n'
caught foreign_headers_have_one_place common/amqp/x.h '#include <openssl/ssl.h>\n'
caught foreign_headers_have_one_place common/role/x.c '#include <curl/curl.h>\n'
caught foreign_headers_have_one_place common/amqp/x.h '#include <sqlite3.h>\n'
caught foreign_headers_have_one_place common/codec/x.c '#include <zlib.h>\n'
caught foreign_headers_have_one_place common/role/x.c '#include <collectd/core/daemon/plugin.h>\n'
caught foreign_headers_have_one_place plugins/warren.c '#include "common/host/host_collectd.h"\n'
caught foreign_headers_have_one_place plugins/warren.c '#include "common/host/collectd_api.h"\n'
caught other_headers_are_the_system_s common/broker/management.c '#include <jansson.h>\n'
caught other_headers_are_the_system_s common/codec/x.h '#include <yajl/yajl_parse.h>\n'
caught base_includes_only_plain_libc common/base/x.h '#include <pthread.h>\n'
caught base_does_no_io_and_reads_no_clock common/base/x.c 'int g(void) { return open("x", 0); }\n'
caught base_does_no_io_and_reads_no_clock common/base/x.c 'void *g(void) { return stdin; }\n'
caught base_does_no_io_and_reads_no_clock common/base/x.c 'int g(void) { return getenv("x") != 0; }\n'
caught clock_is_read_by_the_host_only common/amqp/worker.c 'int g(void) { return clock_gettime(1, p); }\n'
caught only_the_command_prints common/role/x.c 'int g(void) { return printf("x"); }\n'
caught forbidden_functions_are_absent common/amqp/x.c 'void g(char *a) { strcpy(a, "x"); }\n'
caught collectd_s_package_macros_are_not_used plugins/rabbitmq_x.c 'const char *v = PACKAGE_VERSION;\n'
caught only_the_command_prints common/amqp/x.h 'void *o = stdout;\n'

clean_tree
sed -i 1d "$tree/common/base/x.c"
if grep -q '^not ok.*files_start_as_the_house_wants' <<<"$(violations)"; then
  tap_ok "a missing SPDX line is caught"
else
  tap_not_ok "a missing SPDX line is caught"
fi
tap_done
