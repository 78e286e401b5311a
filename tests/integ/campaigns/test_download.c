/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/campaigns/test_download.c
 * @brief Devices fetch firmware over CoAP: real engines, real store, real files; all loops on one
 * thread.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/ids.h"
#include "base/text.h"
#include "campaigns/campaign.h"
#include "campaigns/download.h"
#include "campaigns/image.h"
#include "campaigns/upload.h"
#include "coap/block.h"
#include "coap/engine.h"
#include "coap/socket.h"
#include "db/campaign.h"
#include "db/firmware.h"
#include "devices/dev.h"
#include "lwm2m/model.h"
#include "tests/integ/db/dbt.h"

#define SHARDS  2
#define SIZE    70001 /* not a whole number of blocks of any size */
#define WAIT_MS 20000
#define TOKEN_A "0123456789abcdef0123456789abcdef"
#define TOKEN_B "fedcba9876543210fedcba9876543210"

static const uint8_t key[16] = "0123456789abcdef";

static struct {
    struct loop *control, *loops[SHARDS], *client_loop;
    struct cx_engine *engines[SHARDS], *client;
    struct cx_security *security, *client_security;
    struct lwm2m_models *models;
    struct dev_core *core;
    struct camp_images *images;
    struct camp_downloads *downloads;
    union cx_addr coap, coaps;
    bool flag;
    uint8_t bytes[SIZE];
    int64_t image, other_image; /* of DBT_ACCOUNT and of DBT_OTHER */
    unsigned closed;
} w;

static void pump(void)
{
    loop_run_once(w.control, false);
    for (unsigned i = 0; i < SHARDS; i++) {
        loop_run_once(w.loops[i], false);
    }
    loop_run_once(w.client_loop, false);
}

