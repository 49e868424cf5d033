# tls: who may connect has to be said, and the side without TLS stays on this machine.

$ netkit tls
! netkit tls: a verb is missing (hint: see 'netkit tls --help')
= 2
$ netkit tls server --listen tcp::0 --connect tcp:127.0.0.1:1
! netkit tls server: a TLS server needs 'cert' and 'key' (hint: netkit cert new -o DIR makes them)
= 78
$ netkit tls server --listen tcp::0 --connect tcp:127.0.0.1:1 --cert c.pem
! netkit tls server: nothing says which clients may connect (hint: give ca and a rule (allow_cn, allow_dns, allow_uri, allow_pin, allow_all), or client_cert = none for everybody who reaches it)
= 78
$ netkit tls server --listen tcp::0 --connect tcp:127.0.0.1:1 --cert c.pem --ca a.pem
! netkit tls server: nothing says which clients may connect (hint: name them with allow_cn, allow_dns, allow_uri or allow_pin, or let in every certificate of the ca with allow_all)
= 78
$ netkit tls server --listen tcp::0 --connect tcp:127.0.0.1:1 --cert c.pem --ca a.pem --allow-cn alice --allow-dns b
! netkit tls server: allow_cn and allow_dns: there can be one kind of rule only (hint: of one kind there may be several: repeat it for each client)
= 78
$ netkit tls server --listen tcp::0 --connect tcp:127.0.0.1:1 --cert c.pem --allow-cn alice
! netkit tls server: without ca there is nothing to verify clients' certificates with (hint: ca = FILE is the authority that signed them; only allow_pin needs none)
= 78
$ netkit tls server --listen tcp::0 --connect tcp:127.0.0.1:1 --cert c.pem --ca a.pem --client-cert none
! netkit tls server: client_cert = none asks for no certificates: ca and allow_... are of no use then
= 78
$ netkit tls server --listen tcp::0 --connect tcp:192.0.2.1:1 --cert c.pem --ca a.pem --allow-all
! netkit tls server: tcp:192.0.2.1:1 is not on this machine, and what goes there would not be encrypted (hint: use 127.0.0.1 or a unix socket, or say unsafe_target = yes)
= 78
$ netkit tls server --listen tcp::0 --connect tcp:127.0.0.1:1 --cert c.pem --ca a.pem --allow-all
! netkit tls server: cannot open c.pem: No such file or directory
= 78
$ netkit tls client --listen tcp::0 --connect tcp:web.example:443
! netkit tls client: tcp::0 is not on this machine, and whoever reaches it would connect in your name (hint: use 127.0.0.1 or a unix socket, or say unsafe_listen = yes)
= 78
$ netkit tls client --listen tcp:127.0.0.1:0 --connect unix:/run/s
! netkit tls client: unix:/run/s has no name that its server could be verified by (hint: say server_name = HOST, or pin = sha256:HASH)
= 78
$ netkit tls client --listen tcp:127.0.0.1:0 --connect tls:web.example:443
! netkit tls client: 'connect' names a transport only: TLS is added, with cert, key and ca
= 78
$ netkit tls client --listen tcp:127.0.0.1:0 --connect tcp:web.example:443 --allow-cn alice
! netkit tls client: unknown option '--allow-cn' (hint: see 'netkit tls client --help')
= 2
$ printf '[tls x]\nrole = client\nlisten = tcp:127.0.0.1:0\nconnect = tcp:web.example:443\nallow_cn = alice\n' >i.ini && netkit run -q -c i.ini
! netkit run: 'allow_...' is for a server
= 78
