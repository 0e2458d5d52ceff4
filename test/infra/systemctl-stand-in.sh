#!/usr/bin/env bash
# What edge.sh asks systemd for, where there is no systemd: reads the unit below $EDGE_ROOT, starts what it says with the
# environment that it names, sends SIGTERM to that process alone and waits for its end. Exit codes go to $EDGE_ROOT/exits.
set -euo pipefail
unit=$EDGE_ROOT/etc/systemd/system/siglip2-worker.service
pidfile=$EDGE_ROOT/pid
value() { sed -n "s/^$1=//p" "$unit"; }
runs() { [ -s "$pidfile" ] && kill -0 "$(cat "$pidfile")" 2>/dev/null; }

start() {
  local settings args
  mapfile -t settings < <(value Environment | tr ' ' '\n'; grep '^[A-Z]' "$(value EnvironmentFile)")
  args=$(printf '%s\n' "${settings[@]}" | sed -n 's/^WORKER_ARGS=//p' | tail -n 1)
  cd "$(value WorkingDirectory)"
  rm -f "$pidfile"
  # shellcheck disable=SC2016,SC2046,SC2086
  env -i PATH="$PATH" "${settings[@]}" setsid bash -c '
    "$@" & echo $! >"$0/pid"; wait $!; echo $? >>"$0/exits"
  ' "$EDGE_ROOT" $(value ExecStart | sed 's/ \$WORKER_ARGS//') $args >>"$EDGE_ROOT/log" 2>&1 </dev/null &
  until [ -s "$pidfile" ]; do sleep 0.05; done
}

stop() {
  runs || return 0
  kill -TERM "$(cat "$pidfile")"
  local left=$(($(value TimeoutStopSec) * 10))
  while runs; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || kill -KILL "$(cat "$pidfile")"
    sleep 0.1
  done
}

case $1 in
  daemon-reload) ;;
  start) start ;;
  stop) stop ;;
  restart) stop && start ;;
  is-active) runs ;;
  *) exit 64 ;;
esac
