/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/unit/client/test_client.c
 * @brief The whole client against a scripted server in virtual time: registration, the server's
 * operations, observation, bootstrap in both forms, enrolment.
 */
#include <stdio.h>

#include <mbedtls/ecp.h>
#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>
#include <mbedtls/x509_csr.h>

#include "client/core/device.h"
#include "client/hal.h"
#include "tests/unit/client/net_rig.h"
#include "tests/unit/client/rig.h"
#include "tests/unit/run.h"

static struct cl_client cl;
static struct cl_device dev;
static struct cl_kvs kvs;
static bool running;

/* ---- the scripted server ---- */

static struct {
    struct cl_msg req; /**< last request of the client, points into bytes */
    uint8_t bytes[CL_MSG_MAX];
    struct cl_msg answer; /**< last answer or notification of the client */
    uint8_t answer_bytes[CL_MSG_MAX];
    uint8_t body[6000]; /**< of the registration */
    size_t body_len;
    char query[600]; /**< all queries of the last request, each behind '&' */
    char path[80];
    unsigned registers, updates, deregisters, boots, answers, notes, ests;
    uint8_t register_code, update_code;
    bool silent, no_ack;
    uint16_t mid;
    uint8_t token;
    uint8_t chain[2100];
    size_t chain_len;
} srv;

static void to_client(struct cl_msg *m)
{
    uint8_t buf[CL_MSG_MAX];
    size_t len = cl_msg_write(m, buf, sizeof buf);

    ck_assert_uint_gt(len, 0);
    net_to_client(buf, len);
}

static void reply(const struct cl_msg *req, struct cl_msg *m)
{
    m->type = CL_ACK;
    m->mid = req->mid;
    m->token_len = req->token_len;
    memcpy(m->token, req->token, req->token_len);
    to_client(m);
}

static void join(const struct cl_list *list, char sep, char *buf, size_t cap)
{
    size_t n = 0;

    for (size_t i = 0; i < list->count; i++) {
        n += (size_t)snprintf(buf + n, cap - n, "%c%.*s", sep, (int)list->seg[i].len,
                              (const char *)list->seg[i].p);
    }
    buf[n] = '\0';
}

static struct cl_bytes text(const char *s)
{
    return (struct cl_bytes){(const uint8_t *)s, strlen(s)};
}

static void certificate_make(const struct cl_msg *req);

/* A block of a body: true when it is whole. */
static bool body_take(const struct cl_msg *req, struct cl_msg *m)
{
    size_t from = req->block1.there ? (size_t)req->block1.num * req->block1.size : 0;

    memcpy(srv.body + from, req->payload.p, req->payload.len);
    srv.body_len = from + req->payload.len;
    m->block1 = req->block1;
    m->code = CL_CODE(2, 31);
    return !req->block1.there || !req->block1.more;
}

static void serve_register(const struct cl_msg *req)
{
    struct cl_msg m;

    cl_msg_init(&m);
    if (!body_take(req, &m)) {
        reply(req, &m);
        return;
    }
    srv.registers++;
    m.code = srv.register_code;
    if (m.code == CL_CODE(2, 1)) {
        m.location.count = 3;
        m.location.seg[0] = text("rd");
        m.location.seg[1] = text("acc");
        m.location.seg[2] = text("dev-id");
    }
    reply(req, &m);
}

static void serve_est(const struct cl_msg *req)
{
    struct cl_msg m;
    size_t from = 0;

    cl_msg_init(&m);
    if (req->payload.len > 0) {
        srv.ests++;
        certificate_make(req);
    } else {
        from = (size_t)req->block2.num * req->block2.size;
    }
    m.code = CL_CODE(2, 4);
    size_t left = srv.chain_len - from, n = left < 512 ? left : 512;
    m.block2 = (struct cl_block){
        .there = true, .more = n < left, .size = 512, .num = (uint32_t)(from / 512)};
    m.payload = (struct cl_bytes){srv.chain + from, n};
    reply(req, &m);
}

static void serve_request(const struct cl_msg *req)
{
    struct cl_msg m;

    join(&req->query, '&', srv.query, sizeof srv.query);
    join(&req->path, '/', srv.path, sizeof srv.path);
    cl_msg_init(&m);
    if (strcmp(srv.path, "/rd") == 0) {
        serve_register(req);
    } else if (strcmp(srv.path, "/bs") == 0) {
        srv.boots++;
        m.code = CL_CODE(2, 4);
        reply(req, &m);
    } else if (strcmp(srv.path, "/est/sen") == 0) {
        serve_est(req);
    } else {
        ck_assert_str_eq(srv.path, "/rd/acc/dev-id");
        srv.updates += req->code == CL_POST;
        srv.deregisters += req->code == CL_DELETE;
        (void)body_take(req, &m);
        m.block1.there = false;
        m.code = req->code == CL_DELETE ? CL_CODE(2, 2) : srv.update_code;
        reply(req, &m);
    }
}

static void srv_input(const uint8_t *msg, size_t len)
{
    struct cl_msg m;

    ck_assert_int_eq(cl_msg_parse(msg, len, &m), CL_OK);
    if (srv.silent) {
        return;
    }
    if (m.code == 0) {
        srv.answer.type = m.type; /* the empty acknowledgement */
        srv.answer.code = 0;
        srv.answers++;
        return;
    }
    if (m.code < 32) {
        memcpy(srv.bytes, msg, len);
        ck_assert_int_eq(cl_msg_parse(srv.bytes, len, &srv.req), CL_OK);
        serve_request(&srv.req);
        return;
    }
    memcpy(srv.answer_bytes, msg, len);
    ck_assert_int_eq(cl_msg_parse(srv.answer_bytes, len, &srv.answer), CL_OK);
    srv.answers++;
    srv.notes += m.type == CL_CON && m.observe >= 0;
    if (m.type == CL_CON && !srv.no_ack) {
        struct cl_msg ack;
        cl_msg_init(&ack);
        ack.type = CL_ACK;
        ack.mid = m.mid;
        to_client(&ack);
    }
}

/* ---- time ---- */

static void run(uint64_t ms)
{
    uint64_t end = net.now_ms + ms;

    for (;;) {
        net_deliver();
        uint64_t next = cl_step(&cl, net.now_ms), wire = net_next();
        next = wire < next ? wire : next;
        if (next > end) {
            net.now_ms = end;
            return;
        }
        net.now_ms = next > net.now_ms ? next : net.now_ms;
    }
}

static void split(struct cl_list *list, const char *path, char sep)
{
    while (*path == sep && path[1] != '\0') {
        size_t n = strcspn(path + 1, (char[]){sep, 0});
        list->seg[list->count++] = (struct cl_bytes){(const uint8_t *)path + 1, n};
        path += n + 1;
    }
}

/* A request of the server, and its answer in srv.answer. */
static uint8_t ask_full(uint8_t method, const char *path, const char *query, struct cl_msg *m)
{
    m->type = CL_CON;
    m->code = method;
    m->mid = srv.mid++;
    m->token_len = 1;
    m->token[0] = ++srv.token;
    split(&m->path, path, '/');
    split(&m->query, query, '&');
    cl_msg_init(&srv.answer);
    to_client(m);
    run(100);
    return srv.answer.code;
}

static uint8_t ask(uint8_t method, const char *path)
{
    struct cl_msg m;

    cl_msg_init(&m);
    return ask_full(method, path, "", &m);
}

