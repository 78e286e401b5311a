/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcoap's CoAP and DTLS under the same scenarios. Each device has a session with a socket of its
 * own. libcoap runs inside of our loop: its descriptor wakes us, its deadline is one of our timers.
 *
 * What it reports inside of its callbacks is put on a list and told to the fleet when it has
 * returned, since the fleet then ends sessions. A request's token carries its slot. libcoap does
 * not tell that a notification was acknowledged, so a ping follows each confirmable one: as one
 * message of a session is in flight at a time, its pong means that the notification is through.
 */
#include "config.h"

#include "device-sim/stack.h"

#ifndef HAVE_LIBCOAP

const struct sim_stack_ops *const sim_stack_libcoap = NULL;

#else

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <coap3/coap.h>

#include "base/buf.h"
#include "base/loop.h"

#define HANDSHAKE_MS 65000
#define SWEEP_MS     1000
#define OPTS_MAX     24
#define REQUEST_MAX  2048
#define NO_MID       COAP_INVALID_MID

/* A message on its way, by slot; in the list `ended` once it is through. */
struct lc_call {
    struct lc_call *next;
    struct sim_message *m; /* NULL: free */
    coap_session_t *session;
    uint32_t serial; /* second half of the token */
    coap_mid_t mid;  /* of a notification */
    coap_mid_t ping; /* that follows it */
    bool handshake, ended;
    dr_err_t err;
    uint8_t code;
    char location[SIM_LOCATION_MAX];
    size_t len; /* of the payload, which lies in the message */
    int32_t block2;
};

struct lc_device {
    coap_session_t *session; /* a reference of ours, or NULL */
    struct lc_call *connecting;
    uint64_t give_up_ms;
    bool gone; /* to be told */
};

struct lc {
    struct sim_fleet *fleet;
    struct loop *loop;
    const struct sim_options *options;
    coap_context_t *context;
    struct loop_fd watch;
    struct loop_idle idle;
    struct loop_timer sweep;
    struct dr_timer wake;
    struct lc_device *devices;
    struct lc_call *calls; /* by slot */
    struct lc_call *ended, **ended_tail;
    uint32_t *gone, n_gone;
    uint32_t serial;
};

/* ---- what is told later ---- */

static void end_call(struct lc *lc, struct lc_call *call, dr_err_t err)
{
    if (call->m == NULL || call->ended) {
        return;
    }
    call->ended = true;
    call->err = err;
    call->next = NULL;
    *lc->ended_tail = call;
    lc->ended_tail = &call->next;
    loop_again(lc->loop);
}

static void tell_ended(struct lc *lc)
{
    while (lc->ended != NULL) {
        struct lc_call *call = lc->ended;
        struct sim_message *m = call->m;

        lc->ended = call->next;
        if (lc->ended == NULL) {
            lc->ended_tail = &lc->ended;
        }
        call->m = NULL;
        if (call->handshake) {
            sim_fleet_connected(lc->fleet, m, call->err);
        } else {
            const struct sim_reply reply = {.code = call->code,
                                            .location = call->location,
                                            .payload = m->body.payload,
                                            .len = call->len,
                                            .block2 = call->block2};
            /* the slot is free for another message only when this returns */
            sim_fleet_answered(lc->fleet, m, call->err, call->err == DR_OK ? &reply : NULL);
        }
    }
}

static void tell_gone(struct lc *lc)
{
    for (uint32_t n = 0; n < lc->n_gone; n++) {
        uint32_t i = lc->gone[n];
        if (lc->devices[i].gone) {
            lc->devices[i].gone = false;
            sim_fleet_gone(lc->fleet, i);
        }
    }
    lc->n_gone = 0;
}

/* ---- sessions ---- */

static struct lc *lc_of(const coap_session_t *session)
{
    return coap_get_app_data(coap_session_get_context(session));
}

/* The session's device; false when it is no device's any more. */
static bool device_of(const coap_session_t *session, uint32_t *ret)
{
    uintptr_t data = (uintptr_t)coap_session_get_app_data(session);

    *ret = (uint32_t)(data - 1);
    return data != 0;
}