#define UNTIL(cond)                                                                                \
    do {                                                                                           \
        uint64_t end_ = dr_mono_ms() + WAIT_MS;                                                    \
        while (!(cond)) {                                                                          \
            ck_assert_msg(dr_mono_ms() < end_, "waited in vain for: %s", #cond);                   \
            pump();                                                                                \
        }                                                                                          \
    } while (0)

/* Functions that want their loop to run. */
struct on_loop {
    struct loop_msg msg;
    void (*fn)(void);
    bool done;
};

static void on_loop_run(struct loop_msg *msg)
{
    struct on_loop *x = DR_CONTAINER_OF(msg, struct on_loop, msg);

    x->fn();
    x->done = true;
}

static void run_on(struct loop *loop, void (*fn)(void))
{
    struct on_loop x = {.fn = fn};

    loop_post(loop, &x.msg, on_loop_run);
    UNTIL(x.done);
}

/* ---- the store ---- */

static dr_err_t rows_put(struct db_writer *db, void *ctx)
{
    static const struct {
        int64_t account;
        const char *identity, *endpoint;
    } keys[] = {{DBT_ACCOUNT, "id-1", "node-1"},
                {DBT_ACCOUNT, "id-2", "node-2"},
                {DBT_OTHER, "id-3", "node-3"}};
    dr_err_t err = DR_OK;

    (void)ctx;
    for (size_t i = 0; i < DR_ARRAY_LEN(keys) && err == DR_OK; i++) {
        struct db_psk row = {.id = 100 + (int64_t)i,
                             .account = keys[i].account,
                             .identity = dr_bytes_str(keys[i].identity),
                             .endpoint_name = keys[i].endpoint,
                             .key = dr_bytes_of(key, sizeof key)};
        err = db_psk_insert(db, &row);
    }
    return err;
}

static void uploaded(struct camp_upload *u, dr_err_t err)
{
    ck_assert_int_eq(err, DR_OK);
    *(bool *)u->data = true;
}

static dr_err_t image_put(struct db_writer *db, void *ctx)
{
    return db_image_insert(db, ctx);
}

static struct camp_upload up;
static bool up_done;

static void upload_begin(void)
{
    up = (struct camp_upload){.cb = uploaded, .data = &up_done};
    up_done = false;
    ck_assert_int_eq(camp_upload_image(w.images, &up), DR_OK);
    camp_upload_put(&up, dr_bytes_of(w.bytes, SIZE));
    ck_assert_int_eq(camp_upload_finish(&up), DR_OK);
}

static void upload_over(void)
{
    camp_upload_end(&up);
}

static int64_t image_add(int64_t account, const char *token)
{
    run_on(w.control, upload_begin);
    UNTIL(up_done);
    struct db_image row = {.id = up.id,
                           .account = account,
                           .name = "image",
                           .description = "",
                           .filename = "fw.bin",
                           .sha256 = up.sha256,
                           .token = token,
                           .size = SIZE};
    ck_assert_int_eq(dbt_write(image_put, &row), DR_OK);
    run_on(w.control, upload_over);
    return row.id;
}

static dr_err_t campaign_put(struct db_writer *db, void *ctx)
{
    struct db_manifest m = {.id = 7001,
                            .account = DBT_ACCOUNT,
                            .name = "m",
                            .description = "",
                            .filename = "",
                            .token = "",
                            .raw = dr_bytes_str("raw"),
                            .version = "2.0.0",
                            .vendor = "",
                            .class_id = "",
                            .component = "MAIN",
                            .payload_type = "full",
                            .payload_url = "http://cdn.example/fw/product.bin?v=2",
                            .payload_digest = up.sha256,
                            .installed_digest = "",
                            .precursor_digest = "",
                            .payload_size = SIZE};
    struct db_campaign c;
    struct db_register_in in = {.account = DBT_ACCOUNT,
                                .endpoint_name = "node-1",
                                .new_device = 8001,
                                .event_ids = {9001, 9002},
                                .at_ms = dr_wall_ms(),
                                .lifetime_s = 86400,
                                .version_major = 1,
                                .version_minor = 1,
                                .binding = "U",
                                .links = dr_bytes_str("</5/0>"),
                                .address = "127.0.0.1:1"};
    struct db_register_out out;

    (void)ctx;
    camp_spec_defaults(&c);
    c.id = 6001;
    c.account = DBT_ACCOUNT;
    c.root_manifest_id = m.id;
    c.phase = CAMP_ACTIVE;
    struct db_campaign_device d = {.id = 5001,
                                   .account = DBT_ACCOUNT,
                                   .campaign = c.id,
                                   .device = 8001,
                                   .component = "",
                                   .status = CAMP_DOWNLOADING,
                                   .live = 1,
                                   .code = "",
                                   .reason = "",
                                   .from_version = ""};
    dr_err_t err = db_manifest_insert(db, &m);
    err = err == DR_OK ? db_campaign_insert(db, &c) : err;
    err = err == DR_OK ? db_register(db, &in, &out) : err;
    return err == DR_OK ? db_campaign_device_insert(db, &d, NULL) : err;
}

static dr_err_t campaign_end(struct db_writer *db, void *ctx)
{
    (void)ctx;
    return db_campaign_delete(db, DBT_ACCOUNT, 6001, 1);
}

/* ---- server and client ---- */

static void raise(void *data)
{
    *(bool *)data = true;
}

static void started(void *data, dr_err_t err)
{
    ck_assert_int_eq(err, DR_OK);
    raise(data);
}

static void core_start(void)
{
    ck_assert_int_eq(camp_downloads_route(w.downloads, w.core), DR_OK);
    dev_core_start(w.core, started, &w.flag);
}

static void core_stop(void)
{
    dev_core_stop(w.core, raise, &w.flag);
}

static void images_stop(void)
{
    camp_images_stop(w.images, raise, &w.flag);
}

static void engine_closed(void *data)
{
    (void)data;
    w.closed++;
}

static void engines_close(void)
{
    for (unsigned i = 0; i < SHARDS; i++) {
        cx_engine_close(w.engines[i], engine_closed, NULL);
    }
    cx_engine_close(w.client, engine_closed, NULL);
}

static void engines_open(void)
{
    int fds[2][SHARDS];

    w.coap = w.coaps =
        (union cx_addr){.in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    ck_assert_int_eq(cx_sockets_open(&w.coap, SHARDS, fds[0]), DR_OK);
    ck_assert_int_eq(cx_sockets_open(&w.coaps, SHARDS, fds[1]), DR_OK);
    for (unsigned i = 0; i < SHARDS; i++) {
        struct cx_engine_config config = {.loop = w.loops[i],
                                          .shard = i,
                                          .shards = SHARDS,
                                          .security = w.security,
                                          .ops = &dev_cx_ops,
                                          .data = dev_core_shard(w.core, i)};
        ck_assert_int_eq(cx_engine_new(&config, &w.engines[i]), DR_OK);
        dev_core_set_engine(w.core, i, w.engines[i]);
        ck_assert_int_eq(cx_engine_adopt(w.engines[i], fds[0][i], CX_PROTO_UDP), DR_OK);
        ck_assert_int_eq(cx_engine_adopt(w.engines[i], fds[1][i], CX_PROTO_DTLS), DR_OK);
    }
}

static void client_open(void)
{
    static const struct cx_ops ops = {.request = NULL};
    struct cx_engine_config config = {.loop = w.client_loop,
                                      .shards = 1,
                                      .security = w.client_security,
                                      .limits = {.body_max = 1 << 20},
                                      .ops = &ops};
    ck_assert_int_eq(cx_engine_new(&config, &w.client), DR_OK);
    for (int i = 0; i < 2; i++) {
        union cx_addr own = {.in4 = {.sin_family = AF_INET}};
        int fd;
        ck_assert_int_eq(cx_sockets_open(&own, 1, &fd), DR_OK);
        ck_assert_int_eq(cx_engine_adopt(w.client, fd, i == 0 ? CX_PROTO_UDP : CX_PROTO_DTLS),
                         DR_OK);
    }
}

static void setup(void)
{
    struct cx_security_config sc = {0};
    struct cx_security_config cc = {.client = true};
    char run[96], images[96];

    memset(&w, 0, sizeof w);
    for (size_t i = 0; i < SIZE; i++) {
        w.bytes[i] = (uint8_t)(i * 7 + i / 251);
    }
    dbt_setup();
    ck_assert_int_eq(dbt_write(rows_put, NULL), DR_OK);
    (void)snprintf(run, sizeof run, "%s/run", dbt_dir);
    (void)snprintf(images, sizeof images, "%s/images", dbt_dir);
    (void)mkdir(run, 0700);
    ck_assert_int_eq(loop_new("control", &w.control), DR_OK);
    ck_assert_int_eq(loop_new("client", &w.client_loop), DR_OK);
    for (unsigned i = 0; i < SHARDS; i++) {
        ck_assert_int_eq(loop_new("shard", &w.loops[i]), DR_OK);
    }
    ck_assert_int_eq(lwm2m_models_new(&w.models), DR_OK);
    ck_assert_int_eq(cx_security_new(&sc, &w.security, NULL), DR_OK);
    ck_assert_int_eq(cx_security_new(&cc, &w.client_security, NULL), DR_OK);
    struct dev_config dc = {.control = w.control,
                            .db = dbt_db,
                            .models = w.models,
                            .shards = SHARDS,
                            .shard_loops = w.loops,
                            .run_dir = run,
                            .grace_s = 60,
                            .awake_s = 93,
                            .nosec_account = DBT_ACCOUNT};
    ck_assert_int_eq(dev_core_new(&dc, &w.core, NULL), DR_OK);
    struct camp_images_config ic = {.control = w.control, .db = dbt_db, .dir = images};
    ck_assert_int_eq(camp_images_new(&ic, &w.images, NULL), DR_OK);
    struct camp_downloads_config oc = {.control = w.control,
                                       .db = dbt_db,
                                       .images = w.images,
                                       .shards = SHARDS,
                                       .shard_loops = w.loops};
    ck_assert_int_eq(camp_downloads_new(&oc, &w.downloads), DR_OK);
    run_on(w.control, core_start);
    UNTIL(w.flag);
    engines_open();
    client_open();
    w.image = image_add(DBT_ACCOUNT, TOKEN_A);
    w.other_image = image_add(DBT_OTHER, TOKEN_B);
    ck_assert_int_eq(dbt_write(campaign_put, NULL), DR_OK);
}

static void teardown(void)
{
    w.flag = false;
    run_on(w.control, images_stop);
    UNTIL(w.flag);
    w.flag = false;
    run_on(w.control, core_stop);
    UNTIL(w.flag);
    engines_close();
    UNTIL(w.closed == SHARDS + 1);
    for (unsigned i = 0; i < SHARDS; i++) {
        (void)cx_engine_free(w.engines[i]);
    }
    (void)cx_engine_free(w.client);
    for (unsigned i = 0; i < 16; i++) {
        pump();
    }
    (void)camp_downloads_free(w.downloads);
    (void)camp_images_free(w.images);
    (void)loop_free(w.control);
    (void)loop_free(w.client_loop);
    for (unsigned i = 0; i < SHARDS; i++) {
        (void)loop_free(w.loops[i]);
    }
    (void)dev_core_free(w.core);
    (void)cx_security_unref(w.security);
    (void)cx_security_unref(w.client_security);
    (void)lwm2m_models_free(w.models);
    dbt_teardown();
}

/* ---- a device ---- */

static cx_peer_t connected_peer;

static void connected(void *data, cx_peer_t peer, dr_err_t err)
{
    ck_assert_int_eq(err, DR_OK);
    connected_peer = peer;
    raise(data);
}

/* @param identity  NULL = plain CoAP */
static cx_peer_t connect_as(const char *identity)
{
    static uint32_t host = 0x7f000101;
    bool done = false;
    cx_peer_t peer;
    struct cx_connect x = {
        .proto = identity == NULL ? CX_PROTO_UDP : CX_PROTO_DTLS,
        .remote = identity == NULL ? w.coap : w.coaps,
        .local = {.in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host++)}},
        .psk_identity = identity,
        .psk_key = key,
        .psk_key_len = sizeof key,
        .cb = connected,
        .data = &done};
    ck_assert_int_eq(cx_connect(w.client, &x, &peer), DR_OK);
    UNTIL(done);
    return connected_peer;
}

