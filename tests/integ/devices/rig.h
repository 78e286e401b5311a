/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/devices/rig.h
 * @brief The domain core with two shards and a real store on one thread; the test plays devices.
 */
#pragma once

#include <poll.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "devices/control_priv.h"
#include "devices/dev.h"
#include "devices/rules.h"
#include "devices/shard_priv.h"
#include "lwm2m/model.h"
#include "tests/integ/db/dbt.h"
#include "tests/integ/devices/fake_engine.h"

#define RIG_SHARDS  2
#define RIG_EVENTS  512
#define RIG_LINKS   "</1/0>,</3/0>,</3303/0>;obs,</5>"
#define RIG_WAIT_MS 8000

struct rig_event {
    enum dev_event_kind kind;
    int64_t device, key, request;
    char endpoint[80], path[64], ct[64], async_id[64], error[64];
    char payload[256];
    size_t len, n_links;
    int status;
    uint32_t max_age_s;
};

static struct rig {
    struct loop *control;
    struct loop *loops[RIG_SHARDS];
    struct cx_engine *e[RIG_SHARDS];
    struct dev_core *core;
    struct dev_sink sink;
    struct rig_event events[RIG_EVENTS];
    unsigned n_events;
    bool started, stopped;
    dr_err_t start_err;
    uint32_t grace_s, sweep_ms, awake_s;
    int64_t nosec_account;
} rig;

static inline void rig_pump(void)
{
    for (unsigned round = 0; round < 3; round++) {
        loop_run_once(rig.control, false);
        for (unsigned i = 0; i < RIG_SHARDS; i++) {
            loop_run_once(rig.loops[i], false);
            if (rig.e[i] != NULL) {
                fe_run(rig.e[i]);
            }
        }
    }
}

#define RIG_UNTIL(cond)                                                                            \
    do {                                                                                           \
        uint64_t rig_end_ = dr_mono_ms() + RIG_WAIT_MS;                                            \
        while (!(cond)) {                                                                          \
            ck_assert_msg(dr_mono_ms() < rig_end_, "waited in vain for: %s", #cond);               \
            rig_pump();                                                                            \
            (void)poll(NULL, 0, 1);                                                                \
        }                                                                                          \
    } while (0)

static inline void rig_pause(unsigned ms)
{
    uint64_t end = dr_mono_ms() + ms;

    while (dr_mono_ms() < end) {
        rig_pump();
        (void)poll(NULL, 0, 1);
    }
}

static inline void rig_on_event(void *data, const struct dev_event *ev)
{
    (void)data;
    ck_assert_uint_lt(rig.n_events, RIG_EVENTS);
    struct rig_event *e = &rig.events[rig.n_events++];
    *e = (struct rig_event){.kind = ev->kind,
                            .device = ev->device,
                            .key = ev->owner_key,
                            .request = ev->request,
                            .len = ev->payload.len,
                            .n_links = ev->n_links,
                            .status = ev->status,
                            .max_age_s = ev->max_age_s};
    (void)snprintf(e->endpoint, sizeof e->endpoint, "%s", ev->endpoint);
    (void)snprintf(e->path, sizeof e->path, "%s", ev->path == NULL ? "" : ev->path);
    (void)snprintf(e->ct, sizeof e->ct, "%s", ev->ct == NULL ? "" : ev->ct);
    (void)snprintf(e->async_id, sizeof e->async_id, "%s", ev->async_id ? ev->async_id : "");
    (void)snprintf(e->error, sizeof e->error, "%s", ev->error ? ev->error : "");
    size_t n = ev->payload.len < sizeof e->payload - 1 ? ev->payload.len : sizeof e->payload - 1;
    if (n != 0) {
        memcpy(e->payload, ev->payload.p, n);
    }
}

/** The @p nth (from 0) event of a kind, or NULL. */
static inline struct rig_event *rig_event_of(enum dev_event_kind kind, unsigned nth)
{
    for (unsigned i = 0; i < rig.n_events; i++) {
        if (rig.events[i].kind == kind && nth-- == 0) {
            return &rig.events[i];
        }
    }
    return NULL;
}

static inline unsigned rig_count(enum dev_event_kind kind)
{
    unsigned n = 0;

    while (rig_event_of(kind, n) != NULL) {
        n++;
    }
    return n;
}

static inline void rig_on_start(void *data, dr_err_t err)
{
    (void)data;
    rig.started = true;
    rig.start_err = err;
}

static inline void rig_on_stop(void *data)
{
    (void)data;
    rig.stopped = true;
}

/** Start on the store that is open. */
static inline void rig_start(void)
{
    struct dr_errinfo info = {{0}, 0, {0}};
    char run[96];

    (void)snprintf(run, sizeof run, "%s/run", dbt_dir);
    (void)mkdir(run, 0700);
    ck_assert_int_eq(loop_new("control", &rig.control), DR_OK);
    for (unsigned i = 0; i < RIG_SHARDS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "shard%u", i);
        ck_assert_int_eq(loop_new(name, &rig.loops[i]), DR_OK);
    }
    static struct lwm2m_models *models;
    if (models == NULL) {
        ck_assert_int_eq(lwm2m_models_new(&models), DR_OK);
    }
    struct dev_config config = {.control = rig.control,
                                .db = dbt_db,
                                .models = models,
                                .shards = RIG_SHARDS,
                                .shard_loops = rig.loops,
                                .run_dir = run,
                                .grace_s = rig.grace_s,
                                .sweep_ms = rig.sweep_ms,
                                .awake_s = rig.awake_s != 0 ? rig.awake_s : 93,
                                .nosec_account = rig.nosec_account};
    ck_assert_int_eq(dev_core_new(&config, &rig.core, &info), DR_OK);
    for (unsigned i = 0; i < RIG_SHARDS; i++) {
        rig.e[i] = calloc(1, sizeof *rig.e[i]);
        rig.e[i]->loop = rig.loops[i];
        rig.e[i]->ops = &dev_cx_ops;
        rig.e[i]->data = dev_core_shard(rig.core, i);
        dev_core_set_engine(rig.core, i, rig.e[i]);
    }
    rig.started = rig.stopped = false;
    rig.sink = (struct dev_sink){.event = rig_on_event};
    rig.n_events = 0;
    dev_sink_add(rig.core, &rig.sink);
    dev_core_start(rig.core, rig_on_start, NULL);
    RIG_UNTIL(rig.started);
    ck_assert_int_eq(rig.start_err, DR_OK);
    dev_listeners_set(rig.core, DBT_ACCOUNT, 1);
    rig_pump();
}

