/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v2_websocket.c
 * @brief /v2/notification/websocket: a channel whose messages go out as text frames.
 *
 * The channel is made by PUT and queues from then on; the socket comes and goes. One message is
 * under way at a time; it is delivered when its last byte has left (behind TLS, too). Frames are
 * wslay's, reading and writing ours.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include <openssl/sha.h>
#include <wslay/wslay.h>

#include "base/log.h"
#include "base/text.h"
#include "rest/bodies.h"
#include "rest/hub.h"
#include "rest/rest_priv.h"

#define PING_MS  25000
/* Silence after which the other side counts as gone. */
#define QUIET_MS 80000
/* For the other side to answer our close frame. */
#define CLOSE_MS 1000
/* What a client may send; it has nothing to say. */
#define RECV_MAX 65536

struct ws {
    struct rest_req *req;
    struct loop *loop;
    struct rest_channel *ch; /* NULL once the channel is gone or has another socket */
    int fd;
    struct loop_fd watch;
    struct loop_timer timer; /* pings; later the end of closing */
    wslay_event_context_ptr frames;
    struct dr_dynbuf extra; /* read before the upgrade */
    uint64_t heard_ms;
    struct rest_message msg;
    struct rest_channel *msg_channel; /* of the message under way, or NULL */
    bool closing;
};

static void ws_run(struct ws *ws);

/* ---- bytes ---- */

