#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# warren(1) says of each command's options what the command itself says in
# --help, which its tables make: an "=item" for every option of its own, with
# "Range: 1 to 3600 seconds.", "Default: C<10>" and each word of a list as
# B<WORD>; and of the options of collectd's module which are not there ("Not here
# are B<NAME> ...") and which have another default (B<--name> (C<VALUE>...)).
#
# Reads top_builddir for the program.
set -u
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$here/lib/tap.sh"

case ${top_builddir:-.} in /*) ;; *) top_builddir=$PWD/${top_builddir:-.} ;; esac
warren=$top_builddir/warren
[ -x "$warren" ] || tap_skip_all "the command is not built"
cd "$here/.." || exit 1
page=plugins/warren.pod
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/help"

# Each with the module whose options it takes, and its part of the page.
commands="check rabbitmq_monitor CHECK
consume rabbitmq_consume CONSUME
drill rabbitmq_monitor DRILL
monitor rabbitmq_monitor OPTIONS
publish rabbitmq_publish PUBLISH
status rabbitmq_monitor STATUS"
while read -r command _; do
  "$warren" "$command" --help >"$dir/help/$command" || exit 1
done <<<"$commands"

# --- what the command says ---------------------------------------------------

# told COMMAND own|module: "OPTION|RANGE|WORDS|DEFAULT" of each row of --help.
told() {
  awk -v want="$2" '
    /^[A-Z].*:$/ { group = /collectd.s module/ ? "module" : "own"; next }
    /^[^ ]/ { group = "" }
    group != want { next }
    /^  --/ { option = $1; kind = $2; next }
    /^      / {
      range = words = ""
      preset = "none"
      if (match($0, / \[[^][]*\]$/)) {
        preset = substr($0, RSTART + 2, RLENGTH - 3)
        $0 = substr($0, 1, RSTART - 1)
      }
      sub(/, also as .*/, "")
      sub(/.*; /, "")
      if (kind == "WORD") { words = $0; gsub(/,/, "", words) }
      if ($0 ~ /^[0-9.]+ to [0-9.]+( [a-z]+)*$/) range = $0
      print option "|" range "|" words "|" preset
    }' "$dir/help/$1"
}

# Options that are not explained once for each command.
is_common() { [ "$1" = --help ]; }

# --- what the page says ------------------------------------------------------

# section NAME [PAGE]
section() {
  awk -v head="=head1 $1" '/^=head1 / { is_in = ($0 == head) } is_in' "${2:-$page}"
}

# item OPTION: what stands below its "=item", as one line; lists within included.
item() {
  awk -v option="B<$1>" '
    /^=item B<--/ { is_in = index($0, option) > 0; depth = 0 }
    /^=over/ { depth++ }
    /^=back/ && --depth < 0 { is_in = 0 }
    is_in { text = text " " $0 }
    END { if (text != "") print text }'
}

# in_items: every option that an "=item" is about.
in_items() { grep '^=item' | grep -oE 'B<--[a-z0-9-]+>' | sed 's/^B<//; s/>$//'; }

one_line() { tr '\n' ' ' | tr -s ' '; }

# --- the options of its own --------------------------------------------------

# explained COMMAND SECTION PAGE: what is missing.
explained() {
  local option range words preset text word
  while IFS='|' read -r option range words preset; do
    is_common "$option" && continue
    text=$(section "$2" "$3" | item "$option" | one_line)
    if [ -z "$text" ]; then
      echo "$2: there is no =item B<$option>"
      continue
    fi
    [ -z "$range" ] || [[ $text == *"Range: $range."* ]] ||
      echo "$2: $option does not say \"Range: $range.\""
    for word in $words; do
      [[ $text == *"B<$word>"* ]] || echo "$2: $option does not name B<$word>"
    done
    case $preset in
      '' | false | none) ;;
      *) [[ $text =~ Default:\ [BCF]\<"$preset"\> ]] ||
        echo "$2: $option does not say \"Default: C<$preset>\"" ;;
    esac
  done < <(told "$1" own)
}

# invented COMMAND SECTION PAGE: an =item about an option that there is not.
invented() {
  local option
  while read -r option; do
    { told "$1" own && told "$1" module; } | grep -q "^$option|" ||
      echo "$2: warren $1 has no $option"
  done < <(section "$2" "$3" | in_items)
}

# --- the options of the module -----------------------------------------------

