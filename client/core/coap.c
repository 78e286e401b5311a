/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/coap.h"

#include "client/hal.h"

enum { TOKEN_LEN = 4, SIGNAL_CSM = 0xe1, SIGNAL_PING, SIGNAL_PONG, SIGNAL_RELEASE, SIGNAL_ABORT };

void cl_coap_init(struct cl_coap *co, const struct cl_coap_ops *ops, void *ctx, bool stream,
                  uint64_t now_ms)
{
    memset(co, 0, sizeof *co);
    co->ops = ops;
    co->ctx = ctx;
    co->stream = stream;
    co->now_ms = now_ms;
    co->block = CL_BLOCK_NORMAL;
    hal_random(&co->mid, sizeof co->mid);
}

/* The bytes of @p m in @p buf; 0 when they do not fit. */
static size_t encode(const struct cl_coap *co, const struct cl_msg *m, uint8_t *buf, size_t cap)
{
    return co->stream ? cl_frame_write(m, buf, cap) : cl_msg_write(m, buf, cap);
}

static void bytes_send(struct cl_coap *co, const uint8_t *msg, size_t len)
{
    co->sent_ms = co->now_ms;
    co->ops->send(co->ctx, msg, len);
}

static void transmit(struct cl_coap *co, const struct cl_msg *m)
{
    uint8_t buf[CL_MSG_MAX];
    size_t len = encode(co, m, buf, sizeof buf);

    if (len > 0) {
        bytes_send(co, buf, len);
    }
}

static void empty_send(struct cl_coap *co, enum cl_msg_type type, uint16_t mid)
{
    struct cl_msg m;

    if (!co->stream) {
        cl_msg_init(&m);
        m.type = (uint8_t)type;
        m.mid = mid;
        transmit(co, &m);
    }
}

static uint32_t first_wait(void)
{
    uint16_t r;

    hal_random(&r, sizeof r);
    return CL_ACK_MS + r % (CL_ACK_MS / 2); /* spec: RFC7252#4.2: a factor of 1 to 1.5 */
}

/* ---- messages of the server seen before ---- */

static uint32_t hash_add(uint32_t h, const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        h = (h ^ p[i]) * 16777619u;
    }
    return h;
}

static uint32_t msg_hash(const struct cl_msg *m)
{
    uint32_t h = hash_add(2166136261u, &m->code, 1);

    h = hash_add(h, m->token, m->token_len);
    return hash_add(h, m->payload.p, m->payload.len);
}

static struct cl_dup *dup_find(struct cl_coap *co, const struct cl_msg *m)
{
    uint32_t hash = msg_hash(m);

    for (size_t i = 0; i < CL_DUPS_MAX; i++) {
        struct cl_dup *d = &co->dup[i];
        if (d->there && d->mid == m->mid && d->hash == hash && d->until_ms > co->now_ms) {
            return d;
        }
    }
    return NULL;
}

static struct cl_dup *dup_add(struct cl_coap *co, const struct cl_msg *m)
{
    struct cl_dup *d = &co->dup[co->dup_next];

    co->dup_next = (uint8_t)((co->dup_next + 1) % CL_DUPS_MAX);
    *d = (struct cl_dup){
        .there = true, .mid = m->mid, .hash = msg_hash(m), .until_ms = co->now_ms + CL_LIFETIME_MS};
    return d;
}

/* ---- requests of ours ---- */

static void unlink_call(struct cl_call **list, struct cl_call *call)
{
    while (*list != NULL && *list != call) {
        list = &(*list)->next;
    }
    if (*list == call) {
        *list = call->next;
        call->next = NULL;
    }
}

/* The callback is the last touch. */
static void call_end(struct cl_coap *co, struct cl_call *call, cl_err_t err,
                     const struct cl_msg *answer)
{
    unlink_call(&co->calls, call);
    call->active = false;
    call->done(call, err, answer);
}

static bool path_split(const char *path, struct cl_list *ret)
{
    while (*path == '/') {
        const char *from = path + 1, *to = from;
        while (*to != '\0' && *to != '/') {
            to++;
        }
        if (ret->count == CL_SEGMENTS_MAX) {
            return false;
        }
        if (to > from) {
            ret->seg[ret->count++] = (struct cl_bytes){(const uint8_t *)from, (size_t)(to - from)};
        }
        path = to;
    }
    return *path == '\0';
}

