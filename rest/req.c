/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/req.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/rand.h"
#include "base/text.h"
#include "rest/server_priv.h"

/*
 * Life of a request:
 *
 *   HEAD --> (AUTH: suspended) --> BODY --> (HANDLER: suspended) --> ANSWER --> completed
 *     |                        `-> OPEN --^  (a body that is streamed: the handler runs before it)
 *     `---------------- an error: answered at once, or after a small body ------^
 */
enum phase {
    PHASE_HEAD,
    PHASE_AUTH,
    PHASE_OPEN,
    PHASE_BODY,
    PHASE_HANDLER,
    PHASE_ANSWER,
    PHASE_UPGRADED
};

enum { M_OK, M_CLIENT, M_SERVER, M_SECONDS, M_COUNT };
static const uint64_t bounds[] = {500,   1000,   2500,   5000,    10000,   25000,
                                  50000, 100000, 250000, 1000000, 5000000, 30000000};
static struct dr_metric metrics[M_COUNT] = {
    [M_OK] = {.name = "drover_http_requests_total",
              .type = DR_COUNTER,
              .help = "HTTP requests answered, by class of status",
              .labels = "class=\"2xx\""},
    [M_CLIENT] = {.name = "drover_http_requests_total",
                  .type = DR_COUNTER,
                  .help = "HTTP requests answered, by class of status",
                  .labels = "class=\"4xx\""},
    [M_SERVER] = {.name = "drover_http_requests_total",
                  .type = DR_COUNTER,
                  .help = "HTTP requests answered, by class of status",
                  .labels = "class=\"5xx\""},
    [M_SECONDS] = {.name = "drover_http_request_seconds",
                   .type = DR_HISTOGRAM,
                   .help = "From the header to the answer, long polls included",
                   .scale = 1e-6,
                   .bounds = bounds,
                   .bound_count = DR_ARRAY_LEN(bounds)},
};

void rest_req_metrics_register(void)
{
    if (dr_metrics_register(metrics, M_COUNT) != DR_OK) {
        dr_log(DR_LOG_WARNING, "rest", "no room for metrics of requests");
    }
}

/* An error before the body swallows so much of it, to keep the connection; more closes it. */
#define SWALLOW_MAX 65536

static struct rest_http *http_of(const struct rest_req *req)
{
    return req->http;
}

/* ---- lookups ---- */

const char *rest_req_header(const struct rest_req *req, const char *name)
{
    dr_assert(req != NULL && name != NULL);
    return MHD_lookup_connection_value(req->mhd, MHD_HEADER_KIND, name);
}

const char *rest_req_capture(const struct rest_req *req, size_t i)
{
    dr_assert(req != NULL);
    return i < req->match.n_captures ? req->match.captures[i] : "";
}

bool rest_req_answered(const struct rest_req *req)
{
    dr_assert(req != NULL);
    return req->response != NULL;
}

/* ---- waiting ---- */

static void hangup(struct loop_fd *w, uint32_t events)
{
    (void)events;
    loop_fd_close(w);
    rest_req_gone(DR_CONTAINER_OF(w, struct rest_req, watch));
}

void rest_req_gone(struct rest_req *req)
{
    dr_assert(req != NULL);
    if (req->gone != NULL && !req->gone_called && req->response == NULL && req->suspended) {
        req->gone_called = true;
        req->gone(req);
    }
}

/* The parser does not look at a suspended connection: watch for its end ourselves. */
static void hangup_watch(struct rest_req *req)
{
    if (loop_fd_open(http_of(req)->loop, &req->watch, req->conn->fd, hangup) != DR_OK ||
        loop_fd_set(&req->watch, LOOP_HANGUP) != DR_OK) {
        loop_fd_close(&req->watch);
    }
}

static void suspend(struct rest_req *req)
{
    req->suspended = true;
    http_of(req)->suspended++;
    MHD_suspend_connection(req->mhd);
    if (req->gone != NULL) {
        hangup_watch(req);
    }
}

