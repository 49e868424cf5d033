# SSH keys: what they are, and what is refused.

$ netkit ssh-key gen --help
> netkit ssh-key gen: Make a key pair for SSH
>
> usage:
>   netkit ssh-key gen [-t TYPE] [-b N] [--comment TEXT] [-o FILE]
>       [--no-passphrase]
>
>   Writes the private key, in OpenSSH's form and readable by its owner alone, to
>   FILE, and the public one to FILE.pub: the line for authorized_keys, which is
>   printed, too. Existing files are never replaced without --force, and either
>   both are written or neither. The passphrase is asked for on the terminal.
>
> options:
>   -t, --type TYPE           Kind of key (default ed25519)
>   -b, --bits N              Size: of ecdsa 256 (the default), 384 or 521, of rsa
>                             3072 (the default), 2048 to 8192 (0 to 8192)
>       --comment TEXT        Comment; $USER@HOST without it
>   -o, --output FILE         File of the private key, FILE.pub that of the public
>                             one; ~/.ssh/id_TYPE without it
>       --passphrase-file FILE
>                             The passphrase is the line in this file ('-':
>                             standard input)
>       --passphrase-fd N     The passphrase is the first line that comes from
>                             this descriptor (-1 to 1048576; default -1)
>       --no-passphrase       Do not encrypt the private key
>       --rounds N            Rounds of bcrypt that each try of a passphrase costs
>                             (1 to 4096; default 24)
>       --force               Replace existing files
>
> examples:
>   netkit ssh-key gen
>   netkit ssh-key gen -t rsa -b 4096 --passphrase-file pass -o backup
>
>   See also: netkit help options, netkit help exit-codes
$ printf 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me\n' > key.pub
$ netkit ssh-key check key.pub
> key.pub
>   kind         public key
>   form         OpenSSH
>   type         ssh-ed25519
>   bits         256
>   sha256       SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA
>   md5          MD5:0f:a2:0a:d7:38:3e:65:45:08:6b:63:84:1c:ff:dc:ba
>   comment      me
$ netkit ssh-key check --json key.pub
> [
>   {
>     "file": "key.pub",
>     "kind": "public key",
>     "form": "OpenSSH",
>     "type": "ssh-ed25519",
>     "bits": 256,
>     "sha256": "SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA",
>     "md5": "MD5:0f:a2:0a:d7:38:3e:65:45:08:6b:63:84:1c:ff:dc:ba",
>     "comment": "me",
>     "encrypted": null,
>     "problem": null
>   }
> ]
$ printf -- '---- BEGIN SSH2 PUBLIC KEY ----\nComment: "a key"\nAAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n---- END SSH2 PUBLIC KEY ----\n' > rfc4716
$ netkit ssh-key import rfc4716
> ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f a key
$ printf -- '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END PRIVATE KEY-----\n' > key.pem; chmod 600 key.pem
$ netkit ssh-key import key.pem
! netkit ssh-key import: key.pem: a private key is written with --output only
= 2
$ netkit ssh-key import key.pem -o id
$ stat -c %a id
> 600
$ head -1 id
> -----BEGIN OPENSSH PRIVATE KEY-----
$ netkit ssh-key check id key.pem
> id
>   kind         private key
>   form         OpenSSH
>   type         ssh-ed25519
>   bits         256
>   sha256       SHA256:lbmsoA0yIEcEiVDRnMWuzm+nV+3ZEEpVIURqFoeSspg
>   md5          MD5:f1:02:17:de:ef:c1:30:83:11:8b:82:a0:0e:67:7f:d5
>   encrypted    no
> key.pem
>   kind         private key
>   form         PKCS#8
>   type         ssh-ed25519
>   bits         256
>   sha256       SHA256:lbmsoA0yIEcEiVDRnMWuzm+nV+3ZEEpVIURqFoeSspg
>   md5          MD5:f1:02:17:de:ef:c1:30:83:11:8b:82:a0:0e:67:7f:d5
>   encrypted    no
$ netkit ssh-key import key.pem -o id
! netkit ssh-key import: id exists, and stays as it is
= 73
$ chmod 644 id; netkit ssh-key check id
> id
>   kind         private key
>   form         OpenSSH
>   type         ssh-ed25519
>   bits         256
>   sha256       SHA256:lbmsoA0yIEcEiVDRnMWuzm+nV+3ZEEpVIURqFoeSspg
>   md5          MD5:f1:02:17:de:ef:c1:30:83:11:8b:82:a0:0e:67:7f:d5
>   encrypted    no
>   problem      secret file id (owner uid 0, mode 0644) can be read by others
! netkit ssh-key check: secret file id (owner uid 0, mode 0644) can be read by others (hint: chmod 600 id)
= 77
$ echo nothing > none; netkit ssh-key check none
! netkit ssh-key check: none: there is no public key, or it is malformed
= 1
$ netkit ssh-key gen -b 100 --no-passphrase -o x
! netkit ssh-key gen: there is no key of type ed25519 with 100 bits
= 2
$ netkit ssh-key gen -o x
! netkit ssh-key gen: there is no terminal to ask for the passphrase (hint: use --passphrase-file, --passphrase-fd or --no-passphrase)
= 2
