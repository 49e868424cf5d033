# Settings of hosts and known_hosts, without a network.

$ printf 'Host web\n  Port 2222 # a comment\n  User alice\n  IdentityFile /k\nMatch user alice\n  ProxyJump hop\n' > config
$ netkit ssh-key config -F config web | grep '#'
> user alice  # config:3
> port 2222  # config:2
> identityfile /k  # config:4
> proxyjump hop  # config:6
$ netkit ssh-key config -F config --plain -o Port=7 bob@web | grep -E '^(user|port|hostname|proxyjump|identityfile) '
> user bob
> hostname web
> port 7
> identityfile /k
$ printf 'Port\n' > wrong && netkit ssh-key config -F wrong web
! netkit ssh-key config: wrong:1: Port: it needs a value
= 78
$ netkit ssh-key config -F none -o Prot=1 web
! netkit ssh-key config: -o: there is no option 'Prot'
= 2
$ netkit ssh-key config -F none 'a;b'
! netkit ssh-key config: 'a;b' cannot be the name of a host
= 2
$ echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBz+1BplODq23VAmu3NjKyw//xIxLHhbFhrMML1NPWez' > key.pub
$ netkit ssh-key known-hosts add -f known -p 2222 Web key.pub
> known: 1 line
$ netkit ssh-key known-hosts add -f known --ca '*.example' key.pub
> known: 1 line
$ cat known
> [web]:2222 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBz+1BplODq23VAmu3NjKyw//xIxLHhbFhrMML1NPWez
> @cert-authority *.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBz+1BplODq23VAmu3NjKyw//xIxLHhbFhrMML1NPWez
$ netkit ssh-key known-hosts list -f known
> 1  [web]:2222  ssh-ed25519  SHA256:/wKrj2s/AwMv/czWdEfy0hE1XhsRYkYTJ+gYecdjbSU
> 2  @cert-authority *.example  ssh-ed25519  SHA256:/wKrj2s/AwMv/czWdEfy0hE1XhsRYkYTJ+gYecdjbSU
$ netkit ssh-key known-hosts find -f known '[web]:2222' --json
> {
>   "file": "known",
>   "entries": [
>     {
>       "line": 1,
>       "marker": null,
>       "hosts": [
>         "[web]:2222"
>       ],
>       "hashed": false,
>       "type": "ssh-ed25519",
>       "fingerprint": "SHA256:/wKrj2s/AwMv/czWdEfy0hE1XhsRYkYTJ+gYecdjbSU",
>       "key": "AAAAC3NzaC1lZDI1NTE5AAAAIBz+1BplODq23VAmu3NjKyw//xIxLHhbFhrMML1NPWez",
>       "comment": ""
>     }
>   ]
> }
$ netkit ssh-key known-hosts find -f known web
= 1
$ netkit ssh-key known-hosts remove -f known -p 2222 web
> known: 1 line
$ netkit ssh-key known-hosts remove -f known -p 2222 web
! netkit ssh-key known-hosts remove: known has no key of [web]:2222
= 1
$ netkit ssh-key known-hosts find -f absent web
! netkit ssh-key known-hosts find: cannot open absent: No such file or directory
= 1
$ netkit ssh-key scan 'a b'
! netkit ssh-key scan: 'a b' cannot be the name of a host
= 2
