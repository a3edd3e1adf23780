/* answer_rows.h - answers of a server, and what each means: test_http_answer.c feeds them to the
 * parser, test_fuzz_answer.c to the fuzzer's entry. */
#ifndef ANSWER_ROWS_H
#define ANSWER_ROWS_H

#include <stddef.h>

#define OK     "HTTP/1.1 200 OK\r\n"
#define LENGTH "Content-Length: "
#define CODING "Transfer-Encoding: chunked\r\n"

enum answer_end { WHOLE, WHOLE_CLOSE, CUT, BAD, TOO_LONG };

static const struct answer_row {
    const char *bytes;
    enum answer_end end; /* WHOLE: and the connection may be used again */
    int code;
    const char *body;
    size_t left;
} answer_rows[] = {
    {OK LENGTH "3\r\n\r\nabc", WHOLE, 200, "abc", 0},
    {OK LENGTH "0\r\n\r\n", WHOLE, 200, "", 0},
    {OK LENGTH "3\r\n\r\nabcHTTP", WHOLE, 200, "abc", 4},
    {OK LENGTH "3\r\n\r\nab", CUT, 200, "ab", 0},
    {OK LENGTH "3\r\nConnection: close\r\n\r\nabc", WHOLE_CLOSE, 200, "abc", 0},
    {OK LENGTH "3\r\nconnection: Keep-Alive, CLOSE\r\n\r\nabc", WHOLE_CLOSE, 200, "abc", 0},
    {OK CODING "\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", WHOLE, 200, "abc0123456789", 0},
    {OK CODING "\r\n3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n", WHOLE, 200, "abc", 0},
    {OK CODING "\r\n3\r\nabc\r\n", CUT, 200, "abc", 0},
    {OK CODING "\r\n3\r\nabc\r\n0\r\n", CUT, 200, "abc", 0},
    {OK CODING "\r\n3\r\nabcd\r\n0\r\n\r\n", BAD, 0, "", 0},
    {OK CODING "\r\nx\r\n", BAD, 0, "", 0},
    {OK CODING "\r\n\r\n", BAD, 0, "", 0},
    {OK CODING "\r\n11111111111111111\r\n", BAD, 0, "", 0},
    {OK CODING "\r\n3\nabc", BAD, 0, "", 0},
    {OK CODING "\r\n3\r\nabc\r\n0\r\nTrailer\r\n\r\n", BAD, 0, "", 0},
    {OK "Transfer-Encoding: gzip\r\n\r\n", BAD, 0, "", 0},
    {OK "Transfer-Encoding: gzip, chunked\r\n\r\n", BAD, 0, "", 0},
    {OK CODING LENGTH "3\r\n\r\n", BAD, 0, "", 0},
    {OK LENGTH "3\r\n" LENGTH "3\r\n\r\n", BAD, 0, "", 0},
    {OK LENGTH "-3\r\n\r\n", BAD, 0, "", 0},
    {OK LENGTH "3x\r\n\r\n", BAD, 0, "", 0},
    {OK LENGTH "33\r\n\r\n", TOO_LONG, 0, "", 0},
    {OK LENGTH "9999999999999999999\r\n\r\n", TOO_LONG, 0, "", 0},
    {OK CODING "\r\n21\r\n", TOO_LONG, 0, "", 0},
    {OK CODING "\r\n20\r\n01234567890123456789012345678901\r\n1\r\n", TOO_LONG, 0, "", 0},
    /* Until the connection closes. */
    {OK "\r\nabc", WHOLE_CLOSE, 200, "abc", 0},
    {OK "\r\n", WHOLE_CLOSE, 200, "", 0},
    {OK "Connection: keep-alive\r\n\r\nabc", WHOLE_CLOSE, 200, "abc", 0},
    {"HTTP/1.0 200 OK\r\n\r\nabc", WHOLE_CLOSE, 200, "abc", 0},
    {OK "\r\n012345678901234567890123456789012", TOO_LONG, 0, "", 0},
    /* Versions and status lines. */
    {"HTTP/1.0 200 OK\r\n" LENGTH "1\r\n\r\na", WHOLE_CLOSE, 200, "a", 0},
    {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" LENGTH "1\r\n\r\na", WHOLE, 200, "a", 0},
    {"HTTP/1.0 200 OK\r\n" CODING "\r\n0\r\n\r\n", BAD, 0, "", 0},
    {"HTTP/1.2 200 OK\r\n" LENGTH "1\r\n\r\na", WHOLE, 200, "a", 0},
    {"HTTP/1.1 599 \r\n" LENGTH "1\r\n\r\na", WHOLE, 599, "a", 0},
    {"HTTP/1.1 404\r\n" LENGTH "1\r\n\r\na", WHOLE, 404, "a", 0},
    {"HTTP/1.1 429 Zu viel \xc3\xa4 \t\r\n" LENGTH "1\r\n\r\na", WHOLE, 429, "a", 0},
    {"HTTP/2.0 200 OK\r\n\r\n", BAD, 0, "", 0},
    {"HTTP/1.1  200 OK\r\n\r\n", BAD, 0, "", 0},
    {"HTTP/1.1 20 OK\r\n\r\n", BAD, 0, "", 0},
    {"HTTP/1.1 2000 OK\r\n\r\n", BAD, 0, "", 0},
    {"HTTP/1.1 099 OK\r\n\r\n", BAD, 0, "", 0},
    {"HTTP/1.1 200 O\x01K\r\n\r\n", BAD, 0, "", 0},
    {"HTTP/1.1 200 OK\n\n", BAD, 0, "", 0},
    {"HTTP/1.1200 OK\r\n\r\n", BAD, 0, "", 0},
    {"http/1.1 200 OK\r\n\r\n", BAD, 0, "", 0},
    {"\r\nHTTP/1.1 200 OK\r\n\r\n", BAD, 0, "", 0},
    {"SSH-2.0-OpenSSH_9.2\r\n", BAD, 0, "", 0},
    {"HTTP/1.1 ", CUT, 0, "", 0},
    {OK "A: b\r\n", CUT, 200, "", 0},
    /* Headers. */
    {OK "A b: c\r\n\r\n", BAD, 0, "", 0},
    {OK "A : c\r\n\r\n", BAD, 0, "", 0},
    {OK " A: c\r\n\r\n", BAD, 0, "", 0},
    {OK "A: b\r\n c\r\n\r\n", BAD, 0, "", 0},
    {OK "A: b\x02\r\n\r\n", BAD, 0, "", 0},
    {OK "Host: a\r\nHost: b\r\nExpect: what\r\n" LENGTH "1\r\n\r\na", WHOLE, 200, "a", 0},
    /* Without a body, whatever is said of one. */
    {"HTTP/1.1 204 No Content\r\n\r\n", WHOLE, 204, "", 0},
    {"HTTP/1.1 204 No Content\r\n" LENGTH "5\r\n\r\n", WHOLE, 204, "", 0},
    {"HTTP/1.1 304 Not Modified\r\n" LENGTH "5000\r\n\r\n", WHOLE, 304, "", 0},
    {"HTTP/1.1 304 Not Modified\r\n" CODING "\r\n", WHOLE, 304, "", 0},
    /* 1xx are passed over, and nothing of them stays; 101 ends with its head. */
    {"HTTP/1.1 100 Continue\r\n\r\n" OK LENGTH "1\r\n\r\na", WHOLE, 200, "a", 0},
    {"HTTP/1.1 103 Early Hints\r\nConnection: close\r\n" LENGTH "7\r\n\r\n"
     "HTTP/1.1 102 Processing\r\n" CODING "\r\n" OK LENGTH "1\r\n\r\na",
     WHOLE, 200, "a", 0},
    {"HTTP/1.1 100 Continue\r\n\r\n", CUT, 0, "", 0},
    {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nab", WHOLE, 101, "", 2},
};

#endif
