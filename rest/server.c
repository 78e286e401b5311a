/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/server.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "rest/server_priv.h"

#define ACCEPT_BATCH 32
#define SWEEP_MS     1000
/* Times the parser is run in one turn before other work is looked at. */
#define RUN_MAX      8

/* ---- connections ---- */

static void accept_resume(struct rest_http *http);

static void conn_free(struct rest_conn *conn)
{
    struct rest_http *http = conn->http;

    rest_req_flushed(conn, false);
    dr_list_remove(&conn->node);
    http->stats.open--;
    free(conn);
    accept_resume(http);
}

/* The pump is over: both ends are closed, or the peer's is dead. */
static void tls_closed(void *data)
{
    struct rest_conn *conn = data;

    conn->tls = NULL;
    rest_req_flushed(conn, false);
    if (!conn->parsing) {
        conn_free(conn);
    }
}

static void tls_written(void *data)
{
    rest_req_flushed(data, true);
}

/* Cut a connection that overstepped its time. The parser notices and ends its requests. */
static void conn_kill(struct rest_conn *conn)
{
    conn->deadline_ms = 0;
    if (conn->tls != NULL) {
        rest_tls_kill(conn->tls);
        conn->tls = NULL;
        rest_req_flushed(conn, false);
    }
    if (conn->parsing) {
        (void)shutdown(conn->fd, SHUT_RDWR);
        rest_http_kick(conn->http);
    } else {
        conn_free(conn);
    }
}

static void conn_notify(void *cls, struct MHD_Connection *mhd, void **socket_context,
                        enum MHD_ConnectionNotificationCode toe)
{
    struct rest_http *http = cls;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);

    if (toe == MHD_CONNECTION_NOTIFY_STARTED) {
        DR_LIST_EACH(it, &http->conns)
        {
            struct rest_conn *conn = DR_CONTAINER_OF(it, struct rest_conn, node);
            if (conn->parsing && info != NULL && conn->fd == info->connect_fd) {
                *socket_context = conn;
                return;
            }
        }
        return;
    }
    struct rest_conn *conn = *socket_context;
    if (conn != NULL) {
        conn->parsing = false;
        if (conn->tls == NULL) {
            conn_free(conn);
        } else {
            conn->deadline_ms = loop_now_ms(http->loop) + REST_HANDSHAKE_MS; /* to flush */
        }
    }
}

/* Hand @p fd (taken) to the parser. */
static void conn_add(struct rest_http *http, int fd)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct rest_conn *conn = calloc(1, sizeof *conn);
    int one = 1;

    if (conn == NULL) {
        (void)close(fd);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    conn->http = http;
    conn->fd = fd;
    conn->deadline_ms = loop_now_ms(http->loop) + http->config.header_ms;
    dr_list_init(&conn->flush);
    if (http->tls != NULL) {
        int plain = -1;
        if (rest_tls_start(http->loop, http->tls, fd, tls_closed, conn, &conn->tls, &plain) !=
            DR_OK) {
            (void)close(fd);
            free(conn);
            return;
        }
        rest_tls_on_written(conn->tls, tls_written);
        conn->fd = plain;
        conn->deadline_ms = loop_now_ms(http->loop) + http->config.handshake_ms;
    }
    conn->parsing = true;
    dr_list_push_front(&http->conns, &conn->node);
    http->stats.open++;
    http->stats.connections++;
    /* the parser closes the descriptor in any case; conn_notify may have run when it fails */
    if (MHD_add_connection(http->daemon, conn->fd, (struct sockaddr *)&addr, sizeof addr) !=
        MHD_YES) {
        conn->parsing = false;
        rest_tls_kill(conn->tls);
        conn->tls = NULL;
        conn_free(conn);
    }
}