static uint8_t ask_as(uint8_t method, const char *path, uint16_t format, const void *body,
                      size_t len)
{
    struct cl_msg m;

    cl_msg_init(&m);
    m.format = format;
    m.payload = (struct cl_bytes){body, len};
    return ask_full(method, path, "", &m);
}

static uint8_t put_text(const char *path, const char *body)
{
    return ask_as(CL_PUT, path, CL_FMT_TEXT, body, strlen(body));
}

static uint8_t read_as(const char *path, uint16_t accept)
{
    struct cl_msg m;

    cl_msg_init(&m);
    m.accept = accept;
    return ask_full(CL_GET, path, "", &m);
}

static uint8_t observe(const char *path, int32_t value)
{
    struct cl_msg m;

    cl_msg_init(&m);
    m.observe = value;
    return ask_full(CL_GET, path, "", &m);
}

static uint8_t attributes(const char *path, const char *query)
{
    struct cl_msg m;

    cl_msg_init(&m);
    return ask_full(CL_PUT, path, query, &m);
}

#define CODE(a, b) CL_CODE(a, b)

static void payload_is(const char *want)
{
    ck_assert_uint_eq(srv.answer.payload.len, strlen(want));
    ck_assert_mem_eq(srv.answer.payload.p, want, strlen(want));
}

/* ---- an object of the test ---- */

static struct {
    double value;
    int64_t number;
    bool later;
    uint8_t streamed[3000];
    size_t streamed_len, parts;
    unsigned execs;
    char args[40];
    bool made[CL_INSTANCES_MAX];
} lab;

enum { LAB_FLOAT, LAB_INT, LAB_EXEC, LAB_STREAM, LAB_BIG, LAB_MULTI, LAB_SEPARATE };
static const struct cl_res lab_res[] = {
    {LAB_FLOAT, CL_FLOAT, CL_READ, NULL},
    {LAB_INT, CL_INT, CL_READ | CL_WRITE, "Number"},
    {LAB_EXEC, CL_NONE, CL_EXEC, NULL},
    {LAB_STREAM, CL_OPAQUE, CL_WRITE | CL_STREAM, NULL},
    {LAB_BIG, CL_OPAQUE, CL_READ, NULL},
    {LAB_MULTI, CL_INT, CL_READ | CL_MULTI, NULL},
    {LAB_SEPARATE, CL_NONE, CL_EXEC | CL_STREAM | CL_SEPARATE, NULL},
};

static size_t lab_instances(const struct cl_obj *obj, uint16_t ret[CL_INSTANCES_MAX])
{
    size_t n = 0;

    (void)obj;
    for (uint16_t i = 0; i < CL_INSTANCES_MAX; i++) {
        if (lab.made[i]) {
            ret[n++] = i;
        }
    }
    return n;
}

static cl_err_t lab_read(const struct cl_obj *obj, uint16_t inst, uint16_t res, uint16_t ri,
                         struct cl_value *ret)
{
    static uint8_t big[1300];

    (void)obj;
    (void)inst;
    if (res == LAB_FLOAT) {
        ret->f = lab.value;
    } else if (res == LAB_BIG) {
        for (size_t i = 0; i < sizeof big; i++) {
            big[i] = (uint8_t)i;
        }
        ret->s = (struct cl_bytes){big, sizeof big};
    } else if (res == LAB_MULTI) {
        ret->i = 10 + ri;
        return ri < 3 ? CL_OK : CL_ERR_NOENT;
    } else {
        ret->i = lab.number;
    }
    return CL_OK;
}

static cl_err_t lab_write(const struct cl_obj *obj, uint16_t inst, uint16_t res, uint16_t ri,
                          const struct cl_value *v)
{
    (void)obj;
    (void)inst;
    (void)res;
    (void)ri;
    lab.number = v->i;
    return v->i == 13 ? CL_ERR_INVAL : CL_OK;
}

static cl_err_t lab_exec(const struct cl_obj *obj, uint16_t inst, uint16_t res, const uint8_t *args,
                         size_t len)
{
    (void)obj;
    (void)inst;
    (void)res;
    lab.execs++;
    snprintf(lab.args, sizeof lab.args, "%.*s", (int)len, (const char *)args);
    return lab.later ? CL_ERR_LATER : CL_OK;
}

static cl_err_t lab_stream(const struct cl_obj *obj, uint16_t inst, uint16_t res,
                           const struct cl_part *part)
{
    (void)obj;
    (void)inst;
    (void)res;
    ck_assert(part->offset == 0 || part->offset == lab.streamed_len);
    memcpy(lab.streamed + part->offset, part->p, part->len);
    lab.streamed_len = part->offset + part->len;
    lab.parts++;
    return lab.later && part->last ? CL_ERR_LATER : CL_OK;
}

static cl_err_t lab_create(const struct cl_obj *obj, uint16_t inst)
{
    (void)obj;
    if (inst >= CL_INSTANCES_MAX) {
        return CL_ERR_SPACE;
    }
    lab.made[inst] = true;
    return CL_OK;
}

static cl_err_t lab_remove(const struct cl_obj *obj, uint16_t inst)
{
    (void)obj;
    lab.made[inst] = false;
    return CL_OK;
}

static const struct cl_obj lab_obj = {.id = 4242,
                                      .version = "1.2",
                                      .res = lab_res,
                                      .res_count = sizeof lab_res / sizeof lab_res[0],
                                      .instances = lab_instances,
                                      .read = lab_read,
                                      .write = lab_write,
                                      .exec = lab_exec,
                                      .stream = lab_stream,
                                      .create = lab_create,
                                      .remove = lab_remove};

static void start(bool bootstrap, bool pelion)
{
    struct cl_config config = {.endpoint = "ep-1", .lifetime_s = 1000, .pelion = pelion};

    ck_assert_int_eq(cl_init(&cl, &config, NULL, &kvs), CL_OK);
    dev = (struct cl_device){.manufacturer = "Maker", .firmware = "7"};
    ck_assert_int_eq(cl_device_init(&dev, &cl), CL_OK);
    ck_assert_int_eq(cl_object_add(&cl.objects, &lab_obj), CL_OK);
    struct cl_account *acc = &cl.accounts.account[bootstrap ? CL_BOOTSTRAPPER : CL_SERVER];
    *acc = (struct cl_account){
        .there = true, .inst = 1, .mode = CL_MODE_NONE, .uri = "coap://host:1?aid=acc"};
    cl.accounts.server.there = !bootstrap;
    running = true;
    ck_assert_int_eq(cl_start(&cl), CL_OK);
    run(1000);
}

static void setup(void)
{
    net_reset();
    rig_reset();
    ck_assert_int_eq(cl_kvs_open(&kvs, 2 * RIG_SLOT, 8192), CL_OK);
    memset(&srv, 0, sizeof srv);
    memset(&lab, 0, sizeof lab);
    lab.made[0] = true;
    srv.register_code = CODE(2, 1);
    srv.update_code = CODE(2, 4);
    srv.mid = 100;
    net.server = srv_input;
}

static void teardown(void)
{
    if (running) {
        cl_fini(&cl);
        running = false;
    }
}

static void setup_registered(void)
{
    setup();
    start(false, false);
    ck_assert_int_eq(cl.state, CL_REGISTERED);
}

/* ---- registration ---- */

