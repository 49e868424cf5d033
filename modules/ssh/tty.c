/* SPDX-License-Identifier: MIT */
#include "ssh/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    ANSWER_MAX = 1024,
    KEY_INTERRUPT = 3, /* ^C */
    KEY_END = 4,       /* ^D */
    KEY_KILL = 21,     /* ^U */
    OP_END = 0,        /* RFC 4254 8 */
    OP_ISPEED = 128,
    OP_OSPEED = 129,
    SPEED = 38400
};

/* --- asking ----------------------------------------------------------------------------------- */

static void put(int fd, const char *s, size_t n)
{
    while (n > 0) {
        ssize_t w = write(fd, s, n);
        if (w <= 0) {
            return; /* nobody to show it to */
        }
        s += w;
        n -= (size_t)w;
    }
}

void ssh_tty_say(const char *text)
{
    put(STDERR_FILENO, text, strlen(text));
}

static int get_key(int fd, char *c)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, -1) < 0) { /* unlike read, it is not restarted after a signal */
        return -errno;
    }
    ssize_t n = read(fd, c, 1);
    return n < 0 ? -errno : n == 0 ? -ECANCELED : 0;
}

/* The last character goes, with all bytes of its UTF-8. */
static size_t erase(int fd, const char *line, size_t n, bool echo)
{
    if (n == 0) {
        return 0;
    }
    while (n > 1 && ((unsigned char)line[n - 1] & 0xc0) == 0x80) {
        n--;
    }
    if (echo) {
        put(fd, "\b \b", 3);
    }
    return n - 1;
}

static int read_line(int fd, bool echo, char *line, size_t *n)
{
    for (;;) {
        char c = 0;
        int rc = get_key(fd, &c);
        if (rc < 0 || c == KEY_INTERRUPT || (c == KEY_END && *n == 0)) {
            return rc < 0 ? rc : -ECANCELED;
        }
        if (c == '\r' || c == '\n') {
            return 0;
        }
        if (c == '\b' || c == 0x7f) {
            *n = erase(fd, line, *n, echo);
        } else if (c == KEY_KILL) {
            while (*n > 0) {
                *n = erase(fd, line, *n, echo);
            }
        } else if (*n < ANSWER_MAX) {
            line[(*n)++] = c;
            if (echo) {
                put(fd, &c, 1);
            }
        }
    }
}

static int ask(int fd, const char *prompt, bool echo, struct nk_secret *out)
{
    struct termios before, t;
    char line[ANSWER_MAX];
    size_t n = 0;
    if (tcgetattr(fd, &before) < 0) {
        return -errno;
    }
    t = before;
    t.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    if (tcsetattr(fd, TCSAFLUSH, &t) < 0) {
        return -errno;
    }
    put(fd, prompt, strlen(prompt));
    int rc = read_line(fd, echo, line, &n);
    put(fd, "\n", 1);
    (void)tcsetattr(fd, TCSAFLUSH, &before); /* it worked before */
    rc = rc < 0 ? rc : nk_secret_set(out, line, n);
    nk_wipe(line, sizeof(line));
    return rc;
}

int ssh_tty_ask(const char *prompt, bool echo, struct nk_secret *out, struct nk_diag *diag)
{
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        return nk_fail(diag, NK_EUSAGE, "there is no terminal to ask on");
    }
    int rc = ask(fd, prompt, echo, out);
    (void)close(fd);
    return rc < 0 ? nk_fail_sys(diag, rc, "no answer") : 0;
}

/* --- remote terminals ------------------------------------------------------------------------- */

int ssh_tty_raw_on(struct ssh_tty_raw *t, int fd)
{
    if (tcgetattr(fd, &t->before) < 0) {
        return -errno;
    }
    struct termios raw = t->before;
    raw.c_iflag |= IGNPAR;
    raw.c_iflag &= ~(tcflag_t)(ISTRIP | INLCR | IGNCR | ICRNL | IXON | IXANY | IXOFF | IUCLC);
    raw.c_lflag &= ~(tcflag_t)(ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHONL | IEXTEN);
    raw.c_oflag &= ~(tcflag_t)OPOST;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(fd, TCSADRAIN, &raw) < 0) {
        return -errno;
    }
    t->fd = fd;
    t->on = true;
    return 0;
}

