/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/devices/test_live.c
 * @brief The domain core as the server runs it: real engines on shard threads, control on its own,
 * devices over DTLS-PSK that move between the shards while requests are under way.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "coap/engine.h"
#include "coap/socket.h"
#include "devices/dev.h"
#include "devices/rules.h"
#include "lwm2m/model.h"
#include "tests/integ/db/dbt.h"

#define SHARDS  2
#define DEVICES 40
#define UPDATES 10
#define MOVES   4
#define WAIT_MS 60000
#define LINKS   "</1/0>,</3/0>,</3303/0>"

static const uint8_t key[16] = "0123456789abcdef";

struct shard {
    unsigned number;
    int fd;
    struct loop *loop;
    struct loop_thread thread;
    struct loop_msg msg;
    struct cx_security *security;
    struct cx_engine *engine;
    atomic_bool closed;
};

struct device {
    struct cx_call call;
    unsigned number;
    cx_peer_t peer;
    char name[16], location[64];
    struct cx_opt opts[8];
    unsigned updates, moves;
    bool registering, moving;
};

struct ask {
    struct dev_request req;
    char async_id[32];
    int64_t device;
};

static struct {
    struct dev_core *core;
    struct shard shards[SHARDS];
    struct loop *control;
    struct loop_thread control_thread;
    struct loop_msg start_msg, stop_msg;
    atomic_bool started, stopped;
    atomic_uint answers, good, registered;
    struct dev_sink sink;
    struct ask asks[DEVICES];
    unsigned n_asks;

    struct loop *loop; /* of the devices */
    struct cx_engine *client;
    union cx_addr server;
    struct device devices[DEVICES];
    unsigned finished;
    bool client_closed;
} live;

/* ---- server ---- */

static void shard_begin(struct loop *loop, void *ctx)
{
    struct shard *s = ctx;
    struct cx_engine_config config = {.loop = loop,
                                      .shard = s->number,
                                      .shards = SHARDS,
                                      .security = s->security,
                                      .ops = &dev_cx_ops,
                                      .data = dev_core_shard(live.core, s->number)};

    ck_assert_int_eq(cx_engine_new(&config, &s->engine), DR_OK);
    dev_core_set_engine(live.core, s->number, s->engine);
    ck_assert_int_eq(cx_engine_adopt(s->engine, s->fd, CX_PROTO_DTLS), DR_OK);
}

static void shard_closed(void *data)
{
    struct shard *s = data;

    s->engine = cx_engine_free(s->engine);
    atomic_store(&s->closed, true);
}

static void shard_close(struct loop_msg *m)
{
    struct shard *s = DR_CONTAINER_OF(m, struct shard, msg);

    cx_engine_close(s->engine, shard_closed, s);
}

static void asked(struct dev_request *req, dr_err_t err)
{
    (void)req;
    ck_assert_int_eq(err, DR_OK);
}

/* Each device that registers for the first time gets a request at once. */
static void on_event(void *data, const struct dev_event *ev)
{
    (void)data;
    if (ev->kind == DEV_EVENT_ANSWER) {
        atomic_fetch_add(&live.answers, 1);
        if (ev->status == 200 && ev->payload.len == 5 && memcmp(ev->payload.p, "maker", 5) == 0) {
            atomic_fetch_add(&live.good, 1);
        }
        dev_answer_delivered(live.core, ev->request);
        return;
    }
    if (ev->kind != DEV_EVENT_REGISTERED) {
        return;
    }
    atomic_fetch_add(&live.registered, 1);
    for (unsigned i = 0; i < live.n_asks; i++) {
        if (live.asks[i].device == ev->device) {
            return;
        }
    }
    struct ask *a = &live.asks[live.n_asks++];
    a->device = ev->device;
    (void)snprintf(a->async_id, sizeof a->async_id, "ask-%u", live.n_asks);
    a->req = (struct dev_request){.account = DBT_ACCOUNT,
                                  .device = ev->device,
                                  .key = 5,
                                  .async_id = a->async_id,
                                  .method = DEV_GET,
                                  .uri = "/3/0/0",
                                  .retry = 5,
                                  .expiry_s = -1,
                                  .cb = asked};
    ck_assert_int_eq(dev_request_start(live.core, &a->req), DR_OK);
}

