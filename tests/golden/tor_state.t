# What tor is doing: lines that are wrong before any tor is asked, and what the helps say.

$ netkit tor circuits list extra
! netkit tor circuits list: unexpected argument 'extra' (hint: see 'netkit tor circuits list --help')
= 2
$ netkit tor circuits close
! netkit tor circuits close: too few arguments: netkit tor circuits close ID.. [--if-unused] (hint: see 'netkit tor circuits close --help')
= 2
$ netkit tor circuits close '1 IfUnused' --control /nowhere/control
! netkit tor circuits close: '1 IfUnused' is no circuit
= 2
$ netkit tor circuits extend 5
! netkit tor circuits extend: too few arguments: netkit tor circuits extend ID PATH (hint: see 'netkit tor circuits extend --help')
= 2
$ netkit tor circuits build ,,
! netkit tor circuits build: ',,' is no path of relays (hint: nicknames or fingerprints with commas between, '*' for any: guard1,*,exit2)
= 2
$ netkit tor circuits build r1,r2,r3,r4,r5,r6,r7,r8,r9
! netkit tor circuits build: 'r1,r2,r3,r4,r5,r6,r7,r8,r9' has more than 8 relays (hint: nicknames or fingerprints with commas between, '*' for any: guard1,*,exit2)
= 2
$ netkit tor circuits build --purpose
! netkit tor circuits build: --purpose needs a value: PURPOSE (hint: see 'netkit tor circuits build --help')
= 2
$ netkit tor circuits melt
! netkit: there is no command 'tor circuits melt' (hint: see 'netkit tor circuits --help')
= 127
$ netkit tor circuits --filter status
! netkit tor circuits: 'status' is no condition (hint: FIELD=VALUE, FIELD!=VALUE or FIELD~PART; '|' stands between alternatives)
= 2
$ netkit tor streams close
! netkit tor streams close: too few arguments: netkit tor streams close ID.. [--reason N] (hint: see 'netkit tor streams close --help')
= 2
$ netkit tor streams close 5 --reason no
! netkit tor streams close: --reason: 'no' is not a whole number
= 2
$ netkit tor streams attach 5
! netkit tor streams attach: too few arguments: netkit tor streams attach STREAM CIRCUIT [--hop N] (hint: see 'netkit tor streams attach --help')
= 2
$ netkit tor streams redirect 5
! netkit tor streams redirect: too few arguments: netkit tor streams redirect STREAM ADDRESS [PORT] (hint: see 'netkit tor streams redirect --help')
= 2
$ netkit tor streams melt
! netkit: there is no command 'tor streams melt' (hint: see 'netkit tor streams --help')
= 127
$ netkit tor guards extra
! netkit tor guards: unexpected argument 'extra' (hint: see 'netkit tor guards --help')
= 2
$ netkit tor guards --bogus
! netkit tor guards: unknown option '--bogus' (hint: see 'netkit tor guards --help')
= 2
$ netkit tor guards --control /nowhere/control
! netkit tor guards: unix:/nowhere/control: No such file or directory (hint: there is no such socket: is the other program running?)
= 69
$ netkit tor relays --flag
! netkit tor relays: --flag needs a value: FLAG (hint: see 'netkit tor relays --help')
= 2
$ netkit tor relays --country
! netkit tor relays: --country needs a value: CC (hint: see 'netkit tor relays --help')
= 2
$ netkit tor relays --json=5
! netkit tor relays: --json takes no value (hint: see 'netkit tor relays --help')
= 2
$ netkit tor map state.example
! netkit tor map: 'state.example' is no mapping FROM=TO
= 2
$ netkit tor map --control unix: a.example=b.example
! netkit tor map: 'unix:': the path of the socket is missing
= 78
$ netkit tor events bw -n x
! netkit tor events: --count: 'x' is not a whole number
= 2
$ netkit tor events bw --timeout soon
! netkit tor events: --timeout: 'soon' is not a duration such as 250ms, 15s, 2m, 1h or 3d (hint: see 'netkit tor events --help')
= 2
$ netkit tor events bw --filter event
! netkit tor events: 'event' is no condition (hint: FIELD=VALUE, FIELD!=VALUE or FIELD~PART; '|' stands between alternatives)
= 2
$ netkit tor events bw --control /nowhere/control --json
! {"schema":1,"level":"error","command":"tor events","code":"ECONNREFUSED","exit":69,"message":"unix:/nowhere/control: No such file or directory","hint":"there is no such socket: is the other program running?"}
= 69
$ netkit tor circuits --help | head -n 4
> netkit tor circuits: Show tor's circuits (same as 'circuits list')
>
> usage:
>   netkit tor circuits [--filter CONDITION]..
$ netkit tor circuits list --help | head -n 4
> netkit tor circuits list: Show tor's circuits
>
> usage:
>   netkit tor circuits list [--filter CONDITION]..
$ netkit tor circuits build --help | head -n 4
> netkit tor circuits build: Make a circuit and wait until it is built
>
> usage:
>   netkit tor circuits build [auto|PATH] [--purpose P]
$ netkit tor circuits extend --help | head -n 4
> netkit tor circuits extend: Make a circuit longer and wait until it is built
>
> usage:
>   netkit tor circuits extend ID PATH
$ netkit tor circuits close --help | head -n 4
> netkit tor circuits close: Close circuits of tor
>
> usage:
>   netkit tor circuits close ID.. [--if-unused]
$ netkit tor streams --help | head -n 4
> netkit tor streams: Show tor's streams (same as 'streams list')
>
> usage:
>   netkit tor streams [--filter CONDITION]..
$ netkit tor streams attach --help | head -n 4
> netkit tor streams attach: Attach a stream that waits for a controller to a circuit
>
> usage:
>   netkit tor streams attach STREAM CIRCUIT [--hop N]
$ netkit tor streams close --help | head -n 4
> netkit tor streams close: Close streams of tor
>
> usage:
>   netkit tor streams close ID.. [--reason N]
$ netkit tor streams redirect --help | head -n 4
> netkit tor streams redirect: Give a stream that is not attached yet another destination
>
> usage:
>   netkit tor streams redirect STREAM ADDRESS [PORT]
$ netkit tor guards --help | head -n 4
> netkit tor guards: Show the relays through which tor enters its network
>
> usage:
>   netkit tor guards [--filter CONDITION]..
$ netkit tor relays --help | head -n 4
> netkit tor relays: Show the relays that tor knows
>
> usage:
>   netkit tor relays [NAME..] [--flag FLAG].. [--country CC]
$ netkit tor map --help | head -n 4
> netkit tor map: Show or make tor's address mappings
>
> usage:
>   netkit tor map [FROM=TO..] [--filter CONDITION]..
$ netkit tor events --help | head -n 4
> netkit tor events: Show tor's events as they come
>
> usage:
>   netkit tor events [TYPE..] [--filter CONDITION]..
$ netkit tor events 'CI RC' --control /nowhere/control
! netkit tor events: 'CI RC' is no event of tor
= 2
$ netkit tor events '' --control /nowhere/control
! netkit tor events: '' is no event of tor
= 2
$ netkit tor events circ -n 0 --control /nowhere/control
! netkit tor events: --count: '0' is not between 1 and 9223372036854775807
= 2
$ netkit tor events circ all --control /nowhere/control
! netkit tor events: 'all' stands alone
= 2
$ netkit tor map =b --control /nowhere/control
! netkit tor map: '=b' is no mapping FROM=TO
= 2
$ netkit tor map a= --control /nowhere/control
! netkit tor map: 'a=' is no mapping FROM=TO
= 2
$ netkit tor map a=b=c --control /nowhere/control
! netkit tor map: 'a=b=c' is no mapping FROM=TO
= 2
$ netkit tor map a=b --filter address=x --control /nowhere/control
! netkit tor map: --filter is for what tor has mapped
= 2
$ netkit tor streams attach x 1 --control /nowhere/control
! netkit tor streams attach: 'x' is no stream
= 2
$ netkit tor --control /nowhere/control streams attach 1 -- -1
! netkit tor streams attach: '-1' is no circuit
= 2
$ netkit tor streams attach 12345678901234567 1 --control /nowhere/control
! netkit tor streams attach: '12345678901234567' is no stream
= 2
$ netkit tor streams redirect 1 host.example 65536 --control /nowhere/control
! netkit tor streams redirect: '65536' is no port
= 2
$ netkit tor streams redirect 0 host.example --control /nowhere/control
! netkit tor streams redirect: '0' is no stream
= 2
$ netkit tor streams close 1-2 --control /nowhere/control
! netkit tor streams close: '1-2' is no stream
= 2
$ netkit tor circuits build auto --purpose bogus --control /nowhere/control
! netkit tor circuits build: 'bogus': a purpose is general or controller
= 2
$ netkit tor circuits extend x r1 --control /nowhere/control
! netkit tor circuits extend: 'x' is no circuit
= 2
$ netkit tor circuits extend 0 r1 --control /nowhere/control
! netkit tor circuits extend: '0' is no circuit
= 2
$ netkit tor circuits close 01 --control /nowhere/control
! netkit tor circuits close: '01' is no circuit
= 2
