#!/bin/sh
# Quorum as a service on a Debian or Ubuntu machine: install, upgrade, rollback, uninstall. Run as root from a
# checkout; running it again changes only what differs.
#
#   deploy/install.sh [--no-start] [--database-url URL]   install, or upgrade to this checkout
#   deploy/install.sh rollback [--no-start]               back to the release before, its schema too
#   deploy/install.sh uninstall [--purge]                 remove the program; --purge asks, then removes the data
#
# An upgrade backs the desk up first and changes nothing where that fails; --no-backup goes on without. A URL of -
# is asked for, and so stands in nobody's list of processes. Whatever fails leaves the release in force running.
#
# /opt/quorum        releases/, current -> the one in force, previous -> the one before; owned by root
# /etc/quorum        quorum.env: the settings and keys, readable by root and the service alone
# /var/lib/quorum    the embedded database, backups, logs; owned by the user quorum

set -eu
umask 022

user=quorum
action=install start=yes purge=no backup=yes database_url=''
stopped=no changed=no # the service, by us; what it runs with

say() { printf '%s\n' "$*"; }
fail() { printf 'install.sh: %s\n' "$*" >&2; exit 2; }

while [ $# -gt 0 ]; do
  case $1 in
    install | upgrade) action=install ;;
    rollback | uninstall) action=$1 ;;
    --no-start) start=no ;;
    --no-backup) backup=no ;;
    --purge) purge=yes ;;
    --database-url) [ $# -gt 1 ] || fail "--database-url needs an address"; database_url=$2; shift ;;
    *) fail "unknown word $1; the head of this file says what there is" ;;
  esac
  shift
done

[ "$(id -u)" -eq 0 ] || fail "needs root; run it with sudo"
if [ "$database_url" = - ]; then
  [ ! -t 0 ] || stty -echo
  printf 'DATABASE_URL: ' && read -r database_url || database_url=''
  [ ! -t 0 ] || stty echo
  say ''
  [ -n "$database_url" ] || fail "no address was given; nothing was changed"
fi
case $database_url in *\'*) fail "write a ' in the address as %27" ;; esac
source=$(CDPATH='' cd -P -- "$(dirname -- "$0")/.." && pwd -P)
opt=/opt/quorum etc=/etc/quorum data=/var/lib/quorum
settings=$etc/quorum.env

has_systemd() { [ -d /run/systemd/system ]; }
as_service() { # runs a command as the service's user, with nothing of root's environment
  setpriv --reuid="$user" --regid="$user" --init-groups --reset-env \
    env HOME="$data" PATH=/usr/local/bin:/usr/bin:/bin LC_ALL=C.UTF-8 LOGNAME="${SUDO_USER:-root}" "$@"
}
stop_service() { # and whatever runtime of this home was started by other means
  stopped=yes
  ! has_systemd || systemctl stop quorum.service
  for lock in "$data"/run/*.lock; do
    if [ ! -e "$lock" ] || flock -n "$lock" true; then continue; fi
    kill -TERM "$(cat "$lock")"
    flock -w 60 "$lock" true || fail "the runtime $(cat "$lock") does not end"
  done
}
start_service() {
  stopped=no
  [ "$start" = yes ] || return 0
  has_systemd || { say "no systemd runs here: keep  quorum run  running by other means"; return 0; }
  systemctl daemon-reload
  systemctl enable --quiet --now quorum-notify.timer
  systemctl enable --quiet quorum.service
  if [ "$changed" = yes ]; then systemctl restart quorum.service; else systemctl start quorum.service; fi
}
settle() { # whatever ended this: settings that were not put in force go back, and what was stopped is started
  [ ! -e "$settings.before" ] || mv "$settings.before" "$settings"
  [ "$stopped" = no ] || start_service
}
trap settle EXIT
switch_to() { ln -sfn "$1" "$opt/.next" && mv -T "$opt/.next" "$opt/current"; }
desks() { # of these kinds, by the release in force
  listed=$(as_service "$opt/current/quorum" desks list) || return 1
  printf '%s\n' "$listed" | sed -En "s/^([a-z0-9_-]+): ($1), .*/\\1/p"
}

