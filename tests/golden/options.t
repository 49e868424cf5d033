# GNU option rules.

$ netkit hello --greeting hi
> hi, world
$ netkit hello --greeting=hi
> hi, world
$ netkit hello -g hi
> hi, world
$ netkit hello -ghi
> hi, world
$ netkit hello you -n2
> hello, you
> hello, you
$ netkit hello -- -n
> hello, -n
$ netkit hello -
> hello, -
$ netkit -q hello -v
> hello, world
$ netkit hello --gretting=hi
! netkit hello: unknown option '--gretting' (hint: did you mean '--greeting'?)
= 2
$ netkit hello --greet=hi
! netkit hello: unknown option '--greet' (hint: see 'netkit hello --help')
= 2
$ netkit hello -x
! netkit hello: unknown option '-x' (hint: see 'netkit hello --help')
= 2
$ netkit hello -g
! netkit hello: --greeting needs a value: TEXT (hint: see 'netkit hello --help')
= 2
$ netkit hello -g a --greeting b
! netkit hello: --greeting is given twice (hint: see 'netkit hello --help')
= 2
$ netkit hello -n many
! netkit hello: --times: 'many' is not a whole number
= 2
$ netkit hello --json=yes
! netkit hello: --json takes no value (hint: see 'netkit hello --help')
= 2
$ netkit hello --color sometimes
! netkit hello: --color: 'sometimes' is not one of auto, always, never (hint: see 'netkit hello --help')
= 2
$ netkit hello --timeout 5x
! netkit hello: --timeout: '5x' is not a duration such as 250ms, 15s, 2m, 1h or 3d (hint: see 'netkit hello --help')
= 2
$ netkit --json hello -n 101
! {"schema":1,"level":"error","command":"hello","code":"NK_EUSAGE","exit":2,"message":"--times: '101' is not between 1 and 100","hint":null}
= 2
$ netkit hello --nonsense --help | head -n 1
> netkit hello: Say hello: the template for new commands
$ netkit --help hello | head -n 1
> netkit hello: Say hello: the template for new commands
$ netkit hello -V | head -n 1 | sed 's/[0-9].*/N/'
> netkit N
