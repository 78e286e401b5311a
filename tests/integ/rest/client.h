/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/rest/client.h
 * @brief A blocking HTTP client on raw sockets for tests, driving the server's loop while it waits.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct loop;

struct client {
    struct loop *loop;
    int fd;
    char buf[1 << 20];
    size_t len;
};

/** One answer. */
struct reply {
    int status;
    char head[8192];
    char body[1 << 20];
    size_t body_len;
    bool closed; /**< the connection ended (before or after the answer) */
};

/** Connect to "127.0.0.1:PORT". */
void client_open(struct client *c, struct loop *loop, const char *address);
void client_close(struct client *c);
void client_send(struct client *c, const char *data, size_t len);
void client_printf(struct client *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** Wait for one whole answer, at most @p ms; false when none came. */
bool client_reply(struct client *c, struct reply *ret, int ms);
/** Wait until the server closes; false when it does not within @p ms. */
bool client_closed(struct client *c, int ms);
/** Run the loop for so long. */
void client_run(struct loop *loop, int ms);
/** Value of a header of @p r, or NULL; a static copy. */
const char *reply_header(const struct reply *r, const char *name);
/** A whole call on a connection of its own. @p headers: lines with CRLF. */
bool client_call(struct loop *loop, const char *address, const char *method, const char *target,
                 const char *headers, const char *body, struct reply *ret);