check_machine() {
  for program in tar sha256sum setpriv flock useradd python3; do
    command -v "$program" >/dev/null || fail "$program is missing; apt-get install util-linux passwd tar python3"
  done
  python3 -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "needs Python 3.11 or newer, found $(python3 --version 2>&1); Debian 12 and Ubuntu 24.04 have it"
  python3 -I -c 'import ensurepip, venv' 2>/dev/null || fail "python3-venv is missing; apt-get install python3-venv"
  [ -f "$source/requirements.lock" ] || fail "$source is no checkout of Quorum"
  mkdir -p /opt /etc /var/lib
  free=$(df -Pk /opt | awk 'NR == 2 { print $4 }')
  [ "$free" -ge 1500000 ] || fail "/opt has $((free / 1024)) MB free, 1500 are needed; nothing was changed"
}

make_user() {
  id "$user" >/dev/null 2>&1 ||
    useradd --system --home-dir "$data" --no-create-home --shell /usr/sbin/nologin "$user"
  install -d -o root -g root -m 755 "$opt" "$opt/releases"
  install -d -o root -g "$user" -m 750 "$etc"
  install -d -o "$user" -g "$user" -m 750 "$data"
}

write_settings() {
  if [ ! -e "$settings" ]; then
    { sed -e "s|^#QUORUM_HOME=.*|QUORUM_HOME=$data|" "$source/.env.example"; } >"$settings.new"
    chown root:"$user" "$settings.new" && chmod 640 "$settings.new" && mv "$settings.new" "$settings"
    say "settings: $settings (put FMP_API_KEY and ANTHROPIC_API_KEY there)"
  fi
  chown root:"$user" "$settings" && chmod 640 "$settings"
  [ -n "$database_url" ] || return 0
  # By the environment: an address holds a password, and arguments are for all to see.
  URL="DATABASE_URL='$database_url'" awk '/^#?DATABASE_URL=/ { if (!set++) print ENVIRON["URL"]; next } { print }
    END { if (!set) print ENVIRON["URL"] }' "$settings" >"$settings.new"
  chown root:"$user" "$settings.new" && chmod 640 "$settings.new"
  if cmp -s "$settings" "$settings.new"; then rm "$settings.new"; return 0; fi
  cp -p "$settings" "$settings.before" && mv "$settings.new" "$settings"
  changed=yes
}

check_settings() { # by the release to come, $1; what it refuses is not put in force
  said=$(as_service "$1/quorum" doctor 2>&1) && return 0
  [ "$backup" = yes ] && faults='^(quorum: |FAILED +database )' || faults='^quorum: '
  refused=$(printf '%s\n' "$said" | grep -E "$faults" | head -n 1 | sed -E "s/$faults *//")
  [ -n "$refused" ] || return 0
  fail "$refused; nothing was put in force"
}

lay_out() { # sets $release: the folder of this checkout, its packages installed
  set -- --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --exclude=./.git --exclude=./.venv \
    --exclude=./.env --exclude='./.*_cache' --exclude='__pycache__' --exclude=./.hypothesis
  version=$(tar -C "$source" "$@" -cf - . | sha256sum | cut -c1-12)
  release=$opt/releases/$version
  if [ ! -e "$release/.complete" ]; then
    rm -rf "$release"
    mkdir -p "$release"
    tar -C "$source" "$@" -cf - . | tar -C "$release" -xf - --no-same-owner
    ln -s "$settings" "$release/.env"
    say "installing the packages of $version ..."
    QUORUM_HOME=$opt "$release/quorum" --setup
    : >"$release/.complete"
  fi
}

put_units() {
  install -d -m 755 /etc/systemd/system /usr/local/bin
  for unit in quorum.service quorum-notify.service quorum-notify.timer; do
    cmp -s "$opt/current/deploy/$unit" "/etc/systemd/system/$unit" && continue
    install -m 644 "$opt/current/deploy/$unit" /etc/systemd/system/
    changed=yes
  done
  cmp -s "$opt/current/deploy/quorum.wrapper" /usr/local/bin/quorum ||
    install -m 755 "$opt/current/deploy/quorum.wrapper" /usr/local/bin/quorum
}