static struct {
    bool done;
    dr_err_t err;
    uint8_t code, payload[SIZE + 1], etag[8];
    size_t len;
    int64_t size2, max_age;
    int32_t ct;
    struct cx_block block;
    bool has_block;
} got;

static void fetched(struct cx_call *call, dr_err_t err, const struct cx_pdu *answer)
{
    struct cx_opt etag;

    (void)call;
    memset(&got, 0, sizeof got);
    got.done = true;
    got.err = err;
    if (err != DR_OK) {
        return;
    }
    got.code = answer->code;
    got.len = answer->payload_len;
    ck_assert_uint_le(got.len, sizeof got.payload);
    if (got.len != 0) {
        memcpy(got.payload, answer->payload, got.len);
    }
    got.size2 = answer->size2;
    got.max_age = answer->max_age;
    got.ct = answer->content_format;
    got.has_block = cx_block_decode(answer->block2, &got.block) == DR_OK;
    if (cx_opt_find(answer, CX_OPT_ETAG, &etag) && etag.len == sizeof got.etag) {
        memcpy(got.etag, etag.val, sizeof got.etag);
    }
}

/* One request. @param path  "a/b/c"; @param proxy  may be NULL; @param block_size  0 = no Block2 */
static void fetch(cx_peer_t peer, uint8_t code, const char *path, const char *proxy, uint32_t num,
                  uint16_t block_size)
{
    struct cx_opt opts[8];
    uint8_t buf[4];
    char text[128];
    size_t n = 0;
    struct cx_block b = {.num = num, .size = block_size};

    (void)snprintf(text, sizeof text, "%s", path);
    for (char *at = strtok(text, "/"); at != NULL; at = strtok(NULL, "/")) {
        opts[n++] = (struct cx_opt){CX_OPT_URI_PATH, (uint16_t)strlen(at), (uint8_t *)at};
    }
    if (proxy != NULL) {
        opts[n++] =
            (struct cx_opt){CX_OPT_PROXY_URI, (uint16_t)strlen(proxy), (const uint8_t *)proxy};
    }
    if (block_size != 0) {
        opts[n++] = cx_opt_uint(CX_OPT_BLOCK2, cx_block_encode(&b), buf);
    }
    struct cx_call call = {.peer = peer, .code = code, .opts = opts, .n_opts = n, .cb = fetched};
    got.done = false;
    ck_assert_int_eq(cx_call_start(w.client, &call), DR_OK);
    UNTIL(got.done);
    ck_assert_msg(got.err == DR_OK, "%s", dr_err_str(got.err));
}

