/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/client.h"

#include "client/core/client_priv.h"
#include "client/core/links.h"
#include "client/hal.h"

enum {
    UPDATE_PERCENT = 80,
    RETRY_FIRST_MS = 2000,
    RETRY_LAST_MS = 3600000,
    RETRY_PELION_MS = 13000,
    RETRY_DOUBLINGS = 13,
    BACK_TO_BOOTSTRAP_MS = 60000, /**< Pelion's form: before the first new bootstrap */
    LEAVE_MS = 3000,
    REBOOT_MS = 500,
    QUIET_MS = 540000, /**< a TCP connection without traffic is kept alive */
    TIMER_MAX_S = 2000000,
};

static void connect_event(void *ctx);

void cl_state_set(struct cl_client *cl, enum cl_state state)
{
    if (cl->state != state) {
        cl->state = state;
        if (cl->hooks.state != NULL) {
            cl->hooks.state(cl, state);
        }
    }
}

void cl_trouble(struct cl_client *cl, const char *what, const char *detail)
{
    char line[160];
    struct cl_out o = {.buf = (uint8_t *)line, .cap = sizeof line - 1};

    cl_out_text(&o, what);
    if (detail[0] != '\0') {
        cl_out_text(&o, ": ");
        cl_out_text(&o, detail);
    }
    line[o.len] = '\0';
    if (cl->hooks.trouble != NULL) {
        cl->hooks.trouble(cl, line);
    }
}

/* ---- requests of our own ---- */

void cl_query_clear(struct cl_client *cl)
{
    memset(cl->query, 0, sizeof cl->query);
}

bool cl_query_add(struct cl_client *cl, const char *name, const char *value)
{
    for (size_t i = 0; i < CL_QUERIES_MAX; i++) {
        if (cl->query[i][0] == '\0') {
            struct cl_out o = {.buf = (uint8_t *)cl->query[i], .cap = CL_QUERY_MAX - 1};
            cl_out_text(&o, name);
            if (value != NULL) {
                cl_out_text(&o, "=");
                cl_out_text(&o, value);
            }
            cl->query[i][o.full ? 0 : o.len] = '\0';
            return !o.full;
        }
    }
    return false;
}

static bool query_number(struct cl_client *cl, const char *name, uint32_t v)
{
    char text[12];
    struct cl_out o = {.buf = (uint8_t *)text, .cap = sizeof text - 1};

    cl_out_int(&o, v);
    text[o.len] = '\0';
    return cl_query_add(cl, name, text);
}

cl_err_t cl_request(struct cl_client *cl, uint8_t method, const char *path, cl_call_done *done)
{
    cl->call.method = method;
    cl->call.path = path;
    cl->call.done = done;
    cl->call.ctx = cl;
    for (size_t i = 0; i < CL_QUERIES_MAX; i++) {
        cl->call.query[i] = cl->query[i][0] != '\0' ? cl->query[i] : NULL;
    }
    return cl_call_start(&cl->coap, &cl->call);
}

/* ---- the association ---- */

static uint32_t jitter(uint32_t ms)
{
    uint32_t r, span = ms / 5; /* from -10 to +10 % */

    hal_random(&r, sizeof r);
    return ms - span / 2 + (span > 0 ? r % span : 0);
}

static uint32_t retry_ms(const struct cl_client *cl)
{
    uint32_t ms = cl->config.pelion ? RETRY_PELION_MS : RETRY_FIRST_MS;
    unsigned n = cl->failures > RETRY_DOUBLINGS ? RETRY_DOUBLINGS : cl->failures;

    for (; n > 1 && ms < RETRY_LAST_MS; n--) {
        ms *= 2;
    }
    return jitter(ms < RETRY_LAST_MS ? ms : RETRY_LAST_MS);
}

static void disconnect(struct cl_client *cl)
{
    if (cl->bootstrapping) {
        cl->bootstrapping = false;
        if (cl->must_bootstrap) { /* it did not get to its end */
            cl_bootstrap_undo(cl);
        }
    }
    for (size_t i = 0; i < CL_OBSERVERS_MAX; i++) {
        cl->observers.observer[i].flying = false;
    }
    cl->notifying = -1;
    cl->later.open = cl->later.done = false;
    cl->in.open = false;
    cl_coap_reset(&cl->coap, false);
    cl_sec_close(&cl->sec);
    cl_cancel(&cl->evq, connect_event, cl);
}