static void end_calls_of(struct lc *lc, const coap_session_t *session, dr_err_t err)
{
    for (uint32_t i = 0; i < lc->options->window; i++) {
        if (lc->calls[i].m != NULL && lc->calls[i].session == session) {
            end_call(lc, &lc->calls[i], err);
        }
    }
}

/* Ours no more. libcoap keeps it while messages of it wait; they are not sent again. */
static void release_session(struct lc *lc, uint32_t i)
{
    struct lc_device *d = &lc->devices[i];
    coap_session_t *session = d->session;

    if (session == NULL) {
        return;
    }
    if (d->connecting != NULL) {
        end_call(lc, d->connecting, DR_ERR_CANCELED);
        d->connecting = NULL;
    }
    d->session = NULL;
    d->gone = false;
    end_calls_of(lc, session, DR_ERR_GONE);
    coap_session_set_app_data(session, NULL);
    coap_session_set_max_retransmit(session, 0);
    coap_session_release(session);
}

static void connected(struct lc *lc, uint32_t i, dr_err_t err)
{
    struct lc_device *d = &lc->devices[i];

    if (d->connecting != NULL) {
        end_call(lc, d->connecting, err);
        d->connecting = NULL;
    }
}

static void lost(struct lc *lc, uint32_t i)
{
    struct lc_device *d = &lc->devices[i];

    if (d->connecting != NULL) {
        connected(lc, i, DR_ERR_CRYPTO);
    } else if (!d->gone) {
        d->gone = true;
        lc->gone[lc->n_gone++] = i;
        loop_again(lc->loop);
    }
}

static int on_event(coap_session_t *session, const coap_event_t event)
{
    struct lc *lc = lc_of(session);
    uint32_t i;

    if (lc == NULL || !device_of(session, &i)) {
        return 0;
    }
    if (event == COAP_EVENT_DTLS_CONNECTED) {
        connected(lc, i, DR_OK);
    } else if (event == COAP_EVENT_DTLS_CLOSED || event == COAP_EVENT_DTLS_ERROR) {
        lost(lc, i);
    }
    return 0;
}

/* ---- answers ---- */

static struct lc_call *call_of_token(struct lc *lc, const coap_pdu_t *pdu)
{
    coap_bin_const_t token = coap_pdu_get_token(pdu);
    uint32_t part[2];

    if (token.length != sizeof part) {
        return NULL;
    }
    memcpy(part, token.s, sizeof part);
    struct lc_call *call = part[0] < lc->options->window ? &lc->calls[part[0]] : NULL;
    return call != NULL && call->m != NULL && call->serial == part[1] ? call : NULL;
}

static struct lc_call *call_of_mid(struct lc *lc, const coap_session_t *session, coap_mid_t mid)
{
    for (uint32_t i = 0; i < lc->options->window; i++) {
        struct lc_call *call = &lc->calls[i];
        if (call->m != NULL && call->session == session &&
            (call->mid == mid || call->ping == mid)) {
            return call;
        }
    }
    return NULL;
}

static void take_location(const coap_pdu_t *pdu, char *buf)
{
    coap_opt_iterator_t it;
    coap_opt_t *opt;
    size_t n = 0;

    coap_option_iterator_init(pdu, &it, COAP_OPT_ALL);
    while ((opt = coap_option_next(&it)) != NULL) {
        size_t len = coap_opt_length(opt);
        if (it.number != COAP_OPTION_LOCATION_PATH || n + len + 2 > SIM_LOCATION_MAX) {
            continue;
        }
        if (n > 0) {
            buf[n++] = '/';
        }
        memcpy(buf + n, coap_opt_value(opt), len);
        n += len;
    }
    buf[n] = '\0';
}

