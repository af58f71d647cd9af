#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Includes obey the arrows between the rooms, each foreign library is seen from
# one place only, and the ground does no I/O. CONTRIBUTING.md has the picture;
# this keeps it true.
#
# usage: check_layers.sh [ROOT]
set -u
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$here/lib/tap.sh"
cd "${1:-$here/..}" || exit 1

mapfile -t sources < <(find common plugins -name '*.[ch]' 2>/dev/null | sort)
[ "${#sources[@]}" -gt 0 ] || {
  echo "Bail out! no sources under $PWD"
  exit 1
}

# FILE:LINE:HEADER of every include, quotes kept.
includes=$(awk '
  /^[ \t]*#[ \t]*include[ \t]*[<"]/ {
    match($0, /[<"][^>"]*[>"]/)
    print FILENAME ":" FNR ":" substr($0, RSTART, RLENGTH)
  }' "${sources[@]}")

# FILE:LINE:CODE without comments, strings and character constants.
code=$(awk '
  FNR == 1 { in_comment = 0 }
  {
    out = ""
    for (i = 1; i <= length($0); i++) {
      two = substr($0, i, 2)
      c = substr($0, i, 1)
      if (in_comment) {
        if (two == "*/") { in_comment = 0; i++ }
      } else if (two == "/*") {
        in_comment = 1; i++
      } else if (two == "//") {
        break
      } else if (c == "\"" || c == "\047") {
        for (i++; i <= length($0) && substr($0, i, 1) != c; i++)
          if (substr($0, i, 1) == "\\") i++
        out = out c c
      } else {
        out = out c
      }
    }
    if (out ~ /[^ \t]/) print FILENAME ":" FNR ":" out
  }' "${sources[@]}")

room_of() {
  case $1 in
    common/*/*) set -- "${1#common/}" && echo "${1%%/*}" ;;
    plugins/*) echo plugins ;;
    *) echo "?" ;;
  esac
}

# The arrows. Everything that is not listed is forbidden.
arrows_of() {
  case $1 in
    base) echo "base" ;;
    codec) echo "codec base" ;;
    spool) echo "spool base" ;;
    amqp) echo "amqp base" ;;
    broker) echo "broker base codec" ;;
    role) echo "role base codec spool amqp broker" ;;
    host) echo "host base codec" ;;
    plugins) echo "plugins role host base" ;;
  esac
}

rooms_are_known() {
  local file
  for file in "${sources[@]}"; do
    [ -n "$(arrows_of "$(room_of "$file")")" ] || echo "$file is in no room"
  done
}

own_includes_follow_the_arrows() {
  local file line header from to
  while IFS=: read -r file line header; do
    case $header in
      '"rmq_config.h"') continue ;;
      '"common/'*/* | '"plugins/'*) ;;
      '"'*)
        case $file in
          common/host/collectd_api.h) ;;
          *) echo "$file:$line: $header is not written from the project root" ;;
        esac
        continue
        ;;
      *) continue ;;
    esac
    header=${header//\"/}
    from=$(room_of "$file") to=$(room_of "$header")
    [[ " $(arrows_of "$from") " == *" $to "* ]] ||
      echo "$file:$line: $from must not include $to ($header)"
    [ -e "$header" ] || echo "$file:$line: $header does not exist"
  done <<<"$includes"
}

# only_in WHAT HEADER-REGEX FILE-REGEX
only_in() {
  grep -E ":[<\"]($2)[>\"]\$" <<<"$includes" | grep -vE "^($3):[0-9]+:" |
    sed "s#\$# -- $1 belongs to $3#"
  true
}

foreign_headers_have_one_place() {
  only_in "rabbitmq-c" 'rabbitmq-c/.*|amqp(_[a-z_]+)?\.h' \
    'common/amqp/wire([a-z_]*\.c|_rabbitmq\.h)'
  only_in "OpenSSL" 'openssl/.*' 'common/amqp/link_tls\.c'
  only_in "libcurl" 'curl/.*' 'common/broker/http_curl\.c'
  only_in "zlib" 'zlib\.h' 'common/codec/gzip\.c'
  only_in "SQLite" 'sqlite3\.h' \
    'common/spool/spool_(db(_open|_private)?|reader)\.[ch]'
  only_in "libmicrohttpd" 'microhttpd\.h' 'common/host/http_listen(_private|_request)?\.[ch]'
  only_in "collectd" \
    'collectd/.*|(daemon|utils|liboconfig)/.*|(collectd|plugin|common|configfile|meta_data|oconfig)\.h|utils_[a-z_]+\.h' \
    'common/host/collectd_api\.h'
  only_in "collectd" 'common/host/collectd_api\.h' \
    'common/host/host_collectd[a-z_]*\.[ch]|plugins/rabbitmq_[a-z_]+\.[ch]'
  only_in "collectd" 'common/host/host_collectd[a-z_]*\.h' \
    'common/host/host_collectd[a-z_]*\.[ch]|plugins/rabbitmq_[a-z_]+\.[ch]'
}