static void body_block(const struct cl_call *call, struct cl_msg *m)
{
    size_t left = call->body_len - call->sent, n = left < call->size ? left : call->size;

    m->payload = (struct cl_bytes){call->body + call->sent, n};
    m->format = call->format;
    if (call->body_len > call->size) {
        m->block1 = (struct cl_block){.there = true,
                                      .more = n < left,
                                      .size = call->size,
                                      .num = (uint32_t)(call->sent / call->size)};
        if (call->sent == 0) {
            m->size1 = (int64_t)call->body_len;
        }
    }
}

static bool call_message(const struct cl_coap *co, const struct cl_call *call, struct cl_msg *m)
{
    cl_msg_init(m);
    m->type = CL_CON;
    m->code = call->method;
    m->mid = co->stream ? 0 : call->mid;
    m->token_len = TOKEN_LEN;
    memcpy(m->token, call->token, TOKEN_LEN);
    m->accept = call->accept;
    if (!path_split(call->path, &m->path)) {
        return false;
    }
    for (size_t i = 0; i < CL_QUERIES_MAX && call->query[i] != NULL; i++) {
        m->query.seg[m->query.count++] =
            (struct cl_bytes){(const uint8_t *)call->query[i], strlen(call->query[i])};
    }
    if (call->proxy_uri != NULL) {
        m->proxy_uri = (struct cl_bytes){(const uint8_t *)call->proxy_uri, strlen(call->proxy_uri)};
    }
    if (call->receiving) {
        m->block2 = (struct cl_block){.there = true, .size = call->size, .num = call->num};
    } else if (call->body_len > 0) {
        body_block(call, m);
    }
    return true;
}

static void call_token(struct cl_call *call)
{
    hal_random(call->token, TOKEN_LEN);
}

static bool call_send(struct cl_coap *co, struct cl_call *call)
{
    struct cl_msg m;
    uint8_t buf[CL_MSG_MAX];
    size_t len = call_message(co, call, &m) ? encode(co, &m, buf, sizeof buf) : 0;

    if (len == 0) {
        return false;
    }
    bytes_send(co, buf, len);
    return true;
}

/* A new message of the call: the first one or the next block. */
static void call_queue(struct cl_call *call)
{
    call->queued = true;
    call->acked = false;
    call->tries = 0;
}

static void call_first(struct cl_coap *co, struct cl_call *call)
{
    call->queued = false;
    call->mid = co->mid++;
    call->wait_ms = first_wait();
    call->due_ms = co->now_ms + (co->stream ? CL_RESPONSE_MS : call->wait_ms);
    if (!call_send(co, call)) { /* it did fit before: only a shrunken path could differ */
        call_end(co, call, CL_ERR_SPACE, NULL);
    }
}

static size_t list_count(const struct cl_call *list)
{
    size_t n = 0;

    for (; list != NULL; list = list->next) {
        n++;
    }
    return n;
}

cl_err_t cl_call_start(struct cl_coap *co, struct cl_call *call)
{
    struct cl_msg m;
    uint8_t buf[CL_MSG_MAX];

    if (call->active || list_count(co->calls) + list_count(co->ended) >= CL_CALLS_MAX) {
        return CL_ERR_BUSY;
    }
    call->sent = call->got = 0;
    call->size = co->block;
    call->result = CL_OK;
    call->receiving = call->part != NULL && call->body_len == 0 && call->method == CL_GET;
    call->num = (uint32_t)(call->offset / call->size);
    call->got = call->offset;
    call_token(call);
    if (!call_message(co, call, &m) || encode(co, &m, buf, sizeof buf) == 0) {
        return CL_ERR_SPACE;
    }
    call->active = true;
    call_queue(call);
    call->next = NULL;
    struct cl_call **at = &co->calls;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = call;
    return CL_OK;
}

static void call_close(struct cl_coap *co, struct cl_call *call)
{
    unlink_call(&co->calls, call);
    call->result = CL_ERR_CLOSED;
    call->next = co->ended;
    co->ended = call;
}

void cl_call_cancel(struct cl_coap *co, struct cl_call *call)
{
    for (struct cl_call *c = co->calls; c != NULL; c = c->next) {
        if (c == call) {
            call_close(co, call);
            return;
        }
    }
}

cl_err_t cl_get_blocks(struct cl_coap *co, struct cl_call *call, const char *path,
                       const char *proxy_uri, size_t offset)
{
    call->method = CL_GET;
    call->path = path;
    call->proxy_uri = proxy_uri;
    call->query[0] = NULL;
    call->format = call->accept = CL_ID_NONE;
    call->body = NULL;
    call->body_len = 0;
    call->offset = offset;
    call->fresh_tokens = true;
    return cl_call_start(co, call);
}