void cl_connect_soon(struct cl_client *cl, uint32_t delay_ms)
{
    disconnect(cl);
    cl_state_set(cl, CL_WAITING);
    if (cl_post_after(&cl->evq, delay_ms, connect_event, cl) != CL_OK) {
        hal_reset(); /* timers are lost for good: starting again is all that is left */
    }
}

static void failure_count(struct cl_client *cl)
{
    if (cl->failures < UINT8_MAX) {
        cl->failures++;
    }
}

void cl_retry(struct cl_client *cl, const char *why)
{
    if (cl->stop_wanted) {
        disconnect(cl);
        cl_state_set(cl, CL_STOPPED);
        return;
    }
    if (why != NULL) {
        cl_trouble(cl, cl->bootstrapping ? "bootstrap" : "connection", why);
    }
    failure_count(cl);
    cl_connect_soon(cl, retry_ms(cl));
}

/* The server does not want these credentials (any more): get new ones where that is possible. */
static void refused(struct cl_client *cl, const char *why)
{
    if (cl->accounts.account[CL_BOOTSTRAPPER].there && !cl->bootstrapping && !cl->stop_wanted) {
        cl_trouble(cl, "credentials refused, bootstrapping again", why);
        failure_count(cl);
        cl->must_bootstrap = true;
        uint32_t ms = retry_ms(cl);
        if (cl->config.pelion && cl->failures == 1) {
            ms = jitter(BACK_TO_BOOTSTRAP_MS);
        }
        cl_connect_soon(cl, ms);
        return;
    }
    cl_retry(cl, why);
}

static void association_lost(struct cl_client *cl)
{
    enum cl_sec_why why = cl->sec.why;

    if (cl->bootstrapping) {
        cl_bootstrap_closed(cl, cl_sec_why_text(why));
    } else if (why == CL_SEC_REFUSED || why == CL_SEC_UNTRUSTED || why == CL_SEC_CONFIG) {
        refused(cl, cl_sec_why_text(why));
    } else {
        cl_retry(cl, cl_sec_why_text(why));
    }
}

static void connect_event(void *ctx)
{
    struct cl_client *cl = ctx;
    const struct cl_account *server = &cl->accounts.account[CL_SERVER];

    cl->bootstrapping = cl->must_bootstrap || !server->there;
    const struct cl_account *acc =
        cl->bootstrapping ? &cl->accounts.account[CL_BOOTSTRAPPER] : server;
    cl->must_bootstrap = cl->bootstrapping;
    cl->finished = false;
    cl_state_set(cl, CL_CONNECTING);
    cl_sec_open(&cl->sec, acc, cl->config.records, cl->evq.now_ms);
}

/* ---- registration ---- */

static void update_event(void *ctx)
{
    ((struct cl_client *)ctx)->must_update = true;
}

static void update_plan(struct cl_client *cl)
{
    uint64_t ms = cl->accounts.server.lifetime_s * UINT64_C(1000) / 100 * UPDATE_PERCENT;

    cl_cancel(&cl->evq, update_event, cl);
    if (ms > TIMER_MAX_S * UINT64_C(1000)) {
        ms = TIMER_MAX_S * UINT64_C(1000);
    }
    if (cl_post_after(&cl->evq, (uint32_t)ms, update_event, cl) != CL_OK) {
        cl->must_update = true;
    }
}

static void id_text(const struct cl_bytes *seg, char *buf, size_t cap)
{
    size_t len = seg->len < cap ? seg->len : cap - 1;

    memcpy(buf, seg->p, len);
    buf[len] = '\0';
}

static bool location_take(struct cl_client *cl, const struct cl_list *location)
{
    struct cl_out o = {.buf = (uint8_t *)cl->location, .cap = sizeof cl->location - 1};

    for (size_t i = 0; i < location->count; i++) {
        cl_out_text(&o, "/");
        cl_out_bytes(&o, location->seg[i].p, location->seg[i].len);
    }
    cl->location[o.len] = '\0';
    if (o.full || location->count == 0) {
        return false;
    }
    id_text(&location->seg[location->count - 1], cl->device_id, sizeof cl->device_id);
    return true;
}