# A library that nobody has decided on cannot slip in: everything in <> must be
# libc's or POSIX's, or be named above.
other_headers_are_the_system_s() {
  grep -E ':<' <<<"$includes" | grep -vE \
    ':<(assert|ctype|errno|float|inttypes|langinfo|limits|locale|malloc|math|setjmp|signal|spawn|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|string|strings|time|arpa/inet|dirent|fcntl|ftw|getopt|net/if|netdb|netinet/(in|tcp)|poll|pthread|pwd|grp|regex|sched|sys/(eventfd|file|ioctl|mman|prctl|random|resource|socket|stat|time|types|uio|un|wait)|syslog|termios|unistd|wchar)\.h>$' |
    grep -vE ':<(rabbitmq-c/.*|amqp(_[a-z_]+)?\.h|openssl/.*|curl/.*|zlib\.h|sqlite3\.h|microhttpd\.h|collectd/.*)>$'
  true
}

base_includes_only_plain_libc() {
  grep -E '^common/base/[^:]*:[0-9]+:<' <<<"$includes" | grep -vE \
    ':<(assert|ctype|errno|float|inttypes|limits|math|regex|stdalign|stdarg|stdbool|stddef|stdint|stdio|stdlib|string|strings|time)\.h>$'
  true
}

# calls WHERE NAMES: lines under WHERE that use one of NAMES as a function.
calls() {
  grep -E "^($1)" <<<"$code" |
    grep -E ":[0-9]+:(.*[^A-Za-z0-9_.>])?($2)[ ]*\("
  true
}

base_does_no_io_and_reads_no_clock() {
  calls 'common/base/' 'clock_[a-z]+|gettimeofday|time|nanosleep|usleep|sleep|pthread_[a-z_]+|thrd_[a-z_]+|mtx_[a-z_]+|f?open|fdopen|openat|creat|read|write|p?select|e?poll|socket|connect|f?printf|v?fprintf|vprintf|puts|fputs|fputc|putc|putchar|perror|v?syslog|f(read|write|flush|close|gets)|getenv|s?rand(om)?|[dlm]rand48|getrandom|system|popen|exit|_exit|abort|signal|sigaction|fork'
  grep -E '^common/base/' <<<"$code" | grep -E '[^A-Za-z0-9_.>](std(in|out|err)|environ)[^A-Za-z0-9_]'
  true
}

clock_is_read_by_the_host_only() {
  calls 'common/|plugins/' 'clock_gettime|gettimeofday|time|cdtime' |
    grep -vE '^common/host/'
  true
}

# standard output is data for Telegraf; one stray line corrupts the stream.
only_the_command_prints() {
  {
    calls 'common/|plugins/' 'v?printf|puts|putchar|perror'
    grep -E '[^A-Za-z0-9_.>]std(out|err)[^A-Za-z0-9_]' <<<"$code"
  } | grep -vE '^(common/host/host_execd[a-z_]*\.c|plugins/warren[a-z_]*\.c):'
  true
}

forbidden_functions_are_absent() {
  calls 'common/|plugins/' 'str(n)?cpy|str(n)?cat|v?sprintf|strtok(_r)?|alloca|strerror|gets|atoi|atol|atof|setjmp|longjmp|signal'
  true
}

collectd_s_package_macros_are_not_used() {
  grep -E '[^A-Za-z0-9_](PACKAGE_(NAME|VERSION|STRING|TARNAME|URL|BUGREPORT)|VERSION|PLUGINDIR|CONFIGFILE|PKGDATADIR)([^A-Za-z0-9_]|$)' <<<"$code"
  true
}

files_start_as_the_house_wants() {
  local file first
  for file in "${sources[@]}"; do
    read -r first <"$file"
    [ "$first" = "/* SPDX-License-Identifier: MIT */" ] ||
      echo "$file: first line is not the SPDX line"
    case $file in
      *.c)
        [ "$(grep -m1 "^$file:" <<<"$includes" | cut -d: -f3)" = '"rmq_config.h"' ] ||
          echo "$file: the first include is not \"rmq_config.h\""
        ;;
      *.h)
        ! grep -q "^$file:[0-9]*:\"rmq_config.h\"" <<<"$includes" ||
          echo "$file: a header must not include \"rmq_config.h\""
        grep -qE '^#ifndef RMQ_[A-Z0-9_]+_H$' "$file" ||
          echo "$file: no include guard RMQ_..._H"
        ;;
    esac
  done
}

for rule in \
  rooms_are_known \
  own_includes_follow_the_arrows \
  foreign_headers_have_one_place \
  other_headers_are_the_system_s \
  base_includes_only_plain_libc \
  base_does_no_io_and_reads_no_clock \
  clock_is_read_by_the_host_only \
  only_the_command_prints \
  forbidden_functions_are_absent \
  collectd_s_package_macros_are_not_used \
  files_start_as_the_house_wants; do
  tap_silent "$rule" "$rule"
done
tap_done