/* ---- answers to them ---- */

static struct cl_call *call_of(struct cl_coap *co, const struct cl_msg *m)
{
    for (struct cl_call *c = co->calls; c != NULL; c = c->next) {
        if (!c->queued && m->token_len == TOKEN_LEN && memcmp(m->token, c->token, TOKEN_LEN) == 0) {
            return c;
        }
    }
    return NULL;
}

/* A block of ours was taken, or is wanted smaller. True: there is more to send. */
static bool body_next(struct cl_call *call, const struct cl_msg *m)
{
    uint16_t wanted = m->block1.there && m->block1.size < call->size ? m->block1.size : call->size;

    if (m->code == CL_CODE(4, 13) && call->sent == 0 && wanted < call->size) {
        call->size = wanted;
        return true;
    }
    if (m->code != CL_CODE(2, 31)) {
        return false;
    }
    size_t left = call->body_len - call->sent;
    call->sent += left < call->size ? left : call->size;
    call->size = wanted;
    return call->sent < call->body_len;
}

static bool etag_same(struct cl_call *call, const struct cl_msg *m)
{
    if (m->etag.p == NULL || m->etag.len > sizeof call->etag) {
        return true;
    }
    if (call->etag_len == 0) {
        call->etag_len = (uint8_t)m->etag.len;
        memcpy(call->etag, m->etag.p, m->etag.len);
    }
    return call->etag_len == m->etag.len && memcmp(call->etag, m->etag.p, m->etag.len) == 0;
}

/* Hand out what is new of a block. */
static cl_err_t answer_part(struct cl_call *call, const struct cl_msg *m)
{
    size_t from = m->block2.there ? (size_t)m->block2.num * m->block2.size : 0, skip = 0;

    if (!etag_same(call, m)) {
        return CL_ERR_STATE;
    }
    if (from > call->got ||
        (m->block2.there && m->block2.more && m->payload.len != m->block2.size)) {
        return CL_ERR_INVAL; /* a hole */
    }
    skip = call->got - from;
    if (skip > m->payload.len) {
        skip = m->payload.len;
    }
    struct cl_part part = {.offset = call->got,
                           .p = m->payload.p + skip,
                           .len = m->payload.len - skip,
                           .total = m->size2 > 0 ? (size_t)m->size2 : 0,
                           .last = !(m->block2.there && m->block2.more),
                           .format = m->format};
    if (m->payload.len == 0) {
        part.p = (const uint8_t *)"";
    }
    cl_err_t err = call->part(call, &part);
    call->got += part.len;
    return err;
}

static void call_answer(struct cl_coap *co, struct cl_call *call, const struct cl_msg *m)
{
    if (call->body_len > 0 && !call->receiving && body_next(call, m)) {
        call_queue(call);
        return;
    }
    if (m->code >> 5 == 2 && call->part != NULL) {
        call->result = answer_part(call, m);
        if (call->result != CL_OK) {
            call_end(co, call, call->result, NULL);
            return;
        }
        if (m->block2.there && m->block2.more) {
            call->receiving = true;
            call->size = m->block2.size;
            call->num = (uint32_t)(call->got / call->size);
            if (call->fresh_tokens) {
                call_token(call);
            }
            call_queue(call);
            return;
        }
    }
    call_end(co, call, CL_OK, m);
}

/* The answer to an earlier block of the same call, late or twice: blocks share a token. */
static bool stale(const struct cl_coap *co, const struct cl_call *call, const struct cl_msg *m)
{
    if (!co->stream && m->type == CL_ACK && m->mid != call->mid) {
        return true;
    }
    if (call->receiving) {
        return m->block2.there &&
               (size_t)m->block2.num * m->block2.size != (size_t)call->num * call->size;
    }
    return call->body_len > call->size && m->block1.there && m->code >> 5 == 2 &&
           (size_t)m->block1.num * m->block1.size != call->sent;
}

static void answer_input(struct cl_coap *co, const struct cl_msg *m)
{
    struct cl_call *call = call_of(co, m);

    if (m->type == CL_CON && !co->stream) {
        if (call == NULL && dup_find(co, m) == NULL) {
            empty_send(co, CL_RST, m->mid);
            return;
        }
        empty_send(co, CL_ACK, m->mid);
        if (call != NULL) {
            (void)dup_add(co, m);
        }
    }
    if (call == NULL || stale(co, call, m)) {
        return;
    }
    if (m->bad_option) {
        call_end(co, call, CL_ERR_INVAL, NULL);
        return;
    }
    call_answer(co, call, m);
}