/* libcoap keeps a payload until its handler returns only. */
static void take_payload(struct lc_call *call, const coap_pdu_t *pdu)
{
    coap_opt_iterator_t it;
    const uint8_t *payload;
    size_t len;
    coap_opt_t *block = coap_check_option(pdu, COAP_OPTION_BLOCK2, &it);

    call->block2 = block == NULL ? -1
                                 : (int32_t)coap_decode_var_bytes(coap_opt_value(block),
                                                                  coap_opt_length(block));
    call->len = 0;
    if (call->m->block2 >= 0 && coap_get_data(pdu, &len, &payload) != 0 &&
        len <= sizeof call->m->body.payload) {
        memcpy(call->m->body.payload, payload, len);
        call->len = len;
    }
}

static coap_response_t on_response(coap_session_t *session, const coap_pdu_t *sent,
                                   const coap_pdu_t *received, const coap_mid_t mid)
{
    struct lc *lc = lc_of(session);
    struct lc_call *call = call_of_token(lc, received);

    (void)sent;
    (void)mid;
    if (call != NULL && call->session == session) {
        call->code = (uint8_t)coap_pdu_get_code(received);
        take_location(received, call->location);
        take_payload(call, received);
        end_call(lc, call, DR_OK);
    }
    return COAP_RESPONSE_OK;
}

/* To a ping of ours that is not libcoap's own the RST comes here, and is the pong. */
static dr_err_t error_of(const struct lc_call *call, coap_nack_reason_t reason, coap_mid_t mid)
{
    if (reason == COAP_NACK_RST) {
        return mid == call->ping ? DR_OK : DR_ERR_RESET;
    }
    return reason == COAP_NACK_TOO_MANY_RETRIES ? DR_ERR_TIMEOUT : DR_ERR_GONE;
}

static void on_nack(coap_session_t *session, const coap_pdu_t *sent,
                    const coap_nack_reason_t reason, const coap_mid_t mid)
{
    struct lc *lc = lc_of(session);
    struct lc_call *call = sent != NULL ? call_of_token(lc, sent) : NULL;
    uint32_t i;

    if (!device_of(session, &i)) {
        return;
    }
    if (reason == COAP_NACK_TLS_FAILED) {
        lost(lc, i);
        return;
    }
    call = call != NULL ? call : call_of_mid(lc, session, mid);
    if (call != NULL) {
        end_call(lc, call, error_of(call, reason, mid));
    }
}

static void on_pong(coap_session_t *session, const coap_pdu_t *received, const coap_mid_t mid)
{
    struct lc *lc = lc_of(session);
    struct lc_call *call = call_of_mid(lc, session, mid);

    (void)received;
    if (call != NULL) {
        end_call(lc, call, DR_OK);
    }
}

/* ---- requests of the server ---- */

/* The same request in our own form; its bytes go into @p buf. */
static bool convert(const coap_pdu_t *request, uint8_t *buf, size_t cap, struct cx_pdu *ret)
{
    struct cx_opt opts[OPTS_MAX];
    coap_opt_iterator_t it;
    coap_opt_t *opt;
    size_t n = 0, len = 0;
    const uint8_t *payload = NULL;
    coap_bin_const_t token = coap_pdu_get_token(request);
    struct dr_wr wr = dr_wr_of(buf, cap);

    coap_option_iterator_init(request, &it, COAP_OPT_ALL);
    while ((opt = coap_option_next(&it)) != NULL && n < OPTS_MAX) {
        opts[n++] = (struct cx_opt){
            .num = it.number, .len = (uint16_t)coap_opt_length(opt), .val = coap_opt_value(opt)};
    }
    (void)coap_get_data(request, &len, &payload);
    return cx_pdu_encode(&wr, CX_CON, (uint8_t)coap_pdu_get_code(request), 0, token.s,
                         (uint8_t)token.length, opts, n, payload, len) == DR_OK &&
           cx_pdu_decode(buf, dr_wr_len(&wr), ret) == DR_OK;
}

static void add_uint(coap_pdu_t *pdu, uint16_t num, uint32_t value)
{
    uint8_t buf[4];

    (void)coap_add_option(pdu, num, coap_encode_var_safe(buf, sizeof buf, value), buf);
}

