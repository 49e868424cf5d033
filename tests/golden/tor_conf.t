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
$ netkit tor conf get 'a b' --control /nowhere/control
! netkit tor conf get: 'a b' is no option of tor
= 2
$ netkit tor conf get A=b --control /nowhere/control
! netkit tor conf get: 'A=b' is no option of tor
= 2
$ netkit tor conf set A --control /nowhere/control
! netkit tor conf set: A has no value (hint: write A=VALUE; 'netkit tor conf reset A' gives it its default)
= 2
$ netkit tor conf set =b --control /nowhere/control
! netkit tor conf set: '=b' is no option of tor
= 2
$ netkit tor conf set --append --replace A=b --control /nowhere/control
! netkit tor conf set: --append and --replace exclude each other
= 2
$ netkit tor conf reset 'A B' --control /nowhere/control
! netkit tor conf reset: 'A B' is no option of tor
= 2
$ netkit tor conf keys '' --control /nowhere/control
! netkit tor conf keys: '' is no option of tor
= 2
