# How the program finds out which command it is.

$ for n in hello nk-hello netkit-hello -hello hello.exe nk-hello.exe; do ln -s ../bin/netkit ./"$n"; done
$ ./hello
> hello, world
$ ./nk-hello
> hello, world
$ ./netkit-hello
> hello, world
$ ./-hello
> hello, world
$ ./hello.exe
> hello, world
$ ./nk-hello.exe
> hello, world
$ PATH=$PWD:$PATH nk-hello you
> hello, you

# A renamed program takes its first words.
$ for n in app init netkit-1.2 NK-HELLO nk-nosuch; do ln -s ../bin/netkit ./"$n"; done
$ ./app hello
> hello, world
$ ./init hello
> hello, world
$ ./netkit-1.2 hello
> hello, world
$ ./NK-HELLO hello
> hello, world
$ ./nk-nosuch hello
> hello, world
$ ./app nosuch
! netkit: there is no command 'nosuch' (hint: see 'netkit --help')
= 127

# Words of a name: spaces, or hyphens as in a link.
$ netkit config-init nosuch
! netkit config init: netkit.ini has no section 'nosuch' (hint: 'netkit config keys' lists the sections)
= 2
$ ln -s ../bin/netkit nk-config; ./nk-config init nosuch
! netkit config init: netkit.ini has no section 'nosuch' (hint: 'netkit config keys' lists the sections)
= 2

# Unknown names.
$ netkit helo
! netkit: there is no command 'helo' (hint: did you mean 'help'?)
= 127
$ netkit xyzzy
! netkit: there is no command 'xyzzy' (hint: see 'netkit --help')
= 127
$ netkit ''
! netkit: there is no command '' (hint: see 'netkit --help')
= 127
$ netkit config
! netkit config: a verb is missing (hint: see 'netkit config --help')
= 2
$ netkit config chek
! netkit: there is no command 'config chek' (hint: did you mean 'config check'?)
= 127
$ netkit config check extra
! netkit config check: unexpected argument 'extra' (hint: see 'netkit config check --help')
= 2
$ netkit -- hello
! netkit: a command's name stands before '--' (hint: see 'netkit --help')
= 2
$ netkit --json helo
! {"schema":1,"level":"error","command":"","code":"NK_ENOCMD","exit":127,"message":"there is no command 'helo'","hint":"did you mean 'help'?"}
= 127

# Without any name at all (only execve can do that).
$ bash -c 'exec -a "" ../bin/netkit'
! netkit: usage: netkit COMMAND [OPTION].. [ARGUMENT].. (hint: see 'netkit --help')
= 2
$ bash -c 'exec -a "" ../bin/netkit hello'
> hello, world