static inline void rig_engines_free(void)
{
    for (unsigned i = 0; i < RIG_SHARDS; i++) {
        if (rig.e[i] == NULL) {
            continue;
        }
        struct cx_call *call;
        while ((call = fe_call(rig.e[i])) != NULL) {
            fe_call_fail(rig.e[i], call, DR_ERR_CANCELED);
        }
    }
}

static inline void rig_free(void)
{
    rig_engines_free();
    rig_pause(5);
    rig.control = loop_free(rig.control);
    for (unsigned i = 0; i < RIG_SHARDS; i++) {
        rig.loops[i] = loop_free(rig.loops[i]);
    }
    rig.core = dev_core_free(rig.core);
    for (unsigned i = 0; i < RIG_SHARDS; i++) {
        free(rig.e[i]);
        rig.e[i] = NULL;
    }
}

static inline void rig_stop_run(void *ctx)
{
    (void)ctx;
    dev_core_stop(rig.core, rig_on_stop, NULL);
}

static inline void rig_stop(void)
{
    fe_on_loop(rig.control, rig_stop_run, NULL);
    RIG_UNTIL(rig.stopped);
    rig_free();
}

static inline void rig_restart(void)
{
    rig_stop();
    dbt_reopen();
    rig_start();
}

/* Keys of node-0 … node-9: row 100 … 109, identity "id-node-N". */
static inline int64_t rig_credential(const char *endpoint)
{
    return strncmp(endpoint, "node-", 5) == 0 ? 100 + endpoint[5] - '0' : 0;
}

static inline dr_err_t rig_keys(struct db_writer *w, void *ctx)
{
    dr_err_t err = DR_OK;

    (void)ctx;
    for (int i = 0; i < 10 && err == DR_OK; i++) {
        char endpoint[16], identity[16];
        (void)snprintf(endpoint, sizeof endpoint, "node-%d", i);
        (void)snprintf(identity, sizeof identity, "id-node-%d", i);
        struct db_psk row = {.id = 100 + i,
                             .account = DBT_ACCOUNT,
                             .identity = dr_bytes_str(identity),
                             .endpoint_name = endpoint,
                             .key = dr_bytes_of("0123456789abcdef", 16)};
        err = db_psk_insert(w, &row);
    }
    return err;
}

