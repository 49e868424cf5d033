# Options of a running tor: what can be said without one.

$ netkit tor conf set
! netkit tor conf set: too few arguments: netkit tor conf set [--append|--replace] KEY=VALUE.. (hint: see 'netkit tor conf set --help')
= 2
$ netkit tor conf save now
! netkit tor conf save: unexpected argument 'now' (hint: see 'netkit tor conf save --help')
= 2
$ netkit tor conf load /nonexistent/torrc
! netkit tor conf load: cannot open /nonexistent/torrc: No such file or directory
= 1
$ netkit tor conf
! netkit tor conf: a verb is missing (hint: see 'netkit tor conf --help')
= 2