void rest_req_on_gone(struct rest_req *req, void (*gone)(struct rest_req *req))
{
    dr_assert(req != NULL && gone != NULL && req->gone == NULL);
    req->gone = gone;
    if (req->suspended) {
        hangup_watch(req);
    }
}

static void resume(struct rest_req *req)
{
    struct rest_http *http = http_of(req);

    if (!req->suspended) {
        return;
    }
    loop_fd_close(&req->watch);
    req->suspended = false;
    http->suspended--;
    MHD_resume_connection(req->mhd);
    rest_http_kick(http);
}

/* ---- answers ---- */

static void header_put(struct rest_req *req, const char *name, const char *value)
{
    if (MHD_add_response_header(req->response, name, value) != MHD_YES) {
        dr_log(DR_LOG_DEBUG, "rest", "no room for header '%s'", name);
    }
}

/* The one way out. @p response is taken; NULL = no memory. */
static void answer(struct rest_req *req, int status, const char *type,
                   struct MHD_Response *response)
{
    dr_assert(req->response == NULL);
    if (response == NULL) {
        /* without memory for an answer, try for an empty one */
        response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
        status = 503;
        type = NULL;
    }
    dr_assert(response != NULL);
    req->response = response;
    req->status = status;
    if (type != NULL) {
        header_put(req, "Content-Type", type);
    }
    header_put(req, "X-Request-Id", req->id);
    header_put(req, "Cache-Control", "no-store");
    header_put(req, "X-Content-Type-Options", "nosniff");
    if (status == 401) {
        header_put(req, "WWW-Authenticate", "Bearer");
    }
    if (http_of(req)->closing && status != 101) {
        header_put(req, "Connection", "close");
    }
    if (!req->in_handler) {
        resume(req);
    }
}

void rest_answer(struct rest_req *req, int status, const char *type, struct dr_dynbuf *body)
{
    dr_assert(req != NULL && body != NULL);
    char *p = NULL;
    size_t len = 0;
    dr_err_t err = dr_dynbuf_take(body, &p, &len);

    if (err != DR_OK) {
        rest_answer_err(req, err == DR_ERR_TOO_LARGE ? DR_ERR_INTERNAL : err);
        return;
    }
    struct MHD_Response *r = MHD_create_response_from_buffer(len, p, MHD_RESPMEM_MUST_FREE);
    if (r == NULL) {
        free(p);
    }
    answer(req, status, type, r);
}

void rest_answer_cached(struct rest_req *req, const char *type, struct dr_dynbuf *body,
                        const char *cache_control)
{
    dr_assert(req != NULL && cache_control != NULL);
    bool in_handler = req->in_handler;

    req->in_handler = true; /* the header first, then it may go */
    rest_answer(req, 200, type, body);
    if (req->status == 200) {
        (void)MHD_del_response_header(req->response, "Cache-Control", "no-store");
        header_put(req, "Cache-Control", cache_control);
    }
    req->in_handler = in_handler;
    if (!in_handler) {
        resume(req);
    }
}

void rest_answer_json(struct rest_req *req, int status, struct dr_dynbuf *body)
{
    rest_answer(req, status, "application/json", body);
}

void rest_answer_empty(struct rest_req *req, int status)
{
    dr_assert(req != NULL);
    answer(req, status, NULL, MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT));
}

void rest_answer_text(struct rest_req *req, int status, const char *text)
{
    dr_assert(req != NULL && text != NULL);
    union {
        const char *in;
        void *out;
    } cast = {.in = text}; /* copied, not written to */
    answer(req, status, "text/plain",
           MHD_create_response_from_buffer(strlen(text), cast.out, MHD_RESPMEM_MUST_COPY));
}

static const char *usual_type(int status)
{
    static const struct {
        int status;
        const char *type;
    } types[] = {
        {400, "bad_request"},
        {401, "invalid_apikey"},
        {403, "access_denied"},
        {404, "not_found"},
        {405, "method_not_supported"},
        {406, "not_acceptable"},
        {409, "duplicate"},
        {412, "precondition_failed"},
        {413, "payload_too_large"},
        {414, "uri_too_long"},
        {415, "unsupported_media_type"},
        {429, "rate_limit_exceeded"},
        {500, "internal_server_error"},
        {503, "system_unavailable"},
    };
    for (size_t i = 0; i < DR_ARRAY_LEN(types); i++) {
        if (types[i].status == status) {
            return types[i].type;
        }
    }
    return status >= 500 ? "internal_server_error" : "bad_request";
}

