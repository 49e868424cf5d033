# Keys of onion services: one seed in all its forms, and what is refused.

$ printf '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n' | netkit hs convert --from seed - --to pem -o key.pem
> key.pem
$ cat key.pem
> -----BEGIN PRIVATE KEY-----
> MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f
> -----END PRIVATE KEY-----
$ stat -c %a key.pem
> 600
$ netkit hs address key.pem
> aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead.onion
$ netkit hs convert key.pem --to ctor-dir -o web
> web
$ stat -c '%a %n' web web/*
> 700 web
> 600 web/hostname
> 600 web/hs_ed25519_public_key
> 600 web/hs_ed25519_secret_key
$ netkit hs show web
> web/hs_ed25519_secret_key
>   kind         identity of a service
>   form         ctor-secret: tor's secret key file, 96 bytes
>   address      aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead.onion
>   public       03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8
>   scalar       clamped
>   secret       not shown; --reveal shows it
$ netkit hs show --reveal key.pem
> key.pem
>   kind         identity of a service
>   form         pem: PKCS#8: an Ed25519 seed or an X25519 private key
>   address      aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead.onion
>   public       03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8
>   scalar       clamped
>   secret       3894eea49c580aef816935762be049559d6d1440dede12e6a125f1841fff8e6fa9d71862a3e5746b571be3d187b0041046f52ebd850c7cbd5fde8ee38473b649
>   seed         000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
$ netkit hs convert web --to control -o -
> ED25519-V3:OJTupJxYCu+BaTV2K+BJVZ1tFEDe3hLmoSXxhB//jm+p1xhio+V0a1cb49GHsAQQRvUuvYUMfL1f3o7jhHO2SQ==
$ netkit hs convert web --to yaml -o -
> ---
> hostname: aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead.onion
> hs_ed25519_public_key: PT0gZWQyNTUxOXYxLXB1YmxpYzogdHlwZTAgPT0AAAADoQe/884Qvh1w3RjnS8CZZ+TWMJulDV8d3IZkElUxuA==
> hs_ed25519_secret_key: PT0gZWQyNTUxOXYxLXNlY3JldDogdHlwZTAgPT0AAAA4lO6knFgK74FpNXYr4ElVnW0UQN7eEuahJfGEH/+Ob6nXGGKj5XRrVxvj0YewBBBG9S69hQx8vV/ejuOEc7ZJ
$ netkit hs convert web --to base64-file -o -
> PT0gZWQyNTUxOXYxLXNlY3JldDogdHlwZTAgPT0AAAA4lO6knFgK74FpNXYr4ElVnW0UQN7eEuahJfGEH/+Ob6nXGGKj5XRrVxvj0YewBBBG9S69hQx8vV/ejuOEc7ZJ
$ netkit hs convert web --to arti -o -
> -----BEGIN OPENSSH PRIVATE KEY-----
> b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAATAAAACRlZDI1NT
> E5LWV4cGFuZGVkQHNwZWMudG9ycHJvamVjdC5vcmcAAAAgA6EHv/POEL4dcN0Y50vAmWfk
> 1jCbpQ1fHdyGZBJVMbgAAACg4oVYmuKFWJoAAAAkZWQyNTUxOS1leHBhbmRlZEBzcGVjLn
> RvcnByb2plY3Qub3JnAAAAIAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4AAAA
> QKqcK3f+BZzee7xnpPMEENicbRRA3t4S5qEl8YQf/44PqdcYYqPldGtXG+PRh7AEEEb1Lr
> 2FDHy9X96O44RztkkAAAAAAQIDBA==
> -----END OPENSSH PRIVATE KEY-----
$ netkit hs convert key.pem --to openssh -o -
> -----BEGIN OPENSSH PRIVATE KEY-----
> b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
> QyNTUxOQAAACADoQe/884Qvh1w3RjnS8CZZ+TWMJulDV8d3IZkElUxuAAAAIgAAAAAAAAA
> AAAAAAtzc2gtZWQyNTUxOQAAACADoQe/884Qvh1w3RjnS8CZZ+TWMJulDV8d3IZkElUxuA
> AAAEAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHwOhB7/zzhC+HXDdGOdLwJln
> 5NYwm6UNXx3chmQSVTG4AAAAAAECAwQF
> -----END OPENSSH PRIVATE KEY-----
$ netkit hs convert web --to arti-public
> ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4
$ netkit hs convert web --to pem-public
> -----BEGIN PUBLIC KEY-----
> MCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=
> -----END PUBLIC KEY-----
$ netkit hs convert web --to hex-public
> 03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8
$ netkit --json hs convert web --to hex -o secret.hex
> [
>   {
>     "source": "web/hs_ed25519_secret_key",
>     "from": "ctor-secret",
>     "to": "hex",
>     "kind": "identity",
>     "address": "aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead.onion",
>     "public": "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8",
>     "output": "secret.hex"
>   }
> ]
$ netkit hs convert secret.hex --to hostname
> aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead.onion
$ netkit hs convert web --to ctor-dir -o web
! netkit hs convert: web has a key already (hint: netkit hs show web shows it)
= 73
$ netkit hs convert web --to control -o key.pem
! netkit hs convert: key.pem exists, and stays as it is
= 73
$ netkit hs convert web --to control
! netkit hs convert: the form 'control' holds secrets: --output says where they go (hint: a new file, or - for standard output)
= 2
$ netkit hs convert web --to pem -o -
! netkit hs convert: web/hs_ed25519_secret_key: the form 'pem' holds the seed, and this is an expanded key, from which nobody can compute it
= 1
$ netkit hs convert web/hs_ed25519_public_key --to control -o -
! netkit hs convert: web/hs_ed25519_public_key: the form 'control' holds the secret half, and this is a public key: nobody can compute the one from the other
= 1
$ netkit hs convert web --to auth
! netkit hs convert: web/hs_ed25519_secret_key: the form 'auth' holds keys of clients, and this is a service's identity
= 1
$ netkit hs convert web --to ctor-dir -o -
! netkit hs convert: 'ctor-dir' is a directory, not standard output
= 2
$ netkit hs convert web --to nothing -o -
! netkit hs convert: --to: 'nothing' is not one of ctor-secret, ctor-public, hostname, arti, arti-public, openssh, control, yaml, yaml-raw, pem, pem-public, auth, auth-private, seed, hex, hex-public, base64, base64-file, base64-public, base32,
= 2
$ netkit hs convert web
! netkit hs convert: --to is required
= 2

# A client's key.
$ printf 'x25519:ez4+lmZb758VcyTXQ9YsG9TTcDPcFqWlms7Ji8dFJEI=' | netkit hs show -
> standard input
>   kind         a client's key for a service
>   form         control: a key as tor's control port takes it: ED25519-V3:.. or x25519:..
>   public       8532418bc14aa1e65a02773faa81fad6dc74db9dac5afba41bf7a497bc36834c
>   line         descriptor:x25519:QUZEDC6BJKQ6MWQCO472VAP223OHJW45VRNPXJA366SJPPBWQNGA
>   fingerprint  w2p4etcc
>   secret       not shown; --reveal shows it
$ printf 'x25519:ez4+lmZb758VcyTXQ9YsG9TTcDPcFqWlms7Ji8dFJEI=' | netkit hs convert - --to auth
> descriptor:x25519:QUZEDC6BJKQ6MWQCO472VAP223OHJW45VRNPXJA366SJPPBWQNGA
$ printf 'x25519:ez4+lmZb758VcyTXQ9YsG9TTcDPcFqWlms7Ji8dFJEI=' | netkit hs convert - --to auth-private -o -
! netkit hs convert: standard input: an .auth_private line names the service, and its address is not known (hint: give it: --address ADDRESS)
= 1
$ printf 'x25519:ez4+lmZb758VcyTXQ9YsG9TTcDPcFqWlms7Ji8dFJEI=' | netkit hs convert - --to client-dir -o clients --address aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead
> clients/aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead.auth_private
$ cat clients/*
> aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead:descriptor:x25519:pm7d5ftglpxz6fltetluhvrmdpkng4bt3qlkljm2z3eyxr2ferba
$ netkit hs convert clients --to keystore -o keystore/
> keystore/client/aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead/ks_hsc_desc_enc.x25519_private
$ netkit hs convert keystore --to auth-private -o -
> aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead:descriptor:x25519:pm7d5ftglpxz6fltetluhvrmdpkng4bt3qlkljm2z3eyxr2ferba
$ netkit hs address keystore clients
> aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead.onion
> aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead.onion
$ printf 'pm7d5ftglpxz6fltetluhvrmdpkng4bt3qlkljm2z3eyxr2ferba' | netkit hs convert - --to base32-public 2>/dev/null
> quzedc6bjkq6mwqco472vap223ohjw45vrnpxja366sjppbwqnga
$ printf '7b3e3e96665bef9f157324d743d62c1bd4d37033dc16a5a59acec98bc7452442' | netkit hs convert - --to auth
! netkit hs convert: standard input: 32 bytes: a client's private key, a seed, or a public key? They do not say (hint: say which: --from hex --kind client, --from seed, or --from hex-public)
= 1

# Addresses.
$ netkit hs address AOQQPP7TZYIL4HLQ3UMOOS6ATFT6JVRQTOSQ2XY53SDGIESVGG4BQEAD
> aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead.onion
$ netkit hs address expyuzz4wqqyqhjn.onion
! netkit hs address: 'expyuzz4wqqyqhjn' is an address of version 2; such services ended in 2021, and tor cannot reach them any more
= 1
$ netkit hs address aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqeae.onion
! netkit hs address: 'aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqeae' is of version 4; only version 3 (it ends in 'd') is known
= 1
$ netkit hs address boqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead
! netkit hs address: the checksum of 'boqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead' is wrong: some characters are mistyped
= 1
$ netkit hs address nothing-of-that-name
! netkit hs address: cannot open nothing-of-that-name: No such file or directory
= 1
$ netkit hs address
! netkit hs address: too few arguments: netkit hs address [--from FORM] FILE|DIR|ADDRESS|-.. (hint: see 'netkit hs address --help')
= 2
$ netkit hs new
! netkit hs new: where to? One of --dir, --keystore and --output is needed
= 2
$ netkit hs new --dir a --output b
! netkit hs new: where to? One of --dir, --keystore and --output is needed
= 2
$ netkit hs new -o x --to hostname
! netkit hs new: the form 'hostname' has no secret half: the key would be lost
= 2
$ netkit hs new --dir web
! netkit hs new: web has a key already (hint: netkit hs show web shows it)
= 73
$ netkit hs new --keystore keystore
! netkit hs new: an identity in arti's keystore has the service's name (hint: --nickname NAME gives it)
= 2