/* spec: LWM2M-1.1-CORE#6.2.1 */
START_TEST(registers_with_its_objects)
{
    ck_assert_uint_eq(srv.registers, 1);
    ck_assert_str_eq(srv.query, "&ep=ep-1&lt=1000&lwm2m=1.1&b=U");
    srv.body[srv.body_len] = 0;
    ck_assert_str_eq((char *)srv.body,
                     "</>;rt=\"oma.lwm2m\";ct=\"112 11542\",</1/0>,</3>;ver=1.1,</3/0>,"
                     "</4/0>,</3303/0>,</4242>;ver=1.2,</4242/0>");
    ck_assert_str_eq(cl.location, "/rd/acc/dev-id");
    ck_assert_str_eq(cl.device_id, "dev-id");
}
END_TEST

START_TEST(updates_at_four_fifths_of_the_lifetime)
{
    run(798000);
    ck_assert_uint_eq(srv.updates, 0);
    run(3000);
    ck_assert_uint_eq(srv.updates, 1);
    ck_assert_str_eq(srv.query, "&lt=1000");
    ck_assert_uint_eq(srv.body_len, 0);
    run(3200000);
    ck_assert_uint_eq(srv.updates, 5);
    ck_assert_uint_eq(srv.registers, 1);
}
END_TEST

START_TEST(registers_again_when_it_is_not_known)
{
    srv.update_code = CODE(4, 4);
    run(801000);
    ck_assert_uint_eq(srv.updates, 1);
    ck_assert_uint_eq(srv.registers, 2);
    ck_assert_int_eq(cl.state, CL_REGISTERED);
}
END_TEST

START_TEST(connects_again_with_longer_and_longer_waits)
{
    srv.register_code = CODE(5, 3);
    srv.update_code = CODE(4, 4);
    run(801000);
    unsigned opened = net.opened;
    run(70000); /* 2, 4, 8, 16, 32 s */
    ck_assert_uint_ge(net.opened - opened, 4);
    ck_assert_uint_le(net.opened - opened, 6);
    run(20 * 3600000); /* then at most one an hour and a tenth */
    opened = net.opened;
    run(10 * 3600000);
    ck_assert_uint_ge(net.opened - opened, 8);
    ck_assert_uint_le(net.opened - opened, 12);
    srv.register_code = CODE(2, 1);
    run(2 * 3600000);
    ck_assert_int_eq(cl.state, CL_REGISTERED);
    ck_assert_uint_eq(cl.failures, 0);
}
END_TEST

START_TEST(a_silent_server_is_left_and_found_again)
{
    srv.silent = true;
    run(801000 + 110000);
    ck_assert_int_ne(cl.state, CL_REGISTERED);
    srv.silent = false;
    run(300000);
    ck_assert_int_eq(cl.state, CL_REGISTERED);
    ck_assert_uint_eq(srv.registers, 2);
}
END_TEST

START_TEST(a_written_lifetime_makes_an_update)
{
    ck_assert_uint_eq(put_text("/1/0/1", "60"), CODE(2, 4));
    run(100);
    ck_assert_uint_eq(srv.updates, 1);
    ck_assert_str_eq(srv.query, "&lt=60");
    run(49000);
    ck_assert_uint_eq(srv.updates, 2);
    ck_assert_uint_eq(put_text("/1/0/1", "0"), CODE(4, 0));
    ck_assert_uint_eq(ask(CL_POST, "/1/0/8"), CODE(2, 4));
    run(100);
    ck_assert_uint_eq(srv.updates, 3);
}
END_TEST

START_TEST(leaves_in_order)
{
    cl_stop(&cl);
    run(1000);
    ck_assert_int_eq(cl.state, CL_STOPPED);
    ck_assert_uint_eq(srv.deregisters, 1);
    ck_assert(!net.open);
}
END_TEST

START_TEST(leaves_a_silent_server_after_three_seconds)
{
    srv.silent = true;
    cl_stop(&cl);
    run(3500);
    ck_assert_int_eq(cl.state, CL_STOPPED);
}
END_TEST

START_TEST(leaves_a_server_that_falls_silent_in_mid_update)
{
    srv.silent = true;
    cl_update(&cl);
    run(100);
    ck_assert(cl.call.active);
    cl_stop(&cl);
    run(3500);
    ck_assert_int_eq(cl.state, CL_STOPPED);
}
END_TEST

/* ---- operations ---- */

START_TEST(reads_in_the_form_that_is_asked_for)
{
    static const uint8_t tlv[] = {0xc4, 0x00, 'M', 'a', 'k', 'e'};

    lab.number = 87;
    ck_assert_uint_eq(ask(CL_GET, "/4242/0/1"), CODE(2, 5));
    ck_assert_uint_eq(srv.answer.format, CL_FMT_TEXT);
    payload_is("87");
    ck_assert_uint_eq(read_as("/4242/0/1", CL_FMT_TLV), CODE(2, 5));
    ck_assert_mem_eq(srv.answer.payload.p, "\xc1\x01\x57", 3);
    ck_assert_uint_eq(read_as("/4242/0/1", CL_FMT_SENML_CBOR), CODE(2, 5));
    ck_assert_mem_eq(srv.answer.payload.p, "\x81\xa3\x21\x68/4242/0/\x00\x61\x31\x02\x18\x57", 18);
    ck_assert_uint_eq(ask(CL_GET, "/3/0"), CODE(2, 5));
    ck_assert_uint_eq(srv.answer.format, CL_FMT_TLV);
    ck_assert_uint_eq(srv.answer.payload.p[0], (tlv[0] & 0xf8) + 5);
    ck_assert_uint_eq(ask(CL_GET, "/4242/0/5"), CODE(2, 5)); /* several: TLV */
    ck_assert_mem_eq(srv.answer.payload.p, "\x88\x05\x09\x41\x00\x0a\x41\x01\x0b\x41\x02\x0c", 12);
    ck_assert_uint_eq(ask(CL_GET, "/4242/0/5/2"), CODE(2, 5));
    payload_is("12");
    ck_assert_uint_eq(read_as("/3/0/0", 11543), CODE(4, 6));
    ck_assert_uint_eq(read_as("/3/0/0", CL_FMT_OPAQUE), CODE(4, 6));
    ck_assert_uint_eq(read_as("/3/0", CL_FMT_TEXT), CODE(4, 6));
}
END_TEST

START_TEST(refuses_with_the_right_code)
{
    static const struct {
        uint8_t method;
        const char *path;
        uint8_t code;
    } cases[] = {{CL_GET, "/0/0/5", CODE(4, 1)},    {CL_GET, "/0", CODE(4, 1)},
                 {CL_PUT, "/0/1/5", CODE(4, 1)},    {CL_DELETE, "/0/1", CODE(4, 1)},
                 {CL_GET, "/99", CODE(4, 4)},       {CL_GET, "/3/1", CODE(4, 4)},
                 {CL_GET, "/3/0/99", CODE(4, 4)},   {CL_GET, "/4242/0/5/3", CODE(4, 4)},
                 {CL_GET, "/4242/0/2", CODE(4, 5)}, {CL_POST, "/4242/0/0", CODE(4, 5)},
                 {CL_PUT, "/4242/0/2", CODE(4, 5)}, {CL_DELETE, "/3/0", CODE(4, 5)},
                 {CL_POST, "/1", CODE(4, 5)},       {CL_GET, "/x/y", CODE(4, 4)},
                 {CL_GET, "/", CODE(4, 4)},         {CL_PUT, "/4242", CODE(4, 5)},
                 {CL_FETCH, "/3/0", CODE(4, 5)},    {CL_POST, "/1/0/9", CODE(4, 5)},
                 {CL_POST, "/bs", CODE(4, 4)},      {CL_GET, "/1/2/3/4/5", CODE(4, 4)}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_msg(ask(cases[i].method, cases[i].path) == cases[i].code, "%s: %x", cases[i].path,
                      srv.answer.code);
    }
}
END_TEST

