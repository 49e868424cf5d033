/* SPDX-License-Identifier: MIT */
/* Keys made for these tests with ssh-keygen 9.2 and OpenSSL 3.0, the encrypted ones with few
 * rounds.
 */
#include "ssh/key_testkit.h"

#include <string.h>

const struct ssh_key_sample ssh_key_samples[] = {
    {"plain", NULL, "ssh-ed25519", "OpenSSH",
     "-----BEGIN OPENSSH PRIVATE KEY-----\n"
     "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
     "QyNTUxOQAAACDln8Dwa6SInKel7Jy9iHzZHh8yqqiUEOjgUKUXxHxsygAAAIiNNfENjTXx\n"
     "DQAAAAtzc2gtZWQyNTUxOQAAACDln8Dwa6SInKel7Jy9iHzZHh8yqqiUEOjgUKUXxHxsyg\n"
     "AAAEBIVSqLnZBq0RwO2kJ37gX3fp+1CbnYrfZap+44ROSHKuWfwPBrpIicp6XsnL2IfNke\n"
     "HzKqqJQQ6OBQpRfEfGzKAAAABXBsYWlu\n"
     "-----END OPENSSH PRIVATE KEY-----\n"},
    {"ctr", "secret", "ssh-ed25519", "OpenSSH",
     "-----BEGIN OPENSSH PRIVATE KEY-----\n"
     "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABCcQYhUFu\n"
     "6TYwAnO24TqXQrAAAAAQAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIKbwICsHFmwUiVBE\n"
     "xyAcb3NOPTZBXe4ocgO4agv80RuZAAAAkNouZt4mO2nJCopfRHvHKDBzpQAGFflrnDIn3N\n"
     "MOimlHY6W78ofaOphDTgobidyp6nNpI+Haw5xxuUL2zjw9CANumFG1C+R1JTaV+Fdzjn1b\n"
     "g8z/tDNr0itn6PFMajkNEuqwBbd8Ym7aFXgbcl/UEaFcI9ZY4RBsUpX8rP9FebSlYkWI4o\n"
     "wNIHGORMv207wdwA==\n"
     "-----END OPENSSH PRIVATE KEY-----\n"},
    {"cbc", "secret", "ssh-ed25519", "OpenSSH",
     "-----BEGIN OPENSSH PRIVATE KEY-----\n"
     "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jYmMAAAAGYmNyeXB0AAAAGAAAABCBJ+534B\n"
     "DLtxrkIoZeLwSqAAAAAQAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAICVjyV260ZSJ7gkw\n"
     "499xgezo5iDUrUfQzsaxu7KiSLSOAAAAkM7HS1cidc7vC2qMwX7P4/QMrt7R6T2dlpnRPt\n"
     "HDKDkI0nwOUpx7kvyW9bV7rUtVQxUUkfmIminX4vRBk98qY8Q7c0n9UNmCfJeD1QDw0gBr\n"
     "388uBB0P7G2F5L6k386WJ767s8m021jl4aVxsxATjEAJrdSn72v4hHqgjoAkVrcvWwGtcU\n"
     "Me1h33y1gouuFPQw==\n"
     "-----END OPENSSH PRIVATE KEY-----\n"},
    {"gcm256", "secret", "ssh-ed25519", "OpenSSH",
     "-----BEGIN OPENSSH PRIVATE KEY-----\n"
     "b3BlbnNzaC1rZXktdjEAAAAAFmFlczI1Ni1nY21Ab3BlbnNzaC5jb20AAAAGYmNyeXB0AA\n"
     "AAGAAAABBxfK230xz5ZXzotZNz6rqvAAAAAQAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAA\n"
     "IL1GIMepcCM/PSYscDSAe95RTftKSPORhZ96BcAdN7MYAAAAoGYMydPPDxitCtXpajHIR5\n"
     "TsN6J7HCWTj6Q2LsuUQycQSWIOXIA0A7BBVCOjTOXoO0rTqIdsDU05kM4/ZA5z/lAs8qjS\n"
     "j6Ejn59el+sW5yRyEG4QzQ8yd4m5FyNqJPhSHSLJHmqXzkp1pfOoc3v8VCd66E4M3HW+/Q\n"
     "Ar6LhYG3PRj2/cxupflMPJOuDsBoBFltt6MUQxPT9I6lQZlLSomhO5e7K2n06SDmNmzOid\n"
     "GQvo\n"
     "-----END OPENSSH PRIVATE KEY-----\n"},
    {"gcm128", "secret", "ssh-ed25519", "OpenSSH",
     "-----BEGIN OPENSSH PRIVATE KEY-----\n"
     "b3BlbnNzaC1rZXktdjEAAAAAFmFlczEyOC1nY21Ab3BlbnNzaC5jb20AAAAGYmNyeXB0AA\n"
     "AAGAAAABA6Xgub2nj8UVmpNzu5MfSNAAAAAQAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAA\n"
     "IG0vsyqZcgsWgteM0CF9TTLBkKp/BsjTZY40AwmVXkCPAAAAoNO2nytFJZacT7INWc4ADW\n"
     "zW6buLstsIu43/PrBgiBad/5/tZQ+lMLBkMObLoPXV+DLuv0F0sDVmuFs92AlKT9eRl2Im\n"
     "n0u9e2R4c9FBdZryVkfxdyqCH+yi+pWBFs9GufwS4y6cAvxQ2aTifSy2UGHF5FBQs7hLOY\n"
     "z/AL9PyGVGME72IbLPuVpu5y/aSwekk7n4ZJvJQOaj6SFCXW6Lg2y2gA0mN7JS3IkrRqge\n"
     "yIyV\n"
     "-----END OPENSSH PRIVATE KEY-----\n"},
    {"chacha", "secret", "ssh-ed25519", "OpenSSH",
     "-----BEGIN OPENSSH PRIVATE KEY-----\n"
     "b3BlbnNzaC1rZXktdjEAAAAAHWNoYWNoYTIwLXBvbHkxMzA1QG9wZW5zc2guY29tAAAABm\n"
     "JjcnlwdAAAABgAAAAQRDBMS2+nTUd4D9f4CHFAGAAAAAEAAAABAAAAMwAAAAtzc2gtZWQy\n"
     "NTUxOQAAACDN3dGmnqAiYohdnCgQHQe96wI6TpbQ0MKDT6Op5EfybAAAAKjpRL0SMnAtST\n"
     "7U5K/r5jbS5pXiM2UOEVN8zoBi8QOJ5IhmxIu81SBiS+njFkKC1hlLpi2ER75dOGWFwEj4\n"
     "oU0Gl7RuDWSsueNb+WV94oLk/Uh6CRJ4zWi6FIJn1w/OfshViVvHhKOLjUfxddz++pk9Jz\n"
     "eu7QaT94jonlBPcPip38fGLYa7DjYju2TcEsYrSUPub7eE+xPc/KX+JvYu5XcyuM3G13Ci\n"
     "EnwHQMJooE0lD6hbjEGNV1YM\n"
     "-----END OPENSSH PRIVATE KEY-----\n"},
    {"pkcs8", NULL, "ssh-ed25519", "PKCS#8",
     "-----BEGIN PRIVATE KEY-----\n"
     "MC4CAQAwBQYDK2VwBCIEIDGISlpTz5cZnbILkcc51/mAlmKjn8D8wglLrunCOUP2\n"
     "-----END PRIVATE KEY-----\n"},
    {"pkcs8 encrypted", "secret", "ssh-ed25519", "PKCS#8",
     "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
     "MIGaMFYGCSqGSIb3DQEFDTBJMCgGCSqGSIb3DQEFDDAbBAhNwIjSHm89sgIBCjAM\n"
     "BggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBKgQQecXBRC9ofmah4s8ercMPBARAYqRZ\n"
     "ObYLbNBItT+P1NHdB+mSSzCNvymMQCXgZpf9a2Hfolxmb2nVkO2F48L2CnvUEnSk\n"
     "WSliVJX2vPKN1i0zXw==\n"
     "-----END ENCRYPTED PRIVATE KEY-----\n"},
    {"sec1", NULL, "ecdsa-sha2-nistp256", "SEC1",
     "-----BEGIN EC PARAMETERS-----\n"
     "BggqhkjOPQMBBw==\n"
     "-----END EC PARAMETERS-----\n"
     "-----BEGIN EC PRIVATE KEY-----\n"
     "MHcCAQEEICE+bYJui7KinRa4cLks3LQbTKbvg798eldKyUSXnTLCoAoGCCqGSM49\n"
     "AwEHoUQDQgAE1X9uvxGEERfxAD1UUpwrbkY9OMl8l0LhwWEabvtZ7kX/Jdgw2+HJ\n"
     "EytBb0n8JaWiWiywTcwOo90t8kU2s0EjjQ==\n"
     "-----END EC PRIVATE KEY-----\n"},
    {"sec1 encrypted", "secret", "ecdsa-sha2-nistp256", "SEC1",
     "-----BEGIN EC PRIVATE KEY-----\n"
     "Proc-Type: 4,ENCRYPTED\n"
     "DEK-Info: AES-192-CBC,11CE320FD5205C80AC4845EAEC6A602E\n"
     "\n"
     "24kX+vbVGJ8YuE+CkOIyEm232Jw8eWSqhlnZtvYuEfrceCTmGqZIQoUrx5H3rz7q\n"
     "a5ESLg5JU3ERxCw09pBr065p7crrxu/AyzU/GqG1rjEA+V8icC4zYPr8ZEkvc20E\n"
     "Xtxr+5VYd3vAaYMm1438O0M3C/EbkSlxkvsjlAMqggg=\n"
     "-----END EC PRIVATE KEY-----\n"},
    {"p384", NULL, "ecdsa-sha2-nistp384", "OpenSSH",
     "-----BEGIN OPENSSH PRIVATE KEY-----\n"
     "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAiAAAABNlY2RzYS\n"
     "1zaGEyLW5pc3RwMzg0AAAACG5pc3RwMzg0AAAAYQTdpC4iW1aizzQ9YXns3+teOX4L8dRn\n"
     "Yc3zvXHy7VQpzIGfCpJaAP9U/XYRPLn91h8xZA/9MrXFTczKESl2nE0jrFkUAo90oZD0gS\n"
     "/xyriRnyvQVfHOaAlHF+K0V/Qt7zEAAADQMI3oCTCN6AkAAAATZWNkc2Etc2hhMi1uaXN0\n"
     "cDM4NAAAAAhuaXN0cDM4NAAAAGEE3aQuIltWos80PWF57N/rXjl+C/HUZ2HN871x8u1UKc\n"
     "yBnwqSWgD/VP12ETy5/dYfMWQP/TK1xU3MyhEpdpxNI6xZFAKPdKGQ9IEv8cq4kZ8r0FXx\n"
     "zmgJRxfitFf0Le8xAAAAMQC0koSTfoU5Nz1DuDWfNSs41lkurdFTsFK7g3dq1CMkxwCV52\n"
     "AmPdKI+e2N7HuTOnIAAAAGZWMgMzg0AQ==\n"
     "-----END OPENSSH PRIVATE KEY-----\n"},
    {"p521", NULL, "ecdsa-sha2-nistp521", "OpenSSH",
     "-----BEGIN OPENSSH PRIVATE KEY-----\n"
     "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAArAAAABNlY2RzYS\n"
     "1zaGEyLW5pc3RwNTIxAAAACG5pc3RwNTIxAAAAhQQAjNmO9KLmrxzcnM8KiLD59Wy/vjxz\n"
     "JFRq9HRR2QauyljrBqz+Z17u/K90hV1fBA4chJpDf2tFjD9tOZUJnNUYoKYAXE5YMerEAA\n"
     "YnUNhu6bblUTyW5f+mj+27YQvPaYM9NvIROAVFjnB0KlosNcPVkc4mBSBCsKG6abnlOAJI\n"
     "uN3PxCIAAAEIxGkH9sRpB/YAAAATZWNkc2Etc2hhMi1uaXN0cDUyMQAAAAhuaXN0cDUyMQ\n"
     "AAAIUEAIzZjvSi5q8c3JzPCoiw+fVsv748cyRUavR0UdkGrspY6was/mde7vyvdIVdXwQO\n"
     "HISaQ39rRYw/bTmVCZzVGKCmAFxOWDHqxAAGJ1DYbum25VE8luX/po/tu2ELz2mDPTbyET\n"
     "gFRY5wdCpaLDXD1ZHOJgUgQrChumm55TgCSLjdz8QiAAAAQgFYZXhHH+4bsHkDM70l/8sS\n"
     "mdQvEag6LHIUvyqqmO0j5PQxptjrsmc3ozIx1RlpHAV/b0GFRyoxKBa5nPFkBYH9+QAAAA\n"
     "ZlYyA1MjEBAgME\n"
     "-----END OPENSSH PRIVATE KEY-----\n"},
    {"pkcs1 encrypted", "secret", "ssh-rsa", "PKCS#1",
     "-----BEGIN RSA PRIVATE KEY-----\n"
     "Proc-Type: 4,ENCRYPTED\n"
     "DEK-Info: AES-128-CBC,2BA537774F1B767D88FE4679F03CB05E\n"
     "\n"
     "g1TX26JW+hZhS6gm8+OO2zPqmhFVrha50opyYFrm9bE8DimvusxteYBMTdGLNDpY\n"
     "3T2lq/P/piF0QGLwMnwZxqwZE7Kt1NFj6f6yZc2i96bh4/yq8oHkVD+nUSRgpQGL\n"
     "0x38ksdpwvndYGW3VGteEadwQll4+XQBQSLVBpGWBmZsSFWaR2K3MGnLyx3g0rJX\n"
     "dqAHzwaOFTv4J6SC2UdwaqDveOO2Iv2C8FDNCLfDS9Az2A3NJ4aWOqeh1G0Du6/b\n"
     "toIdTUXXqzxVJLcyoanQa/Wsqk0QeWlEcgkrJ/QQfiSinMeIPVN3dW0gKgkBMNMg\n"
     "P7iAMwINyWtoIKSidm7BSWjhxxG9hHR7IFnfQ/8F1ZpaJhgktDr8abBIv5dLb0T8\n"
     "SFE8bpWEYIkha5XDWU/Bpl4Zn7N/FpeUAsv5QprzZ2xz/T3O+HqWUjE4IyvfILBd\n"
     "C7fFXOJarxNp1erErOn7+8Mxa8efybskws4h8DiyFVEOBI6ah/R239kv/R+Wft/F\n"
     "8FsP411tcnLZPM2+Ghe1yIgC9HG856MiIYd+aY6oZ0RSajZ24b3lBWMqPIBKX/3c\n"
     "GoVl7f3zKAwEPive4caCcsLr0FDYAKowMMhO8UUU9RqhnUj02nJ4ukaMiF4xHDHJ\n"
     "BUsnrcFVT3Hgo8YhR9RJ2iT57g3jh6mkiM0lxB9eip2sK1gYdoEnqAQ4ZKv0GWlf\n"
     "qvIqSqQcy8kX3UmQUdspCfL4s+ItDWhy0HRk4dsyuKyDlCUYLfjgIqDf48mhJJ/S\n"
     "TBELgHy6c74oNUZGizsDWgT3Foo0UdKUPHMSOkmOEVSpex9WsRVUTE6dHpw/Ef7q\n"
     "A0BcGYBLcud0UlurIq1CNmqKMD+G1iTLjAgzqpocXxn99ZnIL0UTdb+rtqHW6WLZ\n"
     "LciMRwzZGlaHnTYn6EoUpDkyZBIAdSiMQAQsITm+6kaHJHc7Q3kuSnv/1E50dsIR\n"
     "H8lCprC3ewr3N1avNKWuuJKLbSnKx7lUB/4Ofa0LAOoTOIeB33lgg8nV5877Ox2S\n"
     "gFUvNz8TpsO9xKPckpxIA3cSLdKSXqMUOLTLo4IWRbbC7F6ochSNEQ99cIuWDcXR\n"
     "8x/PMy0pj7t/4UlmbSO27Cqbu9z6M8grsr1u8JI3r2KZt1N+F3EoTU+yV5OGz9PJ\n"
     "4F5hm3+E9ZuBBIZ5vRQ8kOfn2Qtxe9ZZPR8vltcK+NqTrWSfzTrLqkF1yDqrT01+\n"
     "w4S7BuPtcOBmFs7ah7vUznTUmmbISiCuTNGwN4z2DJjF9yAVUAhUecTe7ru9X380\n"
     "TC3l1JaxelgsciOlEZh1w26E11v0/2QOjvxj9qk09N1t9TTxUrDcQ/KWQwGgybTe\n"
     "j97japgYBiYrBqg/irZtXeYOTyasyCBz57ew+d7ifPw+eFX/plTsscu23GZTeVn0\n"
     "SQjaAN+5N/Skknma88aNG1MKoFj7byJBKiHPxwc5P1fL0eXsgZxQzU0v389B406l\n"
     "VV6MXCXbgnSilsog6+wlDUaG6/HAcTKQDOgSyJ/K/Eena0WA+gEBoWJZ+db2WHkL\n"
     "GboO5j5yd4j2wND5mgaGv5FJu2s+y8SgqNWuoFULi68JqsdzN4XUU2YxZx5MZ68b\n"
     "-----END RSA PRIVATE KEY-----\n"},
    {"ppk 2", NULL, "ssh-ed25519", "PuTTY",
     "PuTTY-User-Key-File-2: ssh-ed25519\n"
     "Encryption: none\n"
     "Comment: a key\n"
     "Public-Lines: 2\n"
     "AAAAC3NzaC1lZDI1NTE5AAAAILzRh9Tl2rvkMCR3bOAkZi5hbD8GkoYcZJdB9xkL\n"
     "QLz9\n"
     "Private-Lines: 1\n"
     "AAAAIE5Kju72A3+atZoAZTv1Mzcv24cK/rtIsCSH3dQL2V5T\n"
     "Private-MAC: f4e844d8e8da2ea75f575b3c51e770cd42f4f3b5\n"},
    {"ppk 2 encrypted", "secret", "ssh-ed25519", "PuTTY",
     "PuTTY-User-Key-File-2: ssh-ed25519\n"
     "Encryption: aes256-cbc\n"
     "Comment: a key\n"
     "Public-Lines: 2\n"
     "AAAAC3NzaC1lZDI1NTE5AAAAILzRh9Tl2rvkMCR3bOAkZi5hbD8GkoYcZJdB9xkL\n"
     "QLz9\n"
     "Private-Lines: 1\n"
     "c2ZYwhmeqA2Oy63pigyoSjPClBYlcgnSDlR2Y1Si2iv9UEFz0VVKuhZeh7T8ez3L\n"
     "Private-MAC: 93b8a4416ae505af0f358ffbc9caea79f2cc8246\n"},
    {"ppk 3", NULL, "ssh-ed25519", "PuTTY",
     "PuTTY-User-Key-File-3: ssh-ed25519\n"
     "Encryption: none\n"
     "Comment: a key\n"
     "Public-Lines: 2\n"
     "AAAAC3NzaC1lZDI1NTE5AAAAIOnyIl6eSRBIV8UuzQdBDsqtjPgDJindFAgX6Uv0\n"
     "Bl8S\n"
     "Private-Lines: 1\n"
     "AAAAIO+/l6SJuaghIt9+67TsLXBAusQd1+TTKclXIDbDac00\n"
     "Private-MAC: 0c222a7f5b0f491e0df5832e87dfae62575c769f3d92a528f34fdcf20a835285\n"},
    {"ppk 3 encrypted", "secret", "ssh-ed25519", "PuTTY",
     "PuTTY-User-Key-File-3: ssh-ed25519\n"
     "Encryption: aes256-cbc\n"
     "Comment: a key\n"
     "Public-Lines: 2\n"
     "AAAAC3NzaC1lZDI1NTE5AAAAIOnyIl6eSRBIV8UuzQdBDsqtjPgDJindFAgX6Uv0\n"
     "Bl8S\n"
     "Key-Derivation: Argon2id\n"
     "Argon2-Memory: 64\n"
     "Argon2-Passes: 2\n"
     "Argon2-Parallelism: 1\n"
     "Argon2-Salt: fb1707981c9961438505b9206e589ff9\n"
     "Private-Lines: 1\n"
     "oPPh3smQDH5WafiM/eoYR7ubNSohDSLUNMb8js8tpH+zMbO022vxJwlkmeeFlRND\n"
     "Private-MAC: 105c124a2e1fae058ba558e86a2696e446f3154eaf0d6439e1bbc05a52361b73\n"},
    {"ppk ecdsa", "secret", "ecdsa-sha2-nistp256", "PuTTY",
     "PuTTY-User-Key-File-3: ecdsa-sha2-nistp256\n"
     "Encryption: aes256-cbc\n"
     "Comment: a key\n"
     "Public-Lines: 3\n"
     "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBI3d/Mv0vfXl\n"
     "Cza+ENMcLuKNFqGLPYPjYRwGZswCWIybV25ZAsJfphagVHyENFsl9aNSx/dw0fsi\n"
     "TxIykAh0k28=\n"
     "Key-Derivation: Argon2id\n"
     "Argon2-Memory: 64\n"
     "Argon2-Passes: 2\n"
     "Argon2-Parallelism: 1\n"
     "Argon2-Salt: ff1f2bbde439d0841f171c755aea3d07\n"
     "Private-Lines: 1\n"
     "iSUnw6a1bDroBEADIPlgji8W/2n18RyTOlNz3nX0E66Habdalsf0PhsCJrIHKuzW\n"
     "Private-MAC: 64c8064f94109210c52cf9a7590da7a07483232ff45313ef3d17f2e4ef4640a2\n"},
    {"ppk rsa", "secret", "ssh-rsa", "PuTTY",
     "PuTTY-User-Key-File-2: ssh-rsa\n"
     "Encryption: aes256-cbc\n"
     "Comment: a key\n"
     "Public-Lines: 6\n"
     "AAAAB3NzaC1yc2EAAAADAQABAAABAQCEzHxxfRwBXi7q7bstFMIAgBRek1ZXrcrb\n"
     "AyCHHXX9jHCTYjEASOgczx596Ofc+vMJWuzbDhSsfzh/V0Zt85Gu55TLxudw/7LI\n"
     "OyhwmZ+FhMlopTmXVoEBSHoggIk6EOqlvqHI+RIqU6L9f9btZJUU9TifJ52wGKfw\n"
     "RDyiyFw53MOSMTTb2XQweA57kdMzslwST3BYSYKngFwhdSo/0dd87BQSgomjSl18\n"
     "+qFKF+UnCWMcLaofNa8Lh3k6umiFIVGKruyXW4Ir0mjXBDkA3wvLeMKtntLz3Yv7\n"
     "5TC90y90PRDTca+TNsLG34Ns/ieYaTix8bacGmfF2MtZspo358+/\n"
     "Private-Lines: 14\n"
     "UhWeDz4vOXeeSK5CkNH8EQuLl9+Kk8yL4gNRJ1S+cm8F48GpCPDVwghnP2XR3zyU\n"
     "4q94zNZPpgPrFPJQjVf1bWVSl7DoQ1hdO03f9kPuAmWKpI5a7IfX1QE5T400P9Vy\n"
     "o0oz9gCWD06QsZpJCd8Gnw3f3CteiyHyBykPIu+iMbRVbACfvNI5+DeL1epxlx0K\n"
     "5uvFn4Dc9xkaB5nG3ok2cJ9q1C+JkGTQna76qYcyJ0F1pINYScQBvn+y6cF7jovb\n"
     "WAxjB/CAOk0rxTJDo077IS8sEwhyt4w+AOyb9ykrnNCKlbBRgyJQdGZGahgdPeaK\n"
     "oHfyaQBTJUU4eOSVGFHJZdXthA9NT401YX6GUT+ljkfESMX/vyqRYm55YbwSGFEH\n"
     "Km8qeaB1UquOgv0e78Ct0+etSQRXuMMjXocU/9MHwBZDdlTLNeWh8y5yaEK1z2m1\n"
     "tQSJQRX6QYbpCbDwiD605IF3hnJIsty6FhI8TLegKp1QzTWDdm8f/j5a/ybILV9V\n"
     "jc/YBsG/3UrZO9wmfjw5+hycVYGemcPGFEV3DgZgFGgvjACjlYV9dFmMELYASYdr\n"
     "scVdrg2vSTtoV9+YvwEF/6YQq+y5XtNDKK3voDhHi3q662RKORXPEbmoxDLf7GJ8\n"
     "/edB2/KbtLD8z/4E5urvuDlkwEZ2jRlfTgMfKSVbvTJGuwPfK7AOyt4Qkaod8ybc\n"
     "+mN3jLLY9qtdX3xcX5BQqFBB/35FDR03sj4NwDlXr9lEmsJ3Z5mpOQZTwXVXAwuA\n"
     "lNyo5FTGKrNTVftqzFCgfUKTrovZzmNCRuin1coJ/Gyzz9vEANlL0IWEvzDD1exI\n"
     "YxsZx9PRJoYSN9KC+65HPuw1wAQeMA2KBM95UQ42AoNAVIiIH25S7tlm3E2C+BIH\n"
     "Private-MAC: 8f57d3d44945773c3f4eb2cb368ba9f53ddbfe29\n"},
    {0}};

struct ssh_private *ssh_key_sample_open(const char *name)
{
    const struct ssh_key_sample *s = ssh_key_samples;
    struct ssh_sealed *sealed = NULL;
    struct ssh_private *k = NULL;
    struct nk_secret passphrase = {0};
    struct nk_diag diag;
    while (strcmp(s->name, name) != 0) {
        s++;
    }
    int rc = ssh_sealed_parse(s->text, strlen(s->text), &sealed, &diag);
    rc = rc < 0 || !s->passphrase
             ? rc
             : nk_secret_set(&passphrase, s->passphrase, strlen(s->passphrase));
    rc = rc < 0 ? rc : ssh_sealed_unlock(sealed, &passphrase, 0, &k, &diag);
    nk_secret_clear(&passphrase);
    ssh_sealed_unref(sealed);
    return rc < 0 ? NULL : k;
}
