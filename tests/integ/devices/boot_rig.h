/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/devices/boot_rig.h
 * @brief A bootstrap server and a scripted device on one loop, with a store in a temporary folder.
 */
#pragma once

#include <arpa/inet.h>

#include "base/clock.h"
#include "base/sm.h"
#include "db/bootstrap.h"
#include "devices/boot_priv.h"
#include "devices/est.h"
#include "tests/integ/db/dbt.h"
#include "tests/integ/devices/boot_client.h"

#define WAIT_MS    20000
#define ENDPOINT   "node-1"
#define IDENTITY   "factory-1"
#define DISCOVERED "</>;lwm2m=1.1,</0/0>,</1>,</3/0>,</5>"
#define SERVER_URI "coaps://lwm2m.example:5684"

static const uint8_t key[16] = "0123456789abcdef";

static struct {
    struct loop *loop;
    struct loop_timer tick;
    struct dev_boot *boot;
    struct cx_engine *engine;
    struct cx_security *security;
    struct lwm2m_models *models;
    union cx_addr addr;
    bool stopped, closed;
    struct boot_client c;
    /* set before setup_with(), by tests that need them */
    struct dev_boot_config extra; /**< all but what server_open() sets */
    struct dev_est *est;          /**< routed when it is not NULL */
    struct cx_security_config server_security;
    const char *cert_pem, *key_pem; /**< of the device; NULL: PSK */
    struct cx_anchor server_root;
    enum cx_proto proto; /**< 0: DTLS */
    enum cx_framing framing;
} rig;