START_TEST(writes_all_or_nothing)
{
    ck_assert_uint_eq(put_text("/4242/0/1", "-5"), CODE(2, 4));
    ck_assert_int_eq(lab.number, -5);
    ck_assert_uint_eq(put_text("/4242/0/1", "five"), CODE(4, 0));
    ck_assert_uint_eq(ask_as(CL_PUT, "/4242/0/1", 110, "[]", 2), CODE(4, 15));
    ck_assert_uint_eq(ask_as(CL_PUT, "/4242/0/1", CL_FMT_TLV, "\xc1\x01\x2a", 3), CODE(2, 4));
    ck_assert_int_eq(lab.number, 42);
    ck_assert_uint_eq(ask_as(CL_POST, "/4242/0", CL_FMT_TLV, "\xc1\x01\x2b", 3), CODE(2, 4));
    ck_assert_int_eq(lab.number, 43);
    /* the second resource cannot be written: the first is not either */
    ck_assert_uint_eq(
        ask_as(CL_PUT, "/4242/0", CL_FMT_TLV, "\xc1\x01\x2c\xc4\x00\x00\x00\x00\x00", 9),
        CODE(4, 5));
    ck_assert_int_eq(lab.number, 43);
    ck_assert_uint_eq(
        ask_as(CL_PUT, "/4242/0/1", CL_FMT_SENML_CBOR, "\x81\xa2\x21\x69/4242/0/1\x02\x18\x2d", 16),
        CODE(2, 4));
    ck_assert_int_eq(lab.number, 45);
    /* truncated, another path, another type */
    ck_assert_uint_eq(ask_as(CL_PUT, "/4242/0/1", CL_FMT_TLV, "\xc2\x01\x2a", 3), CODE(4, 0));
    ck_assert_uint_eq(ask_as(CL_PUT, "/4242/0/1", CL_FMT_TLV, "\xc1\x00\x2a", 3), CODE(4, 0));
    ck_assert_uint_eq(
        ask_as(CL_PUT, "/4242/0/1", CL_FMT_SENML_CBOR, "\x81\xa2\x21\x69/4242/0/1\x04\xf5", 15),
        CODE(4, 0));
    ck_assert_int_eq(lab.number, 45);
}
END_TEST

START_TEST(executes_now_or_answers_later)
{
    ck_assert_uint_eq(ask_as(CL_POST, "/4242/0/2", CL_ID_NONE, "0='a'", 5), CODE(2, 4));
    ck_assert_str_eq(lab.args, "0='a'");
    ck_assert_uint_eq(ask_as(CL_POST, "/4242/0/2", CL_FMT_OPAQUE, "x", 1), CODE(4, 15));
    lab.later = true;
    ck_assert_uint_eq(ask(CL_POST, "/4242/0/2"), 0); /* acknowledged, empty */
    uint8_t token = srv.token;
    run(60000);
    ck_assert_uint_eq(ask(CL_POST, "/4242/0/2"), CODE(5, 3)); /* one at a time */
    cl_done(&cl, CL_OK);
    run(100);
    ck_assert_uint_eq(srv.answer.code, CODE(2, 4));
    ck_assert_uint_eq(srv.answer.type, CL_CON);
    ck_assert_uint_eq(srv.answer.token[0], token);
    ck_assert_uint_eq(lab.execs, 2);
    ck_assert_uint_eq(ask(CL_POST, "/4242/0/2"), 0);
    cl_done(&cl, CL_ERR_INVAL);
    run(100);
    ck_assert_uint_eq(srv.answer.code, CODE(4, 0));
}
END_TEST

/* spec: RFC7959#2.5 */
START_TEST(a_big_write_streams_through)
{
    uint8_t image[1500];
    struct cl_msg m;

    for (size_t i = 0; i < sizeof image; i++) {
        image[i] = (uint8_t)(i * 3);
    }
    for (uint32_t num = 0; num < 3; num++) {
        cl_msg_init(&m);
        m.format = CL_FMT_OPAQUE;
        m.block1 = (struct cl_block){.there = true, .more = num < 2, .size = 512, .num = num};
        m.payload = (struct cl_bytes){image + num * 512, num < 2 ? 512 : 1500 - 1024};
        ck_assert_uint_eq(ask_full(CL_PUT, "/4242/0/3", "", &m),
                          num < 2 ? CODE(2, 31) : CODE(2, 4));
    }
    ck_assert_uint_eq(lab.streamed_len, sizeof image);
    ck_assert_mem_eq(lab.streamed, image, sizeof image);
    /* a hole */
    cl_msg_init(&m);
    m.block1 = (struct cl_block){.there = true, .more = true, .size = 512, .num = 1};
    m.payload = (struct cl_bytes){image, 512};
    ck_assert_uint_eq(ask_full(CL_PUT, "/4242/0/3", "", &m), CODE(4, 8));
    /* in one message, as execute, answered apart */
    ck_assert_uint_eq(ask_as(CL_POST, "/4242/0/6", CL_ID_NONE, "manifest", 8), CODE(2, 4));
    ck_assert_uint_eq(srv.answer.type, CL_CON);
    ck_assert_mem_eq(lab.streamed, "manifest", 8);
}
END_TEST

/* spec: RFC7959#2.4 */
START_TEST(a_big_read_comes_in_blocks)
{
    uint8_t got[1300];
    size_t len = 0;

    for (uint32_t num = 0;; num++) {
        struct cl_msg m;
        cl_msg_init(&m);
        m.block2 = (struct cl_block){.there = num > 0, .size = 512, .num = num};
        ck_assert_uint_eq(ask_full(CL_GET, "/4242/0/4", "", &m), CODE(2, 5));
        memcpy(got + len, srv.answer.payload.p, srv.answer.payload.len);
        len += srv.answer.payload.len;
        if (!srv.answer.block2.more) {
            break;
        }
    }
    ck_assert_uint_eq(len, sizeof got);
    for (size_t i = 0; i < len; i++) {
        ck_assert_uint_eq(got[i], (uint8_t)i);
    }
}
END_TEST

START_TEST(discovers)
{
    ck_assert_uint_eq(attributes("/4242/0/0", "&pmin=10&pmax=60&gt=30.5"), CODE(2, 4));
    ck_assert_uint_eq(read_as("/4242/0", CL_FMT_LINK), CODE(2, 5));
    payload_is("</4242/0>,</4242/0/0>;pmin=10;pmax=60;gt=30.5,</4242/0/1>,</4242/0/2>,</4242/0/3>,"
               "</4242/0/4>,</4242/0/5>;dim=3,</4242/0/6>");
    ck_assert_uint_eq(read_as("/4", CL_FMT_LINK), CODE(2, 5));
    payload_is("</4>,</4/0>,</4/0/0>,</4/0/1>;dim=1,</4/0/2>,</4/0/4>;dim=1");
    ck_assert_uint_eq(read_as("/0", CL_FMT_LINK), CODE(4, 1));
}
END_TEST

