# tunnel: its words are checked before anything is opened.

$ netkit tunnel web
! netkit tunnel: too few arguments: netkit tunnel [--local-port PORT] [--ready-fd N] [--reconnect] [-L|-R|-D ..].. HOST PORT [-- COMMAND ..] (hint: see 'netkit tunnel --help')
= 2
$ netkit tunnel web 0
! netkit tunnel: '0' is no port
= 2
$ netkit tunnel web 80 81
! netkit tunnel: expected HOST PORT
= 2
$ netkit tunnel web 80 --
! netkit tunnel: expected HOST PORT, and a program behind '--'
= 2
$ netkit tunnel web 80 81 -- true
! netkit tunnel: expected HOST PORT, and a program behind '--'
= 2
$ netkit tunnel web 80 -L nothing -F none
! netkit tunnel: 'nothing' is no forwarding (hint: [address:]port:host:port, or paths of sockets)
= 78
$ netkit tunnel 'a;b' 80 -F none
! netkit tunnel: 'a;b' cannot be the name of a host
= 2
$ netkit tunnel web 80 -F /nonexistent
! netkit tunnel: cannot open /nonexistent: No such file or directory
= 78
$ printf '[tunnel a]\nhost = web\nssh_config = none\n' >netkit.ini && netkit run -c netkit.ini --state-dir state 2>&1 | sed 's/^2.*Z //'
> info service: starting 1 service from netkit.ini
> netkit run: local, remote or dynamic is missing
$ printf '[tunnel a]\nlocal = 1:a:2\n' >netkit.ini && netkit config check -c netkit.ini
! netkit.ini:1: [tunnel a] needs 'host'
! netkit.ini: 1 error
= 78