#define UNTIL(cond)                                                                                \
    do {                                                                                           \
        uint64_t end_ = dr_mono_ms() + WAIT_MS;                                                    \
        while (!(cond)) {                                                                          \
            ck_assert_msg(dr_mono_ms() < end_, "waited in vain for: %s", #cond);                   \
            loop_run_once(rig.loop, true);                                                         \
        }                                                                                          \
    } while (0)

static inline void tick(struct loop_timer *t)
{
    (void)t;
}

static inline dr_err_t put_key(struct db_writer *w, void *ctx)
{
    const struct db_psk row = {.id = 100,
                               .account = DBT_ACCOUNT,
                               .use = DB_PSK_OPERATOR,
                               .identity = dr_bytes_str(IDENTITY),
                               .endpoint_name = ENDPOINT,
                               .key = dr_bytes_of(key, sizeof key)};

    (void)ctx;
    return db_psk_insert(w, &row);
}

static inline dr_err_t put_policy(struct db_writer *w, void *ctx)
{
    int64_t id;

    return db_boot_policy_put(w, ctx, &id);
}

/* The policy of the account, as the default but for what @p change does. */
static inline void policy(void (*change)(struct db_boot_policy *p))
{
    struct db_boot_policy p = db_boot_policy_default;

    p.id = 500;
    p.account = DBT_ACCOUNT;
    change(&p);
    ck_assert_int_eq(dbt_write(put_policy, &p), DR_OK);
}

static inline void server_open(uint32_t burst)
{
    struct loop *loops[1] = {rig.loop};
    int fd, tcp;

    const struct dev_boot_config config = {.control = rig.loop,
                                           .db = dbt_db,
                                           .models = rig.models,
                                           .shards = 1,
                                           .shard_loops = loops,
                                           .server_uri = SERVER_URI,
                                           .burst = burst,
                                           .refill_ms = rig.extra.refill_ms,
                                           .session_ms = rig.extra.session_ms,
                                           .issue = rig.extra.issue,
                                           .identify = rig.extra.identify,
                                           .data = rig.extra.data,
                                           .server_ca = rig.extra.server_ca,
                                           .server_cert = rig.extra.server_cert};
    ck_assert_int_eq(dev_boot_new(&config, &rig.boot), DR_OK);
    if (rig.est != NULL) {
        ck_assert_int_eq(dev_boot_route(rig.boot, "est", dev_est_request, rig.est), DR_OK);
    }
    ck_assert_int_eq(cx_security_new(&rig.server_security, &rig.security, NULL), DR_OK);
    const struct cx_engine_config ec = {.loop = rig.loop,
                                        .shards = 1,
                                        .security = rig.security,
                                        .ops = &dev_boot_cx_ops,
                                        .data = dev_boot_shard(rig.boot, 0)};
    ck_assert_int_eq(cx_engine_new(&ec, &rig.engine), DR_OK);
    dev_boot_set_engine(rig.boot, 0, rig.engine);
    dr_err_t err = DR_ERR_IN_USE;
    for (int i = 0; i < 8 && err == DR_ERR_IN_USE; i++) { /* one port for both */
        rig.addr = (union cx_addr){
            .in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
        ck_assert_int_eq(cx_sockets_open(&rig.addr, 1, &fd), DR_OK);
        err = cx_listeners_open(&rig.addr, 1, &tcp);
        if (err != DR_OK) {
            (void)close(fd);
        }
    }
    ck_assert_int_eq(err, DR_OK);
    ck_assert_int_eq(cx_engine_adopt(rig.engine, fd, CX_PROTO_DTLS), DR_OK);
    ck_assert_int_eq(cx_engine_adopt(rig.engine, tcp, CX_PROTO_TLS), DR_OK);
}

static inline void on_stopped(void *data)
{
    *(bool *)data = true;
}

static inline void stop_run(struct loop_msg *msg)
{
    (void)msg;
    dev_boot_stop(rig.boot, on_stopped, &rig.stopped);
}

static inline void server_close(void)
{
    struct loop_msg msg;

    rig.stopped = rig.closed = false;
    loop_post(rig.loop, &msg, stop_run);
    UNTIL(rig.stopped);
    cx_engine_close(rig.engine, on_stopped, &rig.closed);
    UNTIL(rig.closed);
    rig.engine = cx_engine_free(rig.engine);
    rig.boot = dev_boot_free(rig.boot);
    rig.security = cx_security_unref(rig.security);
}

static inline void setup_on_db(uint32_t burst)
{
    ck_assert_int_eq(dbt_write(put_key, NULL), DR_OK);
    ck_assert_int_eq(lwm2m_models_new(&rig.models), DR_OK);
    ck_assert_int_eq(loop_new("boot", &rig.loop), DR_OK);
    loop_timer_start(rig.loop, &rig.tick, 5, 5, tick);
    server_open(burst);
    boot_client_open(&rig.c, rig.loop, &rig.addr, rig.cert_pem, rig.key_pem,
                     rig.server_root.len == 0 ? NULL : &rig.server_root);
    rig.c.discover = DISCOVERED;
    rig.c.proto = rig.proto;
    rig.c.framing = rig.framing;
    boot_client_connect(&rig.c, rig.cert_pem == NULL ? IDENTITY : NULL, key, sizeof key, 0);
    UNTIL(rig.c.connected);
}

static inline void setup_with(uint32_t burst)
{
    dbt_setup();
    setup_on_db(burst);
}

static inline void setup(void)
{
    memset(&rig, 0, sizeof rig);
    setup_with(1000);
    ck_assert_int_eq(rig.c.connect_err, DR_OK);
}

static inline void teardown(void)
{
    boot_client_close(&rig.c);
    server_close();
    loop_timer_stop(&rig.tick);
    rig.loop = loop_free(rig.loop);
    rig.models = lwm2m_models_free(rig.models);
    dbt_teardown();
}

static inline uint32_t sessions(void)
{
    return ((struct boot_shard *)dev_boot_shard(rig.boot, 0))->n_sessions;
}

/* Ask for a bootstrap and wait for the answer. */
static inline uint8_t ask(const char *query)
{
    rig.c.finished = false;
    boot_client_request(&rig.c, CX_POST, "bs", query, -1);
    UNTIL(rig.c.answered);
    ck_assert_int_eq(rig.c.err, DR_OK);
    return rig.c.code;
}

/* A whole bootstrap. */
static inline void boot(const char *query)
{
    ck_assert_uint_eq(ask(query), CX_CHANGED);
    UNTIL(sessions() == 0);
}

/* ---- what the store holds ---- */

struct keys {
    bool found[3];
    char identity[3][128];
    uint8_t key[3][64];
    size_t len[3];
    int64_t id[3];
};

static inline dr_err_t key_row(void *data, const struct db_psk *row)
{
    struct keys *k = data;

    k->found[row->use] = true;
    k->id[row->use] = row->id;
    (void)snprintf(k->identity[row->use], sizeof k->identity[0], "%.*s", (int)row->identity.len,
                   (const char *)row->identity.p);
    memcpy(k->key[row->use], row->key.p, row->key.len);
    k->len[row->use] = row->key.len;
    return DR_OK;
}

static inline dr_err_t keys_read(struct db_reader *r, void *ctx)
{
    for (int use = 0; use < 3; use++) {
        dr_err_t err = db_psk_get(r, DBT_ACCOUNT, ENDPOINT, (enum db_psk_use)use, key_row, ctx);
        if (err != DR_OK && err != DR_ERR_NOT_FOUND) {
            return err;
        }
    }
    return DR_OK;
}

static inline struct keys keys(void)
{
    struct keys k = {0};

    ck_assert_int_eq(dbt_read(keys_read, &k), DR_OK);
    return k;
}

struct device {
    int64_t id, bootstrapped;
    enum db_device_state state;
};

static inline dr_err_t device_row(void *data, const struct db_device *row)
{
    *(struct device *)data = (struct device){row->id, row->bootstrapped_timestamp, row->state};
    return DR_OK;
}

static inline dr_err_t device_read(struct db_reader *r, void *ctx)
{
    dr_err_t err = db_device_find(r, DBT_ACCOUNT, ENDPOINT, device_row, ctx);

    return err == DR_ERR_NOT_FOUND ? DR_OK : err;
}

static inline struct device device(void)
{
    struct device d = {0};

    ck_assert_int_eq(dbt_read(device_read, &d), DR_OK);
    return d;
}

/* The device registers with what it has got. */
static inline dr_err_t register_run(struct db_writer *w, void *ctx)
{
    struct db_register_out out;
    const struct db_register_in in = {.account = DBT_ACCOUNT,
                                      .endpoint_name = ENDPOINT,
                                      .new_device = 900,
                                      .event_ids = {901, 902},
                                      .at_ms = dr_wall_ms(),
                                      .lifetime_s = 60,
                                      .version_major = 1,
                                      .binding = "U",
                                      .address = "",
                                      .credential = *(int64_t *)ctx,
                                      .credential_version = 1};

    return db_register(w, &in, &out);
}

static inline void assert_text(const struct lwm2m_value *v, const char *want)
{
    ck_assert_ptr_nonnull(v);
    ck_assert_uint_eq(v->bytes.len, strlen(want));
    ck_assert_mem_eq(v->bytes.ptr, want, v->bytes.len);
}

static inline int64_t number(uint16_t object, uint16_t instance, uint16_t res)
{
    const struct lwm2m_value *v = boot_client_value(&rig.c, object, instance, res);
    struct lwm2m_value n;

    ck_assert_ptr_nonnull(v);
    ck_assert_int_eq(lwm2m_value_coerce(v, LWM2M_TYPE_INT, &n), DR_OK);
    return n.i;
}

/* All that has to be there, with the key that the store has. */
static inline void assert_configured(uint16_t security, uint16_t server)
{
    struct keys k = keys();

    assert_text(boot_client_value(&rig.c, 0, security, 0), SERVER_URI);
    ck_assert(!boot_client_value(&rig.c, 0, security, 1)->b);
    ck_assert_int_eq(number(0, security, 2), LWM2M_SECURITY_PSK);
    ck_assert_int_eq(number(0, security, 10), DB_BOOT_SSID_DEFAULT);
    ck_assert(k.found[DB_PSK_OFFERED]);
    assert_text(boot_client_value(&rig.c, 0, security, 3), k.identity[DB_PSK_OFFERED]);
    const struct lwm2m_value *secret = boot_client_value(&rig.c, 0, security, 5);
    ck_assert_ptr_nonnull(secret);
    ck_assert_uint_eq(secret->bytes.len, k.len[DB_PSK_OFFERED]);
    ck_assert_mem_eq(secret->bytes.ptr, k.key[DB_PSK_OFFERED], secret->bytes.len);
    ck_assert_int_eq(number(1, server, 0), DB_BOOT_SSID_DEFAULT);
    ck_assert_int_eq(number(1, server, 1), DB_BOOT_LIFETIME_DEFAULT);
    assert_text(boot_client_value(&rig.c, 1, server, 7), "U");
}

static inline void add_loop(Suite *s, const char *name, const TTest *test, size_t n)
{
    TCase *tc = tcase_create(name);

    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, test, 0, (int)n);
    suite_add_tcase(s, tc);
}
