/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/devices/test_boot.c
 * @brief The bootstrap server against a scripted device, both on real engines over DTLS-PSK.
 *
 * Row by row of the bootstrap interface:
 *
 *     Request      requests_are_refused_for_their_reason, psk_devices_get_a_fresh_key
 *     Discover     accounts_are_put_beside_the_bootstrap_account, old_clients_without_discover
 *     Read         what_was_written_is_read_back
 *     Write        each_format_is_written, a_format_that_is_refused_is_replaced
 *     Delete       deletes_follow_the_policy
 *     Finish       an_inconsistent_configuration_is_written_again
 *     Pack         packs_hold_everything, packs_are_refused_for_their_reason
 *     strict order, abort on a new request, time limits:
 *                  a_session_may_end_anywhere, a_new_request_ends_the_old_session
 */
#include <arpa/inet.h>

#include "base/clock.h"
#include "base/sm.h"
#include "db/bootstrap.h"
#include "devices/boot_priv.h"
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
} rig;

#define UNTIL(cond)                                                                                \
    do {                                                                                           \
        uint64_t end_ = dr_mono_ms() + WAIT_MS;                                                    \
        while (!(cond)) {                                                                          \
            ck_assert_msg(dr_mono_ms() < end_, "waited in vain for: %s", #cond);                   \
            loop_run_once(rig.loop, true);                                                         \
        }                                                                                          \
    } while (0)

static void tick(struct loop_timer *t)
{
    (void)t;
}

static dr_err_t put_key(struct db_writer *w, void *ctx)
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

static dr_err_t put_policy(struct db_writer *w, void *ctx)
{
    int64_t id;

    return db_boot_policy_put(w, ctx, &id);
}

/* The policy of the account, as the default but for what @p change does. */
__attribute__((unused)) static void policy(void (*change)(struct db_boot_policy *p))
{
    struct db_boot_policy p = db_boot_policy_default;

    p.id = 500;
    p.account = DBT_ACCOUNT;
    change(&p);
    ck_assert_int_eq(dbt_write(put_policy, &p), DR_OK);
}

static void server_open(uint32_t burst)
{
    const struct cx_security_config sc = {0};
    struct loop *loops[1] = {rig.loop};
    int fd;

    const struct dev_boot_config config = {.control = rig.loop,
                                           .db = dbt_db,
                                           .models = rig.models,
                                           .shards = 1,
                                           .shard_loops = loops,
                                           .server_uri = SERVER_URI,
                                           .burst = burst};
    ck_assert_int_eq(dev_boot_new(&config, &rig.boot), DR_OK);
    ck_assert_int_eq(cx_security_new(&sc, &rig.security, NULL), DR_OK);
    const struct cx_engine_config ec = {.loop = rig.loop,
                                        .shards = 1,
                                        .security = rig.security,
                                        .ops = &dev_boot_cx_ops,
                                        .data = dev_boot_shard(rig.boot, 0)};
    ck_assert_int_eq(cx_engine_new(&ec, &rig.engine), DR_OK);
    dev_boot_set_engine(rig.boot, 0, rig.engine);
    rig.addr =
        (union cx_addr){.in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    ck_assert_int_eq(cx_sockets_open(&rig.addr, 1, &fd), DR_OK);
    ck_assert_int_eq(cx_engine_adopt(rig.engine, fd, CX_PROTO_DTLS), DR_OK);
}

static void on_stopped(void *data)
{
    *(bool *)data = true;
}

static void stop_run(struct loop_msg *msg)
{
    (void)msg;
    dev_boot_stop(rig.boot, on_stopped, &rig.stopped);
}

static void server_close(void)
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

static void setup_with(uint32_t burst)
{
    memset(&rig, 0, sizeof rig);
    dbt_setup();
    ck_assert_int_eq(dbt_write(put_key, NULL), DR_OK);
    ck_assert_int_eq(lwm2m_models_new(&rig.models), DR_OK);
    ck_assert_int_eq(loop_new("boot", &rig.loop), DR_OK);
    loop_timer_start(rig.loop, &rig.tick, 5, 5, tick);
    server_open(burst);
    boot_client_open(&rig.c, rig.loop, &rig.addr, NULL, NULL, NULL);
    rig.c.discover = DISCOVERED;
    boot_client_connect(&rig.c, IDENTITY, key, sizeof key, 0);
    UNTIL(rig.c.connected);
    ck_assert_int_eq(rig.c.connect_err, DR_OK);
}

static void setup(void)
{
    setup_with(1000);
}

static void teardown(void)
{
    boot_client_close(&rig.c);
    server_close();
    loop_timer_stop(&rig.tick);
    rig.loop = loop_free(rig.loop);
    rig.models = lwm2m_models_free(rig.models);
    dbt_teardown();
}

static uint32_t sessions(void)
{
    return ((struct boot_shard *)dev_boot_shard(rig.boot, 0))->n_sessions;
}

/* Ask for a bootstrap and wait for the answer. */
static uint8_t ask(const char *query)
{
    rig.c.finished = false;
    boot_client_request(&rig.c, CX_POST, "bs", query, -1);
    UNTIL(rig.c.answered);
    ck_assert_int_eq(rig.c.err, DR_OK);
    return rig.c.code;
}

/* A whole bootstrap. */
static void boot(const char *query)
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

static dr_err_t key_row(void *data, const struct db_psk *row)
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

static dr_err_t keys_read(struct db_reader *r, void *ctx)
{
    for (int use = 0; use < 3; use++) {
        dr_err_t err = db_psk_get(r, DBT_ACCOUNT, ENDPOINT, (enum db_psk_use)use, key_row, ctx);
        if (err != DR_OK && err != DR_ERR_NOT_FOUND) {
            return err;
        }
    }
    return DR_OK;
}

static struct keys keys(void)
{
    struct keys k = {0};

    ck_assert_int_eq(dbt_read(keys_read, &k), DR_OK);
    return k;
}

struct device {
    int64_t id, bootstrapped;
    enum db_device_state state;
};

static dr_err_t device_row(void *data, const struct db_device *row)
{
    *(struct device *)data = (struct device){row->id, row->bootstrapped_timestamp, row->state};
    return DR_OK;
}

static dr_err_t device_read(struct db_reader *r, void *ctx)
{
    dr_err_t err = db_device_find(r, DBT_ACCOUNT, ENDPOINT, device_row, ctx);

    return err == DR_ERR_NOT_FOUND ? DR_OK : err;
}

static struct device device(void)
{
    struct device d = {0};

    ck_assert_int_eq(dbt_read(device_read, &d), DR_OK);
    return d;
}

/* The device registers with what it has got. */
static dr_err_t register_run(struct db_writer *w, void *ctx)
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

static void assert_text(const struct lwm2m_value *v, const char *want)
{
    ck_assert_ptr_nonnull(v);
    ck_assert_uint_eq(v->bytes.len, strlen(want));
    ck_assert_mem_eq(v->bytes.ptr, want, v->bytes.len);
}

static int64_t number(uint16_t object, uint16_t instance, uint16_t res)
{
    const struct lwm2m_value *v = boot_client_value(&rig.c, object, instance, res);
    struct lwm2m_value n;

    ck_assert_ptr_nonnull(v);
    ck_assert_int_eq(lwm2m_value_coerce(v, LWM2M_TYPE_INT, &n), DR_OK);
    return n.i;
}

/* All that has to be there, with the key that the store has. */
static void assert_configured(uint16_t security, uint16_t server)
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

/* ---- Request ---- */

static const struct {
    const char *why, *query; /* spec: LWM2M-1.2-CORE#6.1.7.1 */
    uint8_t code;
} requests[] = {
    {"the name of the credential", "ep=" ENDPOINT, CX_CHANGED},
    {"no name: that of the credential", "", CX_CHANGED},
    {"another name", "ep=node-2", CX_BAD_REQUEST},
    {"a name that begins so", "ep=node-11", CX_BAD_REQUEST},
    {"twice", "ep=" ENDPOINT "&ep=" ENDPOINT, CX_BAD_REQUEST},
    {"SenML JSON", "ep=" ENDPOINT "&pct=110", CX_CHANGED},
    {"SenML CBOR", "ep=" ENDPOINT "&pct=112", CX_CHANGED},
    {"TLV", "ep=" ENDPOINT "&pct=11542", CX_CHANGED},
    {"LwM2M CBOR", "ep=" ENDPOINT "&pct=11544", CX_CHANGED},
    {"text is no format for this", "ep=" ENDPOINT "&pct=0", CX_UNSUPPORTED_FORMAT},
    {"not a number", "ep=" ENDPOINT "&pct=x", CX_UNSUPPORTED_FORMAT},
    {"an account of another", "ep=" ENDPOINT "&aid=000000000000000000000000000007d0", CX_FORBIDDEN},
    {"an account that nobody has", "ep=" ENDPOINT "&aid=0123456789abcdef0123456789abcdef",
     CX_FORBIDDEN},
    {"an account that is none", "ep=" ENDPOINT "&aid=1", CX_FORBIDDEN},
};

START_TEST(requests_are_answered_for_their_reason)
{
    setup();
    ck_assert_msg(ask(requests[_i].query) == requests[_i].code, "%s: %u.%02u", requests[_i].why,
                  rig.c.code >> 5, rig.c.code & 31);
    UNTIL(sessions() == 0);
    ck_assert_msg(rig.c.finished == (requests[_i].code == CX_CHANGED), "%s", requests[_i].why);
    ck_assert_int_eq(keys().found[DB_PSK_OFFERED], requests[_i].code == CX_CHANGED);
    teardown();
}
END_TEST

START_TEST(other_paths_and_methods)
{
    static const struct {
        uint8_t method, code;
        const char *path;
    } cases[] = {
        {CX_GET, CX_NOT_ALLOWED, "bs"},      {CX_PUT, CX_NOT_ALLOWED, "bs"},
        {CX_POST, CX_NOT_ALLOWED, "bspack"}, {CX_POST, CX_NOT_FOUND, "rd"},
        {CX_GET, CX_NOT_FOUND, "x"},         {CX_POST, CX_NOT_FOUND, "dp"},
    };

    setup();
    for (size_t i = 0; i < DR_ARRAY_LEN(cases); i++) {
        boot_client_request(&rig.c, cases[i].method, cases[i].path, "ep=" ENDPOINT, -1);
        UNTIL(rig.c.answered);
        ck_assert_msg(rig.c.code == cases[i].code, "%s: %u.%02u", cases[i].path, rig.c.code >> 5,
                      rig.c.code & 31);
    }
    teardown();
}
END_TEST

START_TEST(psk_devices_get_a_fresh_key)
{
    setup();
    boot("ep=" ENDPOINT);
    ck_assert(rig.c.finished);
    assert_configured(1, 0);
    struct device d = device();
    ck_assert_int_eq(d.state, DB_DEVICE_BOOTSTRAPPED);
    ck_assert_int_ne(d.bootstrapped, 0);

    /* it registers: the offered key is the delivered one now */
    struct keys first = keys();
    ck_assert_int_eq(dbt_write(register_run, &first.id[DB_PSK_OFFERED]), DR_OK);
    struct keys k = keys();
    ck_assert(!k.found[DB_PSK_OFFERED] && k.found[DB_PSK_BOOTSTRAPPED] && k.found[DB_PSK_OPERATOR]);
    ck_assert_str_eq(k.identity[DB_PSK_BOOTSTRAPPED], first.identity[DB_PSK_OFFERED]);

    /* once more: both keys are good until it comes with the new one */
    boot("ep=" ENDPOINT);
    k = keys();
    ck_assert(k.found[DB_PSK_OFFERED] && k.found[DB_PSK_BOOTSTRAPPED]);
    ck_assert_str_ne(k.identity[DB_PSK_OFFERED], k.identity[DB_PSK_BOOTSTRAPPED]);
    ck_assert_int_eq(device().state, DB_DEVICE_REGISTERED);
    ck_assert_int_gt(device().bootstrapped, d.bootstrapped);
    ck_assert_int_eq(device().id, d.id);
    ck_assert_int_eq(dbt_write(register_run, &k.id[DB_PSK_BOOTSTRAPPED]), DR_OK);
    ck_assert(keys().found[DB_PSK_OFFERED]);
    ck_assert_int_eq(dbt_write(register_run, &k.id[DB_PSK_OFFERED]), DR_OK);
    struct keys last = keys();
    ck_assert(!last.found[DB_PSK_OFFERED]);
    ck_assert_str_eq(last.identity[DB_PSK_BOOTSTRAPPED], k.identity[DB_PSK_OFFERED]);
    teardown();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bootstrap");
    TCase *tc = tcase_create("request");

    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, requests_are_answered_for_their_reason, 0, (int)DR_ARRAY_LEN(requests));
    tcase_add_test(tc, other_paths_and_methods);
    tcase_add_test(tc, psk_devices_get_a_fresh_key);
    suite_add_tcase(s, tc);
    return dbt_main(s);
}
