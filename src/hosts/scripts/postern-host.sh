#!/bin/sh
# postern-host: keeps this host's sshd in step with Postern, by plain files and a timer. As root:
#
#   postern-host apply     fetch the trust bundle and install it; the timer does this every minute
#   postern-host doctor    what is wrong here, and who can mend it
#   postern-host remove    undo the enrolment; sshd and every other key keep working
#
# The enrolment script also uses: install FILE, check, reload, schedule.
#
# Nothing is taken that the pinned key in trust.pub did not sign, or that is older than what was taken
# before. The kept bundle is the truth: it is put in place first, and every other file follows from it,
# so whatever a kill, a full disk or a stray hand leaves behind, the next run mends, service or no service.
# Each file is staged, synced and renamed; the KRL is never absent, since sshd would then refuse every key.

# shellcheck disable=SC2015 # A && B || C: where C also answers a failing B, it is meant to
set -u
umask 022
export LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

root=${POSTERN_ROOT:-}                       # another root directory, for tests
etc=$root/etc/ssh
dir=$etc/postern
drop=$etc/sshd_config.d/50-postern.conf
units=$root/etc/systemd/system
cron=$root/etc/cron.d/postern-host
work=$dir/.work                              # on the same file system, so that a rename is one
sshd=${POSTERN_SSHD:-$(command -v sshd)}
patience=${POSTERN_TIMEOUT:-60}              # seconds for one answer
staleAfter=${POSTERN_STALE_SECONDS:-3600}
login='[a-z_][a-z0-9_.-]{0,31}'
why=

say() { printf 'postern-host: %s\n' "$*"; }

# To stderr, and to syslog unless the journal reads stderr already.
alarm() {
  printf 'postern-host: %s\n' "$*" >&2
  [ -n "${JOURNAL_STREAM:-}" ] || logger -t postern-host -p auth.err -- "$*" 2>/dev/null || :
}

die() {
  alarm "$*"
  exit 1
}

# One at a time, with a staging directory of its own; what a killed run left there goes.
begin() {
  [ -f "$dir/trust.pub" ] && [ -f "$dir/url" ] && [ -f "$dir/host" ] ||
    die "this host is not enrolled: run the enrolment script with a token of 'postern host invite'"
  if command -v flock >/dev/null; then
    exec 9<"$dir"
    # That of BusyBox cannot wait for a while only.
    tries=0
    until flock -n 9; do
      [ "$((tries += 1))" -le 90 ] || die 'another postern-host has been at work for 90 seconds: look at it with ps'
      sleep 1
    done
  fi
  rm -rf "$work" && mkdir -m 700 "$work" || die "$dir cannot be written: is the disk full or read-only?"
  trap 'rm -rf "$work"' EXIT
  trap 'exit 1' HUP INT TERM
  url=$(cat "$dir/url") host=$(cat "$dir/host")
  off="$host was taken off the list of $url, and takes no certificate: enrol it again, or 'postern-host remove'"
}

# fetch FILE URL HEADER [BODY]: the status is in $code, empty where there was no whole answer.
fetch() {
  : >"$work/head" && : >"$work/said"
  # At most 32 MB of an answer: what is more is a write error, not a signal the shell would speak of.
  if command -v curl >/dev/null; then
    (trap '' XFSZ && ulimit -f 65536 && exec curl -sS --proto '=https,http' --connect-timeout 10 \
      --max-time "$patience" -D "$work/head" -o "$1" -H "$3" ${4:+--data-binary "@$4"} "$2") 2>"$work/said" 9<&-
  else
    (trap '' XFSZ && ulimit -f 65536 && exec timeout "$patience" wget -q -S -O "$1" --header="$3" \
      ${4:+--post-file="$4"} "$2") 2>"$work/head" 9<&-
  fi
  ended=$?
  code=$(sed -n 's|^ *HTTP/[0-9.]* \([0-9][0-9][0-9]\).*|\1|p' "$work/head" | tail -n 1)
  # wget ends with an error for every status but 2xx; a 2xx that did not end well is half an answer.
  case $code in 2??) [ "$ended" -eq 0 ] || code= ;; esac
}

