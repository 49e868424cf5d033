# The control port: what is refused before anything is sent, and where nothing listens.

$ netkit tor info
! netkit tor info: too few arguments: netkit tor info KEY.. (hint: see 'netkit tor info --help')
= 2
$ netkit tor info version --control /nowhere/control
! netkit tor info: unix:/nowhere/control: No such file or directory (hint: there is no such socket: is the other program running?)
= 69
$ netkit tor wait sunrise
! netkit tor wait: 'sunrise': wait for `bootstrap` or `circuit`
= 2
$ netkit tor cmd --control unix: 'GETINFO version'
! netkit tor cmd: 'unix:': the path of the socket is missing
= 78
$ netkit tor hash-password --no-input
! netkit tor hash-password: --no-input needs --password-file or --password-fd
= 2
$ netkit tor info '' --control /nowhere/control
! netkit tor info: '' is no key of GETINFO
= 2
$ netkit tor info 'a b' --control /nowhere/control
! netkit tor info: 'a b' is no key of GETINFO
= 2
$ netkit tor signal 'a b' --control /nowhere/control
! netkit tor signal: 'a b' is no signal
= 2
$ netkit tor cmd '' --control /nowhere/control
! netkit tor cmd: an empty line is no command
= 2
$ netkit tor cmd 'GETINFO version' - --control /nowhere/control
! netkit tor cmd: '-' stands alone
= 2
$ netkit tor cmd '+GETINFO version' --control /nowhere/control
! netkit tor cmd: '+' in front of a command announces data; none are given
= 2
$ netkit tor connect --circuit a,,b a.test:80 --control /nowhere/control
! netkit tor connect: 'a,,b' is no path of relays (hint: nicknames or fingerprints with commas between, '*' for any: guard1,*,exit2)
= 2
$ netkit tor resolve --isolate '' a.test --control /nowhere/control
! netkit tor resolve: tor: isolate= has 1 to 255 bytes
= 2