START_TEST(instances_come_and_go)
{
    ck_assert_uint_eq(ask_as(CL_POST, "/4242", CL_FMT_TLV, "\xc1\x01\x07", 3), CODE(2, 1));
    ck_assert(cl_bytes_are(srv.answer.location.seg[0], "4242") &&
              cl_bytes_are(srv.answer.location.seg[1], "1"));
    ck_assert_int_eq(lab.number, 7);
    run(1000);
    ck_assert_uint_eq(srv.updates, 1); /* the new list */
    srv.body[srv.body_len] = 0;
    ck_assert_ptr_nonnull(strstr((char *)srv.body, "</4242/1>"));
    ck_assert_uint_eq(ask_as(CL_POST, "/4242", CL_FMT_TLV, "\x03\x05\xc1\x01\x08", 5), CODE(2, 1));
    ck_assert(lab.made[5]);
    ck_assert_uint_eq(ask_as(CL_POST, "/4242", CL_FMT_TLV, "\x03\x05\xc1\x01\x08", 5), CODE(4, 0));
    ck_assert_uint_eq(ask_as(CL_POST, "/4242", CL_FMT_TLV, "\xc1\x01\x0d", 3), CODE(4, 0));
    ck_assert(!lab.made[2]); /* 13 was refused: the instance is gone again */
    ck_assert_uint_eq(ask(CL_DELETE, "/4242/5"), CODE(2, 2));
    ck_assert(!lab.made[5]);
    ck_assert_uint_eq(ask(CL_DELETE, "/4242/5"), CODE(4, 4));
}
END_TEST

/* ---- observation ---- */

static void set_value(double v)
{
    lab.value = v;
    cl_changed(&cl, 4242, 0, LAB_FLOAT);
}

/* spec: RFC7641#3 */
START_TEST(notifies_changes_until_it_is_cancelled)
{
    ck_assert_uint_eq(observe("/4242/0/0", 0), CODE(2, 5));
    ck_assert_int_ge(srv.answer.observe, 0);
    uint8_t token = srv.token;
    int32_t seq = srv.answer.observe;
    set_value(1.5);
    ck_assert(cl_unsent(&cl, 4242, 0, LAB_FLOAT));
    run(100);
    ck_assert(!cl_unsent(&cl, 4242, 0, LAB_FLOAT));
    ck_assert_uint_eq(srv.notes, 1);
    ck_assert_uint_eq(srv.answer.token[0], token);
    ck_assert_int_gt(srv.answer.observe, seq);
    payload_is("1.5");
    cl_changed(&cl, 4242, 0, LAB_INT); /* another resource */
    run(1000);
    ck_assert_uint_eq(srv.notes, 1);
    srv.token = (uint8_t)(token - 1);
    ck_assert_uint_eq(observe("/4242/0/0", 1), CODE(2, 5));
    set_value(2);
    run(1000);
    ck_assert_uint_eq(srv.notes, 1);
}
END_TEST

START_TEST(levels_above_see_changes_below)
{
    ck_assert_uint_eq(observe("/4242", 0), CODE(2, 5));
    ck_assert_uint_eq(observe("/4242/0", 0), CODE(2, 5));
    set_value(3);
    run(1000);
    ck_assert_uint_eq(srv.notes, 2);
}
END_TEST

/* spec: LWM2M-1.1-CORE#5.1.2 */
START_TEST(minimum_and_maximum_periods_hold)
{
    ck_assert_uint_eq(attributes("/4242/0/0", "&pmin=10&pmax=60"), CODE(2, 4));
    ck_assert_uint_eq(observe("/4242/0/0", 0), CODE(2, 5));
    set_value(1);
    run(9000);
    ck_assert_uint_eq(srv.notes, 0);
    set_value(2);
    run(1500);
    ck_assert_uint_eq(srv.notes, 1); /* one for both */
    payload_is("2");
    run(59000);
    ck_assert_uint_eq(srv.notes, 1);
    run(2000);
    ck_assert_uint_eq(srv.notes, 2); /* nothing changed */
    ck_assert_uint_eq(attributes("/4242/0/0", "&pmax"), CODE(2, 4));
    run(200000);
    ck_assert_uint_eq(srv.notes, 2);
}
END_TEST

START_TEST(thresholds_and_steps_hold)
{
    static const struct {
        double v;
        bool told;
    } steps[] = {{10, false}, {31, true}, {32, false}, {29, true},
                 {4, true},   {3, false}, {6, true},   {15, false}};

    lab.value = 9;
    ck_assert_uint_eq(attributes("/4242/0/0", "&gt=30&lt=5"), CODE(2, 4));
    ck_assert_uint_eq(observe("/4242/0/0", 0), CODE(2, 5));
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        unsigned before = srv.notes;
        set_value(steps[i].v);
        run(1000);
        ck_assert_msg((srv.notes > before) == steps[i].told, "step %zu", i);
    }
    ck_assert_uint_eq(attributes("/4242/0/0", "&gt&lt&st=2"), CODE(2, 4));
    set_value(7);
    run(1000);
    ck_assert_uint_eq(srv.notes, 4); /* 6 was told last */
    set_value(8);
    run(1000);
    ck_assert_uint_eq(srv.notes, 5);
}
END_TEST

START_TEST(bad_attributes_change_nothing)
{
    static const char *const bad[] = {"&pmin=x",          "&pmin=-1",      "&what=1",  "&gt=1&lt=2",
                                      "&gt=10&lt=5&st=3", "&pmax=5&pmin=", "&gt=1e999"};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_msg(attributes("/4242/0/0", bad[i]) == CODE(4, 0), "%s", bad[i]);
    }
    ck_assert_uint_eq(attributes("/4242/0", "&gt=1"), CODE(4, 0)); /* no number there */
    ck_assert_uint_eq(attributes("/4242/0/77", "&pmin=1"), CODE(4, 4));
    ck_assert_uint_eq(read_as("/4242/0/0", CL_FMT_LINK), CODE(2, 5));
    payload_is("</4242/0/0>");
}
END_TEST

START_TEST(a_reset_cancels_and_a_timeout_leaves)
{
    ck_assert_uint_eq(observe("/4242/0/0", 0), CODE(2, 5));
    srv.no_ack = true;
    set_value(1);
    run(100);
    struct cl_msg rst;
    cl_msg_init(&rst);
    rst.type = CL_RST;
    rst.mid = srv.answer.mid;
    to_client(&rst);
    run(100);
    set_value(2);
    run(1000);
    ck_assert_uint_eq(srv.notes, 1);
    ck_assert_uint_eq(observe("/4242/0/0", 0), CODE(2, 5));
    set_value(3);
    run(120000); /* nobody acknowledges: connects and registers again */
    ck_assert_uint_eq(srv.registers, 2);
    ck_assert_int_eq(cl.state, CL_REGISTERED);
}
END_TEST

START_TEST(seventeen_observers_are_one_too_many)
{
    for (int i = 0; i < CL_OBSERVERS_MAX; i++) {
        ck_assert_uint_eq(observe("/4242/0/0", 0), CODE(2, 5));
        ck_assert_int_ge(srv.answer.observe, 0);
    }
    ck_assert_uint_eq(observe("/4242/0/0", 0), CODE(2, 5));
    ck_assert_int_eq(srv.answer.observe, -1);
}
END_TEST

/* ---- bootstrap ---- */

