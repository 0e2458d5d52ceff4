#!/usr/bin/env bash
# A worker on a machine of its own: install, update in place. README.md beside says how; `edge.sh help` the commands.
set -euo pipefail

usage() {
  cat <<'TEXT'
edge.sh install [--from REPOSITORY] [--ref REF]   sets up a version, the unit and the file of credentials; starts nothing
edge.sh update [--ref REF]                        sets up another version beside, and then changes to it
edge.sh unit                                      writes the unit anew, after a change of SIGLIP2_GRACE
Options for all: --root FOLDER (before /opt, /etc and /var), --user NAME, --cache FOLDER, --systemctl PROGRAM,
--settle SECONDS (how long the new version is watched)
TEXT
}

die() {
  printf '%s\n' "$*" >&2
  exit 1
}

say() { printf '%s\n' "$*"; }

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
command=${1:-help}
shift || true
from='' ref=HEAD root='' user=siglip2 cache='' systemctl=systemctl settle=15
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || die "$1 wants a value; edge.sh help lists the options"
  case $1 in
    --from) from=$2 ;;
    --ref) ref=$2 ;;
    --root) root=$2 ;;
    --user) user=$2 ;;
    --cache) cache=$2 ;;
    --systemctl) systemctl=$2 ;;
    --settle) settle=$2 ;;
    *) die "$1 is no option; edge.sh help lists them" ;;
  esac
  shift 2
done
prefix=$root/opt/siglip2 etc=$root/etc/siglip2 state=$root/var/lib/siglip2 units=$root/etc/systemd
cache=${cache:-$state/cache}
service=siglip2-worker

# Set-up runs as the worker's user: what it writes is what the worker reads.
as_user() {
  if [ "$(id -un)" = "$user" ]; then "$@"; else runuser -u "$user" -- "$@"; fi
}

# The lock is not for what it starts.
unit() { "$systemctl" "$@" 9>&-; }

# Whoever is killed between any two lines leaves `current` at a version that is whole, and what is not whole is made again.
exclusively() {
  mkdir -p "$prefix/releases" "$etc" "$state" "$cache" "$units/system"
  chmod 0700 "$etc" "$state"
  exec 9>"$prefix/lock"
  flock --nonblock 9 || die "another edge.sh is at work on $prefix; wait until it has ended"
}

current() { readlink "$prefix/current" 2>/dev/null || true; }

# Clones $ref and sets it up below releases; leaves its name in $release.
provide() {
  local source=$prefix/source.git
  if [ -d "$source" ]; then
    as_user git -C "$source" fetch --quiet --force --prune "$from" '+refs/heads/*:refs/heads/*' '+refs/tags/*:refs/tags/*' ||
      die "$from can't be read; the worker goes on as it is"
  else
    rm -rf "$source.part"
    as_user git clone --quiet --bare "$from" "$source.part" || die "$from can't be cloned; name a repository by --from"
    mv "$source.part" "$source"
  fi
  local commit
  [ "$ref" != HEAD ] || ref=$(git ls-remote "$from" HEAD | cut -f1)
  commit=$(as_user git -C "$source" rev-parse --verify --quiet "$ref^{commit}") ||
    die "$from has no $ref; name a branch, a tag or a commit by --ref"
  release=releases/${commit:0:12}
  local folder=$prefix/$release
  [ ! -e "$folder/.ready" ] || return 0
  rm -rf "$folder"
  as_user mkdir "$folder"
  as_user git -C "$source" archive "$commit" | as_user tar -x -C "$folder"
  reuse_packages "$folder"
  say "Setting up $release"
  (cd "$folder" && as_user env HOME="$state" SIGLIP2_STATE="$state" SIGLIP2_CACHE="$cache" npm run --silent setup >&2) ||
    die "$release could not be set up, see above; the worker goes on as it is"
  as_user touch "$folder/.ready"
}

# The packages of a version with the same lock file are the same: links cost no download and no room.
reuse_packages() {
  local other
  for other in "$prefix/current" "$from"; do
    if [ -d "$other/node_modules" ] && cmp -s "$other/package-lock.json" "$1/package-lock.json"; then
      if as_user cp -al "$(readlink -f "$other/node_modules")" "$1/node_modules" 2>/dev/null; then return; fi
      rm -rf "$1/node_modules"
    fi
  done
}

write_unit() {
  local grace node
  grace=$(sed -n 's/^SIGLIP2_GRACE=\([0-9]\{1,\}\)$/\1/p' "$etc/worker.env" | tail -n 1)
  node=$(command -v node) || die 'Node is needed and not installed: version 20.20 to 24'
  sed -e "s|@PREFIX@|$prefix|g" -e "s|@ETC@|$etc|g" -e "s|@STATE@|$state|g" -e "s|@CACHE@|$cache|g" \
    -e "s|@USER@|$user|g" -e "s|@NODE@|$node|g" -e "s|@STOP@|$((${grace:-50} + 40))|g" \
    "$1/infra/edge/$service.service" >"$units/system/$service.service.new"
  mv "$units/system/$service.service.new" "$units/system/$service.service"
  cp "$1/infra/edge/journald@siglip2.conf" "$units/journald@siglip2.conf"
  unit daemon-reload
}

# One rename: there is always a current version.
change_to() {
  ln -sfn "$1" "$prefix/current.new"
  mv -T "$prefix/current.new" "$prefix/current"
}

install_worker() {
  from=${from:-$(cd "$here/../.." && pwd -P)}
  [ -n "$root" ] || [ "$(id -u)" = 0 ] || die 'install writes to /opt, /etc and /var: type sudo before it'
  if [ "$(id -u)" = 0 ]; then
    id -u "$user" >/dev/null 2>&1 || useradd --system --home-dir "$state" --shell /usr/sbin/nologin "$user"
    exclusively
    chown "$user" "$prefix" "$prefix/releases" "$state" "$cache"
  else
    exclusively
  fi
  provide
  printf '%s\n' "$from" >"$prefix/source"
  [ -e "$etc/worker.env" ] || install -m 0600 "$prefix/$release/infra/edge/worker.env.example" "$etc/worker.env"
  write_unit "$prefix/$release"
  [ -n "$(current)" ] || change_to "$release"
  say "Installed $(current). Fill in $etc/worker.env, and then type: systemctl enable --now $service"
}

update_worker() {
  exclusively
  [ -e "$prefix/source" ] || die "nothing is installed below $prefix; type edge.sh install"
  from=${from:-$(cat "$prefix/source")}
  local old
  old=$(current)
  provide
  printf '%s\n' "$from" >"$prefix/source"
  write_unit "$prefix/$release"
  change_to "$release"
  say "Changing from $old to $release: the worker commits first"
  unit restart "$service" || true
  sleep "$settle"
  if ! unit is-active --quiet "$service"; then
    [ "$old" = "$release" ] && die "$release does not run; its log says why: journalctl --namespace siglip2 -u $service"
    change_to "$old"
    write_unit "$prefix/$old"
    unit restart "$service" || true
    die "$release does not run, and $old is back; the log says why: journalctl --namespace siglip2 -u $service"
  fi
  local folder
  for folder in "$prefix"/releases/*; do
    case releases/${folder##*/} in "$release" | "$old") ;; *) rm -rf "$folder" ;; esac
  done
  say "$release runs"
}

case $command in
  install) install_worker ;;
  update) update_worker ;;
  unit)
    exclusively
    write_unit "$prefix/current"
    ;;
  help | --help | -h) usage ;;
  *) die "$command is no command; edge.sh help lists them" ;;
esac
