# The template's own test: copy it for a new command.

$ netkit hello
> hello, world
$ netkit hello --times=2 -g hi you
> hi, you
> hi, you
$ netkit hello -n 0
! netkit hello: --times: '0' is not between 1 and 100
= 2
$ netkit hello a b
! netkit hello: unexpected argument 'b' (hint: see 'netkit hello --help')
= 2
$ netkit help hello
> netkit hello: Say hello: the template for new commands
>
> usage:
>   netkit hello [-g TEXT] [-n N] [NAME]
>
> options:
>   -g, --greeting TEXT       What to say (default hello)
>   -n, --times N             How often (1 to 100; default 1)
>
> examples:
>   netkit hello -n 2 you   # say it twice
>
>   See also: netkit help options, netkit help exit-codes