#define URI_TLV                                                                                    \
    "\xc8\x00\x15"                                                                                 \
    "coap://server:2?aid=a"

static void setup_bootstrap(void)
{
    setup();
    start(true, false);
    ck_assert_int_eq(cl.state, CL_BOOTSTRAPPING);
}

/* spec: LWM2M-1.1-CORE#6.1.7 */
START_TEST(bootstraps_then_registers)
{
    ck_assert_uint_eq(srv.boots, 1);
    ck_assert_str_eq(srv.query, "&ep=ep-1&pct=11542");
    ck_assert_uint_eq(read_as("/", CL_FMT_LINK), CODE(2, 5));
    payload_is("</>;lwm2m=1.1,</0/1>,</1>,</3>;ver=1.1,</3/0>,</4/0>,</3303/0>,</4242>;ver=1.2,"
               "</4242/0>");
    ck_assert_uint_eq(ask(CL_DELETE, "/"), CODE(2, 2));
    ck_assert(cl.accounts.account[CL_BOOTSTRAPPER].there);
    lab.made[0] = true;
    ck_assert_uint_eq(ask(CL_POST, "/bs"), CODE(4, 6)); /* nothing to register with yet */
    ck_assert_uint_eq(
        ask_as(CL_PUT, "/0/0", CL_FMT_TLV, URI_TLV "\xc1\x01\x00\xc1\x02\x03\xc1\x0a\x65", 24 + 9),
        CODE(2, 4));
    ck_assert_uint_eq(
        ask_as(CL_PUT, "/1/0", CL_FMT_TLV, "\xc1\x00\x65\xc2\x01\x03\xe8\xc1\x06\x00\xc1\x07U", 13),
        CODE(2, 4));
    ck_assert_uint_eq(read_as("/0", CL_FMT_LINK), CODE(2, 5));
    payload_is("</>;lwm2m=1.1,</0/0>;ssid=101;uri=\"coap://server:2?aid=a\",</0/1>");
    ck_assert_uint_eq(ask(CL_POST, "/bs"), CODE(2, 4));
    run(5000);
    ck_assert_int_eq(cl.state, CL_REGISTERED);
    ck_assert_uint_eq(srv.registers, 1);
    ck_assert_uint_eq(cl.accounts.server.ssid, 101);
    ck_assert_uint_eq(ask(CL_GET, "/0/0/0"), CODE(4, 1));
    /* and after a restart without asking again */
    cl_fini(&cl);
    start(true, false);
    ck_assert_int_eq(cl.state, CL_REGISTERED);
    ck_assert_uint_eq(srv.boots, 1);
    ck_assert_str_eq(cl.accounts.account[CL_SERVER].uri, "coap://server:2?aid=a");
    /* until the server asks for it */
    ck_assert_uint_eq(ask(CL_POST, "/1/0/9"), CODE(2, 4));
    run(2000);
    ck_assert_uint_eq(srv.boots, 2);
    ck_assert_int_eq(cl.state, CL_BOOTSTRAPPING);
}
END_TEST

START_TEST(a_server_that_does_not_want_the_device_makes_it_bootstrap)
{
    ck_assert_uint_eq(
        ask_as(CL_PUT, "/0/0", CL_FMT_TLV, URI_TLV "\xc1\x01\x00\xc1\x02\x03\xc1\x0a\x65", 24 + 9),
        CODE(2, 4));
    ck_assert_uint_eq(ask_as(CL_PUT, "/1/0", CL_FMT_TLV, "\xc1\x00\x65", 3), CODE(2, 4));
    srv.register_code = CODE(4, 3);
    ck_assert_uint_eq(ask(CL_POST, "/bs"), CODE(2, 4));
    run(5000);
    ck_assert_uint_eq(srv.boots, 2);
    ck_assert_int_eq(cl.state, CL_BOOTSTRAPPING);
    /* the same once more: it waits longer */
    ck_assert_uint_eq(
        ask_as(CL_PUT, "/0/0", CL_FMT_TLV, URI_TLV "\xc1\x01\x00\xc1\x02\x03\xc1\x0a\x65", 24 + 9),
        CODE(2, 4));
    ck_assert_uint_eq(ask_as(CL_PUT, "/1/0", CL_FMT_TLV, "\xc1\x00\x65", 3), CODE(2, 4));
    ck_assert_uint_eq(ask(CL_POST, "/bs"), CODE(2, 4));
    run(3500);
    ck_assert_uint_eq(srv.registers, 2);
    ck_assert_uint_eq(srv.boots, 2);
    run(2000);
    ck_assert_uint_eq(srv.boots, 3);
    /* a bootstrap that never finishes is begun again */
    run(265000);
    ck_assert_uint_eq(srv.boots, 4);
}
END_TEST

START_TEST(what_the_bootstrap_server_may_not_do)
{
    static const struct {
        uint8_t method;
        const char *path;
        const char *body;
        uint8_t code;
    } cases[] = {
        {CL_GET, "/3/0/0", "", CODE(4, 5)},           {CL_GET, "/0/1/5", "", CODE(4, 5)},
        {CL_POST, "/3/0/4", "", CODE(4, 5)},          {CL_PUT, "/99", "", CODE(4, 4)},
        {CL_PUT, "/0", "\xc1\x02\x03", CODE(4, 0)},   /* object level names instances */
        {CL_PUT, "/0/0", "\xc1\x02\x09", CODE(4, 0)}, /* no such mode */
        {CL_PUT, "/0/0", "\xc9\x02", CODE(4, 0)},     /* cut short */
        {CL_PUT, "/0/1", "\xc1\x01\x00", CODE(4, 0)}, /* the bootstrap account stays one */
        {CL_DELETE, "/0/0/1", "", CODE(4, 0)},        {CL_PUT, "/x", "", CODE(4, 4)},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t len = cases[i].path[1] == '0' && cases[i].body[0] != 0
                         ? (strcmp(cases[i].body, "\xc9\x02") == 0 ? 2 : 3)
                         : 0;
        uint8_t code = ask_as(cases[i].method, cases[i].path, len > 0 ? CL_FMT_TLV : CL_ID_NONE,
                              cases[i].body, len);
        if (cases[i].path[1] == '9') {
            code = ask_as(CL_PUT, cases[i].path, CL_FMT_TLV, "\xc1\x02\x03", 3);
        }
        ck_assert_msg(code == cases[i].code, "case %zu: %u.%02u", i, code >> 5, code & 31);
    }
}
END_TEST

/* Pelion's form: object level, blocks of 512, Finish answered apart. */
static void pelion_boot(const uint8_t *tlv, size_t len)
{
    static const char *server = "\x08\x00\x0c\xc1\x00\x01\xc1\x01\x64\xc1\x06\x00\xc1\x07U";

    ck_assert_uint_eq(ask(CL_DELETE, "/0"), CODE(2, 2));
    for (size_t from = 0; from < len; from += 512) {
        struct cl_msg m;
        size_t n = len - from < 512 ? len - from : 512;
        cl_msg_init(&m);
        m.format = CL_FMT_TLV;
        m.block1 = (struct cl_block){
            .there = true, .more = from + n < len, .size = 512, .num = (uint32_t)(from / 512)};
        m.payload = (struct cl_bytes){tlv + from, n};
        ck_assert_uint_eq(ask_full(CL_PUT, "/0", "", &m),
                          from + n < len ? CODE(2, 31) : CODE(2, 4));
    }
    ck_assert_uint_eq(ask_as(CL_PUT, "/1", CL_FMT_TLV, server, 15), CODE(2, 4));
}