# The whole number a file holds, or 0.
number() {
  grep -Ex '[0-9]{1,15}' "$1" 2>/dev/null | head -n 1 | grep . || echo 0
}

# read_bundle FILE: checks a bundle and lays out what it says in $work/files, its version in $version;
# or says in $why what is wrong with it.
read_bundle() {
  files=$work/files body=$work/body
  why='the disk takes no copy of it'
  rm -rf "$files" && mkdir -p "$files/principals" || return 1
  sed '/^-----BEGIN SSH SIGNATURE-----$/,$d' "$1" >"$body" || return 1
  sed -n '/^-----BEGIN SSH SIGNATURE-----$/,$p' "$1" >"$work/signature" || return 1

  why='it is no trust bundle, or only the start of one'
  [ "$(head -n 1 "$body" | head -c 100)" = 'postern-trust v1' ] && [ -s "$work/signature" ] || return 1
  why='the pinned trust key did not sign it'
  ssh-keygen -Y verify -f "$dir/trust.pub" -I postern -n postern-trust@v1 -s "$work/signature" \
    <"$body" >"$work/said" 2>&1 || return 1

  # From here on it is the service's word; still, nothing may pass that sshd could misread.
  why='it is signed, but holds something no bundle may hold'
  [ "$(tr -d '\n -~' <"$body" | wc -c)" -eq 0 ] || return 1
  sed 's/ .*//' "$body" | tr '\n' ' ' |
    grep -Eqx 'postern-trust host version (ca )*(principal )*krl end ' || return 1
  if grep -Evqx "postern-trust v1|host [a-z0-9.-]+|version (0|[1-9][0-9]{0,14})|\
ca [a-z0-9@.-]+ [A-Za-z0-9+/]+=?=?|principal $login [a-z0-9_@:][a-z0-9._@:-]*|\
krl [1-9][0-9]{0,8} [A-Za-z0-9+/]+=?=?|end" "$body"; then return 1; fi
  why='it is for another host'
  [ "$(sed -n 's/^host //p' "$body")" = "$host" ] || return 1
  version=$(sed -n 's/^version //p' "$body")

  why='a CA key in it cannot be read'
  sed -n 's/^ca //p' "$body" >"$files/user_ca.pub" || return 1
  [ ! -s "$files/user_ca.pub" ] ||
    [ "$(ssh-keygen -l -f "$files/user_ca.pub" 2>/dev/null | wc -l)" -eq "$(wc -l <"$files/user_ca.pub")" ] ||
    return 1
  why='the disk takes no copy of it'
  grep '^principal ' "$body" | awk -v to="$files/principals/" \
    '{ file = to $2; print $3 >>file; if (close(file)) exit 1 }' || return 1
  why='its KRL is damaged'
  sed -n 's/^krl [0-9]* //p' "$body" | base64 -d >"$files/revoked.krl" 2>/dev/null || return 1
  [ "$(sed -n 's/^krl \([0-9]*\) .*/\1/p' "$body")" -eq "$(wc -c <"$files/revoked.krl")" ] || return 1
  check_krl "$files/revoked.krl" || return 1
}

# Whether sshd can read this KRL: a header at least (44 bytes; fewer would revoke nothing, quietly), the
# magic "SSHKRL\n\0", and all of it parsed by OpenSSH, which is asked about the trust key, revoked or not.
check_krl() {
  sed 's/^[^ ]* [^ ]* //' "$dir/trust.pub" >"$work/probe.pub" &&
    [ -f "$1" ] && [ "$(wc -c <"$1")" -ge 44 ] &&
    [ "$(od -An -tx1 -N8 "$1" | tr -d ' \n')" = 5353484b524c0a00 ] &&
    { ssh-keygen -Q -f "$1" "$work/probe.pub" >"$work/said" 2>&1 || grep -q ': REVOKED$' "$work/said"; }
}

