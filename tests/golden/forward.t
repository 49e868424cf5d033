# forward: endpoint strings are checked before anything is opened.

$ netkit forward tcp::80
! netkit forward: too few arguments: netkit forward [--allow-uid UID].. [--idle TIME] [--half-idle TIME] [--max-connections N] [--proxy-protocol v1|v2] [--accept-proxy-protocol] LISTEN CONNECT (hint: see 'netkit forward --help')
= 2
$ netkit forward tcp:example.com:80 tcp:a:1
! netkit forward: 'tcp:example.com:80': 'example.com' is a name, and listening needs an address (hint: leave the host out (tcp::80) for all addresses, or use localhost)
= 78
$ netkit forward tcp::0 tcp:127.1:80
! netkit forward: 'tcp:127.1:80': '127.1' is not an IPv4 address (hint: write four decimal numbers, as in 127.0.0.1)
= 78
$ netkit forward tcp::0 tcp:x.onion:80
! netkit forward: 'tcp:x.onion:80': onion addresses are only reachable through Tor (hint: write tor:ADDRESS:PORT instead of tcp:ADDRESS:PORT)
= 78
$ netkit forward tcp::0 tpc:localhost:80
! netkit forward: 'tpc:localhost:80': unknown kind of endpoint 'tpc:' (hint: did you mean 'tcp:'?)
= 78
$ netkit forward tcp::0,tiemout=3s tcp:localhost:80
! netkit forward: 'tcp::0,tiemout=3s': unknown key 'tiemout' for 'tcp' (hint: did you mean 'timeout'?)
= 78
$ netkit forward tcp::0 tcp:localhost:80 --allow-uid 0
! netkit forward: allow_uid needs a listener on a unix socket: tcp::0 does not know users
= 78
$ netkit forward unix:@a stdio: --allow-uid root
! netkit forward: allow_uid: 'root' is not the number of a user
= 78
$ netkit forward stdio: exec:cat --proxy-protocol v2
! netkit forward: stdio: has no addresses for the PROXY protocol
= 2
$ netkit forward tcp::0 tcp:localhost:80 --proxy-protocol v3
! netkit forward: --proxy-protocol: 'v3' is not one of none, v1, v2
= 2
$ netkit forward socks5:127.0.0.1:0 tcp: --accept-proxy-protocol
! netkit forward: there is no PROXY protocol around 'socks5:127.0.0.1:0'
= 78
$ netkit forward stdio: mem:x
! netkit forward: 'mem:' is for tests only
= 1
$ netkit forward stdio: tcp:127.0.0.1:1
! netkit forward: tcp:127.0.0.1:1: Connection refused (hint: nothing listens there)
= 69
$ netkit forward stdio: unix:nosuch
! netkit forward: unix:nosuch: No such file or directory (hint: there is no such socket: is the other program running?)
= 1
$ printf 'one\ntwo\n' >in && netkit forward stdio: exec:cat <in
> one
> two
$ echo piped | netkit forward stdio: exec:cat | cat
> piped
$ netkit forward unix:/nosuch/dir/s tcp:localhost:80
! netkit forward: unix:/nosuch/dir/s: No such file or directory
= 1
$ netkit forward tcp::0 ssh:web,ssh_config=none
! netkit forward: 'ssh:web,ssh_config=none': 'ssh:' does not say where to connect (hint: it needs [USER@]HOST[:PORT]/HOST:PORT, /unix:PATH, /exec:COMMAND, /subsystem:NAME or /listen:[ADDRESS:]PORT)
= 78
$ netkit forward tcp::0 ssh:web/db,ssh_config=none
! netkit forward: 'ssh:web/db,ssh_config=none': 'db' is not HOST:PORT: the port is missing
= 78
$ netkit forward tcp::0 ssh:web/listen:80,ssh_config=none
! netkit forward: 'ssh:web/listen:80,ssh_config=none': ssh: 'listen:80' is a place to listen, and this is a place to connect (hint: write ssh:HOST/HOST:PORT)
= 78
$ netkit forward ssh:web/db:80,ssh_config=none tcp:localhost:80
! netkit forward: 'ssh:web/db:80,ssh_config=none': ssh: 'db:80' is a place to connect to, and this is a place to listen (hint: write ssh:HOST/listen:[ADDRESS:]PORT)
= 78
$ netkit forward tcp::0 'ssh:web/db:80,ssh_config=none,option=Port=x'
! netkit forward: 'ssh:web/db:80,ssh_config=none,option=Port=x': -o: Port: it cannot be 'x'
= 78