static void on_started(void *data, dr_err_t err)
{
    (void)data;
    ck_assert_int_eq(err, DR_OK);
    dev_listeners_set(live.core, DBT_ACCOUNT, 1);
    atomic_store(&live.started, true);
}

static void start_run(struct loop_msg *m)
{
    (void)m;
    dev_sink_add(live.core, &live.sink);
    dev_core_start(live.core, on_started, NULL);
}

static void on_stopped(void *data)
{
    (void)data;
    atomic_store(&live.stopped, true);
}

static void stop_run(struct loop_msg *m)
{
    (void)m;
    dev_core_stop(live.core, on_stopped, NULL);
}

static void wait_for(atomic_bool *flag)
{
    uint64_t end = dr_mono_ms() + WAIT_MS;

    while (!atomic_load(flag)) {
        ck_assert_uint_lt(dr_mono_ms(), end);
        (void)poll(NULL, 0, 1);
    }
}

static dr_err_t put_keys(struct db_writer *w, void *ctx)
{
    dr_err_t err = DR_OK;

    (void)ctx;
    for (int i = 0; i < DEVICES && err == DR_OK; i++) {
        char name[16], identity[16];
        (void)snprintf(name, sizeof name, "live-%d", i);
        (void)snprintf(identity, sizeof identity, "id-%d", i);
        struct db_psk row = {.id = 100 + i,
                             .account = DBT_ACCOUNT,
                             .identity = dr_bytes_str(identity),
                             .endpoint_name = name,
                             .key = dr_bytes_of(key, sizeof key)};
        err = db_psk_insert(w, &row);
    }
    return err;
}