static inline void rig_setup(void)
{
    memset(&rig, 0, sizeof rig);
    rig.grace_s = 60;
    dbt_setup();
    ck_assert_int_eq(dbt_write(rig_keys, NULL), DR_OK);
    rig_start();
}

static inline void rig_teardown(void)
{
    rig_stop();
    dbt_teardown();
}

/* ---- devices ---- */

static inline cx_peer_t rig_peer(unsigned shard, const char *endpoint)
{
    return fe_peer_new(rig.e[shard], CX_ID_PSK, DBT_ACCOUNT, endpoint, rig_credential(endpoint), 1);
}

static inline struct fe_exchange *rig_post(unsigned shard, cx_peer_t peer, const char *path,
                                           const char *query, const char *links)
{
    return fe_request(rig.e[shard], peer,
                      FE_MSG(CX_POST, .path = path, .query = query,
                             .ct = links == NULL ? 0 : FE_N(40), .payload = links,
                             .len = links == NULL ? 0 : strlen(links)));
}

static inline struct fe_exchange *rig_wait(struct fe_exchange *x)
{
    RIG_UNTIL(!x->open);
    return x;
}

/** Register and wait; the location is in the result. */
static inline struct fe_exchange *rig_register(unsigned shard, cx_peer_t peer, const char *query)
{
    struct fe_exchange *x = rig_wait(rig_post(shard, peer, "rd", query, RIG_LINKS));

    ck_assert_msg(x->answered && x->code == CX_CREATED, "code %u.%02u", x->code >> 5, x->code & 31);
    return x;
}

static inline int64_t rig_device(const struct fe_exchange *x)
{
    const char *id = strrchr(x->location, '/');
    int64_t device;

    ck_assert_ptr_nonnull(id);
    ck_assert_int_eq(dev_location_parse((const uint8_t *)id + 1, strlen(id + 1), &device), DR_OK);
    return device;
}

struct rig_row {
    bool found, registered, queue;
    int64_t generation, last_seen, device;
    uint32_t lifetime_s;
    char links[512], address[64];
};

static inline dr_err_t rig_row_take(void *data, const struct db_registration *row)
{
    struct rig_row *r = data;

    *r = (struct rig_row){.found = true,
                          .registered = row->registered,
                          .queue = row->queue_mode,
                          .generation = row->generation,
                          .last_seen = row->last_seen,
                          .device = row->device,
                          .lifetime_s = row->lifetime_s};
    (void)snprintf(r->links, sizeof r->links, "%.*s", (int)row->links.len,
                   (const char *)row->links.p);
    return DR_OK;
}

struct rig_row_ask {
    const char *endpoint;
    struct rig_row row;
};

static inline dr_err_t rig_row_read(struct db_reader *r, void *ctx)
{
    struct rig_row_ask *a = ctx;
    dr_err_t err = db_registration_find(r, DBT_ACCOUNT, a->endpoint, rig_row_take, &a->row);

    return err == DR_ERR_NOT_FOUND ? DR_OK : err;
}

static inline struct rig_row rig_row(const char *endpoint)
{
    struct rig_row_ask a = {.endpoint = endpoint};

    ck_assert_int_eq(dbt_read(rig_row_read, &a), DR_OK);
    return a.row;
}

static inline struct dev_shard *rig_shard(unsigned i)
{
    return dev_core_shard(rig.core, i);
}

/** Registrations in memory of a shard. */
static inline uint32_t rig_held(unsigned i)
{
    return rig_shard(i)->regs.count;
}

/* ---- requests ---- */

static inline void rig_ask_done(struct dev_request *req, dr_err_t err)
{
    *(dr_err_t *)req->data = err;
}

/** Start a request and wait until it is accepted or refused. */
static inline dr_err_t rig_ask(struct dev_request *req)
{
    dr_err_t err = DR_ERR_AGAIN;

    req->cb = rig_ask_done;
    req->data = &err;
    dr_err_t start = dev_request_start(rig.core, req);
    if (start != DR_OK) {
        return start;
    }
    RIG_UNTIL(err != DR_ERR_AGAIN);
    return err;
}