static const char *fw_path(const char *first, int64_t id, const char *token)
{
    static char text[128];
    char hex[DR_ID_LEN + 1];

    dr_id_format(id, hex);
    (void)snprintf(text, sizeof text, "%s/%s%s%s", first, hex, token == NULL ? "" : "/",
                   token == NULL ? "" : token);
    return text;
}

static const char *fw_url(const char *host, int64_t id, const char *token)
{
    static char url[300];

    (void)snprintf(url, sizeof url, "%s/%s", host, fw_path("fw", id, token));
    return url;
}

static const uint16_t sizes[] = {16, 32, 64, 128, 256, 512, 1024};

/* spec: RFC7959#2.4 */
START_TEST(every_block_size_gives_the_same_bytes)
{
    cx_peer_t p = connect_as("id-1");
    uint16_t size = sizes[_i];
    uint32_t last = (SIZE - 1) / size, step = last / 97 + 1;
    const char *url = fw_url("https://fw.example:8443", w.image, TOKEN_A);

    for (uint32_t num = last + 1; num-- > 0;) {
        if (num != last && num % step != 0) {
            continue;
        }
        fetch(p, CX_GET, num % 2 == 0 ? "fw" : "download", url, num, size);
        size_t at = (size_t)num * size, len = SIZE - at < size ? SIZE - at : size;
        ck_assert_uint_eq(got.code, CX_CONTENT);
        ck_assert(got.has_block);
        ck_assert_uint_eq(got.block.num, num);
        ck_assert_uint_eq(got.block.size, size);
        ck_assert_int_eq(got.block.more, num != last);
        ck_assert_uint_eq(got.len, len);
        ck_assert_mem_eq(got.payload, w.bytes + at, len);
        ck_assert_int_eq(got.size2, SIZE);
        ck_assert_int_eq(got.ct, 42);
    }
    fetch(p, CX_GET, "fw", url, last + 1, size);
    ck_assert_uint_eq(got.code, CX_BAD_REQUEST);
}
END_TEST

