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
! bad.ini:1: unknown section [relya]
! bad.ini:2: ':' is no separator here, write 'key = value'
! bad.ini:3: indented line (a value cannot continue on the next line; a key or section starts in the first column)
! bad.ini:4: section header without ']'
! bad.ini: 4 errors
= 78
$ netkit config check -c bad.ini --json
> {"schema":1,"errors":4,"warnings":0}
! {"schema":1,"level":"error","command":"","code":"NK_ECONFIG","exit":78,"message":"bad.ini:1: unknown section [relya]","hint":null}
! {"schema":1,"level":"error","command":"","code":"NK_ECONFIG","exit":78,"message":"bad.ini:2: ':' is no separator here, write 'key = value'","hint":null}
! {"schema":1,"level":"error","command":"","code":"NK_ECONFIG","exit":78,"message":"bad.ini:3: indented line (a value cannot continue on the next line; a key or section starts in the first column)","hint":null}
! {"schema":1,"level":"error","command":"","code":"NK_ECONFIG","exit":78,"message":"bad.ini:4: section header without ']'","hint":null}
= 78
$ netkit config show -c bad.ini
! netkit config show: bad.ini:1: unknown section [relya]
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
