/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ports/posix/http.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/hal.h"
#include "client/ports/posix/http_head.h"

#define POLL_MS      2
#define BYTES_MAX    16384 /* of one turn */
#define URI_HOST_MAX 200

static struct {
    struct cl_update *update;
    int fd; /* -1 = no connection */
    bool active, stopped;
    char request[CL_PAYLOAD_URI_MAX + 200];
    size_t request_len, sent;
    char head[HTTP_HEAD_MAX + 1];
    size_t head_len;
    bool in_body, has_length;
    uint64_t left; /* of the body, with has_length */
    uint32_t at;   /* offset of the next byte in the payload */
    uint32_t from; /* what was asked for */
    uint64_t heard_ms;
} http = {.fd = -1};

static void finish(cl_err_t err)
{
    if (http.fd >= 0) {
        close(http.fd);
    }
    http.fd = -1;
    http.active = false;
    cl_update_end(http.update, err);
}

static bool connect_to(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;

    if (getaddrinfo(host, port, &hints, &list) != 0) {
        return false;
    }
    for (struct addrinfo *a = list; a != NULL && http.fd < 0; a = a->ai_next) {
        int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0 && errno != EINPROGRESS) {
            close(fd);
            fd = -1;
        }
        http.fd = fd;
    }
    freeaddrinfo(list);
    return http.fd >= 0;
}

/* http://host[:port]/path; IPv6 in brackets. */
static bool split(const char *uri, size_t len, char *host, char *port, const char **ret_path,
                  size_t *ret_path_len)
{
    const char *p = uri + 7, *end = uri + len;
    bool bracket = p < end && *p == '[';

    p += bracket ? 1 : 0;
    size_t n = 0;
    while (p < end && *p != (bracket ? ']' : ':') && *p != '/' && *p > ' ' && n < URI_HOST_MAX) {
        host[n++] = *p++;
    }
    host[n] = '\0';
    if (n == 0 || (bracket && (p == end || *p++ != ']'))) {
        return false;
    }
    snprintf(port, 6, "80");
    if (p < end && *p == ':') {
        for (n = 0, p++; p < end && *p >= '0' && *p <= '9' && n < 5; p++) {
            port[n++] = *p;
        }
        port[n] = '\0';
    }
    *ret_path = p;
    *ret_path_len = (size_t)(end - p);
    for (; p < end; p++) {
        if ((unsigned char)*p <= ' ' || *p == 0x7f) {
            return false; /* nothing may begin a line of its own in the request */
        }
    }
    return *ret_path_len == 0 || **ret_path == '/';
}

static cl_err_t start(void *ctx, const char *uri, size_t uri_len, uint32_t offset)
{
    char host[URI_HOST_MAX + 1], port[6], range[40] = "";
    const char *path = NULL;
    size_t path_len = 0;

    (void)ctx;
    if (http.active) {
        return CL_ERR_BUSY;
    }
    if (!split(uri, uri_len, host, port, &path, &path_len)) {
        return CL_ERR_INVAL;
    }
    if (offset != 0) {
        snprintf(range, sizeof range, "Range: bytes=%u-\r\n", (unsigned)offset);
    }
    int n = snprintf(http.request, sizeof http.request,
                     "GET %.*s%s HTTP/1.1\r\nHost: %s%s%s:%s\r\n%sConnection: close\r\n\r\n",
                     (int)path_len, path, path_len == 0 ? "/" : "",
                     strchr(host, ':') != NULL ? "[" : "", host,
                     strchr(host, ':') != NULL ? "]" : "", port, range);
    if (n < 0 || (size_t)n >= sizeof http.request) {
        return CL_ERR_INVAL;
    }
    if (!connect_to(host, port)) {
        return CL_ERR_CLOSED; /* later, perhaps */
    }
    http.request_len = (size_t)n;
    http.sent = http.head_len = 0;
    http.in_body = http.has_length = http.stopped = false;
    http.from = http.at = offset;
    http.left = 0;
    http.heard_ms = hal_time_ms();
    http.active = true;
    return CL_OK;
}

static void stop(void *ctx)
{
    (void)ctx;
    http.stopped = true;
}