static void on_request(coap_resource_t *resource, coap_session_t *session,
                       const coap_pdu_t *request, const coap_string_t *query, coap_pdu_t *response)
{
    struct lc *lc = lc_of(session);
    uint8_t buf[REQUEST_MAX];
    struct cx_pdu pdu;
    struct sim_answer answer;
    uint32_t i;

    (void)resource;
    (void)query;
    if (!device_of(session, &i) || !convert(request, buf, sizeof buf, &pdu) ||
        !sim_fleet_request(lc->fleet, i, &pdu, &answer)) {
        coap_pdu_set_code(response, COAP_RESPONSE_CODE_SERVICE_UNAVAILABLE);
        return;
    }
    coap_pdu_set_code(response, (coap_pdu_code_t)answer.code);
    if (answer.effect == SIM_OBSERVE) {
        add_uint(response, COAP_OPTION_OBSERVE, 1);
    }
    if (answer.content_format >= 0) {
        add_uint(response, COAP_OPTION_CONTENT_FORMAT, (uint32_t)answer.content_format);
    }
    if (answer.len > 0) {
        (void)coap_add_data(response, answer.len, answer.payload);
    }
}

static bool serve(coap_context_t *context)
{
    static const coap_request_t others[] = {COAP_REQUEST_GET,    COAP_REQUEST_POST,
                                            COAP_REQUEST_DELETE, COAP_REQUEST_FETCH,
                                            COAP_REQUEST_PATCH,  COAP_REQUEST_IPATCH};
    coap_resource_t *any = coap_resource_unknown_init(on_request);

    if (any == NULL) {
        return false;
    }
    for (size_t i = 0; i < DR_ARRAY_LEN(others); i++) {
        coap_register_request_handler(any, others[i], on_request);
    }
    coap_add_resource(context, any);
    return true;
}

/* ---- in our loop ---- */

static void run(struct lc *lc)
{
    (void)coap_io_process(lc->context, COAP_IO_NO_WAIT);
}

static void on_ready(struct loop_fd *w, uint32_t events)
{
    (void)events;
    run(DR_CONTAINER_OF(w, struct lc, watch));
}

static void on_wake(struct dr_timer *t, uint64_t now_ms)
{
    (void)now_ms;
    run(DR_CONTAINER_OF(t, struct lc, wake));
}

/* The end of a turn: tell what came, then let libcoap say when it wants to run again. */
static void turn_end(struct loop_idle *h)
{
    struct lc *lc = DR_CONTAINER_OF(h, struct lc, idle);
    coap_tick_t now;

    tell_ended(lc);
    tell_gone(lc);
    coap_ticks(&now);
    unsigned wait_ms = coap_io_prepare_epoll(lc->context, now);
    if (wait_ms > 0) {
        dr_timer_start(loop_wheel(lc->loop), &lc->wake, loop_now_ms(lc->loop) + wait_ms);
    } else {
        dr_timer_cancel(loop_wheel(lc->loop), &lc->wake);
    }
}

static void on_sweep(struct loop_timer *t)
{
    struct lc *lc = DR_CONTAINER_OF(t, struct lc, sweep);
    uint64_t now_ms = loop_now_ms(lc->loop);

    for (uint32_t i = 0; i < lc->options->devices; i++) {
        if (lc->devices[i].connecting != NULL && now_ms >= lc->devices[i].give_up_ms) {
            connected(lc, i, DR_ERR_TIMEOUT);
        }
    }
}

/* ---- what the fleet asks for ---- */

static coap_address_t address(uint32_t host, uint16_t port)
{
    coap_address_t a;

    coap_address_init(&a);
    a.addr.sin.sin_family = AF_INET;
    a.addr.sin.sin_addr.s_addr = htonl(host);
    a.addr.sin.sin_port = port;
    a.size = sizeof a.addr.sin;
    return a;
}