# put FILE TARGET: in its place whole or not at all, whatever happens meanwhile.
put() {
  [ ! -L "$2" ] && cmp -s "$1" "$2" && return 0
  # What follows is no rename where a directory is in the way, or a link to one.
  if [ -d "$2" ] && [ -L "$2" ]; then rm -f "$2"; elif [ -d "$2" ]; then rmdir "$2"; fi || return 1
  chmod 644 "$1" && sync "$1" && mv -f "$1" "$2" && sync "$(dirname "$2")"
}

# What read_bundle laid out, in force: revocations first, the version last.
install_files() {
  put "$files/revoked.krl" "$dir/revoked.krl" && put "$files/user_ca.pub" "$dir/user_ca.pub" || return 1
  mkdir -p "$dir/principals" || return 1
  for file in "$dir"/principals/* "$dir"/principals/.[!.]*; do
    [ -e "$files/principals/${file##*/}" ] || rm -rf "$file" || return 1
  done
  for file in "$files"/principals/*; do
    [ ! -f "$file" ] || put "$file" "$dir/principals/${file##*/}" || return 1
  done
  printf '%s\n' "$version" >"$work/version" && put "$work/version" "$dir/version"
}

# Makes the kept bundle's files so once more, where they are not; its version in $have, the lowest
# one to take in $floor.
heal() {
  have='' floor=$(number "$dir/version")
  [ -f "$dir/bundle" ] || return 0
  if ! read_bundle "$dir/bundle"; then
    alarm "the kept bundle cannot be used: $why"
    return 0
  fi
  have=$version
  [ "$have" -lt "$floor" ] || floor=$have
  install_files || die 'the files of the kept bundle cannot be written: is the disk full or read-only?'
}

# take FILE: a bundle from outside, in force if it is good and not older.
take() {
  read_bundle "$1" || refuse "$why"
  [ "$version" -ge "$floor" ] || refuse "it is older (version $version) than what was taken before ($floor)"
  [ "$version" != "$have" ] || return 0
  put "$1" "$dir/bundle" && install_files ||
    die "version $version cannot be written: is the disk full or read-only? The next run tries again"
  say "version $version is in force"
  is_trusting || say "$off"
}

# Whether the service tells this host to trust any CA: it does until the host is taken off its list.
is_trusting() { [ -s "$dir/user_ca.pub" ]; }

refuse() { complain "the service's trust bundle is refused: $1; the last good one stays"; }

# An alarm, and a louder one where nothing good was heard for too long.
complain() {
  alarm "$1"
  age=$(($(date +%s) - $(number "$dir/checked")))
  [ "$age" -lt "$staleAfter" ] || [ ! -f "$dir/checked" ] ||
    alarm "STALE: the last good answer is $((age / 60)) min old; what was revoked since then still works here"
  exit 1
}

apply() {
  [ -z "${1:-}" ] || sleep $(($(od -An -N2 -tu2 /dev/urandom) % $1))
  begin
  heal
  fetch "$work/new" "$url/v1/hosts/$host/trust" "If-None-Match: \"${have:-none}\""
  case $code in
    304) ;;
    200) take "$work/new" ;;
    404) complain "$url knows no host $host: enrol it again, or 'postern-host remove'" ;;
    *) complain "$url gives no trust bundle (${code:-no answer}): $(head -n 1 "$work/said" | head -c 200)" ;;
  esac
  date +%s >"$work/checked" && mv -f "$work/checked" "$dir/checked"
  report || alarm "the service takes no report of version $(number "$dir/version") (${code:-no answer})"
}

