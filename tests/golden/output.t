# What cannot be written is reported.

$ netkit --help >/dev/full
! netkit: writing to standard output failed: No space left on device
= 74
$ netkit --version >/dev/full
! netkit: writing to standard output failed: No space left on device
= 74
$ netkit --list >/dev/full
! netkit: writing to standard output failed: No space left on device
= 74
$ netkit hello >/dev/full
! netkit hello: writing to standard output failed: No space left on device
= 74
$ netkit --version >&-
! netkit: writing to standard output failed: Bad file descriptor
= 74
$ netkit help >&-
! netkit help: writing to standard output failed: Bad file descriptor
= 74
$ netkit hello >&- 2>&-
= 74
$ netkit hello <&-
> hello, world
$ netkit list | :
