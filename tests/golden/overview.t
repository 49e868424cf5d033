$ netkit help options
> options of every command, before or after its name:
>   -c, --config FILE         Configuration file, - for standard input. Without
>                             it: $NETKIT_CONFIG,
>                             $CREDENTIALS_DIRECTORY/netkit.ini,
>                             /etc/netkit/netkit.ini
>   -C, --set SECTION.KEY=VALUE
>                             Set one key of the configuration, as in -C
>                             'relay.header_size=12' or -C 'group
>                             jobs.max_count=4' (may be repeated)
>       --state-dir DIR       Where netkit keeps credentials, logs and locks.
>                             Without it: $NETKIT_STATE_DIR, $STATE_DIRECTORY,
>                             /var/lib/netkit for root, else
>                             $XDG_STATE_HOME/netkit
>       --json                Results and errors as JSON
>       --progress auto|bar|plain|json|none
>                             How to show progress on stderr
>       --progress-fd N       Descriptor for --progress=json (0 to 65535; default
>                             2)
>   -q, --quiet               Log errors only
>   -v, --verbose             Log more; twice: everything
>       --log-format auto|text|json|journal
>                             Form of the log lines
>       --color auto|always|never
>                             Colours on a terminal
>       --yes                 Answer yes to every question
>       --dry-run             Show what would be done, change nothing
>       --no-input            Never ask; fail where an answer is needed
>       --timeout TIME        Give up after this time
>   -h, --help                Show this help
>   -V, --version             Show the version and what it was built from
$ netkit help exit-codes
> exit codes, the same for every command:
>   0       Success; a service that was asked to stop and finished its work
>   1       The operation failed, a check found problems, a health check says no
>   2       Wrong usage: unknown option, missing argument
>   69      The peer or service cannot be reached
>   70      Internal error
>   73      The output cannot be created
>   74      Reading or writing failed
>   75      Timeout, or in use by another instance: worth a retry
>   76      The peer broke the protocol
>   77      Authentication, verification or permission refused, unsafe file mode
>   78      Wrong configuration
>   126     The program to start is not executable
>   127     The program to start, or the netkit command, does not exist
>   128+N   Ended by signal N
$ netkit help nosuch
! netkit help: there is no command 'nosuch' (hint: see 'netkit --help')
= 127
$ netkit help config
> netkit config: one of the verbs below
>
> usage:
>   netkit config VERB ...
>
> verbs:
>   check                     Check the configuration without starting anything
>   init                      Print a commented netkit.ini to start from
>   keys                      List every key of netkit.ini with type, default and
>                             meaning
>   show                      Show the values in force
>
>   See also: netkit help options, netkit help exit-codes
$ netkit config help
> netkit config: one of the verbs below
>
> usage:
>   netkit config VERB ...
>
> verbs:
>   check                     Check the configuration without starting anything
>   init                      Print a commented netkit.ini to start from
>   keys                      List every key of netkit.ini with type, default and
>                             meaning
>   show                      Show the values in force
>
>   See also: netkit help options, netkit help exit-codes
$ netkit config help show
> netkit config show: Show the values in force
>
> usage:
>   netkit config show [--origin] [--json]
>
>   Every section that occurs, with the values that the file, the environment, -C
>   and the defaults add up to. Secrets are shown as ***.
>
> options:
>       --origin              Say where each value comes from
>
> examples:
>   netkit config show --origin   # with the place each value comes from
>
>   See also: netkit help options, netkit help exit-codes
$ netkit config --help
> netkit config: one of the verbs below
>
> usage:
>   netkit config VERB ...
>
> verbs:
>   check                     Check the configuration without starting anything
>   init                      Print a commented netkit.ini to start from
>   keys                      List every key of netkit.ini with type, default and
>                             meaning
>   show                      Show the values in force
>
>   See also: netkit help options, netkit help exit-codes
$ netkit --version | sed 's/ [0-9].*/ N/; s/(.*/(...)/; s/build.*/build X/'
> netkit N
> build X
> mbedtls N
> ring N
> libsodium N
> libuv N
> inih N
> yyjson N
> qrcodegen N
> zlib N
$ netkit -V hello | head -n 1 | sed 's/ [0-9].*/ N/'
> netkit N
$ netkit list -v | grep config
> config check             modules/service/cmd_config_check.c
> config init              modules/service/cmd_config_init.c
> config keys              modules/service/cmd_config_keys.c
> config show              modules/service/cmd_config_show.c
> ssh-key config           modules/ssh/cmd_ssh-key_config.c
$ netkit --list | grep config
> config check
> config init
> config keys
> config show
> ssh-key config
$ netkit licenses | grep -q 'Apache License' && echo yes
> yes