void ssh_tty_raw_off(struct ssh_tty_raw *t)
{
    if (t->on) {
        t->on = false;
        (void)tcsetattr(t->fd, TCSADRAIN, &t->before); /* nothing more can be done */
    }
}

void ssh_tty_size(int fd, uint32_t size[4])
{
    struct winsize w = {0};
    (void)ioctl(fd, TIOCGWINSZ, &w); /* zeros are right when nobody knows */
    size[0] = w.ws_col;
    size[1] = w.ws_row;
    size[2] = w.ws_xpixel;
    size[3] = w.ws_ypixel;
}

enum where { CC, IFLAG, LFLAG, OFLAG, CFLAG };

/* RFC 4254 8, RFC 8160 (IUTF8). */
static const struct mode {
    uint8_t op, where;
    uint32_t what;
} modes[] = {{1, CC, VINTR},       {2, CC, VQUIT},       {3, CC, VERASE},     {4, CC, VKILL},
             {5, CC, VEOF},        {6, CC, VEOL},        {7, CC, VEOL2},      {8, CC, VSTART},
             {9, CC, VSTOP},       {10, CC, VSUSP},      {12, CC, VREPRINT},  {13, CC, VWERASE},
             {14, CC, VLNEXT},     {18, CC, VDISCARD},   {30, IFLAG, IGNPAR}, {31, IFLAG, PARMRK},
             {32, IFLAG, INPCK},   {33, IFLAG, ISTRIP},  {34, IFLAG, INLCR},  {35, IFLAG, IGNCR},
             {36, IFLAG, ICRNL},   {37, IFLAG, IUCLC},   {38, IFLAG, IXON},   {39, IFLAG, IXANY},
             {40, IFLAG, IXOFF},   {41, IFLAG, IMAXBEL}, {42, IFLAG, IUTF8},  {50, LFLAG, ISIG},
             {51, LFLAG, ICANON},  {53, LFLAG, ECHO},    {54, LFLAG, ECHOE},  {55, LFLAG, ECHOK},
             {56, LFLAG, ECHONL},  {57, LFLAG, NOFLSH},  {58, LFLAG, TOSTOP}, {59, LFLAG, IEXTEN},
             {60, LFLAG, ECHOCTL}, {61, LFLAG, ECHOKE},  {70, OFLAG, OPOST},  {71, OFLAG, OLCUC},
             {72, OFLAG, ONLCR},   {73, OFLAG, OCRNL},   {74, OFLAG, ONOCR},  {75, OFLAG, ONLRET},
             {90, CFLAG, CS7},     {91, CFLAG, CS8},     {92, CFLAG, PARENB}, {93, CFLAG, PARODD}};

static uint32_t value_of(const struct termios *t, const struct mode *m)
{
    switch (m->where) {
    case CC:
        return t->c_cc[m->what];
    case IFLAG:
        return (t->c_iflag & m->what) != 0;
    case LFLAG:
        return (t->c_lflag & m->what) != 0;
    case OFLAG:
        return (t->c_oflag & m->what) != 0;
    default:
        return (t->c_cflag & m->what) == m->what;
    }
}

int ssh_tty_put_modes(int fd, struct nk_buf *out)
{
    struct termios t;
    int rc = nk_buf_u8(out, OP_OSPEED);
    rc = rc < 0 ? rc : nk_buf_be32(out, SPEED);
    rc = rc < 0 ? rc : nk_buf_u8(out, OP_ISPEED);
    rc = rc < 0 ? rc : nk_buf_be32(out, SPEED);
    bool have = tcgetattr(fd, &t) == 0;
    for (size_t i = 0; have && rc == 0 && i < sizeof(modes) / sizeof(modes[0]); i++) {
        rc = nk_buf_u8(out, modes[i].op);
        rc = rc < 0 ? rc : nk_buf_be32(out, value_of(&t, &modes[i]));
    }
    return rc < 0 ? rc : nk_buf_u8(out, OP_END);
}
