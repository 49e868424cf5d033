# Clients' keys for restricted onion services, as far as no tor is needed.
$ netkit onion auth --help
> netkit onion auth: one of the verbs below
>
> usage:
>   netkit onion auth VERB ...
>
> verbs:
>   add                       Give tor a client's key for a restricted onion
>                             service
>   list                      List the clients' keys for onion services that tor
>                             has
>   remove                    Take clients' keys for onion services out of tor
>
>   See also: netkit help options, netkit help exit-codes
$ printf 'x25519:ez4+lmZb758VcyTXQ9YsG9TTcDPcFqWlms7Ji8dFJEI=' | netkit onion auth add --key -
! netkit onion auth add: the key does not say for which service it is: give ADDRESS
= 2
$ netkit onion auth add
! netkit onion auth add: which service? Give ADDRESS, or a key by --key
= 2
$ netkit onion auth add aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead.onion --state-dir state
! netkit onion auth add: there is no key for aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead.onion in netkit's keystores (hint: 'netkit hsc generate-key --hsid aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead.onion' makes one, 'netkit hsc import' takes one over, --key reads one)
= 1
$ netkit onion auth add expyuzz4wqqyqhjn.onion
! netkit onion auth add: 'expyuzz4wqqyqhjn' is an address of version 2; such services ended in 2021, and tor cannot reach them any more
= 1
$ printf 'HidServAuth expyuzz4wqqyqhjn.onion AAAAAAAAAAAAAAAAAAAAAA' | netkit onion auth add --key -
! netkit onion auth add: standard input: contents: client authorization of version 2 (HidServAuth, basic and stealth); such services ended in 2021, and tor has no use for its cookies (hint: version 3 has a key pair for each client: 'netkit hsc generate-key' makes one for the address that the service has now)
= 1
$ printf 'x25519:ez4+lmZb758VcyTXQ9YsG9TTcDPcFqWlms7Ji8dFJEI=' | netkit onion auth add aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead --key - --dry-run
$ netkit onion auth add --key a --keystore b
! netkit onion auth add: --key and --keystore are two places for one key
= 2
$ netkit onion auth remove
! netkit onion auth remove: too few arguments: netkit onion auth remove ADDRESS.. (hint: see 'netkit onion auth remove --help')
= 2
$ netkit onion auth list a b
! netkit onion auth list: unexpected argument 'b' (hint: see 'netkit onion auth list --help')
= 2

# Clients of a service that nobody runs.
$ netkit onion clients web --state-dir state
! netkit onion clients: an onion service of this name is not running in state/onion/web (hint: NAME is of [onion NAME] or 'onion add --name NAME'; in a directory of tor: 'hs auth', then 'hs apply'; detached without a name: delete it, then add it with --key, --client-auth and --name)
= 69
$ netkit onion clients web steal alice
! netkit onion clients: 'steal': list, add or remove?
= 2
$ netkit onion clients web add alice
! netkit onion clients: what is needed: add CLIENT PUB
= 2
$ netkit onion clients web add alice 'HidServAuth expyuzz4wqqyqhjn.onion AAAAAAAAAAAAAAAAAAAAAA'
! netkit onion clients: contents: client authorization of version 2 (HidServAuth, basic and stealth); such services ended in 2021, and tor has no use for its cookies (hint: version 3 has a key pair for each client: 'netkit hsc generate-key' makes one for the address that the service has now)
= 1
$ netkit onion clients web add alice aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
! netkit onion clients: the line: the X25519 public key is zero: everybody could use such an authorization
= 1
$ netkit onion clients web add zz-netkit-lock beaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa --state-dir state
! netkit onion clients: an onion service of this name is not running in state/onion/web (hint: NAME is of [onion NAME] or 'onion add --name NAME'; in a directory of tor: 'hs auth', then 'hs apply'; detached without a name: delete it, then add it with --key, --client-auth and --name)
= 69
$ netkit onion clients aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead.onion list
! netkit onion clients: 'aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead.onion' is no name of a service that netkit has (hint: NAME is of [onion NAME] or 'onion add --name NAME'; in a directory of tor: 'hs auth', then 'hs apply'; detached without a name: delete it, then add it with --key, --client-auth and --name)
= 2