# spelled NAME: sets REPLY to what "--max-age" and "MaxAge" have in common.
spelled() {
  REPLY=${1,,}
  REPLY=${REPLY//-/}
}

# module_says MODULE: "NAME|DEFAULT" of each option that its manual explains,
# which manuals_test compares with the table.
module_says() {
  sed -n '/^=for warren options begin/,/^=for warren options end/p' \
    "plugins/$1.pod" | awk '
      function finish() {
        preset = text ~ /Default: empty/ ? "" : "none"
        if (match(text, /Default: B<[^>]*>/))
          preset = substr(text, RSTART + 11, RLENGTH - 12)
        if (name != "") print name "|" preset
      }
      /^=item B</ {
        finish()
        name = substr($2, 3)
        sub(/>.*/, "", name)
        text = ""
      }
      { text = text " " $0 }
      END { finish() }'
}

# Names of what the module has and the command has not.
not_taken() { # COMMAND MODULE
  local name taken=' '
  while IFS='|' read -r name _; do
    spelled "$name"
    taken+="$REPLY "
  done < <(told "$1" own && told "$1" module)
  while IFS='|' read -r name _; do
    spelled "$name"
    [[ $taken == *" $REPLY "* ]] || echo "$name"
  done < <(module_says "$2") | sort
}

# Names behind "Not here are", up to the end of the sentence.
said_not_here() { # SECTION PAGE
  section "$1" "$2" | one_line | grep -oE 'Not here are [^.]*\.' |
    grep -oE 'B<[A-Za-z0-9]+>' | sed 's/^B<//; s/>$//' | sort
}

not_here_is_right() { # COMMAND MODULE SECTION PAGE
  local name
  comm -23 <(not_taken "$1" "$2") <(said_not_here "$3" "$4") |
    sed "s/.*/$3: \"Not here are\" leaves out B<&>/"
  comm -13 <(not_taken "$1" "$2") <(said_not_here "$3" "$4") |
    sed "s/.*/$3: \"Not here are\" names B<&>, which is here/"
}

# defaults_differ COMMAND MODULE: "B<--name> (C<VALUE>", "(empty" or "(none".
defaults_differ() {
  local option preset
  local -A there=()
  while IFS='|' read -r option preset; do
    spelled "$option"
    there[$REPLY]=$preset
  done < <(module_says "$2")
  while IFS='|' read -r option _ _ preset; do
    spelled "$option"
    [ "$preset" = "${there[$REPLY]-}" ] && continue
    case $preset in
      '') preset=empty ;;
      none) ;;
      *) preset="C<$preset>" ;;
    esac
    echo "B<$option> ($preset"
  done < <(told "$1" module) | sort
}

said_to_differ() { # SECTION PAGE
  section "$1" "$2" | one_line |
    grep -oE 'B<--[a-z0-9-]+> \((C<[^>]*>|empty|none)' | sort -u
}

other_defaults() { # COMMAND MODULE SECTION PAGE
  comm -23 <(defaults_differ "$1" "$2") <(said_to_differ "$3" "$4") |
    sed "s/.*/$3: another default than in $2, and there is no \"&\"/"
  comm -13 <(defaults_differ "$1" "$2") <(said_to_differ "$3" "$4") |
    sed "s/.*/$3: \"&\" is no other default than in $2/"
}

# --- all of them -------------------------------------------------------------

all_of() { # explained|invented [PAGE]
  local command part
  while read -r command _ part; do
    "$1" "$command" "$part" "${2:-$page}"
  done <<<"$commands"
}

all_modules() { # not_here_is_right|other_defaults [PAGE]
  local command module part
  while read -r command module part; do
    "$1" "$command" "$module" "$part" "${2:-$page}"
  done <<<"$commands"
}

# A command with options that is not in the table above.
unknown() {
  local command
  for command in $("$warren" --help | sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p'); do
    grep -q "^$command " <<<"$commands" ||
      ! "$warren" "$command" --help | grep -q '^  --' ||
      echo "warren $command is not compared"
  done
}

# Options that are written of and that no command has.
written_of() { # [PAGE]
  local option
  while read -r option; do
    grep -q -e "^  $option\( \|\$\)" "$dir"/help/* || echo "B<$option>"
  done < <(grep -oE 'B<--[a-z0-9-]+>' "${1:-$page}" |
    sed 's/^B<//; s/>$//' | grep -vx -e --version | sort -u)
}

few() {
  local count
  count=$(all_told own | wc -l)
  [ "$count" -ge 60 ] || echo "there are $count options of their own only"
  count=$(all_told own | grep -c '|[0-9.]* to ')
  [ "$count" -ge 12 ] || echo "$count of them have a range only"
  count=$(all_told module | wc -l)
  [ "$count" -ge 200 ] || echo "there are $count options of modules only"
}
all_told() {
  local command
  while read -r command _; do told "$command" "$1"; done <<<"$commands"
}

# plant WHAT SED FUNCTION COMMAND ARG...: one fault, which makes one line.
plant() {
  local what=$1 edit=$2
  shift 2
  sed "$edit" "$page" >"$dir/planted.pod"
  cmp -s "$page" "$dir/planted.pod" && echo "$what: nothing was planted"
  [ "$("$@" "$dir/planted.pod" | wc -l)" -eq 1 ] || echo "$what is not seen"
}

blind() {
  plant "an option without an item" 's/^=item B<--top>/=item B<top>/' \
    explained status STATUS
  plant "a wrong range" 's/Range: 0 to 100\./Range: 1 to 100./' \
    explained status STATUS
  plant "a wrong default" 's/Default: C<512>/Default: C<511>/' \
    explained publish PUBLISH
  plant "a missing word" 's/B<never>/C<never>/' explained status STATUS
  plant "an item too many" 's/^=item B<--top>/=item B<--bottom>, B<--top>/' \
    invented status STATUS
  plant "a missing name" 's/B<MaxOpenBatches>/C<MaxOpenBatches>/' \
    not_here_is_right publish rabbitmq_publish PUBLISH
  plant "a name too many" 's/Not here are B<AllowHost>/Not here are B<Queue>, B<AllowHost>/' \
    not_here_is_right consume rabbitmq_consume CONSUME
  plant "a default that is not said" 's/^(C<warren>)/("warren")/' \
    other_defaults publish rabbitmq_publish PUBLISH
  plant "an option of no command" 's/B<--sync>/B<--synch>/' written_of
}

tap_silent "every option of a command is explained, with range and default" \
  all_of explained
tap_silent "every option that is explained is there" all_of invented
tap_silent "every option that is written of is there" written_of
tap_silent "which options of the module are not there is said" \
  all_modules not_here_is_right
tap_silent "which defaults are not the module's is said" all_modules other_defaults
tap_silent "every command with options is compared" unknown
tap_silent "there are as many options as there should be" few
tap_silent "faults that are planted are seen" blind
tap_done
