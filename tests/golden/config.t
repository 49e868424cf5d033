# Where the configuration comes from, and what is wrong with it.

$ netkit config check
> no configuration file: ok
$ netkit config check -c nosuch.ini
! configuration: cannot open nosuch.ini: No such file or directory
! nosuch.ini: 1 error
= 78
$ netkit config check -c .
! configuration: cannot read .: Is a directory
! .: 1 error
= 78
$ NETKIT_CONFIG=nosuch.ini netkit config check
! configuration: cannot open nosuch.ini: No such file or directory
! nosuch.ini: 1 error
= 78
$ printf '[relya]\nlisten: x\n  y = z\n[open\nk = v\n' >bad.ini; netkit config check -c bad.ini
! bad.ini:1: unknown section [relya] (did you mean [relay]?)
! bad.ini:2: ':' is no separator here, write 'key = value'
! bad.ini:3: indented line (a value cannot continue on the next line; a key or section starts in the first column)
! bad.ini:4: section header without ']'
! bad.ini: 4 errors
= 78
$ netkit config check -c bad.ini --json
> {"schema":1,"errors":4,"warnings":0}
! {"schema":1,"level":"error","command":"","code":"NK_ECONFIG","exit":78,"message":"bad.ini:1: unknown section [relya] (did you mean [relay]?)","hint":null}
! {"schema":1,"level":"error","command":"","code":"NK_ECONFIG","exit":78,"message":"bad.ini:2: ':' is no separator here, write 'key = value'","hint":null}
! {"schema":1,"level":"error","command":"","code":"NK_ECONFIG","exit":78,"message":"bad.ini:3: indented line (a value cannot continue on the next line; a key or section starts in the first column)","hint":null}
! {"schema":1,"level":"error","command":"","code":"NK_ECONFIG","exit":78,"message":"bad.ini:4: section header without ']'","hint":null}
= 78
$ netkit config show -c bad.ini
! netkit config show: bad.ini:1: unknown section [relya] (did you mean [relay]?)
! netkit config show: bad.ini:2: ':' is no separator here, write 'key = value'
! netkit config show: bad.ini:3: indented line (a value cannot continue on the next line; a key or section starts in the first column)
! netkit config show: bad.ini:4: section header without ']'
= 78
$ printf '\357\273\277# nothing\r\n' >bom.ini; netkit config check -c bom.ini
> bom.ini: ok
$ printf '[x]\n' | netkit config check -c -
! standard input:1: unknown section [x]
! standard input: 1 error
= 78
$ netkit config check -C nodot
! -C nodot: must be 'section.key=value' or 'section name.key=value'
! no configuration file: 1 error
= 78
$ NETKIT_NOSUCH__KEY=1 NETKIT_NOSUCH_PORT=1 netkit config check
> no configuration file: ok
! warning: NETKIT_NOSUCH__KEY: ignored: there is no section [nosuch]
$ netkit config init nosuch
! netkit config init: netkit.ini has no section 'nosuch' (hint: 'netkit config keys' lists the sections)
= 2
$ netkit config check --quiet