static void code_trouble(struct cl_client *cl, const char *what, uint8_t code)
{
    char text[8];
    struct cl_out o = {.buf = (uint8_t *)text, .cap = sizeof text - 1};

    cl_out_int(&o, code >> 5);
    cl_out_text(&o, (code & 31) < 10 ? ".0" : ".");
    cl_out_int(&o, code & 31);
    text[o.len] = '\0';
    cl_trouble(cl, what, text);
}

static void registered(struct cl_call *call, cl_err_t err, const struct cl_msg *answer)
{
    struct cl_client *cl = call->ctx;

    if (err == CL_ERR_CLOSED) {
        return; /* whoever closed the association goes on */
    }
    if (err != CL_OK) {
        cl_retry(cl, "no answer to the registration");
    } else if (answer->code == CL_CODE(2, 1) && location_take(cl, &answer->location)) {
        cl->failures = 0;
        update_plan(cl);
        cl_state_set(cl, CL_REGISTERED);
        if (cl->hooks.registered != NULL) {
            cl->hooks.registered(cl, cl->device_id);
        }
    } else {
        code_trouble(cl, "registration answered", answer->code);
        if (answer->code == CL_CODE(4, 0) || answer->code == CL_CODE(4, 3)) {
            refused(cl, "the server does not want this device");
        } else {
            cl_retry(cl, NULL);
        }
    }
}

static size_t list_make(struct cl_client *cl)
{
    struct cl_out out = {.buf = cl->list, .cap = sizeof cl->list};
    uint16_t first;

    if (cl->config.pelion) {
        hal_random(&first, sizeof first);
        cl_observe_clear(&cl->observers);
        cl_links_pelion(&cl->objects, &cl->observers, (uint16_t)(first % 900 + 1), cl->evq.now_ms,
                        &out);
    } else {
        cl_links_register(&cl->objects, &out);
    }
    return out.full ? 0 : out.len;
}

static void register_queries(struct cl_client *cl)
{
    struct cl_uri uri = {.query = ""};
    bool pelion = cl->config.pelion;

    cl_query_clear(cl);
    (void)cl_query_add(cl, "ep", cl->config.endpoint);
    if (cl->config.type != NULL) {
        (void)cl_query_add(cl, "et", cl->config.type);
    }
    (void)query_number(cl, "lt", cl->accounts.server.lifetime_s);
    (void)cl_query_add(cl, "lwm2m", pelion ? "1.0" : "1.1");
    (void)cl_query_add(cl, "b", cl->coap.stream ? "T" : "U");
    if (pelion && cl_uri_parse(cl->accounts.account[CL_SERVER].uri, &uri) == CL_OK) {
        if (strncmp(uri.query, "aid=", 4) == 0 && strchr(uri.query, '&') == NULL) {
            (void)cl_query_add(cl, "d", uri.query + 4);
        }
        if (uri.query[0] != '\0') {
            (void)cl_query_add(cl, uri.query, NULL);
        }
        (void)cl_query_add(cl, "mccv", CL_PELION_VERSION);
    }
}

static void register_start(struct cl_client *cl)
{
    cl_state_set(cl, CL_REGISTERING);
    cl->must_register = cl->must_update = cl->list_changed = false;
    cl_cancel(&cl->evq, update_event, cl);
    cl_observe_clear(&cl->observers);
    memset(cl->observers.attrs, 0, sizeof cl->observers.attrs);
    cl->observers.pmin_s = cl->accounts.server.pmin_s;
    cl->observers.pmax_s = cl->accounts.server.pmax_s;
    size_t len = list_make(cl);
    register_queries(cl);
    cl->call = (struct cl_call){
        .format = CL_FMT_LINK, .accept = CL_ID_NONE, .body = cl->list, .body_len = len};
    if (len == 0 || cl_request(cl, CL_POST, "/rd", registered) != CL_OK) {
        cl_retry(cl, "the registration does not fit");
    }
}

