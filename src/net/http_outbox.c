/* http_outbox.c - what connections are told within a turn of the loop leaves at the turn's end.
 *
 * A send on this machine wakes whoever waits for it, which takes longer than the send (in a virtual
 * machine 4 us of 8, by perf). Sent one after the other, the first wakes a client, and the others
 * find it awake; with work of our own between them, each would wake it anew. A stream's pieces of
 * one turn leave together, too.
 *
 * Limits: LETTERS_MAX connections, LETTER_BYTES_MAX of each; beyond that what waits is sent at
 * once. Larger texts don't wait at all, nor does TLS, which has a buffer of its own. */
#include "net/http_int.h"

#include <event2/event.h>
#include <stdlib.h>

enum { LETTERS_MAX = 32, LETTER_BYTES_MAX = 8 << 10 };

struct ew_http_letter {
    struct ew_http_conn *conn;
    struct ew_buf bytes;
};

struct ew_http_outbox {
    struct ew_http_letter letters[LETTERS_MAX];
    int count;
};

int ew_http_outbox_open(struct ew_http_outbox **gives, struct ew_err *err)
{
    struct ew_http_outbox *outbox = *gives = calloc(1, sizeof *outbox);
    if (!outbox)
        return ew_fail(err, EW_ENOMEM, "no memory for a server");
    for (int i = 0; i < LETTERS_MAX; i++)
        ew_buf_init(&outbox->letters[i].bytes, LETTER_BYTES_MAX);
    return 0;
}

void ew_http_outbox_close(struct ew_http_outbox **outbox)
{
    for (int i = 0; *outbox && i < LETTERS_MAX; i++)
        ew_buf_fini(&(*outbox)->letters[i].bytes);
    free(*outbox);
    *outbox = NULL;
}

size_t ew_http_outbox_bytes(const struct ew_http_conn *conn)
{
    return conn->letter ? conn->letter->bytes.bytes : 0;
}

/* Its place is free afterwards; the last letter takes it. */
void ew_http_outbox_send(struct ew_http_conn *conn)
{
    struct ew_http_letter *letter = conn->letter;
    if (!letter)
        return;
    struct ew_http_outbox *outbox = conn->server->outbox;
    struct ew_http_letter *last = &outbox->letters[--outbox->count], gone = *letter;
    *letter = *last;
    letter->conn->letter = letter;
    conn->letter = NULL;
    struct iovec piece = {gone.bytes.data, gone.bytes.bytes};
    EW_ASSERT(conn->broken || ew_http_conn_unsent(conn) == 0);
    ew_http_conn_send_now(conn, &piece, 1);
    ew_buf_clear(&gone.bytes);
    gone.conn = NULL;
    *last = gone;
}

void ew_http_outbox_send_all(struct ew_http_server *server)
{
    struct ew_http_outbox *outbox = server->outbox;
    while (outbox->count)
        ew_http_outbox_send(outbox->letters[0].conn);
}

bool ew_http_outbox_put(struct ew_http_conn *conn, const struct iovec *pieces, int count)
{
    struct ew_http_outbox *outbox = conn->server->outbox;
    size_t bytes = 0;
    for (int i = 0; i < count; i++)
        bytes += pieces[i].iov_len;
    if (bytes > LETTER_BYTES_MAX - ew_http_outbox_bytes(conn)) {
        ew_http_outbox_send(conn); /* and what the socket doesn't take of it stays before these */
        return false;
    }
    if (!conn->letter) {
        if (outbox->count == LETTERS_MAX)
            ew_http_outbox_send_all(conn->server);
        conn->letter = &outbox->letters[outbox->count++];
        conn->letter->conn = conn;
        event_active(conn->server->work, EV_TIMEOUT, 1);
    }
    size_t before = conn->letter->bytes.bytes;
    for (int i = 0; i < count; i++)
        if (ew_buf_add(&conn->letter->bytes, pieces[i].iov_base, pieces[i].iov_len, NULL) != 0) {
            conn->letter->bytes.bytes = before;
            ew_http_outbox_send(conn);
            return false;
        }
    return true;
}