static void error_envelope(struct rest_req *req, int status, const char *type, const char *message,
                           const struct rest_field_errors *errors)
{
    struct dr_dynbuf body;
    dr_dynbuf_init(&body, 16384);
    struct rest_json j = rest_json_of(&body);

    rest_json_object(&j, NULL);
    rest_json_str(&j, "object", "error");
    rest_json_int(&j, "code", status);
    rest_json_str(&j, "type", type);
    rest_json_str(&j, "message", message);
    rest_json_str(&j, "request_id", req->id);
    rest_json_array(&j, "fields");
    for (size_t i = 0; errors != NULL && i < errors->count; i++) {
        rest_json_object(&j, NULL);
        rest_json_str(&j, "name", errors->item[i].name);
        rest_json_str(&j, "message", errors->item[i].message);
        rest_json_object_end(&j);
    }
    rest_json_array_end(&j);
    rest_json_object_end(&j);
    if (dr_dynbuf_err(&body) != DR_OK) {
        dr_dynbuf_fini(&body);
        rest_answer_empty(req, status);
        return;
    }
    rest_answer_json(req, status, &body);
}

void rest_answer_error(struct rest_req *req, int status, const char *type, const char *message)
{
    dr_assert(req != NULL && message != NULL);
    if (req->target.v2) {
        rest_answer_text(req, status, message);
    } else {
        error_envelope(req, status, type == NULL ? usual_type(status) : type, message, NULL);
    }
}

void rest_answer_fields(struct rest_req *req, const struct rest_field_errors *errors,
                        const char *v2_text)
{
    dr_assert(req != NULL && errors != NULL && v2_text != NULL);
    if (req->target.v2) {
        rest_answer_text(req, 400, v2_text);
    } else {
        error_envelope(req, 400, "validation_error", "request has fields that are not valid",
                       errors);
    }
}

void rest_answer_err(struct rest_req *req, dr_err_t err)
{
    int status = dr_err_http(err);

    if (status >= 500) {
        DR_LOG_LIMITED(DR_LOG_WARNING, "rest", 5, "request '%s' failed: %s", req->id,
                       dr_err_str(err));
    }
    if (req->target.v2) {
        rest_answer_text(req, status, dr_err_name(err));
    } else {
        rest_answer_error(req, status, NULL, dr_err_str(err));
    }
}

void rest_answer_file(struct rest_req *req, int fd, uint64_t size, const char *type)
{
    dr_assert(req != NULL && fd >= 0);
    struct MHD_Response *r = MHD_create_response_from_fd64(size, fd);

    req->file_size = size;
    if (r == NULL) {
        (void)close(fd);
    }
    answer(req, 200, type, r);
}

void rest_answer_part(struct rest_req *req, int status, int fd, uint64_t at, uint64_t len,
                      const char *type)
{
    dr_assert(req != NULL && fd >= 0);
    struct MHD_Response *r = MHD_create_response_from_fd_at_offset64(len, fd, at);

    req->file_size = len;
    if (r == NULL) {
        (void)close(fd);
    }
    answer(req, status, type, r);
}

static void upgrade_ready(void *cls, struct MHD_Connection *mhd, void *con_cls,
                          const char *extra_in, size_t extra_in_size, MHD_socket sock,
                          struct MHD_UpgradeResponseHandle *urh)
{
    struct rest_req *req = cls;
    (void)mhd;
    (void)con_cls;

    req->phase = PHASE_UPGRADED;
    req->upgrade = urh;
    http_of(req)->answering--;
    http_of(req)->upgraded++;
    req->conn->deadline_ms = 0;
    req->conn->upgraded = req;
    req->upgraded(req, sock, dr_bytes_of(extra_in, extra_in_size));
}

