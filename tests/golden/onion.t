# onion: what is wrong with a service is told before tor is asked.

$ netkit onion add 8000~80
! netkit onion add: 8000~80: not PORT[:TARGET] (hint: write 80:8000: the port of the onion service comes first)
= 2
$ netkit onion add 80:example.com:80
! netkit onion add: 80:example.com:80: the target is a name (hint: write its address: tor would ask the DNS for the name)
= 2
$ netkit onion add 0
! netkit onion add: 0: not PORT[:TARGET] with a port of 1 to 65535
= 2
$ netkit onion add '80 unix:run/web.sock'
! netkit onion add: 80 unix:run/web.sock: the path of a unix socket begins with a slash
= 2
$ netkit onion add 80 --hsdir web
! netkit onion add: tor takes the path of a directory from its root on
= 2
$ netkit onion add 80 --hsdir /web --key k
! netkit onion add: the key of a service in a directory is in that directory ('netkit hs convert KEY --to ctor-dir -o DIR' puts one there)
= 2
$ netkit onion add 80 --hsdir /web --new-client alice
! netkit onion add: the clients of a service in a directory are files in that directory ('netkit hs auth import' puts them there)
= 2
$ netkit onion add 80 --probe 10m --detach
! netkit onion add: a detached service is left alone, and cannot be probed
= 2
$ netkit onion add 80 --probe 10m --new-client alice
! netkit onion add: a service that is restricted to clients cannot be probed, as the probe is none of them
= 2
$ netkit onion add 80 --client-auth descriptor:x25519:AAAA
! netkit onion add: the line: key: it has 4 characters, not 52
= 1
$ netkit onion add 80 --wait some
! netkit onion add: --wait: 'some' is not one of none, first, all
= 2
$ netkit onion add 80 --control unix:nowhere --key k; ls
! netkit onion add: unix:nowhere: No such file or directory (hint: there is no such socket: is the other program running?)
$ netkit onion delete expyuzz4wqqyqhjn.onion
! netkit onion delete: 'expyuzz4wqqyqhjn' is an address of version 2; such services ended in 2021, and tor cannot reach them any more
= 1
$ netkit onion delete web
! netkit onion delete: an onion address has 56 characters before '.onion', this one has 3
= 1
$ netkit onion list web
! netkit onion list: unexpected argument 'web' (hint: see 'netkit onion list --help')
= 2
$ netkit onion watch aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqeae
! netkit onion watch: 'aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqeae' is of version 4; only version 3 (it ends in 'd') is known
= 1
