#!/bin/bash
# SPDX-License-Identifier: MIT
# Start another consumer while a queue's backlog is over its limit: a program for
# NotificationExec of collectd's plugin exec, see conf.d/autoscale.conf.
#
#   autoscale.sh DIRECTORY UNIT [CONTROL...]
#
# Reads one notification of rabbitmq_monitor on standard input. With the FAILURE
# of a backlog it runs "CONTROL... start UNIT", with the end of the last one
# "CONTROL... stop UNIT"; CONTROL is "sudo -n systemctl" where it is not given.
# DIRECTORY remembers which backlogs are over their limit. Exit status: that of
# CONTROL, 0 for a notification of something else, 2 for wrong arguments.
#
# Starting what runs and stopping what does not must do no harm: after a restart
# of collectd an alert is raised again.
set -u
LC_ALL=C
export LC_ALL

[ $# -ge 2 ] || {
  echo "usage: autoscale.sh DIRECTORY UNIT [CONTROL...]" >&2
  exit 2
}
directory=$1
unit=$2
shift 2
[ $# -gt 0 ] || set -- sudo -n systemctl

# The header: "Name: value" up to an empty line. Of each name the first counts.
severity='' plugin='' instance='' indicator=''
while IFS= read -r line && [ -n "$line" ]; do
  value=${line#*: }
  case $line in
    "Severity: "*) severity=${severity:-$value} ;;
    "Plugin: "*) plugin=${plugin:-$value} ;;
    "PluginInstance: "*) instance=${instance:-$value} ;;
    "indicator: "*) indicator=${indicator:-$value} ;;
  esac
done
cat >/dev/null # the message

[ "$plugin" = rabbitmq_monitor ] && [ "$indicator" = backlog ] || exit 0
case $instance in
  '' | .* | */*) exit 2 ;; # it becomes the name of a file
esac

# One at a time: collectd starts us anew for each notification.
raised=$directory/raised
mkdir -p "$raised" && exec 9>"$directory/lock" && flock 9 || exit 1
case $severity in
  FAILURE)
    : >"$raised/$instance"
    exec "$@" start "$unit" 9>&-
    ;;
  OKAY | WARNING)
    [ -e "$raised/$instance" ] || exit 0
    rm -f "$raised/$instance"
    [ -z "$(ls -A "$raised")" ] || exit 0
    exec "$@" stop "$unit" 9>&-
    ;;
esac