/* ---- requests of the server ---- */

static void request_answer(struct cl_coap *co, const struct cl_msg *req, struct cl_msg *answer,
                           struct cl_dup *dup)
{
    uint8_t buf[CL_MSG_MAX];

    if (answer->code == CL_EMPTY) {
        if (co->stream || req->type == CL_NON) {
            return;
        }
        answer->token_len = 0;
    } else {
        answer->token_len = req->token_len;
        memcpy(answer->token, req->token, req->token_len);
    }
    answer->type = req->type == CL_CON ? CL_ACK : CL_NON;
    answer->mid = req->type == CL_CON ? req->mid : co->mid++;
    size_t len = encode(co, answer, buf, sizeof buf);
    if (len == 0) { /* does not fit into a message: say so instead */
        cl_msg_init(answer);
        answer->code = CL_CODE(5, 0);
        request_answer(co, req, answer, dup);
        return;
    }
    bytes_send(co, buf, len);
    if (dup != NULL && len <= CL_DUP_STORED) {
        dup->len = (uint16_t)len;
        memcpy(dup->answer, buf, len);
    }
}

static void request_input(struct cl_coap *co, const struct cl_msg *m)
{
    struct cl_dup *dup = NULL;
    struct cl_msg answer;

    if (m->type != CL_CON && m->type != CL_NON) {
        return;
    }
    if (!co->stream) {
        dup = dup_find(co, m);
        if (dup != NULL && dup->len > 0) {
            bytes_send(co, dup->answer, dup->len);
            return;
        }
        if (dup != NULL && m->code != CL_GET && m->code != CL_FETCH) {
            return; /* its answer was too long to keep: only reads have such */
        }
        if (dup == NULL) {
            dup = dup_add(co, m);
        }
    }
    cl_msg_init(&answer);
    if (m->bad_option) {
        answer.code = CL_CODE(4, 2);
    } else {
        co->ops->request(co->ctx, m, &answer);
    }
    request_answer(co, m, &answer, dup);
}

/* ---- the confirmable message of the server side ---- */

static void con_end(struct cl_coap *co, cl_err_t err)
{
    co->con_len = 0;
    co->con_done = false;
    co->ops->delivered(co->ctx, err);
}

cl_err_t cl_coap_answer(struct cl_coap *co, struct cl_msg *m, bool con)
{
    uint8_t buf[CL_MSG_MAX];

    if (con && co->con_len > 0) {
        return CL_ERR_BUSY;
    }
    m->type = con ? CL_CON : CL_NON;
    m->mid = co->stream ? 0 : co->mid++;
    size_t len = encode(co, m, buf, sizeof buf);
    if (len == 0) {
        return CL_ERR_SPACE;
    }
    bytes_send(co, buf, len);
    if (con) {
        memcpy(co->con, buf, len);
        co->con_len = len;
        co->con_mid = m->mid;
        co->con_tries = 0;
        co->con_wait_ms = first_wait();
        co->con_due_ms = co->now_ms + co->con_wait_ms;
        co->con_done = co->stream;
    }
    return CL_OK;
}

static void empty_input(struct cl_coap *co, const struct cl_msg *m)
{
    if (m->type == CL_CON) {
        empty_send(co, CL_RST, m->mid); /* spec: RFC7252#4.3: a ping */
        return;
    }
    if (co->con_len > 0 && co->con_mid == m->mid) {
        con_end(co, m->type == CL_ACK ? CL_OK : CL_ERR_REFUSED);
        return;
    }
    for (struct cl_call *c = co->calls; c != NULL; c = c->next) {
        if (c->queued || c->mid != m->mid) {
            continue;
        }
        if (m->type == CL_RST) {
            call_end(co, c, CL_ERR_REFUSED, NULL);
        } else if (m->type == CL_ACK && !c->acked) {
            c->acked = true;
            c->due_ms = co->now_ms + CL_RESPONSE_MS;
        }
        return;
    }
}

static void signal_input(struct cl_coap *co, const struct cl_msg *m)
{
    if (m->code == SIGNAL_PING) {
        struct cl_msg pong;
        cl_msg_init(&pong);
        pong.code = SIGNAL_PONG;
        pong.token_len = m->token_len;
        memcpy(pong.token, m->token, m->token_len);
        transmit(co, &pong);
    } else if (m->code == SIGNAL_RELEASE || m->code == SIGNAL_ABORT) {
        co->ops->released(co->ctx);
    }
}