static void server_begin(struct cx_security *security, struct lwm2m_models *models)
{
    struct loop *loops[SHARDS];
    int fds[SHARDS];
    char run[96];

    live.server =
        (union cx_addr){.in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    ck_assert_int_eq(cx_sockets_open(&live.server, SHARDS, fds), DR_OK);
    for (unsigned i = 0; i < SHARDS; i++) {
        struct shard *s = &live.shards[i];
        s->number = i;
        s->fd = fds[i];
        s->security = security;
        ck_assert_int_eq(loop_new("shard", &s->loop), DR_OK);
        loops[i] = s->loop;
    }
    ck_assert_int_eq(loop_new("control", &live.control), DR_OK);
    (void)snprintf(run, sizeof run, "%s/run", dbt_dir);
    ck_assert_int_eq(mkdir(run, 0700), 0);
    struct dev_config config = {.control = live.control,
                                .db = dbt_db,
                                .models = models,
                                .shards = SHARDS,
                                .shard_loops = loops,
                                .run_dir = run,
                                .grace_s = 60,
                                .awake_s = 93,
                                .sweep_ms = 100};
    ck_assert_int_eq(dev_core_new(&config, &live.core, NULL), DR_OK);
    live.sink.event = on_event;
    for (unsigned i = 0; i < SHARDS; i++) {
        struct shard *s = &live.shards[i];
        ck_assert_int_eq(loop_thread_start(&s->thread, s->loop, shard_begin, s), DR_OK);
    }
    ck_assert_int_eq(loop_thread_start(&live.control_thread, live.control, NULL, NULL), DR_OK);
    loop_post(live.control, &live.start_msg, start_run);
    wait_for(&live.started);
}

static void server_end(void)
{
    loop_post(live.control, &live.stop_msg, stop_run);
    wait_for(&live.stopped);
    for (unsigned i = 0; i < SHARDS; i++) {
        loop_post(live.shards[i].loop, &live.shards[i].msg, shard_close);
        wait_for(&live.shards[i].closed);
        loop_thread_join(&live.shards[i].thread);
    }
    loop_thread_join(&live.control_thread);
    for (unsigned i = 0; i < SHARDS; i++) {
        (void)loop_free(live.shards[i].loop);
    }
    (void)loop_free(live.control);
    live.core = dev_core_free(live.core);
}

/* ---- devices ---- */

static void device_next(struct device *d);

static void device_request(void *data, struct cx_engine *e, const struct cx_inbound *in)
{
    struct cx_reply reply = {
        .code = CX_CONTENT, .payload = (const uint8_t *)"maker", .payload_len = 5};

    (void)data;
    (void)cx_answer(e, in->exchange, &reply);
}

static const struct cx_ops client_ops = {.request = device_request};

static void location_take(struct device *d, const struct cx_pdu *answer)
{
    struct cx_opt_iter it = cx_opt_begin(answer);
    struct cx_opt opt;

    while (cx_opt_next(&it, &opt)) {
        if (opt.num == CX_OPT_LOCATION_PATH) {
            (void)snprintf(d->location, sizeof d->location, "%.*s", (int)opt.len,
                           (const char *)opt.val);
        }
    }
}

static void device_done(struct cx_call *call, dr_err_t err, const struct cx_pdu *answer)
{
    struct device *d = call->data;

    ck_assert_msg(err == DR_OK, "%s: %s", d->name, dr_err_name(err));
    if (d->registering) {
        ck_assert_uint_eq(answer->code, CX_CREATED);
        location_take(d, answer);
        d->registering = false;
    } else {
        ck_assert_msg(answer->code == CX_CHANGED, "%s: %u.%02u", d->name, answer->code >> 5,
                      answer->code & 31);
        d->updates++;
    }
    device_next(d);
}

static void device_post(struct device *d, const char *a, const char *b, const char *query,
                        const char *body)
{
    size_t n = 0;

    d->opts[n++] = (struct cx_opt){CX_OPT_URI_PATH, (uint16_t)strlen(a), (const uint8_t *)a};
    if (b != NULL) {
        d->opts[n++] = (struct cx_opt){CX_OPT_URI_PATH, (uint16_t)strlen(b), (const uint8_t *)b};
    }
    if (query != NULL) {
        d->opts[n++] = (struct cx_opt){CX_OPT_URI_QUERY, 6, (const uint8_t *)query};
        d->opts[n++] = (struct cx_opt){CX_OPT_URI_QUERY, 9, (const uint8_t *)query + 7};
        d->opts[n++] = (struct cx_opt){CX_OPT_URI_QUERY, 3, (const uint8_t *)query + 17};
    }
    d->call = (struct cx_call){.peer = d->peer,
                               .code = CX_POST,
                               .opts = d->opts,
                               .n_opts = n,
                               .payload = (const uint8_t *)body,
                               .payload_len = body == NULL ? 0 : strlen(body),
                               .cb = device_done,
                               .data = d};
    ck_assert_int_eq(cx_call_start(live.client, &d->call), DR_OK);
}

static void device_connected(void *data, cx_peer_t peer, dr_err_t err)
{
    struct device *d = data;

    ck_assert_msg(err == DR_OK, "%s: %s", d->name, dr_err_name(err));
    d->peer = peer;
    if (d->location[0] == '\0') {
        d->registering = true;
        device_post(d, "rd", NULL, "lt=300&lwm2m=1.1&b=U", LINKS);
    } else { /* only an Update after a reconnect, as Pelion's clients do */
        device_post(d, "rd", d->location, NULL, NULL);
    }
}

/* A new association from another source address: mostly another shard. */
static void device_connect(struct device *d)
{
    char identity[16];
    uint32_t host = 0x7f000101 + d->number + 0x100 * d->moves;

    (void)snprintf(identity, sizeof identity, "id-%u", d->number);
    struct cx_connect x = {
        .proto = CX_PROTO_DTLS,
        .remote = live.server,
        .local = {.in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)}},
        .psk_identity = identity,
        .psk_key = key,
        .psk_key_len = sizeof key,
        .cb = device_connected,
        .data = d};
    ck_assert_int_eq(cx_connect(live.client, &x, &d->peer), DR_OK);
}