void rest_answer_upgrade(struct rest_req *req,
                         void (*upgraded)(struct rest_req *req, int fd, struct dr_bytes extra))
{
    dr_assert(req != NULL && upgraded != NULL);
    struct MHD_Response *r = MHD_create_response_for_upgrade(upgrade_ready, req);

    req->upgraded = upgraded;
    answer(req, 101, NULL, r);
}

void rest_upgrade_end(struct rest_req *req)
{
    dr_assert(req != NULL && req->upgrade != NULL);
    struct MHD_UpgradeResponseHandle *urh = req->upgrade;

    req->upgrade = NULL;
    req->drained = NULL;
    (void)MHD_upgrade_action(urh, MHD_UPGRADE_ACTION_CLOSE);
    rest_http_kick(http_of(req));
}

bool rest_upgrade_flush(struct rest_req *req, void (*drained)(struct rest_req *req))
{
    dr_assert(req != NULL && req->upgrade != NULL && drained != NULL);
    struct rest_conn *conn = req->conn;

    if (conn->tls == NULL) {
        return true;
    }
    req->flush_at = rest_tls_mark(conn->tls);
    if (rest_tls_written(conn->tls) >= req->flush_at) {
        return true;
    }
    req->drained = drained;
    return false;
}

void rest_answer_header(struct rest_req *req, const char *name, const char *value)
{
    dr_assert(req != NULL && name != NULL && value != NULL);
    if (req->response != NULL) {
        header_put(req, name, value);
    }
}

/* ---- phases ---- */

static void id_make(char out[REST_REQUEST_ID_LEN + 1])
{
    uint8_t raw[REST_REQUEST_ID_LEN / 2];

    dr_rand_bytes(raw, sizeof raw);
    dr_hex_encode(raw, sizeof raw, out);
}