back_up() {
  [ "$backup" = yes ] || return 0
  names=$(desks 'paper|live') || fail "no look at the desks (see above), nothing was changed; --no-backup goes on"
  for desk in $names; do
    as_service "$opt/current/quorum" backup --desk "$desk" ||
      fail "no backup (see above), nothing was changed; --no-backup goes on"
  done
}

newest_schema() { # that a release works with
  find "$1/migrations/versions" -name '[0-9]*.py' | sed 's|.*/\([0-9]*\)_.*|\1|' | sort | tail -n 1
}

take_back_schema() { # of every desk, from what one release works with to that of another, where they differ
  [ "$1" -gt "$2" ] || return 0
  for kind in paper live history; do
    names=$(desks "$kind") || fail "no look at the desks (see above), nothing was changed"
    for desk in $names; do
      tables=$(as_service "$opt/current/quorum" db tables --desk "$desk") || fail "no look at the desk $desk: see above"
      at=$(printf '%s\n' "$tables" | sed -n '1s/.*: schema \([0-9]*\).*/\1/p')
      [ "${at:-0}" -gt "$2" ] || continue
      as_service "$opt/current/quorum" db downgrade "$2" --desk "$desk" && continue # backs it up first
      [ "$kind" = history ] || fail "the schema could not be taken back: see above"
      say "$desk stays at its schema (see above): it can be replayed anew with --fresh"
    done
  done
}

do_install() {
  check_machine
  make_user
  lay_out
  before=$(readlink "$opt/current" 2>/dev/null || true)
  [ -z "$before" ] || [ "$before" = "$release" ] || back_up # by the settings in force, which may know other desks
  write_settings
  [ -z "$before$database_url" ] || check_settings "$release"
  rm -f "$settings.before"
  if [ "$before" != "$release" ]; then
    changed=yes
    if [ -n "$before" ]; then
      stop_service
      ln -sfn "$before" "$opt/previous"
    fi
    switch_to "$release"
    say "release $version is in force${before:+, ${before##*/} before it}"
  else
    say "release $version is in force already"
  fi
  put_units
  for old in "$opt"/releases/*; do
    case $old in "$(readlink "$opt/current")" | "$(readlink "$opt/previous" 2>/dev/null)") ;; *) rm -rf "$old" ;; esac
  done
  start_service
  say "next: quorum doctor"
}

do_rollback() {
  before=$(readlink "$opt/previous" 2>/dev/null) && [ -e "$before/.complete" ] || fail "there is no release to go back to"
  now=$(readlink "$opt/current")
  backup=no # the release before is older than the desks are now: of it only the settings count
  check_settings "$before"
  stop_service
  changed=yes
  take_back_schema "$(newest_schema "$now")" "$(newest_schema "$before")"
  switch_to "$before"
  ln -sfn "$now" "$opt/previous"
  put_units
  start_service
  say "release ${before##*/} is in force, ${now##*/} before it"
}

processes() { # of the service's user
  find /proc -mindepth 1 -maxdepth 1 -name '[0-9]*' -user "$user" -printf '%f ' 2>/dev/null
}

do_uninstall() {
  if has_systemd; then systemctl disable --quiet --now quorum.service quorum-notify.timer 2>/dev/null || true; fi
  start=no
  stop_service
  rm -f /etc/systemd/system/quorum.service /etc/systemd/system/quorum-notify.service \
    /etc/systemd/system/quorum-notify.timer /usr/local/bin/quorum
  ! has_systemd || systemctl daemon-reload
  rm -rf "$opt"
  if [ "$purge" = no ]; then
    say "the program is removed; settings in $etc and data in $data are left as they are"
    return 0
  fi
  printf 'This deletes every desk, its backups and its keys. Type "delete %s" to go on: ' "$data"
  read -r typed || typed=''
  [ "$typed" = "delete $data" ] || fail "nothing of the data was deleted"
  tries=0
  while [ -n "$(processes)" ]; do # the keeper stops the database once its last client is gone
    tries=$((tries + 1))
    [ "$tries" -le 30 ] || fail "end these first (nothing of the data was deleted): pids $(processes)"
    sleep 1
  done
  rm -rf "$data" "$etc"
  ! id "$user" >/dev/null 2>&1 || userdel "$user"
  say "all of it is gone"
}

"do_$action"