# Known sections.
$ printf '[relay]\nlisen = tcp::1\nmax_count = 3\nengine = mem\nheader_size = 99\nheader_size = 9\nlisten = nope:x\n[group]\n[group A]\n[relay]\n' >r.ini; netkit config check -c r.ini
! r.ini:2: [relay] unknown key 'lisen' (did you mean 'listen'?)
! r.ini:3: [relay] unknown key 'max_count' ('max_count' belongs to [group NAME])
! r.ini:4: [relay] engine: 'mem' is not one of log, memory
! r.ini:5: [relay] header_size: '99' is not between 2 and 20
! r.ini:6: [relay] header_size is given twice (first at r.ini:5)
! r.ini:7: [relay] listen: 'nope:x': unknown kind of endpoint 'nope:' (an address such as 127.0.0.1:4000 is written tcp:127.0.0.1:4000)
! r.ini:8: [group] needs a name: [group NAME]
! r.ini:9: [group A]: a name consists of a-z, 0-9 and '-'
! r.ini:10: section [relay] is there twice (first at line 1)
! r.ini: 9 errors
= 78
$ printf '[relay]\nlisten = tcp:127.0.0.1:3000\npassword_file = pw\n[group jobs]\nmax_count = 4\n' >good.ini; netkit config check -c good.ini
! good.ini:3: [relay] password_file: pw: No such file or directory
! good.ini: 1 error
= 78
$ printf 'correct horse battery\n' >pw; netkit config check -c good.ini
! good.ini:3: [relay] password_file: pw has mode 0644 (chmod 600)
! good.ini: 1 error
= 78
$ chmod 600 pw; netkit config check -c good.ini
> good.ini: ok
$ : >pw; netkit config check -c good.ini
! good.ini:3: [relay] password_file: pw is empty
! good.ini: 1 error
= 78
$ printf 'correct horse battery\n' >pw; cksum good.ini pw >before; netkit config check -c good.ini --json; cksum good.ini pw | cmp - before
> {"schema":1,"errors":0,"warnings":0}
$ NETKIT_RELAY__HEADER_SIZE=12 NETKIT_RELAY__LISEN=x netkit config show --origin -c good.ini -C 'group jobs.max_consumables=7' | grep -v default
> [relay]
> listen = tcp:127.0.0.1:3000    # good.ini:2
> password_file = pw    # good.ini:3
> header_size = 12    # NETKIT_RELAY__HEADER_SIZE
>
> [group jobs]
> max_count = 4    # good.ini:5
> max_consumables = 7    # -C group jobs.max_consumables
! netkit config show: warning: NETKIT_RELAY__LISEN: [relay] unknown key 'lisen' (did you mean 'listen'?)
$ netkit config show -c good.ini --json | grep -A1 '"max_count"'
>       "key": "max_count",
>       "value": "4",
$ NETKIT_RELAY__PASSWORD=x netkit config check
! NETKIT_RELAY__PASSWORD: a secret is not read from the environment itself (use NETKIT_RELAY__PASSWORD_FILE)
! no configuration file: 1 error
= 78
$ NETKIT_RELAY__LISTEN= netkit config check
! NETKIT_RELAY__LISTEN: [relay] listen: the value is empty
! no configuration file: 1 error
= 78
$ printf '[relay]\ncert = pw\nkey = pw\n' >cert.ini; netkit config check -c cert.ini
! cert.ini:2: [relay] pw: not a certificate (TLS library code -0x2180)
! cert.ini: 1 error
= 78
$ netkit config init group | head -n 1
> ## group: limits of one group of the relay
$ netkit config init >shipped.ini && netkit config check -c shipped.ini
> shipped.ini: ok
$ printf '[relay]\n[forward a]\nlisten = tcp:127.0.0.1:3000\nconnect = tcp:127.0.0.1:1\n' >clash.ini; netkit config check -c clash.ini
! clash.ini:3: [forward] listens on tcp:127.0.0.1:3000, and so does [relay] (default)
! clash.ini: 1 error
= 78
$ printf '[forward a]\n' | netkit config check -c -
! standard input:1: [forward a] needs 'listen'
! standard input:1: [forward a] needs 'connect'
! standard input: 2 errors
= 78
$ netkit config keys | grep 'group NAME. max_count'
> [group NAME] max_count  int, default -1  Endpoints that may be in it at one time; -1: no limit
$ printf '[group a]\nmax_bytes = 1G\npolicy = drop-oldest\nbacklog_count = 100\nbacklog_bytes = 4M\nttl = 1h\nlease = 30s\nmax_deliveries = 5\ndead_letter = Failed jobs\n[group b]\nmatch = Failed jobs\n' >group.ini; netkit config check -c group.ini
> group.ini: ok
$ printf '[group a]\nmax_bytes = x\npolicy = drop\nbacklog_count = -1\nttl = 5000d\nlease = 1\nmax_deliveries = many\ndead_letter =\n' | netkit config check -c -
! standard input:2: [group a] max_bytes: 'x' is not a size such as 4096, 64k or 1MiB
! standard input:3: [group a] policy: 'drop' is not one of auto, block, conflate, drop-oldest, disconnect
! standard input:4: [group a] backlog_count: '-1' is not between 0 and 2147483647
! standard input:5: [group a] ttl: '5000d' is not between 0s and 366d
! standard input:7: [group a] max_deliveries: 'many' is not a whole number
! standard input: 5 errors
= 78
$ printf '[group a]\ndead_letter = a\n' >dead.ini; netkit relay -c dead.ini --state-dir state 2>&1 | tail -n 1
> netkit relay: [group a]: dead_letter is the group itself
$ printf '[group a]\ndead_letter = b\n' >dead.ini; netkit relay -c dead.ini --state-dir state 2>&1 | tail -n 1
> netkit relay: [group a]: there is no group 'b' for dead letters (hint: add a section for it, or say accept_groups = any)
$ netkit relay --header-size 99
! netkit relay: --header-size: '99' is not between 2 and 20
= 2
$ netkit relay -c r.ini 2>&1 | head -n 2
> netkit relay: r.ini:2: [relay] unknown key 'lisen' (did you mean 'listen'?)
> netkit relay: r.ini:3: [relay] unknown key 'max_count' ('max_count' belongs to [group NAME])

# Certificates.
$ for n in 1 2; do netkit -q cert new --cn host --days 10 -o t$n >/dev/null; done
$ printf '[relay]\ncert = t1/certificate.pem\nkey = t2/key.pem\n' | netkit config check -c -
! standard input:2: [relay] t2/key.pem: the private key does not belong to the certificate
! standard input: 1 error
= 78
$ printf '[relay]\ncert = t1/certificate.pem\nkey = t1/key.pem\n' | netkit config check -c - 2>&1 | sed 's/on 2.*/on DATE/'
> standard input:2: warning: [relay] cert: the certificate expires on DATE
> standard input: ok
