#!/bin/sh
# Quorum as a service on a Debian or Ubuntu machine: install, upgrade, rollback, uninstall. Run as root from a
# checkout; running it again changes only what differs.
#
#   deploy/install.sh [--no-start] [--database-url URL]   install, or upgrade to this checkout
#   deploy/install.sh rollback [--no-start]               back to the release before
#   deploy/install.sh uninstall [--purge]                 remove the program; --purge asks, then removes the data
#
# /opt/quorum        releases/, current -> the one in force, previous -> the one before; owned by root
# /etc/quorum        quorum.env: the settings and keys, readable by root and the service alone
# /var/lib/quorum    the embedded database, backups, logs; owned by the user quorum

set -eu
umask 022

user=quorum
action=install start=yes purge=no database_url=''

say() { printf '%s\n' "$*"; }
fail() { printf 'install.sh: %s\n' "$*" >&2; exit 2; }

while [ $# -gt 0 ]; do
  case $1 in
    install | upgrade) action=install ;;
    rollback | uninstall) action=$1 ;;
    --no-start) start=no ;;
    --purge) purge=yes ;;
    --database-url) [ $# -gt 1 ] || fail "--database-url needs an address"; database_url=$2; shift ;;
    *) fail "unknown word $1; the head of this file says what there is" ;;
  esac
  shift
done

[ "$(id -u)" -eq 0 ] || fail "needs root; run it with sudo"
source=$(CDPATH='' cd -P -- "$(dirname -- "$0")/.." && pwd -P)
opt=/opt/quorum etc=/etc/quorum data=/var/lib/quorum
settings=$etc/quorum.env

has_systemd() { [ -d /run/systemd/system ]; }
as_service() { # runs a command as the service's user, with nothing of root's environment
  setpriv --reuid="$user" --regid="$user" --init-groups --reset-env \
    env HOME="$data" PATH=/usr/local/bin:/usr/bin:/bin LC_ALL=C.UTF-8 LOGNAME="${SUDO_USER:-root}" "$@"
}
stop_service() { ! has_systemd || systemctl stop quorum.service; }
start_service() {
  [ "$start" = yes ] || return 0
  has_systemd || { say "no systemd runs here: start it with  quorum run"; return 0; }
  systemctl daemon-reload
  systemctl enable --quiet --now quorum.service quorum-notify.timer
  systemctl restart quorum.service
}
switch_to() { ln -sfn "$1" "$opt/.next" && mv -T "$opt/.next" "$opt/current"; }
has_desk() { as_service "$opt/current/quorum" desks list 2>/dev/null | grep -q '^paper:'; }

check_machine() {
  for program in tar sha256sum setpriv useradd python3; do
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
  if [ -n "$database_url" ]; then
    # By the environment: an address holds a password, and arguments are for all to see.
    URL=$database_url awk '/^#?DATABASE_URL=/ { print "DATABASE_URL=" ENVIRON["URL"]; next } { print }' \
      "$settings" >"$settings.new"
    chown root:"$user" "$settings.new" && chmod 640 "$settings.new" && mv "$settings.new" "$settings"
  fi
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
    install -m 644 "$opt/current/deploy/$unit" /etc/systemd/system/
  done
  install -m 755 "$opt/current/deploy/quorum.wrapper" /usr/local/bin/quorum
}

back_up() {
  ! has_desk || as_service "$opt/current/quorum" backup || fail "no backup, no change: see above"
}

do_install() {
  check_machine
  make_user
  write_settings
  lay_out
  before=$(readlink "$opt/current" 2>/dev/null || true)
  if [ "$before" != "$release" ]; then
    if [ -n "$before" ]; then
      back_up
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
  stop_service
  if has_desk; then # backed up by the command itself
    old=$(cd "$before/migrations/versions" && ls [0-9]*.py | sort | tail -n 1 | cut -d_ -f1)
    as_service "$now/quorum" db downgrade "$old" || fail "the schema could not be taken back: see above"
  fi
  switch_to "$before"
  ln -sfn "$now" "$opt/previous"
  put_units
  start_service
  say "release ${before##*/} is in force, ${now##*/} before it"
}

do_uninstall() {
  if has_systemd; then systemctl disable --quiet --now quorum.service quorum-notify.timer 2>/dev/null || true; fi
  if [ -x "$opt/current/quorum" ] && has_desk; then as_service "$opt/current/quorum" stop || true; fi
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
  rm -rf "$data" "$etc"
  ! id "$user" >/dev/null 2>&1 || userdel "$user"
  say "all of it is gone"
}

"do_$action"