START_TEST(a_whole_image_by_its_path)
{
    uint8_t etag[8];

    fetch(connect_as("id-2"), CX_GET, fw_path("fw", w.image, TOKEN_A), NULL, 0, 0);
    ck_assert_uint_eq(got.code, CX_CONTENT);
    ck_assert_uint_eq(got.len, SIZE);
    ck_assert_mem_eq(got.payload, w.bytes, SIZE);
    memcpy(etag, got.etag, sizeof etag);
    fetch(connect_as("id-2"), CX_GET, fw_path("download", w.image, TOKEN_A), NULL, 3, 64);
    ck_assert_mem_eq(got.etag, etag, sizeof etag); /* of the content: the same on each shard */
    ck_assert_mem_eq(got.payload, w.bytes + 192, 64);
    fetch(connect_as(NULL), CX_GET, fw_path("fw", w.image, TOKEN_A), NULL, 1, 1024);
    ck_assert_uint_eq(got.code, CX_CONTENT);
    ck_assert_mem_eq(got.payload, w.bytes + 1024, 1024);
}
END_TEST

START_TEST(another_account_does_not_get_it)
{
    cx_peer_t mine = connect_as("id-1"), other = connect_as("id-3");

    for (int round = 0; round < 2; round++) { /* first, and when the shard has the image */
        fetch(other, CX_GET, fw_path("fw", w.image, TOKEN_A), NULL, 0, 64);
        ck_assert_uint_eq(got.code, CX_NOT_FOUND);
        fetch(mine, CX_GET, fw_path("fw", w.other_image, TOKEN_B), NULL, 0, 64);
        ck_assert_uint_eq(got.code, CX_NOT_FOUND);
        fetch(mine, CX_GET, "fw", fw_url("http://x", w.other_image, TOKEN_B), 0, 64);
        ck_assert_uint_eq(got.code, CX_NOT_FOUND);
        fetch(other, CX_GET, "fw", "http://cdn.example/fw/product.bin?v=2", 0, 64);
        ck_assert_uint_eq(got.code, CX_NO_PROXY);
        fetch(mine, CX_GET, fw_path("fw", w.image, TOKEN_A), NULL, 0, 64);
        ck_assert_uint_eq(got.code, CX_CONTENT);
        fetch(other, CX_GET, fw_path("fw", w.other_image, TOKEN_B), NULL, 0, 64);
        ck_assert_uint_eq(got.code, CX_CONTENT);
    }
}
END_TEST

START_TEST(a_wrong_token_is_no_token)
{
    cx_peer_t p = connect_as("id-1");

    for (int round = 0; round < 2; round++) {
        fetch(p, CX_GET, fw_path("fw", w.image, TOKEN_B), NULL, 0, 64);
        ck_assert_uint_eq(got.code, CX_NOT_FOUND);
        fetch(p, CX_GET, "fw", fw_url("coap://x", w.image, TOKEN_B), 0, 64);
        ck_assert_uint_eq(got.code, CX_NOT_FOUND);
        fetch(p, CX_GET, fw_path("fw", w.image, TOKEN_A), NULL, 0, 64);
        ck_assert_uint_eq(got.code, CX_CONTENT);
    }
    fetch(p, CX_GET, fw_path("fw", w.image + 1, TOKEN_A), NULL, 0, 64);
    ck_assert_uint_eq(got.code, CX_NOT_FOUND);
}
END_TEST

