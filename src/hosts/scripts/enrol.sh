#!/bin/sh
# Enrols this host with Postern: its sshd will take certificates that Postern signs for this very host, and
# every key that works today goes on working. As root, with a token of 'postern host invite':
#
#     curl -fsS @publicUrl@/enrol | sh -s -- TOKEN      (or wget -qO-; or with POSTERN_TOKEN set)
#
# (A token for many hosts wants the name of this one after it.) It writes /etc/ssh/postern/, one drop-in for sshd,
# /usr/local/sbin/postern-host and a timer for it, reloads sshd and proves a login on loopback; where that fails,
# sshd is put back as it was. 'postern-host remove' undoes it all. Running it again, with a new token, is harmless.
# shellcheck disable=SC2015 # A && B || C: where C also answers a failing B, it is meant to
set -u
umask 022
export LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

root=${POSTERN_ROOT:-}                                       # another root directory, for tests
url=${POSTERN_URL:-@publicUrl@}
sshd=${POSTERN_SSHD:-$(command -v sshd)}
etc=$root/etc/ssh dir=$root/etc/ssh/postern drop=$root/etc/ssh/sshd_config.d/50-postern.conf
host=$root/usr/local/sbin/postern-host isChanged=no

say() { printf 'postern: %s\n' "$*"; }

die() {
  printf 'postern: stopped: %s\n' "$*" >&2
  if [ "$isChanged" != no ]; then
    rm -f "$drop"
    [ ! -f "$work/before" ] || cp "$work/before" "$drop"
    { [ "$isChanged" = yes ] || "$host" reload; } &&
      say 'sshd is as it was before; enrol again with a new token once that is mended' >&2
  fi
  exit 1
}

# fetch FILE PATH [JSON]: the answer of a 2xx; anything else is the end, with what the service says of it.
# The token goes by a file, as other users can read the arguments of a process.
fetch() {
  broken=''
  if command -v curl >/dev/null; then
    curl -sS --max-time 60 -K "$work/curlrc" -D "$work/head" -o "$1" ${3:+-d "$3"} "$url$2" || broken=' cut off'
  else
    WGETRC=$work/wgetrc timeout 60 wget -q -S -O "$1" ${3:+--post-data="$3"} "$url$2" 2>"$work/head" || broken=' cut off'
  fi
  code=$(sed -n 's|^ *HTTP/[0-9.]* \([0-9]*\).*|\1|p' "$work/head" | tail -n 1)$broken
  case $code in 2??) return ;; esac
  said=$(sed -n 's/.*"detail": *"\([^"]*\)".*/\1/p' "$1" 2>/dev/null)
  die "$url$2: ${said:-${code:-no answer}}"
}

# What sshd would hold to for a user, as it reads its files now.
settings() { "$sshd" -T ${root:+-f "$etc/sshd_config"} -C "user=$1,host=$name,addr=192.0.2.1"; }

# What to do where sshd reads no drop-ins, or has settings of these names from elsewhere.
merge() {
  cat >&2 <<TEXT
postern: sshd has to hold to these three, for every user:
    TrustedUserCAKeys        $dir/user_ca.pub
    AuthorizedPrincipalsFile $dir/principals/%u   (and to no AuthorizedPrincipalsCommand)
    RevokedKeys              $dir/revoked.krl
It holds to: ${other:-none of them from $drop}
Make it so: 'Include ${drop%/*}/*.conf' as the first line of $etc/sshd_config, that directory, and no other line of
these names. Or by hand, without updates and revocations, add to the files that sshd names already: the line of
$url/v1/ca/user.pub to the CA keys, LOGIN@HOST to a login's principals.
TEXT
  die "$1"
}

# A login as the first user here who may: a key of its own, and the one certificate that the token still buys.
prove() {
  login=''
  for user in $(cd "$dir/principals" && echo *); do
    case $(getent passwd "$user" | cut -d: -f7) in '' | */nologin | */false) continue ;; esac
    [ "$user" = root ] && settings root | grep -qx 'permitrootlogin no' || login=${login:-$user}
  done
  [ -n "$login" ] || die "none of these logins has an account and a shell here: $(cd "$dir/principals" && echo *)"
  ssh-keygen -q -t ed25519 -N '' -C '' -f "$work/key" || die 'no key could be made'
  fetch "$work/answer" /v1/certificates \
    "{\"publicKey\":\"$(cat "$work/key.pub")\",\"host\":\"$name\",\"login\":\"$login\"}"
  sed -n 's/.*"certificate": *"\([^"]*\)".*/\1/p' "$work/answer" >"$work/key-cert.pub"
  printf '%s' "$keys" | tr -d '"' | tr ',' '\n' | sed "s/^/$name /" >"$work/known_hosts"
  address=$(printf '%s\n' "${listen%:*}" | sed 's/^0[.]0[.]0[.]0$/127.0.0.1/; s/^.::.$/::1/; s/[][]//g')
  case $address in *:*) from=::1 ;; *) from=127.0.0.1 ;; esac
  for try in 1 2 3 4; do
    ssh -F none -T -b "$from" -p "${listen##*:}" -i "$work/key" -o CertificateFile="$work/key-cert.pub" \
      -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes -o ConnectTimeout=10 -o HostKeyAlias="$name" \
      -o UserKnownHostsFile="$work/known_hosts" -o GlobalKnownHostsFile=none -o StrictHostKeyChecking=yes \
      -- "$login@$address" true </dev/null 2>"$work/said" && return
    sleep "$((try > 1))"                                  # the reloaded sshd may need a moment
  done
  die "a certificate does not open $login@$address: $(tail -n 1 "$work/said" | tr -d '\r')"
}