void *rest_req_begin(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    struct rest_http *http = cls;
    struct rest_req *req = calloc(1, sizeof *req);
    if (req == NULL) {
        return NULL; /* rest_req_access() closes the connection */
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    req->http = http;
    req->app = http->config.app;
    req->mhd = mhd;
    req->conn = info == NULL ? NULL : info->socket_context;
    rest_arena_init(&req->arena, REST_ARENA_MAX);
    dr_dynbuf_init(&req->in, http->config.body_max);
    id_make(req->id);
    req->begin_us = dr_mono_us();
    req->parse_err = rest_target_parse(uri, &req->arena, &req->target);
    if (req->parse_err == DR_ERR_TOO_LARGE && req->conn != NULL) {
        /* so many arguments may be too many for the parser, too: then it goes silent */
        req->conn->deadline_ms = loop_now_ms(http->loop) + 1;
    }
    dr_list_push_back(&http->reqs, &req->node);
    http->stats.requests++;
    return req;
}

static void deadline_set(struct rest_req *req, uint64_t ms)
{
    if (req->conn != NULL) {
        req->conn->deadline_ms = ms == 0 ? 0 : loop_now_ms(http_of(req)->loop) + ms;
    }
}

/* Give the answer to the parser. */
static enum MHD_Result queue(struct rest_req *req)
{
    unsigned class = req->status >= 500 ? M_SERVER : req->status >= 400 ? M_CLIENT : M_OK;

    dr_metric_inc(&metrics[class]);
    dr_metric_observe(&metrics[M_SECONDS], dr_mono_us() - req->begin_us);
    req->phase = PHASE_ANSWER;
    http_of(req)->answering++;
    deadline_set(req, REST_ANSWER_MS + req->file_size * 1000 / REST_BODY_RATE);
    return MHD_queue_response(req->mhd, (unsigned int)req->status, req->response);
}

/* A header that is there and no number counts as larger than everything. */
static bool content_length(const struct rest_req *req, uint64_t *ret)
{
    const char *text = rest_req_header(req, "Content-Length");

    *ret = 0;
    return text == NULL || dr_parse_u64(text, strlen(text), ret) == DR_OK;
}

bool rest_req_length(const struct rest_req *req, uint64_t *ret)
{
    dr_assert(req != NULL && ret != NULL);
    return content_length(req, ret) && rest_req_header(req, "Content-Length") != NULL;
}

/* The route, or the error, of this target and method. */
static void route(struct rest_req *req, const char *method)
{
    struct rest_http *http = http_of(req);
    unsigned allow = 0;
    dr_err_t err = req->parse_err;

    req->method = rest_method_find(method);
    if (err == DR_OK) {
        err = rest_route_find(http->config.routes, http->config.n_routes, req->method, &req->target,
                              &req->arena, &req->match, &allow);
    }
    switch (err) {
    case DR_OK:
        break;
    case DR_ERR_NOT_FOUND:
        rest_answer_error(req, 404, NULL, req->target.v2 ? "NOT_FOUND" : "no such path");
        break;
    case DR_ERR_UNSUPPORTED: {
        char text[REST_ALLOW_MAX];
        rest_allow_format(allow, text);
        rest_answer_error(req, 405, NULL,
                          req->target.v2 ? "METHOD_NOT_ALLOWED" : "the path has other methods");
        rest_answer_header(req, "Allow", text);
        break;
    }
    case DR_ERR_TOO_LARGE:
        rest_answer_error(req, 414, NULL, "the request target is too long");
        break;
    case DR_ERR_PROTO:
        rest_answer_error(req, 400, NULL, "the request target is malformed");
        break;
    default:
        rest_answer_err(req, err);
        break;
    }
}

/* There is an answer before the body: give it now, or behind a body that is small. */
static enum MHD_Result refuse(struct rest_req *req)
{
    uint64_t len = 0;
    bool known = content_length(req, &len);
    bool waits = rest_req_header(req, "Expect") != NULL;

    if (waits || !known || len > SWALLOW_MAX) {
        return queue(req);
    }
    req->swallow = true;
    req->phase = PHASE_BODY;
    deadline_set(req, http_of(req)->config.body_ms);
    return MHD_YES;
}

static enum MHD_Result body_begin(struct rest_req *req)
{
    uint64_t len = 0;

    (void)content_length(req, &len);
    req->phase = PHASE_BODY;
    req->body_from_ms = loop_now_ms(http_of(req)->loop);
    deadline_set(req, http_of(req)->config.body_ms + len * 1000 / REST_BODY_RATE);
    return MHD_YES;
}

/* The handler of a streamed body has run: what now? */
static enum MHD_Result open_step(struct rest_req *req)
{
    if (req->response != NULL) {
        return refuse(req);
    }
    if (req->piece != NULL) {
        return body_begin(req);
    }
    deadline_set(req, 0);
    suspend(req);
    return MHD_YES;
}

static void stream_check(struct rest_req *req)
{
    uint64_t len = 0;

    if (!content_length(req, &len) || len > req->stream_max) {
        rest_answer_error(req, 413, NULL, "the body is too large");
    }
}

void rest_req_stream(struct rest_req *req, uint64_t max,
                     void (*piece)(struct rest_req *req, struct dr_bytes data))
{
    dr_assert(req != NULL && piece != NULL && req->phase == PHASE_OPEN);
    dr_assert(req->piece == NULL && req->response == NULL);
    req->piece = piece;
    req->stream_max = max;
    stream_check(req);
    if (!req->in_handler) {
        resume(req);
    }
}

void rest_req_pause(struct rest_req *req)
{
    dr_assert(req != NULL && req->phase == PHASE_BODY && req->in_handler && !req->suspended);
    suspend(req);
    req->body_from_ms -= loop_now_ms(http_of(req)->loop); /* what has passed, negative */
    deadline_set(req, 0);
}

void rest_req_more(struct rest_req *req)
{
    dr_assert(req != NULL && req->phase == PHASE_BODY && req->suspended);
    req->body_from_ms += loop_now_ms(http_of(req)->loop);
    deadline_set(req, http_of(req)->config.body_ms);
    resume(req);
}

/* Header is there, route and key are settled: go on with the body or refuse it. */
static enum MHD_Result head_done(struct rest_req *req)
{
    const struct rest_route *route = req->match.route;
    uint64_t len = 0;
    size_t max = http_of(req)->config.body_max;

    if (req->response != NULL) {
        return refuse(req);
    }
    if (route->body_max == REST_BODY_STREAM) {
        req->phase = PHASE_OPEN;
        req->in_handler = true;
        route->handler(req);
        req->in_handler = false;
        return open_step(req);
    }
    max = route->body_max != 0 ? route->body_max : max;
    if (!content_length(req, &len) || len > max) {
        rest_answer_error(req, 413, NULL, "the body is too large");
        return refuse(req);
    }
    req->in.max = max;
    return body_begin(req);
}

static enum MHD_Result length_seen(void *cls, enum MHD_ValueKind kind, const char *key,
                                   const char *value)
{
    unsigned *n = cls;
    (void)kind;
    (void)value;

    *n += strcasecmp(key, "Content-Length") == 0;
    return MHD_YES;
}

/* Two lengths, or no host: others on the way may have understood something else. */
static bool framing_ok(const struct rest_req *req, const char *version)
{
    unsigned lengths = 0;

    (void)MHD_get_connection_values(req->mhd, MHD_HEADER_KIND, length_seen, &lengths);
    return lengths + (rest_req_header(req, "Transfer-Encoding") != NULL) <= 1 &&
           (strcmp(version, "HTTP/1.1") != 0 || rest_req_header(req, "Host") != NULL);
}

static enum MHD_Result head(struct rest_req *req, const char *method, const char *version)
{
    struct rest_http *http = http_of(req);

    req->in_handler = true;
    if (!framing_ok(req, version)) {
        rest_answer_error(req, 400, NULL, "the request is ambiguous");
        rest_answer_header(req, "Connection", "close");
        req->in_handler = false;
        return queue(req);
    }
    route(req, method);
    bool decided = true;
    if (req->response == NULL && req->match.route->role != REST_OPEN) {
        dr_assert(http->config.authorise != NULL);
        decided = http->config.authorise(req);
    }
    req->in_handler = false;
    if (!decided) {
        req->phase = PHASE_AUTH;
        deadline_set(req, 0);
        suspend(req);
        return MHD_YES;
    }
    return head_done(req);
}

void rest_http_authorised(struct rest_req *req)
{
    dr_assert(req != NULL && req->phase == PHASE_AUTH);
    resume(req);
}

static void piece_take(struct rest_req *req, const char *data, size_t len)
{
    uint64_t from = req->body_from_ms + http_of(req)->config.body_ms;

    req->streamed += len;
    req->in_handler = true;
    if (req->streamed > req->stream_max) {
        rest_answer_error(req, 413, NULL, "the body is too large");
    } else {
        if (req->conn != NULL) {
            req->conn->deadline_ms = from + req->streamed * 1000 / REST_BODY_RATE;
        }
        req->piece(req, dr_bytes_of(data, len));
    }
    req->in_handler = false;
}

static enum MHD_Result body(struct rest_req *req, const char *data, size_t len)
{
    if (req->response != NULL) {
        req->swallow = true;
    }
    if (req->swallow) {
        req->swallowed += len;
        return req->swallowed > (uint64_t)req->in.max + SWALLOW_MAX ? MHD_NO : MHD_YES;
    }
    if (req->piece != NULL) {
        piece_take(req, data, len);
        return MHD_YES;
    }
    dr_dynbuf_append(&req->in, data, len);
    if (dr_dynbuf_err(&req->in) != DR_OK) {
        req->in_handler = true;
        if (req->in.err == DR_ERR_TOO_LARGE) {
            rest_answer_error(req, 413, NULL, "the body is too large");
        } else {
            rest_answer_err(req, req->in.err);
        }
        req->in_handler = false;
        req->swallow = true;
    }
    return MHD_YES;
}

static enum MHD_Result dispatch(struct rest_req *req)
{
    deadline_set(req, 0);
    if (req->response == NULL) {
        req->body = dr_dynbuf_bytes(&req->in);
        req->phase = PHASE_HANDLER;
        req->in_handler = true;
        if (req->piece != NULL) {
            req->piece(req, (struct dr_bytes){0});
        } else {
            req->match.route->handler(req);
        }
        req->in_handler = false;
    }
    if (req->response != NULL) {
        return queue(req);
    }
    suspend(req);
    return MHD_YES;
}

enum MHD_Result rest_req_access(void *cls, struct MHD_Connection *mhd, const char *url,
                                const char *method, const char *version, const char *upload_data,
                                size_t *upload_size, void **con_cls)
{
    struct rest_req *req = *con_cls;
    (void)cls;
    (void)mhd;
    (void)url;

    if (req == NULL || req->conn == NULL) {
        return MHD_NO;
    }
    switch ((enum phase)req->phase) {
    case PHASE_HEAD:
        return head(req, method, version);
    case PHASE_AUTH:
        return head_done(req);
    case PHASE_OPEN:
        return open_step(req);
    case PHASE_BODY:
        if (*upload_size != 0) {
            size_t len = *upload_size;
            *upload_size = 0;
            return body(req, upload_data, len);
        }
        return dispatch(req);
    case PHASE_HANDLER:
        return req->response == NULL ? MHD_YES : queue(req);
    case PHASE_ANSWER:
    case PHASE_UPGRADED:
        break;
    }
    return MHD_YES;
}

/* ---- end ---- */

static void req_free(struct rest_req *req)
{
    dr_list_remove(&req->node);
    if (req->response != NULL) {
        MHD_destroy_response(req->response);
    }
    if (req->in.p != NULL) {
        dr_wipe(req->in.p, req->in.len);
    }
    dr_dynbuf_fini(&req->in);
    rest_arena_fini(&req->arena);
    free(req);
}

static void req_end(struct rest_req *req, bool ok)
{
    if (req->sent != NULL) {
        req->sent(req, ok);
    }
    req_free(req);
}

void rest_req_completed(void *cls, struct MHD_Connection *mhd, void **con_cls,
                        enum MHD_RequestTerminationCode toe)
{
    struct rest_http *http = cls;
    struct rest_req *req = *con_cls;
    (void)mhd;

    if (req == NULL) {
        return;
    }
    *con_cls = NULL;
    dr_assert(!req->suspended);
    if (req->phase == PHASE_ANSWER) {
        http->answering--;
    }
    struct rest_conn *conn = req->conn;
    if (req->phase == PHASE_UPGRADED) {
        http->upgraded--;
        conn->upgraded = NULL;
    }
    bool ok = toe == MHD_REQUEST_TERMINATED_COMPLETED_OK && req->phase == PHASE_ANSWER;
    if (conn != NULL) {
        conn->deadline_ms = loop_now_ms(http->loop) + http->config.header_ms;
    }
    if (ok && req->sent != NULL && conn != NULL && conn->tls != NULL) {
        /* the pump still has it: wait until it has left */
        req->flush_at = rest_tls_mark(conn->tls);
        if (rest_tls_written(conn->tls) < req->flush_at) {
            dr_list_remove(&req->node);
            dr_list_push_back(&conn->flush, &req->node);
            return;
        }
    }
    req_end(req, ok);
}

void rest_req_flushed(struct rest_conn *conn, bool ok)
{
    dr_assert(conn != NULL);
    struct rest_req *up = conn->upgraded;
    if (ok && up != NULL && up->drained != NULL && conn->tls != NULL &&
        rest_tls_written(conn->tls) >= up->flush_at) {
        void (*drained)(struct rest_req * req) = up->drained;
        up->drained = NULL;
        drained(up);
    }
    DR_LIST_EACH_SAFE(it, &conn->flush)
    {
        struct rest_req *req = DR_CONTAINER_OF(it, struct rest_req, node);
        if (ok && (conn->tls == NULL || rest_tls_written(conn->tls) < req->flush_at)) {
            return;
        }
        req_end(req, ok);
    }
}