static dr_err_t lc_connect(void *stack, struct sim_message *m, const union cx_addr *server,
                           uint32_t source, const char *name, const uint8_t *key, size_t key_len)
{
    struct lc *lc = stack;
    struct lc_device *d = &lc->devices[m->device];
    const struct sockaddr_in *to = &server->in4;
    coap_address_t local = address(source, 0);
    coap_address_t remote = address(ntohl(to->sin_addr.s_addr), to->sin_port);
    coap_dtls_cpsk_t psk = {
        .version = COAP_DTLS_CPSK_SETUP_VERSION,
        .psk_info = {.identity = {.s = (const uint8_t *)name, .length = strlen(name)},
                     .key = {.s = key, .length = key_len}}};

    d->session =
        key_len > 0
            ? coap_new_client_session_psk2(lc->context, &local, &remote, COAP_PROTO_DTLS, &psk)
            : coap_new_client_session(lc->context, &local, &remote, COAP_PROTO_UDP);
    if (d->session == NULL) {
        return DR_ERR_IO;
    }
    struct lc_call *call = &lc->calls[m->slot];
    *call = (struct lc_call){
        .m = m, .session = d->session, .handshake = true, .mid = NO_MID, .ping = NO_MID};
    d->connecting = call;
    d->give_up_ms = loop_now_ms(lc->loop) + HANDSHAKE_MS;
    coap_session_set_app_data(d->session, (void *)((uintptr_t)m->device + 1));
    if (coap_session_get_state(d->session) == COAP_SESSION_STATE_ESTABLISHED) {
        connected(lc, m->device, DR_OK);
    }
    return DR_OK;
}

static void add_path(coap_pdu_t *pdu, const char *path)
{
    for (const char *at = path; *at != '\0';) {
        size_t len = strcspn(at, "/");
        (void)coap_add_option(pdu, COAP_OPTION_URI_PATH, len, (const uint8_t *)at);
        at += len + (at[len] == '/');
    }
}

/* Options go in ascending order. */
static coap_pdu_t *make_pdu(struct lc *lc, struct lc_call *call, coap_session_t *session)
{
    const struct sim_message *m = call->m;
    bool notification = m->code >= CX_CODE(2, 0);
    uint32_t token[2] = {m->slot, call->serial = ++lc->serial};
    coap_pdu_t *pdu = coap_new_pdu(m->non ? COAP_MESSAGE_NON : COAP_MESSAGE_CON,
                                   (coap_pdu_code_t)m->code, session);

    if (pdu == NULL) {
        return NULL;
    }
    if (notification) {
        (void)coap_add_token(pdu, m->token_len, m->token);
        add_uint(pdu, COAP_OPTION_OBSERVE, m->observe);
    } else {
        (void)coap_add_token(pdu, sizeof token, (const uint8_t *)token);
        add_path(pdu, m->path);
    }
    if (m->content_format >= 0) {
        add_uint(pdu, COAP_OPTION_CONTENT_FORMAT, (uint32_t)m->content_format);
    }
    for (unsigned i = 0; i < m->n_query; i++) {
        (void)coap_add_option(pdu, COAP_OPTION_URI_QUERY, strlen(m->query[i]),
                              (const uint8_t *)m->query[i]);
    }
    if (m->block2 >= 0) {
        add_uint(pdu, COAP_OPTION_BLOCK2, (uint32_t)m->block2);
    }
    if (m->proxy_uri != NULL) {
        (void)coap_add_option(pdu, COAP_OPTION_PROXY_URI, strlen(m->proxy_uri),
                              (const uint8_t *)m->proxy_uri);
    }
    if (m->len > 0) {
        (void)coap_add_data(pdu, m->len, m->payload);
    }
    return pdu;
}