# Tells the service which version is in force here, signed by a host key: when it is new, and now and then.
# A host off the list has no keys there that it could sign with.
report() {
  is_trusting || return 0
  version=$(number "$dir/version")
  [ "$(number "$dir/reported")" != "$version" ] || [ -z "$(find "$dir/reported" -mmin -5)" ] || return 0
  printf 'postern-report v1\nhost %s\nversion %s\ntime %s\nend\n' \
    "$host" "$version" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >"$work/report" &&
    ssh-keygen -q -Y sign -f "$(host_key)" -n postern-host@v1 "$work/report" >"$work/said" 2>&1 &&
    cat "$work/report" "$work/report.sig" >"$work/signed" || return 1
  fetch "$work/answer" "$url/v1/hosts/$host/report" 'Content-Type: text/plain' "$work/signed"
  [ "$code" = 204 ] && printf '%s\n' "$version" >"$work/reported" && mv -f "$work/reported" "$dir/reported"
}

# settings USER: what sshd would hold to for a login from elsewhere, as it reads its files now.
settings() {
  "$sshd" -T ${root:+-f "$etc/sshd_config"} -C "user=$1,host=$host,addr=192.0.2.1"
}

# The host key to sign with: ed25519 where there is one.
host_key() {
  chosen=none
  for key in $(settings root 2>/dev/null | sed -n 's/^hostkey //p'); do
    [ -f "$key" ] && [ -f "$key.pub" ] || continue
    case $chosen in *ed25519*) ;; *) chosen=$key ;; esac
  done
  printf '%s\n' "$chosen"
}

logins() { find "$dir/principals" -type f -name '[a-z_]*' 2>/dev/null | sed 's|.*/||' | sort; }

# Whether sshd, for root and each login, holds to our three settings; what it does not, in $why.
check_settings() {
  why=$("$sshd" -t ${root:+-f "$etc/sshd_config"} 2>&1) || return 1
  for user in root $(logins); do
    why=$(settings "$user" 2>&1) || return 1
    for want in "trustedusercakeys $dir/user_ca.pub" "revokedkeys $dir/revoked.krl" \
      "authorizedprincipalsfile $dir/principals/%u" 'authorizedprincipalscommand none' 'pubkeyauthentication yes'; do
      printf '%s\n' "$why" | grep -Fqx "$want" && continue
      why="for $user sshd does not hold to '$want', but to '$(printf '%s\n' "$why" | grep "^${want%% *} ")'"
      return 1
    done
  done
}

# Has the running sshd read its files again, but only files it can live with. POSTERN_RELOAD is a command in
# words, as "kill -HUP 123".
reload() {
  "$sshd" -t ${root:+-f "$etc/sshd_config"} || return 1
  if [ -n "${POSTERN_RELOAD:-}" ]; then
    # shellcheck disable=SC2086 # words are what is wanted; no shell reads them again
    (set -f && exec $POSTERN_RELOAD)
  elif [ -d /run/systemd/system ]; then
    for unit in ssh sshd; do
      systemctl -q is-active "$unit.service" || continue
      systemctl reload "$unit.service"
      return
    done
    # Started by a socket: each login's sshd reads the files by itself.
    systemctl -q is-active ssh.socket || systemctl -q is-active sshd.socket
  elif [ -s /run/sshd.pid ]; then
    kill -HUP "$(cat /run/sshd.pid)"
  else
    service ssh reload || service sshd reload
  fi
}

# Every minute, a little apart from all other hosts: by a systemd timer, or by cron.
schedule() {
  if [ -d "$root/run/systemd/system" ]; then
    mkdir -p "$units" && cat >"$units/postern-host.service" <<UNIT &&
[Unit]
Description=Postern: what this host trusts
After=network-online.target

[Service]
Type=oneshot
ExecStart=$root/usr/local/sbin/postern-host apply
TimeoutStartSec=180
ProtectSystem=strict
ReadWritePaths=$dir
ProtectHome=yes
PrivateTmp=yes
NoNewPrivileges=yes
UNIT
      cat >"$units/postern-host.timer" <<UNIT &&
[Unit]
Description=Postern: what this host trusts, every minute

[Timer]
OnBootSec=5
OnUnitActiveSec=45
RandomizedDelaySec=15
AccuracySec=1

[Install]
WantedBy=timers.target
UNIT
      systemctl daemon-reload && systemctl -q enable --now postern-host.timer
  elif [ -d "${cron%/*}" ]; then
    printf '* * * * * root %s apply --jitter 15\n' "$root/usr/local/sbin/postern-host" >"$cron"
  else
    why="there is neither systemd nor ${cron%/*}: have '$root/usr/local/sbin/postern-host apply' run every minute"
    return 1
  fi
}