static size_t tlv_bytes(uint8_t *out, uint8_t id, const void *p, size_t len)
{
    out[0] = 0xd0; /* a resource with two bytes of length */
    out[1] = id;
    out[2] = (uint8_t)(len >> 8);
    out[3] = (uint8_t)len;
    memcpy(out + 4, p, len);
    return len + 4;
}

static size_t instance_wrap(uint8_t *tlv, size_t len)
{
    memmove(tlv + 4, tlv, len);
    tlv[0] = 0x10;
    tlv[1] = 0;
    tlv[2] = (uint8_t)(len >> 8);
    tlv[3] = (uint8_t)len;
    return len + 4;
}

START_TEST(bootstraps_as_pelion_does_it)
{
    uint8_t tlv[2600], der[900] = {0x30};
    size_t n = 0;

    setup();
    start(true, true);
    ck_assert_str_eq(srv.query, "&ep=ep-1&aid=acc&mccv=4.13.2");
    n += tlv_bytes(tlv + n, 0, "coap://server:2?aid=acc", 23);
    n += tlv_bytes(tlv + n, 2, "\x03", 1);
    n += tlv_bytes(tlv + n, 3, der, sizeof der);
    n += tlv_bytes(tlv + n, 4, der, sizeof der);
    n += tlv_bytes(tlv + n, 5, der, 121);
    n += tlv_bytes(tlv + n, 10, "\x01", 1);
    pelion_boot(tlv, instance_wrap(tlv, n));
    struct cl_msg m;
    cl_msg_init(&m);
    ck_assert_uint_eq(ask_full(CL_POST, "/bs", "&iep=dev-9", &m), CODE(2, 4));
    ck_assert_uint_eq(srv.answer.type, CL_CON); /* apart, with our token */
    ck_assert_uint_eq(srv.answer.token[0], srv.token);
    run(5000);
    ck_assert_int_eq(cl.state, CL_REGISTERED);
    ck_assert_str_eq(srv.query, "&ep=ep-1&lt=100&lwm2m=1.0&b=U&d=acc&aid=acc&mccv=4.13.2");
    const struct cl_account *acc = &cl.accounts.account[CL_SERVER];
    ck_assert_uint_eq(acc->id_len, sizeof der);
    ck_assert_uint_eq(acc->key_len, 121);
    /* values and standing observations in the list */
    srv.body[srv.body_len] = 0;
    const char *at = strstr((char *)srv.body, "</4242/0/1>;rt=\"Number\";v=\"0\";aobs=\"");
    ck_assert_ptr_nonnull(at);
    int token = atoi(at + 36);
    lab.number = 9;
    cl_changed(&cl, 4242, 0, LAB_INT);
    run(100);
    ck_assert_uint_eq(srv.notes, 1);
    ck_assert_int_eq(srv.answer.token[0] << 8 | srv.answer.token[1], token);
    payload_is("9");
    /* all of it is there after a restart, byte for byte */
    struct cl_account before = *acc;
    cl_fini(&cl);
    start(true, true);
    ck_assert_int_eq(cl.state, CL_REGISTERED);
    ck_assert_mem_eq(cl.accounts.account[CL_SERVER].peer, before.peer, before.peer_len);
    ck_assert_mem_eq(cl.accounts.account[CL_SERVER].key, before.key, before.key_len);
}
END_TEST

/* ---- enrolment ---- */

static int rng(void *ctx, unsigned char *buf, size_t len)
{
    (void)ctx;
    hal_random(buf, len);
    return 0;
}

/* A certificate for the key of the request, signed by a fresh authority; Pelion's list form. */
static void certificate_make(const struct cl_msg *req)
{
    mbedtls_x509_csr csr;
    mbedtls_x509write_cert crt;
    mbedtls_pk_context ca;
    mbedtls_mpi serial;
    char subject[200];
    uint8_t der[1024];

    mbedtls_x509_csr_init(&csr);
    mbedtls_x509write_crt_init(&crt);
    mbedtls_pk_init(&ca);
    mbedtls_mpi_init(&serial);
    ck_assert_int_eq(mbedtls_x509_csr_parse_der(&csr, req->payload.p, req->payload.len), 0);
    ck_assert_int_gt(mbedtls_x509_dn_gets(subject, sizeof subject, &csr.subject), 0);
    ck_assert_str_eq(subject, "L=dev-9, OU=acc, CN=ep-1");
    ck_assert_int_eq(mbedtls_pk_setup(&ca, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)), 0);
    ck_assert_int_eq(mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(ca), rng, NULL),
                     0);
    ck_assert_int_eq(mbedtls_mpi_lset(&serial, 7), 0);
    mbedtls_x509write_crt_set_md_alg(&crt, MBEDTLS_MD_SHA256);
    ck_assert_int_eq(mbedtls_x509write_crt_set_serial(&crt, &serial), 0);
    ck_assert_int_eq(mbedtls_x509write_crt_set_validity(&crt, "19700101000000", "20991231235959"),
                     0);
    ck_assert_int_eq(mbedtls_x509write_crt_set_subject_name(&crt, "L=dev-9,OU=acc,CN=ep-1"), 0);
    ck_assert_int_eq(mbedtls_x509write_crt_set_issuer_name(&crt, "CN=authority"), 0);
    mbedtls_x509write_crt_set_subject_key(&crt, &csr.pk);
    mbedtls_x509write_crt_set_issuer_key(&crt, &ca);
    int n = mbedtls_x509write_crt_der(&crt, der, sizeof der, rng, NULL);
    ck_assert_int_gt(n, 0);
    srv.chain[0] = 1;
    srv.chain[1] = 1;
    srv.chain[2] = (uint8_t)(n >> 8);
    srv.chain[3] = (uint8_t)n;
    memcpy(srv.chain + 4, der + sizeof der - n, (size_t)n);
    srv.chain_len =
        4 + (size_t)n + 400; /* longer than a block: the rest is padding to be ignored */
    mbedtls_mpi_free(&serial);
    mbedtls_pk_free(&ca);
    mbedtls_x509write_crt_free(&crt);
    mbedtls_x509_csr_free(&csr);
}

START_TEST(enrols_with_a_key_of_its_own)
{
    uint8_t tlv[1200], ca[600] = {0x30};
    size_t n = 0;
    struct cl_msg m;

    setup();
    start(true, true);
    n += tlv_bytes(tlv + n, 0, "coap://server:2?aid=acc", 23);
    n += tlv_bytes(tlv + n, 2, "\x04", 1);
    n += tlv_bytes(tlv + n, 4, ca, sizeof ca);
    n += tlv_bytes(tlv + n, 10, "\x01", 1);
    pelion_boot(tlv, instance_wrap(tlv, n));
    cl_msg_init(&m);
    ck_assert_uint_eq(ask_full(CL_POST, "/bs", "&iep=dev-9", &m), CODE(2, 4));
    run(5000);
    ck_assert_uint_eq(srv.ests, 1);
    ck_assert_int_eq(cl.state, CL_REGISTERED);
    const struct cl_account *acc = &cl.accounts.account[CL_SERVER];
    ck_assert_mem_eq(acc->id, srv.chain + 4, acc->id_len);
    mbedtls_pk_context key;
    mbedtls_pk_init(&key);
    ck_assert_int_eq(mbedtls_pk_parse_key(&key, acc->key, acc->key_len, NULL, 0), 0);
    mbedtls_pk_free(&key);
}
END_TEST