static void device_next(struct device *d)
{
    if (d->updates % UPDATES == UPDATES - 1 && d->moves < MOVES) {
        d->moves++;
        device_connect(d);
        return;
    }
    if (d->updates >= UPDATES * (MOVES + 1)) {
        live.finished++;
        return;
    }
    device_post(d, "rd", d->location, NULL, NULL);
}

static void client_closed(void *data)
{
    (void)data;
    live.client_closed = true;
}

static void tick(struct loop_timer *t)
{
    (void)t;
}

#define UNTIL(cond)                                                                                \
    do {                                                                                           \
        uint64_t end_ = dr_mono_ms() + WAIT_MS;                                                    \
        while (!(cond)) {                                                                          \
            ck_assert_msg(dr_mono_ms() < end_, "waited in vain for: %s", #cond);                   \
            loop_run_once(live.loop, true);                                                        \
        }                                                                                          \
    } while (0)

START_TEST(devices_move_between_threads_while_they_are_asked)
{
    struct cx_security_config sc = {0};
    struct cx_security_config cc = {.client = true};
    struct cx_security *server_security, *client_security;
    struct lwm2m_models *models;
    struct loop_timer timer = {0};
    union cx_addr own = {.in4 = {.sin_family = AF_INET}};
    int fd;

    dbt_setup();
    ck_assert_int_eq(dbt_write(put_keys, NULL), DR_OK);
    ck_assert_int_eq(lwm2m_models_new(&models), DR_OK);
    ck_assert_int_eq(cx_security_new(&sc, &server_security, NULL), DR_OK);
    ck_assert_int_eq(cx_security_new(&cc, &client_security, NULL), DR_OK);
    server_begin(server_security, models);

    ck_assert_int_eq(loop_new("client", &live.loop), DR_OK);
    struct cx_engine_config config = {
        .loop = live.loop, .shards = 1, .security = client_security, .ops = &client_ops};
    ck_assert_int_eq(cx_engine_new(&config, &live.client), DR_OK);
    ck_assert_int_eq(cx_sockets_open(&own, 1, &fd), DR_OK);
    ck_assert_int_eq(cx_engine_adopt(live.client, fd, CX_PROTO_DTLS), DR_OK);
    loop_timer_start(live.loop, &timer, 5, 5, tick);
    for (unsigned i = 0; i < DEVICES; i++) {
        struct device *d = &live.devices[i];
        d->number = i;
        (void)snprintf(d->name, sizeof d->name, "live-%u", i);
        device_connect(d);
    }
    UNTIL(live.finished == DEVICES);
    UNTIL(atomic_load(&live.answers) == DEVICES);
    ck_assert_uint_eq(atomic_load(&live.good), DEVICES);
    ck_assert_uint_eq(atomic_load(&live.registered), DEVICES);

    server_end();
    cx_engine_close(live.client, client_closed, NULL);
    UNTIL(live.client_closed);
    (void)cx_engine_free(live.client);
    loop_timer_stop(&timer);
    (void)loop_free(live.loop);
    (void)cx_security_unref(server_security);
    (void)cx_security_unref(client_security);
    (void)lwm2m_models_free(models);
    dbt_teardown();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("devices on threads");
    TCase *tc = tcase_create("live");

    tcase_set_timeout(tc, 180);
    tcase_add_test(tc, devices_move_between_threads_while_they_are_asked);
    suite_add_tcase(s, tc);
    return dbt_main(s);
}