const struct cl_fetcher *http_fetcher(struct cl_update *update)
{
    static const struct cl_fetcher fetcher = {.scheme = "http://", .start = start, .stop = stop};

    http.update = update;
    return &fetcher;
}

/* The head is whole. @return CL_OK: its body is what was asked for */
static cl_err_t head_take(void)
{
    struct http_head h;

    if (!http_head_parse(http.head, &h)) {
        return CL_ERR_REFUSED;
    }
    if (h.status >= 500) {
        return CL_ERR_BUSY;
    }
    if ((h.status != 200 && h.status != 206) || h.encoded || h.from > http.from ||
        (h.status == 206 && !h.has_range)) {
        return CL_ERR_REFUSED;
    }
    http.at = (uint32_t)h.from; /* a server without ranges begins at 0: the rest is skipped */
    http.has_length = h.has_length;
    http.left = h.length;
    http.in_body = true;
    return CL_OK;
}

static cl_err_t body_take(const char *p, size_t len)
{
    if (http.has_length) {
        len = len < http.left ? len : (size_t)http.left;
        http.left -= len;
    }
    size_t skip = http.at < http.from ? http.from - http.at : 0;
    skip = skip < len ? skip : len;
    http.at += (uint32_t)skip;
    if (len > skip) {
        cl_err_t err = cl_update_bytes(http.update, http.at, (const uint8_t *)p + skip, len - skip);
        http.at += (uint32_t)(len - skip);
        return err;
    }
    return CL_OK;
}

static cl_err_t bytes_take(const char *p, size_t len)
{
    if (http.in_body) {
        return body_take(p, len);
    }
    size_t n = HTTP_HEAD_MAX - http.head_len < len ? HTTP_HEAD_MAX - http.head_len : len;
    size_t before = http.head_len;
    memcpy(http.head + http.head_len, p, n);
    http.head_len += n;
    http.head[http.head_len] = '\0';
    const char *end = strstr(http.head, "\r\n\r\n");
    if (end == NULL) {
        return http.head_len < HTTP_HEAD_MAX ? CL_OK : CL_ERR_REFUSED;
    }
    size_t used = (size_t)(end + 4 - http.head) - before;
    http.head[end + 2 - http.head] = '\0';
    cl_err_t err = head_take();
    return err == CL_OK ? body_take(p + used, len - used) : err;
}

/* True: there may be more. */
static bool read_some(uint64_t now_ms)
{
    char buf[4096];
    ssize_t n = recv(http.fd, buf, sizeof buf, 0);

    if (n < 0) {
        bool later = errno == EAGAIN || errno == EINTR || errno == ENOTCONN;
        if (!later) {
            finish(CL_ERR_CLOSED);
        }
        return false;
    }
    http.heard_ms = now_ms;
    cl_err_t err = n == 0 ? CL_OK : bytes_take(buf, (size_t)n);
    if (err != CL_OK) {
        finish(err);
        return false;
    }
    bool over = http.in_body && http.has_length && http.left == 0;
    if (n == 0 || over) {
        /* without a length the end of the connection is the end of the body */
        finish(over || (http.in_body && !http.has_length) ? CL_OK : CL_ERR_CLOSED);
        return false;
    }
    return true;
}

uint64_t http_poll(uint64_t now_ms)
{
    if (!http.active) {
        return CL_NEVER;
    }
    if (http.stopped || now_ms > http.heard_ms + HTTP_SILENT_MS) {
        finish(http.stopped ? CL_ERR_CLOSED : CL_ERR_TIMEOUT);
        return CL_NEVER;
    }
    if (http.sent < http.request_len) {
        ssize_t n =
            send(http.fd, http.request + http.sent, http.request_len - http.sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOTCONN) {
            finish(CL_ERR_CLOSED);
            return CL_NEVER;
        }
        http.sent += n > 0 ? (size_t)n : 0;
        return now_ms + POLL_MS;
    }
    for (size_t i = 0; i < BYTES_MAX / 4096 && read_some(now_ms); i++) {
    }
    return http.active ? now_ms + POLL_MS : CL_NEVER;
}