static ssize_t on_recv(wslay_event_context_ptr ctx, uint8_t *buf, size_t len, int flags, void *data)
{
    struct ws *ws = data;
    (void)flags;

    if (ws->extra.len != 0) {
        size_t n = len < ws->extra.len ? len : ws->extra.len;
        memcpy(buf, ws->extra.p, n);
        dr_dynbuf_consume(&ws->extra, n);
        return (ssize_t)n;
    }
    ssize_t n = recv(ws->fd, buf, len, 0);
    if (n > 0) {
        ws->heard_ms = loop_now_ms(ws->loop);
        return n;
    }
    bool wait = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    wslay_event_set_error(ctx, wait ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t on_send(wslay_event_context_ptr ctx, const uint8_t *buf, size_t len, int flags,
                       void *data)
{
    struct ws *ws = data;
    (void)flags;

    ssize_t n = send(ws->fd, buf, len, MSG_NOSIGNAL);
    if (n >= 0) {
        return n;
    }
    bool wait = errno == EAGAIN || errno == EWOULDBLOCK;
    wslay_event_set_error(ctx, wait ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

/* ---- life ---- */

static void message_end(struct ws *ws, bool delivered)
{
    struct rest_channel *ch = ws->msg_channel;

    ws->msg_channel = NULL;
    if (ch != NULL) {
        rest_hub_message_end(ch, &ws->msg, delivered);
    }
}

/* Let the channel go; it may get another socket. */
static void detach(struct ws *ws)
{
    if (ws->ch != NULL) {
        ws->ch->socket = NULL;
        ws->ch->used_ms = loop_now_ms(ws->loop);
        ws->ch = NULL;
    }
}

static void ws_free(struct ws *ws)
{
    if (ws->frames != NULL) {
        wslay_event_context_free(ws->frames);
    }
    dr_dynbuf_fini(&ws->extra);
    free(ws);
}

static void ws_end(struct ws *ws)
{
    struct rest_req *req = ws->req;

    loop_fd_close(&ws->watch);
    loop_timer_stop(&ws->timer);
    detach(ws);
    message_end(ws, false);
    req->op = NULL;
    ws_free(ws);
    rest_upgrade_end(req);
}

static void close_due(struct loop_timer *t)
{
    ws_end(DR_CONTAINER_OF(t, struct ws, timer));
}

/* Say goodbye; the end comes when the other side does, or soon. Nothing is freed here. */
static void ws_close(struct ws *ws, uint16_t code)
{
    if (ws->closing) {
        return;
    }
    ws->closing = true;
    (void)wslay_event_queue_close(ws->frames, code, NULL, 0);
    (void)wslay_event_send(ws->frames);
    loop_timer_start(ws->loop, &ws->timer, CLOSE_MS, 0, close_due);
    if (loop_fd_set(&ws->watch,
                    LOOP_READ | (wslay_event_want_write(ws->frames) ? LOOP_WRITE : 0U)) != DR_OK) {
        dr_log(DR_LOG_DEBUG, "rest", "cannot watch a closing socket");
    }
}

static void ping(struct loop_timer *t)
{
    struct ws *ws = DR_CONTAINER_OF(t, struct ws, timer);
    const struct wslay_event_msg msg = {.opcode = WSLAY_PING};

    if (loop_now_ms(ws->loop) - ws->heard_ms > QUIET_MS) {
        ws_end(ws);
        return;
    }
    (void)wslay_event_queue_msg(ws->frames, &msg);
    ws_run(ws);
}

/* ---- messages ---- */

/* Put the next message into the frames. false = the socket cannot go on. */
static bool message_start(struct ws *ws)
{
    struct rest_channel *ch = ws->ch;
    struct dr_dynbuf text;
    size_t max = ch->chunk_max == 0 ? REST_MESSAGE_ENTRIES_MAX : ch->chunk_max;

    dr_dynbuf_init(&text, REST_ANSWER_MAX);
    dr_err_t err = rest_message_take(&ch->queue, max, false, &ws->msg, &text);
    if (err == DR_OK) {
        const struct wslay_event_msg msg = {
            .opcode = WSLAY_TEXT_FRAME, .msg = text.p, .msg_length = text.len};
        rest_hub_message_begin(ch);
        ws->msg_channel = ch;
        if (wslay_event_queue_msg(ws->frames, &msg) != 0) {
            message_end(ws, false);
            err = DR_ERR_NOMEM;
        }
    }
    dr_dynbuf_fini(&text);
    return err == DR_OK;
}

static void drained(struct rest_req *req)
{
    struct ws *ws = req->op;

    if (ws != NULL) {
        message_end(ws, true);
        ws_run(ws);
    }
}

/* Everything that can be done now. false = the socket is at its end. */
static bool step(struct ws *ws)
{
    if (wslay_event_recv(ws->frames) != 0 || wslay_event_send(ws->frames) != 0) {
        return false;
    }
    while (!wslay_event_want_write(ws->frames)) {
        if (ws->msg_channel != NULL) {
            if (!rest_upgrade_flush(ws->req, drained)) {
                break;
            }
            message_end(ws, true);
        }
        if (ws->closing || ws->ch == NULL || ws->ch->queue.count == 0) {
            break;
        }
        if (!message_start(ws) || wslay_event_send(ws->frames) != 0) {
            return false;
        }
    }
    return wslay_event_want_read(ws->frames) || wslay_event_want_write(ws->frames);
}

static void ws_run(struct ws *ws)
{
    if (!step(ws)) {
        ws_end(ws);
        return;
    }
    uint32_t events = (wslay_event_want_read(ws->frames) ? LOOP_READ : 0U) |
                      (wslay_event_want_write(ws->frames) ? LOOP_WRITE : 0U);
    if (loop_fd_set(&ws->watch, events) != DR_OK) {
        ws_end(ws);
    }
}

static void ready(struct loop_fd *w, uint32_t events)
{
    (void)events;
    ws_run(DR_CONTAINER_OF(w, struct ws, watch));
}

static void channel_ready(struct rest_channel *ch)
{
    if (ch->socket != NULL) {
        ws_run(ch->socket);
    }
}

static void channel_gone(struct rest_channel *ch)
{
    struct ws *ws = ch->socket;

    if (ws != NULL) {
        detach(ws);
        ws_close(ws, (uint16_t)(ch->end_code == 0 ? 1000 : ch->end_code));
    }
}

/* ---- connecting ---- */

static void attach(struct ws *ws)
{
    struct rest_channel *ch = rest_hub_find(rest_of(ws->req)->hub, ws->req->who.key);

    if (ch == NULL || ch->kind != REST_CHANNEL_WEBSOCKET) {
        ws_close(ws, 1011);
        return;
    }
    if (ch->socket != NULL) {
        struct ws *old = ch->socket;
        detach(old);
        ws_close(old, 1001);
    }
    ch->ready = channel_ready;
    ch->gone = channel_gone;
    ch->socket = ws;
    ch->used_ms = loop_now_ms(ws->loop);
    ws->ch = ch;
    rest_hub_wake(ch);
}

static void upgraded(struct rest_req *req, int fd, struct dr_bytes extra)
{
    static const struct wslay_event_callbacks callbacks = {.recv_callback = on_recv,
                                                           .send_callback = on_send};
    struct ws *ws = calloc(1, sizeof *ws);

    if (ws == NULL) {
        rest_upgrade_end(req);
        return;
    }
    ws->req = req;
    ws->loop = rest_of(req)->loop;
    ws->fd = fd;
    ws->heard_ms = loop_now_ms(ws->loop);
    dr_dynbuf_init(&ws->extra, RECV_MAX);
    dr_dynbuf_append_bytes(&ws->extra, extra);
    if (dr_dynbuf_err(&ws->extra) != DR_OK ||
        wslay_event_context_server_init(&ws->frames, &callbacks, ws) != 0 ||
        loop_fd_open(ws->loop, &ws->watch, fd, ready) != DR_OK) {
        ws_free(ws);
        rest_upgrade_end(req);
        return;
    }
    wslay_event_config_set_max_recv_msg_length(ws->frames, RECV_MAX);
    req->op = ws;
    loop_timer_start(ws->loop, &ws->timer, PING_MS, PING_MS, ping);
    /* frames begin in the next turn: the parser is still at work here */
    if (loop_fd_set(&ws->watch, LOOP_READ | LOOP_WRITE) != DR_OK) {
        loop_timer_start(ws->loop, &ws->timer, 0, 0, close_due);
    }
    if (rest_http_closing(req->http)) {
        ws_close(ws, 1012);
    } else {
        attach(ws);
    }
}

/* Is @p word one of the comma-separated words of @p header (letter case ignored)? */
static bool has_word(const char *header, const char *word)
{
    size_t n = strlen(word);

    while (header != NULL && *header != '\0') {
        header += strspn(header, " \t,");
        size_t len = strcspn(header, " \t,");
        if (len == n && strncasecmp(header, word, n) == 0) {
            return true;
        }
        header += len;
    }
    return false;
}

static bool accept_make(const char *key, char out[DR_BASE64_LEN(SHA_DIGEST_LENGTH) + 1])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* spec: RFC6455#1.3 */
    uint8_t raw[16];
    char text[24 + sizeof guid];
    uint8_t digest[SHA_DIGEST_LENGTH];
    size_t n = 0;

    if (key == NULL || strlen(key) != 24 ||
        dr_base64_decode(key, 24, raw, sizeof raw, &n) != DR_OK || n != sizeof raw) {
        return false;
    }
    memcpy(text, key, 24);
    memcpy(text + 24, guid, sizeof guid);
    (void)SHA1((const unsigned char *)text, 24 + sizeof guid - 1, digest);
    (void)dr_base64_encode(digest, sizeof digest, out);
    return true;
}

static void connect_get(struct rest_req *req)
{
    char accept[DR_BASE64_LEN(SHA_DIGEST_LENGTH) + 1];
    const char *version = rest_req_header(req, "Sec-WebSocket-Version");

    if (!has_word(rest_req_header(req, "Upgrade"), "websocket") ||
        !has_word(rest_req_header(req, "Connection"), "upgrade")) {
        rest_answer_text(req, 426, "UPGRADE_REQUIRED");
        rest_answer_header(req, "Upgrade", "websocket");
        return;
    }
    if (version == NULL || strcmp(version, "13") != 0) {
        rest_answer_text(req, version == NULL ? 400 : 426, "UNSUPPORTED_WEBSOCKET_VERSION");
        rest_answer_header(req, "Sec-WebSocket-Version", "13");
        return;
    }
    if (!accept_make(rest_req_header(req, "Sec-WebSocket-Key"), accept)) {
        rest_answer_text(req, 400, "MISSING_WEBSOCKET_KEY");
        return;
    }
    rest_answer_upgrade(req, upgraded);
    rest_answer_header(req, "Upgrade", "websocket");
    rest_answer_header(req, "Sec-WebSocket-Accept", accept);
    if (has_word(rest_req_header(req, "Sec-WebSocket-Protocol"), "wss")) {
        rest_answer_header(req, "Sec-WebSocket-Protocol", "wss");
    }
}

/* ---- the channel ---- */

static void channel_answer(struct rest_req *req, int status, const struct rest_channel *ch)
{
    struct dr_dynbuf body;
    dr_dynbuf_init(&body, 1024);
    struct rest_json j = rest_json_of(&body);

    rest_json_object(&j, NULL);
    rest_json_str(&j, "status", ch->socket == NULL ? "disconnected" : "connected");
    rest_json_int(&j, "queue_size", (int64_t)ch->queue.count);
    rest_json_int(&j, "queueSize", (int64_t)ch->queue.count);
    rest_json_object(&j, "serialization");
    rest_json_str(&j, "type", "v2");
    rest_json_int(&j, "max_chunk_size",
                  ch->chunk_max == 0 ? REST_MESSAGE_ENTRIES_MAX : ch->chunk_max);
    rest_json_object(&j, "cfg");
    rest_json_bool(&j, "deregistrations_as_object", ch->options & REST_OPTION_DEREG_OBJECT);
    rest_json_bool(&j, "include_original_ep", ch->options & REST_OPTION_ORIGINAL_EP);
    rest_json_bool(&j, "include_timestamp", ch->options & REST_OPTION_TIMESTAMP);
    rest_json_bool(&j, "include_uid", ch->options & REST_OPTION_UID);
    rest_json_object_end(&j);
    rest_json_object_end(&j);
    rest_json_object_end(&j);
    rest_answer_json(req, status, &body);
}

static void channel_put(struct rest_req *req)
{
    struct rest_serialization s = {0};
    struct rest_channel *ch = NULL;
    bool fresh = false;

    if (req->body.len != 0) {
        json_t *json = NULL;
        if (!rest_body_parse(req, &json)) {
            return;
        }
        dr_err_t err = rest_serialization_parse(json, &s);
        json_decref(json);
        if (err != DR_OK) {
            rest_answer_text(req, 400, "INVALID_SERIALIZATION");
            return;
        }
    }
    dr_err_t err = rest_hub_open(rest_of(req)->hub, req->who.account, req->who.key,
                                 REST_CHANNEL_WEBSOCKET, &ch, &fresh);
    if (err == DR_ERR_EXISTS) {
        rest_answer_text(req, 400, "CHANNEL_OF_OTHER_KIND_EXISTS");
        return;
    }
    if (err != DR_OK) {
        rest_answer_err(req, err);
        return;
    }
    if (fresh) {
        ch->chunk_max = s.max_chunk_size;
        ch->options = s.options;
        ch->ready = channel_ready;
        ch->gone = channel_gone;
    }
    channel_answer(req, fresh ? 201 : 200, ch);
}

static struct rest_channel *find(struct rest_req *req)
{
    struct rest_channel *ch = rest_hub_find(rest_of(req)->hub, req->who.key);

    if (ch != NULL && ch->kind == REST_CHANNEL_WEBSOCKET) {
        return ch;
    }
    rest_answer_text(req, 404, "CHANNEL_NOT_FOUND");
    return NULL;
}

static void channel_get(struct rest_req *req)
{
    const struct rest_channel *ch = find(req);

    if (ch != NULL) {
        channel_answer(req, 200, ch);
    }
}

static void channel_delete(struct rest_req *req)
{
    struct rest_channel *ch = find(req);

    if (ch != NULL) {
        rest_hub_delete(ch);
        rest_answer_empty(req, 204);
    }
}

static const struct rest_route routes[] = {
    {REST_PUT, REST_READ, "/v2/notification/websocket", channel_put, 65536},
    {REST_GET, REST_READ, "/v2/notification/websocket", channel_get, 0},
    {REST_DELETE, REST_READ, "/v2/notification/websocket", channel_delete, 0},
    {REST_GET, REST_READ, "/v2/notification/websocket-connect", connect_get, 0},
};

const struct rest_routes rest_v2_websocket_routes = {routes, DR_ARRAY_LEN(routes)};