static void accept_ready(struct loop_fd *w, uint32_t events)
{
    struct rest_http *http = DR_CONTAINER_OF(w, struct rest_http, accept_watch);
    (void)events;

    for (int i = 0; i < ACCEPT_BATCH; i++) {
        if (http->stats.open >= http->config.connections_max) {
            http->stats.refused++;
            http->accepting = false;
            break;
        }
        int fd = accept4(http->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            conn_add(http, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            DR_LOG_LIMITED(DR_LOG_WARNING, "rest", 1, "cannot accept on '%s', waiting: %s",
                           http->address, strerror(errno));
            http->accepting = false; /* the sweep tries again */
            break;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            break;
        }
    }
    if (!http->accepting && loop_fd_set(&http->accept_watch, 0) != DR_OK) {
        http->accepting = true;
    }
    rest_http_kick(http);
}

static void accept_resume(struct rest_http *http)
{
    if (!http->accepting && !http->closing && http->stats.open < http->config.connections_max &&
        loop_fd_set(&http->accept_watch, LOOP_READ) == DR_OK) {
        http->accepting = true;
    }
}

static void close_step(struct rest_http *http);

static void sweep(struct loop_timer *t)
{
    struct rest_http *http = DR_CONTAINER_OF(t, struct rest_http, sweep);
    uint64_t now = loop_now_ms(http->loop);

    DR_LIST_EACH_SAFE(it, &http->conns)
    {
        struct rest_conn *conn = DR_CONTAINER_OF(it, struct rest_conn, node);
        if (conn->tls != NULL && !conn->ready && rest_tls_ready(conn->tls)) {
            conn->ready = true; /* from the handshake's time to the header's */
            conn->deadline_ms += conn->deadline_ms == 0 ? 0 : http->config.header_ms;
        }
        if (conn->deadline_ms != 0 && conn->deadline_ms <= now) {
            conn_kill(conn);
        }
    }
    accept_resume(http);
    if (http->closing) {
        close_step(http);
    }
}

/* ---- the parser ---- */

static void daemon_run(struct rest_http *http)
{
    if (http->running || http->daemon == NULL) {
        return;
    }
    http->running = true;
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    enum MHD_Result waits = MHD_NO;
    for (int i = 0; i < RUN_MAX; i++) {
        http->kick = false;
        (void)MHD_run(http->daemon);
        waits = MHD_get_timeout(http->daemon, &wait_ms);
        if (!http->kick && !(waits == MHD_YES && wait_ms == 0)) {
            break;
        }
    }
    http->running = false;
    if (http->kick || (waits == MHD_YES && wait_ms == 0)) {
        http->kick = true;
        loop_again(http->loop);
    } else if (waits == MHD_YES) {
        loop_timer_start(http->loop, &http->timer, wait_ms, 0, http->timer.fn);
    } else {
        loop_timer_stop(&http->timer);
    }
    if (http->closing) {
        close_step(http);
    }
}

void rest_http_kick(struct rest_http *http)
{
    dr_assert(http != NULL);
    http->kick = true;
    if (!http->running) {
        loop_again(http->loop);
    }
}

static void idle(struct loop_idle *h)
{
    struct rest_http *http = DR_CONTAINER_OF(h, struct rest_http, idle);

    if (http->kick) {
        daemon_run(http);
    }
}

static void daemon_ready(struct loop_fd *w, uint32_t events)
{
    (void)events;
    daemon_run(DR_CONTAINER_OF(w, struct rest_http, daemon_watch));
}

static void timer_due(struct loop_timer *t)
{
    daemon_run(DR_CONTAINER_OF(t, struct rest_http, timer));
}

static void parser_log(void *cls, const char *fmt, va_list ap)
{
    char text[256];
    (void)cls;

    /* the format is the library's own */
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wformat-nonliteral\"")(void)
        vsnprintf(text, sizeof text, fmt, ap);
    _Pragma("GCC diagnostic pop") text[strcspn(text, "\n")] = '\0';
    dr_log(DR_LOG_DEBUG, "rest", "parser: '%s'", text);
}

static dr_err_t daemon_start(struct rest_http *http)
{
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE |
            MHD_USE_ERROR_LOG,
        0, NULL, NULL, rest_req_access, http,         /* no port, no policy */
        MHD_OPTION_EXTERNAL_LOGGER, parser_log, NULL, /* first, as it asks for */
        MHD_OPTION_URI_LOG_CALLBACK, rest_req_begin, http, MHD_OPTION_NOTIFY_COMPLETED,
        rest_req_completed, http, MHD_OPTION_NOTIFY_CONNECTION, conn_notify, http,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REST_HEADER_MAX, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned int)http->config.connections_max + 16, MHD_OPTION_CONNECTION_TIMEOUT, 0U,
        MHD_OPTION_END);
    if (http->daemon == NULL) {
        return DR_ERR_NOMEM;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (info == NULL || info->epoll_fd < 0) {
        return DR_ERR_INTERNAL;
    }
    dr_err_t err = loop_fd_open(http->loop, &http->daemon_watch, info->epoll_fd, daemon_ready);
    return err == DR_OK ? loop_fd_set(&http->daemon_watch, LOOP_READ) : err;
}