START_TEST(without_a_token_only_what_a_campaign_brings)
{
    cx_peer_t target = connect_as("id-1"), bystander = connect_as("id-2");

    fetch(bystander, CX_GET, fw_path("fw", w.image, NULL), NULL, 0, 256);
    ck_assert_uint_eq(got.code, CX_NOT_FOUND);
    fetch(target, CX_GET, fw_path("fw", w.image, NULL), NULL, 2, 256);
    ck_assert_uint_eq(got.code, CX_CONTENT);
    ck_assert_mem_eq(got.payload, w.bytes + 512, 256);
    fetch(bystander, CX_GET, fw_path("fw", w.image, NULL), NULL, 0, 256);
    ck_assert_uint_eq(got.code, CX_NOT_FOUND); /* also now that the shard has it */
    ck_assert_int_eq(dbt_write(campaign_end, NULL), DR_OK);
    target = connect_as("id-1");
    fetch(connect_as(NULL), CX_GET, fw_path("fw", w.image, NULL), NULL, 0, 256);
    ck_assert_uint_eq(got.code, CX_NOT_FOUND);
}
END_TEST

START_TEST(a_foreign_address_is_served_only_when_we_hold_the_file)
{
    cx_peer_t p = connect_as("id-2");

    fetch(p, CX_GET, "fw", "http://cdn.example/fw/product.bin?v=2", 5, 512);
    ck_assert_uint_eq(got.code, CX_CONTENT);
    ck_assert_mem_eq(got.payload, w.bytes + 2560, 512);
    fetch(p, CX_GET, "fw", "http://cdn.example/fw/product.bin?v=2", 6, 512);
    ck_assert_mem_eq(got.payload, w.bytes + 3072, 512);
    fetch(p, CX_GET, "fw", "http://cdn.example/fw/product.bin?v=3", 0, 512);
    ck_assert_uint_eq(got.code, CX_NO_PROXY);
    fetch(p, CX_GET, "fw", "http://169.254.169.254/latest", 0, 512);
    ck_assert_uint_eq(got.code, CX_NO_PROXY);
    fetch(p, CX_GET, "fw", "ftp://cdn.example/fw/product.bin", 0, 512);
    ck_assert_uint_eq(got.code, CX_NO_PROXY);
}
END_TEST

START_TEST(bad_requests_get_their_code)
{
    static const struct {
        uint8_t method, code;
        const char *path, *proxy;
    } cases[] = {
        {CX_GET, CX_BAD_REQUEST, "fw", NULL},
        {CX_GET, CX_BAD_REQUEST, "download", NULL},
        {CX_GET, CX_BAD_REQUEST, "fw", "http:"},
        {CX_GET, CX_BAD_REQUEST, "fw", "http://"},
        {CX_GET, CX_BAD_REQUEST, "fw", "http:///fw/1"},
        {CX_GET, CX_BAD_REQUEST, "fw", "http://user@host/x"},
        {CX_GET, CX_BAD_REQUEST, "fw", "http://h/a b"},
        {CX_GET, CX_BAD_REQUEST, "fw", "not an address"},
        {CX_GET, CX_BAD_REQUEST, "fw", "\x01"},
        {CX_GET, CX_BAD_REQUEST, "fw/more", "http://h/x"},
        {CX_GET, CX_NOT_FOUND, "fw/1", NULL},
        {CX_GET, CX_NOT_FOUND, "fw/../../etc", NULL},
        {CX_GET, CX_NOT_FOUND, "fw/00000000000000000000000000000000", NULL},
        {CX_GET, CX_NOT_FOUND, "fw/a/b/c/d", NULL},
        {CX_PUT, CX_NOT_ALLOWED, "fw", "http://h/x"},
        {CX_POST, CX_NOT_ALLOWED, "fw/1", NULL},
        {CX_DELETE, CX_NOT_ALLOWED, "fw", NULL},
    };
    cx_peer_t p = connect_as("id-1");

    for (size_t i = 0; i < DR_ARRAY_LEN(cases); i++) {
        fetch(p, cases[i].method, cases[i].path, cases[i].proxy, 0, 64);
        ck_assert_msg(got.code == cases[i].code, "case %zu (%s, %s): %u.%02u", i, cases[i].path,
                      cases[i].proxy == NULL ? "" : cases[i].proxy, got.code >> 5, got.code & 31);
    }
}
END_TEST

