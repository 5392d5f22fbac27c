/**
 * A systemd unit that gives the service its own directory, the network, and nothing else. Paths are
 * those of the installation that prints it.
 */
export const formatUnit = (paths: {
  readonly node: string
  readonly script: string
  readonly config: string
  readonly dataDir: string
}): string => `# Before the first start:
#   useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin postern
#   postern init, edit the configuration, then: chown -R postern: the directory it is in
[Unit]
Description=Postern, an SSH certificate authority
Wants=network-online.target
After=network-online.target time-sync.target

[Service]
Type=exec
User=postern
ExecStart=${quote(paths.node)} --disable-sigusr1 --disable-proto=delete --max-semi-space-size=4 --no-maglev --use-largepages=silent ${quote(paths.script)} serve --config ${quote(paths.config)}
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=2
# 2 and 78: the command line or the configuration is wrong, and will be the next time.
RestartPreventExitStatus=2 78
TimeoutStopSec=15

# Secrets can come as credentials: name them in the configuration by the path they then have, as
# clientSecretFile: /run/credentials/postern.service/github
#LoadCredential=github:/etc/postern/github-secret

# What it may write: its log, wherever dataDir says that is.
StateDirectory=postern
StateDirectoryMode=0700
ReadWritePaths=-${quote(paths.dataDir)}
# Where audit.checkpoints or audit.copy name a file elsewhere, the directory it is in:
#ReadWritePaths=/mnt/other
UMask=0077

# Memory holds the CA key: no core dump, no swap, no debugger, no new rights.
LimitCORE=0
MemorySwapMax=0
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
UnsetEnvironment=NODE_OPTIONS NODE_DEBUG NODE_TLS_REJECT_UNAUTHORIZED

ProtectSystem=strict
ProtectHome=yes
ProtectProc=invisible
ProcSubset=pid
ProtectClock=yes
ProtectHostname=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateUsers=yes
PrivateIPC=yes
DevicePolicy=closed
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
LockPersonality=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
# MemoryDenyWriteExecute is not set: V8 compiles at run time and would not start.

[Install]
WantedBy=multi-user.target
`

/** As systemd.syntax(7) reads it: in quotes where there is a space; % and $ mean something to it. */
const quote = (path: string): string => {
  const text = path.replaceAll('%', '%%').replaceAll('$', '$$$$')
  return /[\s"'\\]/.test(text) ? `"${text.replace(/["\\]/g, '\\$&')}"` : text
}
