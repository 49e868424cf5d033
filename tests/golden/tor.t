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