static void forget(void)
{
    camp_image_forget(w.images, w.image);
}

static dr_err_t image_drop(struct db_writer *db, void *ctx)
{
    (void)ctx;
    return db_image_delete(db, DBT_ACCOUNT, w.image);
}

START_TEST(an_image_deleted_in_the_middle_is_gone_at_the_next_block)
{
    cx_peer_t p = connect_as("id-1");
    char hex[DR_ID_LEN + 1], file[128];

    fetch(p, CX_GET, fw_path("fw", w.image, TOKEN_A), NULL, 0, 64);
    ck_assert_uint_eq(got.code, CX_CONTENT);
    fetch(p, CX_GET, fw_path("fw", w.image, NULL), NULL, 0, 64);
    ck_assert_uint_eq(got.code, CX_CONTENT);
    ck_assert_int_eq(dbt_write(image_drop, NULL), DR_OK);
    run_on(w.control, forget);
    fetch(p, CX_GET, fw_path("fw", w.image, TOKEN_A), NULL, 1, 64);
    ck_assert_uint_eq(got.code, CX_NOT_FOUND);
    fetch(p, CX_GET, fw_path("fw", w.image, NULL), NULL, 1, 64);
    ck_assert_uint_eq(got.code, CX_NOT_FOUND);
    dr_id_format(w.image, hex);
    (void)snprintf(file, sizeof file, "%s/images/%s", dbt_dir, hex);
    UNTIL(access(file, F_OK) != 0);
}
END_TEST

START_TEST(damaged_bytes_are_never_served)
{
    cx_peer_t p = connect_as("id-1");
    char hex[DR_ID_LEN + 1], file[128];

    dr_id_format(w.image, hex);
    (void)snprintf(file, sizeof file, "%s/images/%s", dbt_dir, hex);
    int fd = open(file, O_WRONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, "x", 1, 5000), 1);
    fetch(p, CX_GET, fw_path("fw", w.image, TOKEN_A), NULL, 0, 64);
    ck_assert_uint_eq(got.code, CX_UNAVAILABLE);
    ck_assert_int_eq(got.max_age, CAMP_DOWNLOAD_DAMAGED_S);
    ck_assert_int_eq(pwrite(fd, &w.bytes[5000], 1, 5000), 1); /* healed */
    ck_assert_int_eq(close(fd), 0);
    fetch(p, CX_GET, fw_path("fw", w.image, TOKEN_A), NULL, 0, 64);
    ck_assert_uint_eq(got.code, CX_CONTENT);
}
END_TEST

START_TEST(more_images_than_a_shard_keeps)
{
    cx_peer_t p = connect_as("id-1");
    int64_t ids[CAMP_DOWNLOAD_IMAGES_MAX + 3];

    for (size_t i = 0; i < DR_ARRAY_LEN(ids); i++) {
        ids[i] = image_add(DBT_ACCOUNT, TOKEN_A);
    }
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < DR_ARRAY_LEN(ids); i++) {
            fetch(p, CX_GET, fw_path("fw", ids[i], TOKEN_A), NULL, (uint32_t)i, 1024);
            ck_assert_uint_eq(got.code, CX_CONTENT);
        }
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("downloads over CoAP");
    TCase *tc = tcase_create("downloads");

    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, every_block_size_gives_the_same_bytes, 0, (int)DR_ARRAY_LEN(sizes));
    tcase_add_test(tc, a_whole_image_by_its_path);
    tcase_add_test(tc, another_account_does_not_get_it);
    tcase_add_test(tc, a_wrong_token_is_no_token);
    tcase_add_test(tc, without_a_token_only_what_a_campaign_brings);
    tcase_add_test(tc, a_foreign_address_is_served_only_when_we_hold_the_file);
    tcase_add_test(tc, bad_requests_get_their_code);
    tcase_add_test(tc, an_image_deleted_in_the_middle_is_gone_at_the_next_block);
    tcase_add_test(tc, damaged_bytes_are_never_served);
    tcase_add_test(tc, more_images_than_a_shard_keeps);
    suite_add_tcase(s, tc);
    return dbt_main(s);
}