unschedule() {
  [ ! -f "$units/postern-host.timer" ] || systemctl -q disable --now postern-host.timer || :
  rm -f "$units/postern-host.service" "$units/postern-host.timer" "$cron"
}

# The drop-in first: while a running sshd may still name the KRL, it has to be there.
remove() {
  unschedule
  if [ -f "$drop" ]; then
    rm -f "$drop"
    reload || die "sshd was not reloaded: reload it, then run this again; until then $dir has to stay"
    sleep 1
  fi
  held=
  [ -z "$sshd" ] || held=$("$sshd" -T ${root:+-f "$etc/sshd_config"} -C user=root,host=localhost,addr=192.0.2.1 2>/dev/null) ||
    die "sshd does not say what it holds to: mend its configuration, then run this again; until then $dir has to stay"
  if printf '%s\n' "$held" | grep -Fq " $dir/"; then
    die "sshd still names files in $dir: take those lines out of its configuration, then run this again"
  fi
  rm -rf "$dir" "$root/usr/local/sbin/postern-host"
  say 'removed: this host takes no certificate of Postern any more, and every other key as before'
}

good() { printf 'ok     %s\n' "$*"; }

# bad FINDING ADVICE: what the first one advises is what doctor ends with.
bad() {
  printf 'WRONG  %s\n' "$1"
  advice=${advice:-$2}
}

doctor() {
  advice=
  begin
  again="As root here, run 'postern-host apply': it fetches a new bundle and writes the files again."
  if read_bundle "$dir/bundle"; then
    good "the bundle is version $version, signed by the pinned key"
    for file in "$files/user_ca.pub" "$files/revoked.krl" "$files"/principals/*; do
      [ -e "$file" ] || continue
      cmp -s "$file" "$dir/${file#"$files"/}" || bad "${file#"$files"/} is not as the bundle has it" "$again"
    done
    if is_trusting; then
      good "CA trusted: $(ssh-keygen -l -f "$dir/user_ca.pub" 2>/dev/null | cut -d' ' -f2 | tr '\n' ' ')"
    else
      bad "no CA is trusted: this host was taken off the list" \
        "An admin of Postern runs 'postern host invite $host'; then enrol again. Or as root here, 'postern-host remove'."
    fi
    good "principals: $(logins | tr '\n' ' ')"
  else
    bad "the kept bundle: $why" "$again"
  fi
  if check_krl "$dir/revoked.krl"; then
    good "KRL: $(wc -c <"$dir/revoked.krl") bytes, and sshd can read it"
  else
    bad 'the KRL cannot be read: sshd refuses every key' "$again"
  fi
  odd=$(find "$dir" -path "$work" -prune -o \( -type d ! -perm -555 -o -type f ! -perm -444 -o -perm -020 \
    -o -perm -002 -o ! -user "$(id -u)" \) -print)
  [ -z "$odd" ] || bad "owner or mode: $(printf '%s' "$odd" | tr '\n' ' ')" \
    "As root here: chown -R root $dir && chmod -R u=rwX,go=rX $dir"
  if check_settings; then
    good 'sshd holds to the settings of Postern, for root and for each login'
  else
    bad "sshd: $why" "As root here, mend sshd's configuration (what stands first wins), or run the enrolment again."
  fi
  check_service
  check_schedule
  for user in $(logins); do check_account "$user"; done
  printf '%s\n' "${advice:-"Nothing to do here: at the desk, 'postern doctor $host --as PERSON --login LOGIN' says why somebody is refused."}"
  [ -z "$advice" ]
}

# How old the last good answer is, and how far our clock is off the service's.
check_service() {
  age=$(($(date +%s) - $(number "$dir/checked")))
  [ "$age" -lt "$staleAfter" ] && good "the last good answer is $age s old" ||
    bad "the last good answer is $((age / 60)) min old" "Whoever runs the network or $url makes it reachable from here."
  fetch "$work/new" "$url/v1/hosts/$host/trust" "If-None-Match: \"${version:-none}\""
  case $code in
    304) good 'the service has nothing newer' ;;
    200) bad 'the service has another bundle' "$again" ;;
    404) bad "the service knows no host $host" "An admin of Postern runs 'postern host invite $host'; then enrol again." ;;
    *) bad "the service does not answer (${code:-no answer})" \
      "Whoever runs the network or $url makes it reachable from here; certificates work meanwhile." ;;
  esac
  theirs=$(sed -n 's/^ *[Dd]ate: *//p' "$work/head" | tail -n 1 | http_time)
  [ -n "$theirs" ] || return 0
  off=$(($(date +%s) - theirs))
  [ "${off#-}" -le 30 ] && good "our clock is $off s off the service's" ||
    bad "our clock is $off s off the service's: certificates are too young or too old here" \
      'As root here, set the clock, and have NTP keep it (timedatectl set-ntp true).'
}