static void updated(struct cl_call *call, cl_err_t err, const struct cl_msg *answer)
{
    struct cl_client *cl = call->ctx;

    if (err == CL_ERR_CLOSED) {
        return; /* whoever closed the association goes on */
    }
    if (err != CL_OK) {
        cl_retry(cl, "no answer to the registration update");
    } else if (answer->code == CL_CODE(2, 4)) {
        update_plan(cl);
    } else { /* spec: LWM2M-1.1-CORE#6.2.2: not known (any more): register again */
        code_trouble(cl, "registration update answered", answer->code);
        cl->must_register = true;
    }
}

static void update_start(struct cl_client *cl)
{
    size_t len = 0;

    cl->must_update = false;
    cl_query_clear(cl);
    if (cl->config.pelion && cl->config.type != NULL) {
        (void)cl_query_add(cl, "et", cl->config.type);
    }
    (void)query_number(cl, "lt", cl->accounts.server.lifetime_s);
    if (cl->list_changed) {
        cl->list_changed = false;
        len = list_make(cl);
    }
    cl->call = (struct cl_call){.format = len > 0 ? CL_FMT_LINK : CL_ID_NONE,
                                .accept = CL_ID_NONE,
                                .body = cl->list,
                                .body_len = len};
    if (cl_request(cl, CL_POST, cl->location, updated) != CL_OK) {
        cl_retry(cl, "the registration update does not fit");
    }
}

static void left(struct cl_call *call, cl_err_t err, const struct cl_msg *answer)
{
    struct cl_client *cl = call->ctx;

    (void)err;
    (void)answer;
    disconnect(cl);
    cl_state_set(cl, CL_STOPPED);
}

static void leave_event(void *ctx)
{
    struct cl_client *cl = ctx;

    if (cl->state != CL_STOPPED) {
        disconnect(cl);
        cl_state_set(cl, CL_STOPPED);
    }
}

static void leave_start(struct cl_client *cl)
{
    cl_state_set(cl, CL_LEAVING);
    cl_query_clear(cl);
    cl->call = (struct cl_call){.format = CL_ID_NONE, .accept = CL_ID_NONE};
    if (cl_request(cl, CL_DELETE, cl->location, left) != CL_OK) {
        leave_event(cl);
    }
}

/* ---- the program's side ---- */

static void net_send(void *ctx, const uint8_t *msg, size_t len)
{
    cl_sec_send(&((struct cl_client *)ctx)->sec, msg, len);
}

static void net_released(void *ctx)
{
    cl_retry(ctx, "the server closes the connection");
}

static const struct cl_coap_ops coap_ops = {.send = net_send,
                                            .request = cl_serve,
                                            .delivered = cl_report_delivered,
                                            .released = net_released};

cl_err_t cl_init(struct cl_client *cl, const struct cl_config *config, const struct cl_hooks *hooks,
                 struct cl_kvs *kvs)
{
    uint64_t now_ms = hal_time_ms();

    memset(cl, 0, sizeof *cl);
    cl->config = *config;
    if (hooks != NULL) {
        cl->hooks = *hooks;
    }
    cl->notifying = -1;
    cl_evq_init(&cl->evq, now_ms);
    cl_coap_init(&cl->coap, &coap_ops, cl, false, now_ms);
    cl_sec_init(&cl->sec);
    cl_accounts_init(&cl->accounts, kvs);
    cl->accounts.server.lifetime_s = config->lifetime_s;
    return cl_core_objects(cl);
}

cl_err_t cl_start(struct cl_client *cl)
{
    struct cl_account *boot = &cl->accounts.account[CL_BOOTSTRAPPER];
    uint32_t delay_ms = 0;

    if (boot->there && !cl->accounts.account[CL_SERVER].there) {
        cl_err_t err = cl_accounts_load(&cl->accounts);
        if (err != CL_OK) {
            cl_wipe(&cl->accounts.account[CL_SERVER], sizeof cl->accounts.account[CL_SERVER]);
            delay_ms = boot->hold_off_s * 1000;
        }
    }
    if (!boot->there && !cl->accounts.account[CL_SERVER].there) {
        return CL_ERR_NOENT;
    }
    /* keys of the command line stay what they are; those of a bootstrap can be renewed */
    cl_err_t err = boot->there ? cl_renewal_object(cl) : CL_OK;
    if (err == CL_OK) {
        cl_connect_soon(cl, delay_ms);
    }
    return err;
}

