/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/integ/rest/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <check.h>

#include "base/clock.h"
#include "base/loop.h"

void client_open(struct client *c, struct loop *loop, const char *address)
{
    const char *colon = strrchr(address, ':');
    struct sockaddr_in sin = {.sin_family = AF_INET};

    ck_assert_ptr_nonnull(colon);
    sin.sin_port = htons((uint16_t)atoi(colon + 1));
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->loop = loop;
    c->len = 0;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(c->fd, 0);
    ck_assert_int_eq(connect(c->fd, (struct sockaddr *)&sin, sizeof sin), 0);
    ck_assert_int_eq(fcntl(c->fd, F_SETFL, O_NONBLOCK), 0);
}

void client_close(struct client *c)
{
    if (c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
    }
}

static void turn(struct loop *loop)
{
    loop_run_once(loop, false);
    usleep(200);
}

void client_run(struct loop *loop, int ms)
{
    uint64_t end = dr_mono_ms() + (uint64_t)ms;

    while (dr_mono_ms() < end) {
        turn(loop);
    }
}

void client_send(struct client *c, const char *data, size_t len)
{
    uint64_t end = dr_mono_ms() + 10000;

    while (len != 0 && dr_mono_ms() < end) {
        ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL);
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        } else if (errno != EAGAIN) {
            return; /* the server closed: the reply tells */
        }
        turn(c->loop);
    }
}

void client_printf(struct client *c, const char *fmt, ...)
{
    char text[16384];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    ck_assert_int_lt(n, (int)sizeof text);
    client_send(c, text, (size_t)n);
}

const char *reply_header(const struct reply *r, const char *name)
{
    static char value[512];
    size_t len = strlen(name);

    for (const char *p = strstr(r->head, "\r\n"); p != NULL; p = strstr(p, "\r\n")) {
        p += 2;
        if (strncasecmp(p, name, len) == 0 && p[len] == ':') {
            p += len + 1;
            p += strspn(p, " ");
            size_t n = strcspn(p, "\r");
            ck_assert_uint_lt(n, sizeof value);
            memcpy(value, p, n);
            value[n] = '\0';
            return value;
        }
    }
    return NULL;
}

/* Take one answer out of the buffer; false when it is not whole. */
static bool take(struct client *c, struct reply *r, bool eof)
{
    char *end = memmem(c->buf, c->len, "\r\n\r\n", 4);
    if (end == NULL) {
        return false;
    }
    size_t head = (size_t)(end - c->buf) + 4;
    ck_assert_uint_lt(head, sizeof r->head);
    memcpy(r->head, c->buf, head);
    r->head[head] = '\0';
    r->status = atoi(r->head + 9);
    const char *text = reply_header(r, "Content-Length");
    size_t len = text == NULL ? 0 : strtoul(text, NULL, 10);
    if (text == NULL && r->status != 204 && r->status / 100 != 1) {
        if (!eof) {
            return false;
        }
        len = c->len - head;
    }
    if (c->len < head + len) {
        return false;
    }
    memcpy(r->body, c->buf + head, len);
    r->body[len] = '\0';
    r->body_len = len;
    memmove(c->buf, c->buf + head + len, c->len - head - len);
    c->len -= head + len;
    return true;
}

bool client_reply(struct client *c, struct reply *ret, int ms)
{
    uint64_t end = dr_mono_ms() + (uint64_t)ms;

    memset(ret->head, 0, sizeof ret->head);
    ret->status = 0;
    ret->body_len = 0;
    ret->closed = false;
    while (!take(c, ret, ret->closed)) {
        if (ret->closed || dr_mono_ms() > end) {
            return false;
        }
        ssize_t n = recv(c->fd, c->buf + c->len, sizeof c->buf - c->len - 1, 0);
        if (n > 0) {
            c->len += (size_t)n;
        } else if (n == 0 || errno != EAGAIN) {
            ret->closed = true;
        }
        turn(c->loop);
    }
    return true;
}

bool client_closed(struct client *c, int ms)
{
    uint64_t end = dr_mono_ms() + (uint64_t)ms;
    char byte;

    while (dr_mono_ms() < end) {
        ssize_t n = recv(c->fd, &byte, 1, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            return true;
        }
        turn(c->loop);
    }
    return false;
}

bool client_call(struct loop *loop, const char *address, const char *method, const char *target,
                 const char *headers, const char *body, struct reply *ret)
{
    struct client *c = calloc(1, sizeof *c);
    ck_assert_ptr_nonnull(c);
    client_open(c, loop, address);
    client_printf(c, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s", method, target,
                  headers);
    if (body != NULL) {
        client_printf(c, "Content-Length: %zu\r\n\r\n", strlen(body));
        client_send(c, body, strlen(body));
    } else {
        client_printf(c, "\r\n");
    }
    bool ok = client_reply(c, ret, 10000);
    client_close(c);
    free(c);
    return ok;
}