/* The server asks for it: a new key, the old one stays until the certificate is there. */
START_TEST(renews_when_the_server_asks)
{
    static const uint8_t args[] = {0, 1, 0, 6, 'L', 'W', 'M', '2', 'M', 0};
    static const struct {
        const char *args, *status;
        size_t len;
    } bad[] = {{"", "1286", 0},
               {"\0\1\0\6LWM2M", "1286", 9},
               {"\0\1\0\6OTHER\0", "1284", 10},
               {"\0\2\0\0\0\1\0\6LWM2M\0", "1286", 14},
               {"\200\2\0\0", "1286", 4}};
    uint8_t tlv[2600], der[700] = {0x30};
    size_t n = 0;
    struct cl_msg m;

    setup();
    start(true, true);
    n += tlv_bytes(tlv + n, 0, "coap://server:2?aid=acc", 23);
    n += tlv_bytes(tlv + n, 2, "\x02", 1);
    n += tlv_bytes(tlv + n, 3, der, sizeof der);
    n += tlv_bytes(tlv + n, 4, der, sizeof der);
    n += tlv_bytes(tlv + n, 5, der, 121);
    n += tlv_bytes(tlv + n, 10, "\x01", 1);
    pelion_boot(tlv, instance_wrap(tlv, n));
    cl_msg_init(&m);
    ck_assert_uint_eq(ask_full(CL_POST, "/bs", "&iep=dev-9", &m), CODE(2, 4));
    run(5000); /* the wire of this test has no security: the certificate is only kept */
    ck_assert_int_eq(cl.state, CL_REGISTERED);
    snprintf(cl.device_id, sizeof cl.device_id, "dev-9");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_uint_eq(ask_as(CL_POST, "/35011/0/27002", CL_ID_NONE, bad[i].args, bad[i].len),
                          CODE(2, 4));
        payload_is(bad[i].status);
    }
    ck_assert_uint_eq(ask_as(CL_POST, "/35011/0/27002", CL_FMT_OPAQUE, args, sizeof args),
                      CODE(4, 15));
    ck_assert_uint_eq(srv.ests, 0);
    const struct cl_account *acc = &cl.accounts.account[CL_SERVER];
    ck_assert_uint_eq(acc->key_len, 121);
    ck_assert_uint_eq(ask_as(CL_POST, "/35011/0/27002", CL_ID_NONE, args, sizeof args), CODE(2, 4));
    payload_is("0");
    ck_assert_uint_eq(srv.answer.type, CL_CON);
    ck_assert_uint_eq(srv.ests, 1);
    ck_assert_mem_eq(acc->id, srv.chain + 4, acc->id_len);
    ck_assert_int_eq(cl.state, CL_REGISTERED);
    uint8_t key[CL_KEY_MAX];
    uint16_t key_len = acc->key_len;
    memcpy(key, acc->key, key_len);
    cl_fini(&cl);
    start(true, true); /* and it is in the store */
    ck_assert_uint_eq(acc->key_len, key_len);
    ck_assert_mem_eq(acc->key, key, key_len);
}
END_TEST

/* ---- addresses ---- */

START_TEST(addresses_are_read_strictly)
{
    static const struct {
        const char *text, *host, *query;
        enum cl_scheme scheme;
        uint16_t port;
    } good[] = {{"coap://h", "h", "", CL_COAP, 5683},
                {"coaps://h.example:1", "h.example", "", CL_COAPS, 1},
                {"coaps+tcp://10.0.0.1:65535/", "10.0.0.1", "", CL_COAPS_TCP, 65535},
                {"coap+tcp://[::1]:99?a=b&c", "::1", "a=b&c", CL_COAP_TCP, 99},
                {"coaps://h/?aid=1", "h", "aid=1", CL_COAPS, 5684}};
    static const char *const bad[] = {"",
                                      "coaps://",
                                      "coaps://:1",
                                      "http://h",
                                      "coaps://h:0",
                                      "coaps://h:65536",
                                      "coaps://h:",
                                      "coaps://h:1x",
                                      "coaps://[::1",
                                      "coaps://h/path",
                                      "coap:/h"};
    struct cl_uri uri;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        ck_assert_int_eq(cl_uri_parse(good[i].text, &uri), CL_OK);
        ck_assert_str_eq(uri.host, good[i].host);
        ck_assert_str_eq(uri.query, good[i].query);
        ck_assert_int_eq(uri.scheme, good[i].scheme);
        ck_assert_uint_eq(uri.port, good[i].port);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_msg(cl_uri_parse(bad[i], &uri) == CL_ERR_INVAL, "%s", bad[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client/client");
    TCase *tc = add_case(suite, "registration");

    tcase_add_checked_fixture(tc, setup_registered, teardown);
    tcase_add_test(tc, registers_with_its_objects);
    tcase_add_test(tc, updates_at_four_fifths_of_the_lifetime);
    tcase_add_test(tc, registers_again_when_it_is_not_known);
    tcase_add_test(tc, connects_again_with_longer_and_longer_waits);
    tcase_add_test(tc, a_silent_server_is_left_and_found_again);
    tcase_add_test(tc, a_written_lifetime_makes_an_update);
    tcase_add_test(tc, leaves_in_order);
    tcase_add_test(tc, leaves_a_silent_server_after_three_seconds);
    tcase_add_test(tc, leaves_a_server_that_falls_silent_in_mid_update);
    tc = add_case(suite, "operations");
    tcase_add_checked_fixture(tc, setup_registered, teardown);
    tcase_add_test(tc, reads_in_the_form_that_is_asked_for);
    tcase_add_test(tc, refuses_with_the_right_code);
    tcase_add_test(tc, writes_all_or_nothing);
    tcase_add_test(tc, executes_now_or_answers_later);
    tcase_add_test(tc, a_big_write_streams_through);
    tcase_add_test(tc, a_big_read_comes_in_blocks);
    tcase_add_test(tc, discovers);
    tcase_add_test(tc, instances_come_and_go);
    tc = add_case(suite, "observation");
    tcase_add_checked_fixture(tc, setup_registered, teardown);
    tcase_add_test(tc, notifies_changes_until_it_is_cancelled);
    tcase_add_test(tc, levels_above_see_changes_below);
    tcase_add_test(tc, minimum_and_maximum_periods_hold);
    tcase_add_test(tc, thresholds_and_steps_hold);
    tcase_add_test(tc, bad_attributes_change_nothing);
    tcase_add_test(tc, a_reset_cancels_and_a_timeout_leaves);
    tcase_add_test(tc, seventeen_observers_are_one_too_many);
    tc = add_case(suite, "bootstrap");
    tcase_add_checked_fixture(tc, setup_bootstrap, teardown);
    tcase_add_test(tc, bootstraps_then_registers);
    tcase_add_test(tc, a_server_that_does_not_want_the_device_makes_it_bootstrap);
    tcase_add_test(tc, what_the_bootstrap_server_may_not_do);
    tc = add_case(suite, "pelion");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, bootstraps_as_pelion_does_it);
    tcase_add_test(tc, enrols_with_a_key_of_its_own);
    tcase_add_test(tc, renews_when_the_server_asks);
    tc = add_case(suite, "addresses");
    tcase_add_test(tc, addresses_are_read_strictly);
    return run_suite(suite);
}