static void input(struct cl_client *cl, uint64_t now_ms)
{
    uint8_t buf[CL_MSG_MAX];
    size_t len;

    while ((len = cl_sec_recv(&cl->sec, buf, sizeof buf)) > 0) {
        cl_coap_input(&cl->coap, buf, len, now_ms);
    }
}

static void connected(struct cl_client *cl)
{
    cl_coap_reset(&cl->coap, cl->sec.tcp && !cl->sec.records);
    cl_coap_hello(&cl->coap);
    if (cl->bootstrapping) {
        cl_bootstrap_start(cl);
    } else {
        register_start(cl);
    }
}

/* What the state asks for, one request at a time. */
static void act(struct cl_client *cl)
{
    if (cl->state == CL_CONNECTING && cl->sec.state == CL_SEC_OPEN) {
        connected(cl);
    }
    if (cl->state != CL_REGISTERED || cl->call.active) {
        return;
    }
    if (cl->stop_wanted) {
        leave_start(cl);
    } else if (cl->must_register) {
        register_start(cl);
    } else if (cl->must_update || cl->list_changed) {
        update_start(cl);
    }
}

static void keep_alive(struct cl_client *cl, uint64_t now_ms)
{
    if (cl->sec.tcp && cl->sec.state == CL_SEC_OPEN && now_ms - cl->coap.sent_ms >= QUIET_MS) {
        cl_coap_ping(&cl->coap);
    }
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t cl_step(struct cl_client *cl, uint64_t now_ms)
{
    uint64_t next = cl_evq_run(&cl->evq, now_ms);

    cl->coap.now_ms = now_ms;
    next = sooner(next, cl_sec_step(&cl->sec, now_ms));
    input(cl, now_ms);
    if (cl->sec.state == CL_SEC_FAILED) {
        association_lost(cl);
    }
    act(cl);
    keep_alive(cl, now_ms);
    next = sooner(next, cl_report(cl));
    next = sooner(next, cl_coap_step(&cl->coap, now_ms));
    if (cl->sec.state == CL_SEC_OPEN && cl->sec.tcp) {
        next = sooner(next, cl->coap.sent_ms + QUIET_MS);
    }
    /* callbacks may have posted events or set what act() looks at */
    bool more = (cl->state == CL_REGISTERED && !cl->call.active &&
                 (cl->stop_wanted || cl->must_register || cl->must_update || cl->list_changed)) ||
                cl->later.done || cl->sec.state == CL_SEC_FAILED;
    return more ? now_ms : sooner(next, cl_evq_next(&cl->evq));
}

void cl_stop(struct cl_client *cl)
{
    cl->stop_wanted = true;
    /* a request under way ends first, but not for longer than that */
    if (cl->state != CL_REGISTERED || cl_post_after(&cl->evq, LEAVE_MS, leave_event, cl) != CL_OK) {
        leave_event(cl);
    }
}

void cl_fini(struct cl_client *cl)
{
    cl_sec_close(&cl->sec);
    cl_accounts_wipe(&cl->accounts);
    cl_wipe(cl->in.buf, sizeof cl->in.buf);
}

void cl_list_changed(struct cl_client *cl)
{
    cl->list_changed = true;
}

void cl_update(struct cl_client *cl)
{
    cl->must_update = true;
}

static void rebootstrap_event(void *ctx)
{
    struct cl_client *cl = ctx;

    if (!cl->bootstrapping && cl->accounts.account[CL_BOOTSTRAPPER].there) {
        cl->must_bootstrap = true;
        cl_connect_soon(cl, 0);
    }
}

void cl_rebootstrap(struct cl_client *cl)
{
    /* the answer to whoever asked goes out first */
    if (cl_post_after(&cl->evq, REBOOT_MS, rebootstrap_event, cl) != CL_OK) {
        rebootstrap_event(cl);
    }
}

static void reboot_event(void *ctx)
{
    cl_sec_close(&((struct cl_client *)ctx)->sec);
    hal_reset();
}

void cl_reboot(struct cl_client *cl)
{
    if (cl_post_after(&cl->evq, REBOOT_MS, reboot_event, cl) != CL_OK) {
        reboot_event(cl);
    }
}