/* ---- address ---- */

static dr_err_t address_format(struct rest_http *http)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    char host[REST_ADDRESS_MAX - 16];
    char port[8];

    if (getsockname(http->fd, (struct sockaddr *)&ss, &len) != 0 ||
        getnameinfo((struct sockaddr *)&ss, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        return DR_ERR_IO;
    }
    (void)snprintf(http->address, sizeof http->address,
                   ss.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    return DR_OK;
}

/* "HOST:PORT" or "[HOST]:PORT" to an address to bind to. */
static dr_err_t address_resolve(const char *text, struct addrinfo **ret, struct dr_errinfo *reterr)
{
    char host[REST_ADDRESS_MAX];
    const char *colon = strrchr(text, ':');
    size_t len = colon == NULL ? 0 : (size_t)(colon - text);

    if (colon != NULL && len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (colon == NULL || len >= sizeof host) {
        dr_errinfo_set(reterr, "http", 0, "'%s' is not ADDRESS:PORT", text);
        return DR_ERR_INVAL;
    }
    memcpy(host, text, len);
    host[len] = '\0';
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                                   .ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM};
    int rc = getaddrinfo(len == 0 ? NULL : host, colon + 1, &hints, ret);
    if (rc != 0) {
        dr_errinfo_set(reterr, "http", 0, "'%s': %s", host, gai_strerror(rc));
        return DR_ERR_INVAL;
    }
    return DR_OK;
}

static dr_err_t bind_and_listen(struct rest_http *http, const char *address,
                                struct dr_errinfo *reterr)
{
    struct addrinfo *ai = NULL;
    dr_err_t err = address_resolve(address, &ai, reterr);
    if (err != DR_OK) {
        return err;
    }
    int one = 1;
    int zero = 0;
    http->fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (http->fd >= 0) {
        (void)setsockopt(http->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (ai->ai_family == AF_INET6) {
            (void)setsockopt(http->fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
        }
    }
    if (http->fd < 0 || bind(http->fd, ai->ai_addr, ai->ai_addrlen) != 0 ||
        listen(http->fd, SOMAXCONN) != 0) {
        err = errno == EADDRINUSE                               ? DR_ERR_IN_USE
              : errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT ? DR_ERR_INVAL
              : errno == EACCES                                 ? DR_ERR_DENIED
                                                                : DR_ERR_IO;
        dr_errinfo_set(reterr, http->name, 0, "cannot listen on '%s': %s", address,
                       strerror(errno));
    }
    freeaddrinfo(ai);
    return err == DR_OK ? address_format(http) : err;
}

/* ---- start and stop ---- */

static void defaults(struct rest_http_config *c)
{
    c->connections_max = c->connections_max == 0 ? REST_CONNECTIONS_MAX : c->connections_max;
    c->header_ms = c->header_ms == 0 ? REST_HEADER_MS : c->header_ms;
    c->body_ms = c->body_ms == 0 ? REST_BODY_MS : c->body_ms;
    c->handshake_ms = c->handshake_ms == 0 ? REST_HANDSHAKE_MS : c->handshake_ms;
    c->body_max = c->body_max == 0 ? REST_BODY_MAX : c->body_max;
}

dr_err_t rest_http_new(const struct rest_http_config *config, struct rest_http **ret,
                       struct dr_errinfo *reterr)
{
    dr_assert(config != NULL && config->loop != NULL && config->address != NULL && ret != NULL);
    struct rest_http *http = calloc(1, sizeof *http);
    if (http == NULL) {
        return DR_ERR_NOMEM;
    }
    http->config = *config;
    http->config.address = NULL;
    defaults(&http->config);
    http->loop = config->loop;
    http->fd = -1;
    http->timer.fn = timer_due;
    dr_list_init(&http->conns);
    dr_list_init(&http->reqs);
    rest_req_metrics_register();
    (void)snprintf(http->name, sizeof http->name, "%s", config->name);

    dr_err_t err = DR_OK;
    if (config->cert != NULL) {
        err = rest_tls_context(config->cert, config->key, &http->tls, reterr);
    }
    if (err == DR_OK) {
        err = bind_and_listen(http, config->address, reterr);
    }
    if (err == DR_OK) {
        err = daemon_start(http);
    }
    if (err == DR_OK) {
        err = loop_fd_open(http->loop, &http->accept_watch, http->fd, accept_ready);
    }
    if (err == DR_OK) {
        err = loop_fd_set(&http->accept_watch, LOOP_READ);
    }
    if (err != DR_OK) {
        (void)rest_http_free(http);
        return err;
    }
    http->accepting = true;
    loop_on_idle(http->loop, &http->idle, idle);
    loop_timer_start(http->loop, &http->sweep, SWEEP_MS, SWEEP_MS, sweep);
    *ret = http;
    return DR_OK;
}

const char *rest_http_address(const struct rest_http *http)
{
    dr_assert(http != NULL);
    return http->address;
}

bool rest_http_tls(const struct rest_http *http)
{
    dr_assert(http != NULL);
    return http->tls != NULL;
}

dr_err_t rest_http_reload(struct rest_http *http, const char *cert, const char *key,
                          struct dr_errinfo *reterr)
{
    dr_assert(http != NULL && http->tls != NULL);
    SSL_CTX *fresh = NULL;
    dr_err_t err = rest_tls_context(cert, key, &fresh, reterr);

    if (err == DR_OK) {
        SSL_CTX_free(http->tls); /* connections keep theirs */
        http->tls = fresh;
    }
    return err;
}

static void listener_close(struct rest_http *http)
{
    loop_fd_close(&http->accept_watch);
    if (http->fd >= 0) {
        (void)close(http->fd);
        http->fd = -1;
    }
    http->accepting = false;
}

static void parser_stop(struct rest_http *http)
{
    if (http->daemon != NULL) {
        loop_fd_close(&http->daemon_watch);
        http->running = true; /* callbacks must not run it again */
        MHD_stop_daemon(http->daemon);
        http->daemon = NULL;
        http->running = false;
        http->kick = false;
    }
    loop_timer_stop(&http->timer);
}

/* Everybody has an answer, or time is up: stop the parser, let pumps flush, then report. */
static void close_step(struct rest_http *http)
{
    uint64_t now = loop_now_ms(http->loop);

    if (http->running || http->close_done == NULL) {
        return;
    }
    if (http->daemon != NULL) {
        /* kick: answers were given that the parser has not seen yet */
        if (http->kick || http->suspended != 0 || http->upgraded != 0 ||
            (http->answering != 0 && now < http->close_at_ms)) {
            return;
        }
        parser_stop(http);
    }
    if (!dr_list_empty(&http->conns) && now < http->close_at_ms) {
        return;
    }
    DR_LIST_EACH_SAFE(it, &http->conns)
    {
        conn_kill(DR_CONTAINER_OF(it, struct rest_conn, node));
    }
    loop_timer_stop(&http->sweep);
    void (*done)(void *data) = http->close_done;
    http->close_done = NULL;
    done(http->close_data);
}

static void close_check(struct loop_timer *t)
{
    struct rest_http *http = DR_CONTAINER_OF(t, struct rest_http, sweep);

    DR_LIST_EACH_SAFE(it, &http->reqs)
    {
        rest_req_gone(DR_CONTAINER_OF(it, struct rest_req, node));
    }
    close_step(http);
    if (http->close_done != NULL) {
        loop_timer_start(http->loop, &http->sweep, 20, 20, sweep);
    }
}

void rest_http_close(struct rest_http *http, void (*done)(void *data), void *data)
{
    dr_assert(http != NULL && done != NULL && !http->closing);
    http->closing = true;
    http->close_done = done;
    http->close_data = data;
    http->close_at_ms = loop_now_ms(http->loop) + REST_CLOSE_MS;
    listener_close(http);
    loop_timer_start(http->loop, &http->sweep, 0, 0, close_check);
}

bool rest_http_closing(const struct rest_http *http)
{
    dr_assert(http != NULL);
    return http->closing;
}

struct rest_http *rest_http_free(struct rest_http *http)
{
    if (http == NULL) {
        return NULL;
    }
    dr_assert(http->suspended == 0 && http->upgraded == 0);
    http->closing = true;
    listener_close(http);
    parser_stop(http);
    DR_LIST_EACH_SAFE(it, &http->conns)
    {
        conn_kill(DR_CONTAINER_OF(it, struct rest_conn, node));
    }
    loop_timer_stop(&http->sweep);
    loop_idle_remove(&http->idle);
    SSL_CTX_free(http->tls);
    free(http);
    return NULL;
}

void rest_http_stats(const struct rest_http *http, struct rest_http_stats *ret)
{
    dr_assert(http != NULL && ret != NULL);
    *ret = http->stats;
    ret->waiting = http->suspended;
}