void cl_coap_hello(struct cl_coap *co)
{
    struct cl_msg csm;

    if (co->stream) { /* spec: RFC8323#5.3: the defaults are right, so without options */
        cl_msg_init(&csm);
        csm.code = SIGNAL_CSM;
        transmit(co, &csm);
    }
}

void cl_coap_ping(struct cl_coap *co)
{
    struct cl_msg m;

    cl_msg_init(&m);
    m.type = CL_CON;
    m.code = co->stream ? SIGNAL_PING : CL_EMPTY;
    m.mid = co->mid++;
    transmit(co, &m);
}

void cl_coap_input(struct cl_coap *co, const uint8_t *msg, size_t len, uint64_t now_ms)
{
    struct cl_msg m;
    cl_err_t err = co->stream ? cl_frame_parse(msg, len, &m) : cl_msg_parse(msg, len, &m);

    co->now_ms = now_ms;
    if (err != CL_OK) {
        if (m.type == CL_CON) {
            empty_send(co, CL_RST, m.mid);
        }
        return;
    }
    switch (m.code >> 5) {
    case 0:
        if (m.code == CL_EMPTY) {
            empty_input(co, &m);
        } else {
            request_input(co, &m);
        }
        break;
    case 2:
    case 4:
    case 5:
        answer_input(co, &m);
        break;
    case 7:
        if (co->stream) {
            signal_input(co, &m);
        }
        break;
    default: /* spec: RFC7252#4.2: reserved classes are rejected */
        if (m.type == CL_CON) {
            empty_send(co, CL_RST, m.mid);
        }
    }
}

/* ---- time ---- */

static void con_step(struct cl_coap *co)
{
    if (co->con_done) {
        con_end(co, CL_OK);
    }
    if (co->con_len == 0 || co->con_due_ms > co->now_ms) {
        return;
    }
    if (co->con_tries == CL_RETRIES_MAX) {
        con_end(co, CL_ERR_TIMEOUT);
        return;
    }
    co->con_tries++;
    co->con_wait_ms *= 2;
    co->con_due_ms = co->now_ms + co->con_wait_ms;
    bytes_send(co, co->con, co->con_len);
}

/* True: the list changed. */
static bool call_step(struct cl_coap *co, struct cl_call *call)
{
    if (call->queued || call->due_ms > co->now_ms) {
        return false;
    }
    if (co->stream || call->acked || call->tries == CL_RETRIES_MAX) {
        call_end(co, call, CL_ERR_TIMEOUT, NULL);
        return true;
    }
    call->tries++;
    call->wait_ms *= 2;
    call->due_ms = co->now_ms + call->wait_ms;
    (void)call_send(co, call);
    return false;
}

/* The one that waits for its acknowledgement (spec: RFC7252#4.7: NSTART is 1), else the next to go.
 */
static struct cl_call *call_next(struct cl_coap *co)
{
    struct cl_call *queued = NULL;

    for (struct cl_call *c = co->calls; c != NULL; c = c->next) {
        if (!c->queued && !c->acked) {
            return NULL;
        }
        if (c->queued && queued == NULL) {
            queued = c;
        }
    }
    return queued;
}

uint64_t cl_coap_step(struct cl_coap *co, uint64_t now_ms)
{
    co->now_ms = now_ms;
    while (co->ended != NULL) {
        struct cl_call *call = co->ended;
        co->ended = call->next;
        call->next = NULL;
        call->active = false;
        call->done(call, call->result, NULL);
    }
    con_step(co);
    for (struct cl_call *c = co->calls; c != NULL;) {
        c = call_step(co, c) ? co->calls : c->next;
    }
    struct cl_call *go = call_next(co);
    if (go != NULL) {
        call_first(co, go);
    }
    uint64_t due = co->con_len > 0 ? co->con_due_ms : CL_NEVER;
    if (co->con_done || co->ended != NULL || call_next(co) != NULL) {
        return now_ms;
    }
    for (struct cl_call *c = co->calls; c != NULL; c = c->next) {
        if (!c->queued && c->due_ms < due) {
            due = c->due_ms;
        }
    }
    return due;
}

void cl_coap_reset(struct cl_coap *co, bool stream)
{
    while (co->calls != NULL) {
        call_close(co, co->calls);
    }
    memset(co->dup, 0, sizeof co->dup);
    co->con_len = 0;
    co->con_done = false;
    co->stream = stream;
}