static dr_err_t lc_send(void *stack, struct sim_message *m)
{
    struct lc *lc = stack;
    coap_session_t *session = lc->devices[m->device].session;
    struct lc_call *call = &lc->calls[m->slot];

    if (session == NULL) {
        return DR_ERR_GONE;
    }
    *call = (struct lc_call){.m = m, .session = session, .mid = NO_MID, .ping = NO_MID};
    coap_pdu_t *pdu = make_pdu(lc, call, session);
    coap_mid_t mid = pdu != NULL ? coap_send(session, pdu) : NO_MID;
    if (mid == NO_MID) {
        call->m = NULL;
        return pdu == NULL ? DR_ERR_NOMEM : DR_ERR_IO;
    }
    if (m->code < CX_CODE(2, 0)) {
        return DR_OK;
    }
    call->mid = mid;
    if (!m->non) {
        call->ping = coap_session_send_ping(session);
    }
    if (call->ping == NO_MID) {
        end_call(lc, call, DR_OK); /* handed on */
    }
    return DR_OK;
}

static void lc_close(void *stack, uint32_t device, enum sim_farewell how)
{
    (void)how; /* libcoap always says goodbye */
    release_session(stack, device);
}

static uint64_t lc_retransmissions(const void *stack)
{
    (void)stack;
    return 0; /* libcoap does not tell */
}

static void lc_free(void *stack)
{
    struct lc *lc = stack;

    if (lc == NULL) {
        return;
    }
    loop_idle_remove(&lc->idle);
    loop_timer_stop(&lc->sweep);
    dr_timer_cancel(loop_wheel(lc->loop), &lc->wake);
    loop_fd_close(&lc->watch);
    for (uint32_t i = 0; lc->context != NULL && i < lc->options->devices; i++) {
        release_session(lc, i);
    }
    if (lc->calls != NULL) {
        tell_ended(lc);
    }
    if (lc->context != NULL) {
        coap_free_context(lc->context);
    }
    free(lc->devices);
    free(lc->calls);
    free(lc->gone);
    free(lc);
}

static dr_err_t make_context(struct lc *lc)
{
    coap_startup();
    coap_set_log_level(LOG_EMERG);
    coap_dtls_set_log_level(LOG_EMERG);
    lc->context = coap_new_context(NULL);
    if (lc->context == NULL || !serve(lc->context)) {
        return DR_ERR_NOMEM;
    }
    coap_set_app_data(lc->context, lc);
    coap_register_event_handler(lc->context, on_event);
    coap_register_response_handler(lc->context, on_response);
    coap_register_nack_handler(lc->context, on_nack);
    coap_register_pong_handler(lc->context, on_pong);
    dr_err_t err =
        loop_fd_open(lc->loop, &lc->watch, coap_context_get_coap_fd(lc->context), on_ready);
    return err == DR_OK ? loop_fd_set(&lc->watch, LOOP_READ) : err;
}

static dr_err_t lc_open(struct sim_fleet *fleet, struct loop *loop,
                        const struct sim_options *options, void **ret)
{
    struct lc *lc = calloc(1, sizeof *lc);

    if (lc == NULL) {
        return DR_ERR_NOMEM;
    }
    lc->fleet = fleet;
    lc->loop = loop;
    lc->options = options;
    lc->ended_tail = &lc->ended;
    dr_timer_init(&lc->wake, on_wake);
    lc->devices = calloc(options->devices, sizeof *lc->devices);
    lc->calls = calloc(options->window, sizeof *lc->calls);
    lc->gone = calloc(options->devices, sizeof *lc->gone);
    dr_err_t err = lc->devices == NULL || lc->calls == NULL || lc->gone == NULL ? DR_ERR_NOMEM
                                                                                : make_context(lc);
    if (err != DR_OK) {
        lc_free(lc);
        return err;
    }
    loop_on_idle(loop, &lc->idle, turn_end);
    loop_timer_start(loop, &lc->sweep, SWEEP_MS, SWEEP_MS, on_sweep);
    *ret = lc;
    return DR_OK;
}

static const struct sim_stack_ops libcoap_ops = {.open = lc_open,
                                                 .connect = lc_connect,
                                                 .send = lc_send,
                                                 .close = lc_close,
                                                 .retransmissions = lc_retransmissions,
                                                 .free = lc_free};

const struct sim_stack_ops *const sim_stack_libcoap = &libcoap_ops;

#endif
