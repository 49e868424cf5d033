/* SPDX-License-Identifier: MIT */
/*
 * wire - the text of tor's control port (control-spec.txt 2): lines, data blocks, quoting, words.
 *
 * Tor quotes in three ways. AUTHENTICATE and AUTHCHALLENGE take a QuotedString, in which a
 * backslash takes the next character as it is (2.1.1 of the specification, no octal, no \n). The
 * arguments of other commands, and every string that tor sends, are C strings: \n \r \t \" \\ and
 * octal or hexadecimal bytes. What tor sends is bytes, not necessarily UTF-8.
 */
#ifndef TOR_WIRE_H
#define TOR_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define TOR_COMMAND_MAX ((size_t)1 << 20) /* tor's MAX_COMMAND_LINE_LENGTH, data block included */
#define TOR_STATUS_SIZE 4                 /* code and kind in front of a line's text */

#define TOR_OK 250     /* codes of replies (control-spec 4) */
#define TOR_EVENT 600  /* codes from here on are events */
#define TOR_FAILED 400 /* codes from here on, below TOR_EVENT, are failures */

/* One line of a reply or event; borrowed, not terminated. */
struct tor_line {
    int code;  /* 100..699; may differ between the lines of one reply */
    char kind; /* ' ' the last one, '-' more follow, '+' a data block follows; and where lines
                * are delivered one by one, '=' a line of the data block before it */
    const char *text; /* behind code and kind, without the end of line */
    size_t len;
    const char *data; /* the data block of a '+' line, dots undone; every line ends with one LF */
    size_t data_len;
};

/* A whole reply or event. */
struct tor_reply {
    int code; /* of the last line */
    const struct tor_line *lines;
    size_t n; /* at least 1 */
};

/* tor_wire_status - code and kind of a line of n bytes (without its end) into out, and its text. 0
 * or NK_EPROTO; data is left NULL. */
int tor_wire_status(const char *p, size_t n, struct tor_line *out, struct nk_diag *diag);

/* tor_wire_undot - how many of the first bytes of a data line are to be left out: 0 or 1; -1 when
 * it is the line that ends the block (control-spec 2.3, as RFC 5321 4.5.2). */
int tor_wire_undot(const char *p, size_t n);

/* tor_wire_answers_secrets - whether tor's reply to this command may have private keys in it: those
 * of clients (ONION_CLIENT_AUTH_VIEW), or a new one of a service (ADD_ONION). */
bool tor_wire_answers_secrets(const char *line, size_t n);

/*
 * tor_wire_put_command - append a command as it is sent: line CR LF, or with data (not NULL, len
 * may be 0) '+' line CR LF, the data with dots stuffed and LF as CR LF, and the end of the block.
 * NK_EUSAGE, with nothing appended: a line that is empty, has CR, LF or NUL, begins with '+'; data
 * with NUL; and what tor 0.4.9 never answers: ADD_ONION with ClientAuth= (version 2), and +HSPOST
 * without HSADDRESS=. NK_ETOOBIG beyond TOR_COMMAND_MAX, -ENOMEM.
 */
int tor_wire_put_command(struct nk_buf *out, const char *line, size_t n, const void *data,
                         size_t len, struct nk_diag *diag);

/* tor_wire_quote_auth - append n bytes as a QuotedString for AUTHENTICATE. NK_EUSAGE for CR, LF and
 * NUL, which it cannot carry; else as nk_buf_put. */
int tor_wire_quote_auth(struct nk_buf *out, const char *p, size_t n);

/* tor_wire_quote_arg - append n bytes as a quoted argument of any other command. NK_EUSAGE for NUL,
 * which tor refuses. */
int tor_wire_quote_arg(struct nk_buf *out, const char *p, size_t n);

/*
 * tor_wire_unquote - undo the quotes of a string that tor sent: text[0] is the opening quote. The
 * bytes are appended to out, *used (may be NULL) is how much of the text the string takes, quotes
 * included. NK_EPROTO for a missing quote, an unknown escape and a NUL, then out is as it was.
 */
int tor_wire_unquote(const char *text, size_t len, struct nk_buf *out, size_t *used,
                     struct nk_diag *diag);

/* tor_wire_value - append a value as GETCONF writes it: quoted if it begins with a quote, else as
 * it stands to its end. Errors as tor_wire_unquote. */
int tor_wire_value(const char *text, size_t len, struct nk_buf *out, struct nk_diag *diag);

/* One word of a line: "KEY=value", KEY="quoted", value, "quoted". Borrowed from the line. */
struct tor_word {
    const char *key; /* NULL: the word has none */
    size_t key_len;
    const char *value; /* between the quotes when quoted, escapes not undone */
    size_t value_len;
    bool quoted;
};

/* Where a walk over the words of a line is. */
struct tor_words {
    const char *p, *end;
    bool bad; /* the line is malformed: a quote that does not end, text right behind one, a NUL, or
               * control bytes */
};

/* tor_words_init - walk over the n bytes at p, which must outlive it. */
void tor_words_init(struct tor_words *w, const char *p, size_t n);

/* tor_words_next - the next word. false at the end, and once the line is found to be bad. */
bool tor_words_next(struct tor_words *w, struct tor_word *out);

/* tor_word_is - whether the word has no key and is this value; tor_word_key - whether it has this
 * key (case matters in both). */
bool tor_word_is(const struct tor_word *w, const char *value);
bool tor_word_key(const struct tor_word *w, const char *key);

/* tor_word_u64 - a decimal value. 0 or NK_EFORMAT. */
int tor_word_u64(const struct tor_word *w, uint64_t *out);

/* tor_word_put - append the word's value with its escapes undone. As nk_buf_put; NK_EPROTO. */
int tor_word_put(const struct tor_word *w, struct nk_buf *out);

/* tor_line_pair - split "key=value" at its first '='; the value of a '+' line is its data. false
 * when there is no '='; then key is the whole text and value is NULL. */
bool tor_line_pair(const struct tor_line *line, struct tor_word *out);

/* tor_reply_find - the value of `key` in a reply to GETINFO or GETCONF (case is ignored); false
 * when no line has it. */
bool tor_reply_find(const struct tor_reply *reply, const char *key, struct tor_word *out);

#endif