# "Sun, 22 Nov 2026 08:00:00 GMT" (RFC 9110 section 5.6.7) in seconds since 1970.
http_time() {
  awk '{ split($5, t, ":"); m = (index("JanFebMarAprMayJunJulAugSepOctNovDec", $3) + 2) / 3
    y = $4 - (m < 3); m = (m + 9) % 12
    day = 365 * y + int(y / 4) - int(y / 100) + int(y / 400) + int((153 * m + 2) / 5) + $2 - 719469
    printf("%.0f\n", ((day * 24 + t[1]) * 60 + t[2]) * 60 + t[3]) }'
}

check_schedule() {
  if [ -d "$root/run/systemd/system" ] && systemctl -q is-active postern-host.timer || [ -f "$cron" ]; then
    good 'it is run every minute'
  else
    bad 'nothing runs it every minute' "As root here, run 'postern-host schedule'."
  fi
}

# An account sshd turns away whatever its certificate says (sshd(8), LOGIN PROCESS).
check_account() {
  settings "$1" >"$work/settings" 2>/dev/null
  shell=$(getent passwd "$1" | cut -d: -f7)
  if [ -z "$shell" ]; then
    bad "$1 has no account here" "As root here: useradd -m $1. Or an admin of Postern takes the login off this host."
  elif [ "${shell##*/}" = nologin ] || [ "${shell##*/}" = false ]; then
    bad "$1 has the shell $shell, which ends every login" "As root here: usermod -s /bin/sh $1"
  elif grep -qx 'usepam no' "$work/settings" && grep -q "^$1:!" "$root/etc/shadow" 2>/dev/null; then
    bad "$1 is locked, and without PAM sshd refuses it" "As root here: usermod -p '*' $1 (no password, but not locked)."
  elif [ "$1" = root ] && grep -qx 'permitrootlogin no' "$work/settings"; then
    bad 'sshd lets no root in' 'As root here, set PermitRootLogin prohibit-password, or let people use another login.'
  else
    good "$1 has an account sshd lets in"
  fi
}

case ${1:-}:$# in
  apply:1) apply ;;
  apply:3) apply "$3" ;;
  doctor:1 | remove:1 | reload:1 | schedule:1) "$1" || { [ "$1" = doctor ] || alarm "$1 failed: $why"; exit 1; } ;;
  check:1) begin && { check_settings || die "$why"; } ;;
  install:2)
    begin
    heal
    take "$2"
    date +%s >"$dir/checked"
    ;;
  *)
    sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