main() {
  token=${1:-${POSTERN_TOKEN:-}}
  name=${2:-localhost}                                       # until the service says what it is called

  # 1. What is needed, before anything is touched or the token spent.
  [ -n "$root" ] || [ "$(id -u)" -eq 0 ] || die 'this has to be run as root'
  printf '%s\n' "$token" | grep -Eqx '[A-Za-z0-9_-]{43}\.AAAAC3NzaC1lZDI1NTE5AAAAI[A-Za-z0-9+/]{43}' ||
    die "that is no token of 'postern host invite': run sh -s -- TOKEN"
  printf '%s\n' "$name" | grep -Eqx '[a-z0-9.-]{1,253}' || die "'$name' is no host name: write it in lower case"
  { command -v "$sshd" && command -v ssh && { command -v curl || wget --version; }; } >/dev/null 2>&1 ||
    die "it needs OpenSSH's server and client, 8.2 or newer, and curl or GNU wget"
  settings root >/dev/null || die 'sshd takes its configuration only with that mended, or is older than OpenSSH 8.2'
  ours='^(trustedusercakeys|authorizedprincipals(file|command)|revokedkeys) '
  other=$(settings root | grep -E "$ours" | grep -Ev " (none|$dir/.*)\$")
  listen=$(settings root | sed -n 's/^listenaddress //p' | sort | head -n 1)
  [ -z "$other" ] && [ -d "${drop%/*}" ] || merge 'nothing was changed, and the token is not spent'
  work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT && trap 'die interrupted' HUP INT TERM || die 'no temporary directory'
  printf 'header = "Authorization: Bearer %s"\nheader = "Content-Type: application/json"\n' "$token" >"$work/curlrc"
  printf 'header = Authorization: Bearer %s\nheader = Content-Type: application/json\n' "$token" >"$work/wgetrc"

  # 2. The key that the token carries is trusted from here on; the script that stays must be signed by it.
  printf 'postern namespaces="postern-trust@v1,postern-script@v1" ssh-ed25519 %s\n' "${token#*.}" >"$work/trust.pub"
  for file in postern-host postern-host.sig; do fetch "$work/$file" "/enrol/$file"; done
  ssh-keygen -Y verify -f "$work/trust.pub" -I postern -n postern-script@v1 -s "$work/postern-host.sig" \
    <"$work/postern-host" >/dev/null || die "$url/enrol/postern-host is not signed by the key in the token"

  # 3. Enrol: our host keys, but none too weak to be pinned, against the bundle of what to trust.
  keys=$(for key in $(settings root | sed -n 's/^hostkey //p'); do ssh-keygen -l -f "$key.pub" 2>/dev/null |
    grep -Evq '^[12]?[0-9]{3} .*[(][RD]SA[)]$' && cut -d' ' -f1,2 "$key.pub"; done | sed 's/.*/"&"/' | paste -sd, -)
  [ -n "$keys" ] || die "this host has no key that can be pinned, the token is not spent: ssh-keygen -A makes it some"
  fetch "$work/bundle" /v1/hosts/enrol "{${2:+\"name\":\"$name\",}\"hostKeys\":[$keys],\"port\":${listen##*:}}"
  name=$(sed -n 's/^host \([a-z0-9.-]\{1,253\}\)$/\1/p' "$work/bundle" | head -n 1)

  # 4. The files, and the drop-in once a valid KRL is there. sshd still runs as before.
  mkdir -p "$dir/principals" "${host%/*}" && { cmp -s "$work/trust.pub" "$dir/trust.pub" ||
    { rm -f "$dir/version" "$dir/bundle" && cp "$work/trust.pub" "$dir/trust.pub"; }; } &&
    printf '%s\n' "$url" >"$dir/url" && printf '%s\n' "$name" >"$dir/host" &&
    cp "$work/postern-host" "$host.new" && chmod 755 "$host.new" && mv "$host.new" "$host" ||
    die "$dir and $host cannot be written"
  "$host" install "$work/bundle" || die 'the bundle cannot be used'
  settings root >"$work/held"
  { [ ! -f "$drop" ] || cp "$drop" "$work/before"; } && isChanged=yes || die "the drop-in cannot be kept"
  printf '%s\n' '# By Postern; undo with: postern-host remove' "TrustedUserCAKeys $dir/user_ca.pub" \
    "AuthorizedPrincipalsFile $dir/principals/%u" "RevokedKeys $dir/revoked.krl" >"$drop"

  # 5. sshd can read that, and holds to it for root and each login, and to nothing else that is new.
  "$host" check || merge 'sshd does not hold to the drop-in'
  [ "$(settings root | grep -Ev "$ours")" = "$(grep -Ev "$ours" "$work/held")" ] || die 'other settings of sshd would change'
  isChanged=live && "$host" reload || die 'sshd was not reloaded'

  # 6. A login on loopback, by the one certificate that the token still buys.
  prove && isChanged=no
  "$host" schedule || say "certificates work, but nothing keeps them revocable: see above" >&2
  say "done: $name takes certificates for: $(cd "$dir/principals" && echo *). Next: at the desk 'postern host show $name';"
  say "here 'postern-host doctor' says how things stand, and 'postern-host remove' undoes this."
}

main "$@"
