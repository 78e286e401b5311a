/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The update engine with a server of a few lines, the power cut in the flash writes of whole
 * updates. By default each write is cut once, with the kinds of torn units in turn; DR_LONG=1: each
 * with all of them, and a second cut on the way back.
 */
#include "client/core/fw.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/client/rig.h"
#include "tests/unit/run.h"

#define BOOTS_MAX 16
#define STEPS_MAX 400
#define BODY      (RIG_SECTOR == 512 ? 1301u : 9301u)
#define SAVED     (CL_FW_SAVE_SECTORS * RIG_SECTOR) /* bytes behind which a download goes on */
#define BLOCK     128
#define STATES    64
#define V(a, b)   ((uint32_t)(a) << 20 | (uint32_t)(b) << 10)

static const uint8_t vendor[CL_UUID_LEN] = {1, 2, 3}, class_id[CL_UUID_LEN] = {4, 5, 6};

enum way { BY_MANIFEST, BY_PULL, BY_PUSH };

/* The world outside of the device; outlives its power. */
static struct {
    struct cl_layout lay;
    struct rig_image image; /* what the server gives */
    uint8_t manifest[CL_MANIFEST_MAX];
    size_t manifest_len;
    uint32_t old, target;
    enum way way;
    bool bad;              /* the new image never registers */
    bool sent;             /* the server believes that the device has the manifest */
    bool lost;             /* no notification arrives */
    bool deaf;             /* the application answers later */
    enum cl_fw_answer say; /* what it says at once otherwise */
    int asks;
    uint32_t give;    /* bytes that a fetch gives before it breaks off, 0 = all */
    cl_err_t fetched; /* how a fetch ends */
    uint32_t served;  /* bytes given in all */
    /* what was notified, as pairs of resource and value */
    int note[STATES][2];
    int notes;
    bool confirmed, rejected;
} world;

/* The device while it has power. */
static struct {
    struct cl_kvs kvs;
    struct cl_fw fw;
    struct cl_boot boot;
    uint64_t now;
    bool reset, fetching;
    uint32_t at;
    int unsent; /* asks until the notification arrives */
} dev;

static void on_changed(void *ctx, uint16_t obj, uint16_t inst, uint16_t res)
{
    (void)ctx;
    (void)inst;
    int value = obj == 5 ? (res == 3 ? cl_fw_state5(&dev.fw) : cl_fw_result5(&dev.fw))
                         : (res == 2 ? cl_fw_state(&dev.fw) : cl_fw_result(&dev.fw));
    if (obj != 14 && world.notes < STATES) {
        world.note[world.notes][0] = obj * 10 + res;
        world.note[world.notes++][1] = value;
    }
    dev.unsent = 2;
}

static bool on_unsent(void *ctx, uint16_t obj, uint16_t inst, uint16_t res)
{
    (void)ctx;
    (void)obj;
    (void)inst;
    (void)res;
    if (dev.unsent > 0) {
        dev.unsent--;
    }
    return dev.unsent > 0 || world.lost;
}

static cl_err_t on_fetch(void *ctx, const char *uri, size_t uri_len, uint32_t offset)
{
    (void)ctx;
    if (uri_len > 6 && memcmp(uri, "ftp://", 6) == 0) {
        return CL_ERR_FORMAT;
    }
    REQUIRE(uri_len == 11 && memcmp(uri, "coap://s/fw", 11) == 0, "the URI is what was sent");
    REQUIRE(!dev.fetching, "one fetch at a time");
    dev.fetching = true;
    dev.at = offset;
    return CL_OK;
}

static void on_fetch_stop(void *ctx)
{
    (void)ctx; /* the fetch ends with the next block */
}

static enum cl_fw_answer on_ask(void *ctx, enum cl_fw_ask what, uint32_t version, uint32_t priority)
{
    (void)ctx;
    (void)what;
    (void)version;
    (void)priority;
    world.asks++;
    return world.deaf ? CL_FW_LATER : world.say;
}

static void on_reset(void *ctx)
{
    (void)ctx;
    dev.reset = true;
}

static void on_kick(void *ctx)
{
    (void)ctx;
}

static const struct cl_fw_ops ops = {.changed = on_changed,
                                     .unsent = on_unsent,
                                     .fetch = on_fetch,
                                     .fetch_stop = on_fetch_stop,
                                     .ask = on_ask,
                                     .reset = on_reset,
                                     .kick = on_kick};

/* ---- what the server has ---- */

struct out {
    uint8_t buf[CL_MANIFEST_MAX];
    size_t len;
};

static void put(struct out *o, uint8_t tag, const void *p, size_t len)
{
    o->buf[o->len++] = tag;
    if (len >= 0x80) {
        o->buf[o->len++] = 0x81;
        ck_assert_uint_lt(len, 0x100);
    }
    o->buf[o->len++] = (uint8_t)len;
    memcpy(o->buf + o->len, p, len);
    o->len += len;
}

static void put_uint(struct out *o, uint8_t tag, uint32_t v)
{
    uint8_t be[5] = {0, (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    size_t skip = 0;

    while (skip < 4 && be[skip] == 0 && be[skip + 1] < 0x80) {
        skip++;
    }
    put(o, tag, be + skip, sizeof be - skip);
}

static void put_text(struct out *o, const char *text)
{
    put(o, 0x0c, text, strlen(text));
}

/* A manifest for the image in world, signed the cheap way of the rig. */
static void manifest_make(const char *version, const char *uri)
{
    struct out body = {.len = 0}, inner = {.len = 0}, all = {.len = 0};
    uint8_t digest[CL_HASH_LEN], sig[CL_SIG_LEN];

    cl_sha256(world.image.raw, world.image.len, digest);
    put(&body, 0x04, vendor, sizeof vendor);
    put(&body, 0x04, class_id, sizeof class_id);
    put_uint(&body, 0x02, 1);
    put_text(&body, "MAIN");
    put_text(&body, version);
    put(&body, 0x04, digest, sizeof digest);
    put_uint(&body, 0x02, world.image.len);
    put_text(&body, uri);
    put_uint(&body, 0x0a, 1);
    put(&body, 0x04, "", 0);
    put(&inner, 0x30, body.buf, body.len);
    cl_sha256(inner.buf, inner.len, sig);
    memcpy(sig + CL_HASH_LEN, sig, CL_HASH_LEN);
    put_uint(&all, 0x0a, 3);
    memcpy(all.buf + all.len, inner.buf, inner.len);
    all.len += inner.len;
    put(&all, 0x04, sig, sizeof sig);
    body.len = 0;
    put(&body, 0x30, all.buf, all.len);
    memcpy(world.manifest, body.buf, body.len);
    world.manifest_len = body.len;
}

/* Offset of the first field of the manifest (the vendor's 16 bytes). */
static size_t vendor_at(void)
{
    for (size_t i = 0; i + CL_UUID_LEN < world.manifest_len; i++) {
        if (memcmp(world.manifest + i, vendor, CL_UUID_LEN) == 0) {
            return i;
        }
    }
    ck_abort_msg("no vendor");
}

/* Change a byte and sign it again. */
static void manifest_change(size_t at)
{
    size_t from = vendor_at() - 2, to = world.manifest_len - CL_SIG_LEN - 2;

    from -= world.manifest[from - 2] == 0x30 ? 2 : 3; /* tag and length of the sequence */
    world.manifest[at] ^= 1;
    cl_sha256(world.manifest + from, to - from, world.manifest + to + 2);
    memcpy(world.manifest + to + 2 + CL_HASH_LEN, world.manifest + to + 2, CL_HASH_LEN);
}

/* ---- the device ---- */

static void whole_images_only(void)
{
    for (int slot = 0; slot < CL_SLOTS; slot++) {
        struct cl_slot_state s;
        struct cl_header h;
        if (cl_header_check(&world.lay, &rig_trust, rig.mem + slot * RIG_SLOT, &h) == CL_OK) {
            cl_slot_read(&world.lay, &rig_trust, slot, &s);
            REQUIRE(s.valid, "a slot with a header has its whole body");
        }
    }
}

static void switch_on(void)
{
    REQUIRE(cl_layout_init(RIG_SLOT, &world.lay) == CL_OK, "layout");
    whole_images_only();
    memset(&dev, 0, sizeof dev);
    REQUIRE(cl_boot(&world.lay, &rig_trust, &dev.boot) == CL_OK, "boot decides");
    REQUIRE(cl_kvs_open(&dev.kvs, world.lay.store_base, world.lay.store_area) == CL_OK, "store");
    struct cl_fw_config conf = {.lay = &world.lay,
                                .trust = &rig_trust,
                                .kvs = &dev.kvs,
                                .boot = dev.boot,
                                .built_in = V(1, 0),
                                .trial_ms = 1000};
    memcpy(conf.vendor, vendor, sizeof vendor);
    memcpy(conf.class_id, class_id, sizeof class_id);
    REQUIRE(cl_fw_init(&dev.fw, &conf, &ops) == CL_OK, "the engine starts");
}

static void serve_block(void)
{
    uint32_t left = dev.at < world.image.len ? world.image.len - dev.at : 0;
    uint32_t n = left < BLOCK ? left : BLOCK;
    bool broken = world.give != 0 && world.served >= world.give;

    if (!broken && n > 0 && cl_fw_data(&dev.fw, dev.at, world.image.raw + dev.at, n) == CL_OK) {
        dev.at += n;
        world.served += n;
        if (dev.at < world.image.len) {
            return;
        }
    }
    dev.fetching = false;
    cl_fw_fetched(&dev.fw, broken ? world.fetched : CL_OK);
}

static void run(int steps)
{
    for (int i = 0; i < steps && !dev.reset; i++) {
        uint32_t wait = cl_fw_step(&dev.fw, dev.now);
        dev.now += wait == 0 ? 1 : wait < 100000 ? wait : 1;
        if (dev.fetching) {
            serve_block();
        }
    }
}

static cl_err_t push(const uint8_t *p, size_t len)
{
    cl_err_t err = CL_OK;

    for (size_t at = 0; at < len && err == CL_OK; at += 500) {
        size_t n = len - at < 500 ? len - at : 500;
        err = cl_fw_package(&dev.fw, at, p + at, n, at + n == len);
        run(2);
    }
    return err;
}

/* What a server of object 5 does with a device that runs the old image. */
static bool serve_object5(void)
{
    run(10);
    if (cl_fw_result5(&dev.fw) == 8) {
        REQUIRE(world.bad && cl_fw_state5(&dev.fw) == 0, "only a bad image fails");
        world.rejected = true;
        return true;
    }
    REQUIRE(cl_fw_result5(&dev.fw) == 0 || (world.way == BY_PUSH && cl_fw_result5(&dev.fw) == 4),
            "a cut is at most a lost connection");
    if (cl_fw_state5(&dev.fw) == 0) {
        cl_err_t err = world.way == BY_PUSH ? push(world.image.raw, world.image.len)
                                            : cl_fw_package_uri(&dev.fw, "coap://s/fw", 11);
        REQUIRE(err == CL_OK, "a package");
        world.sent = true;
    }
    run(STEPS_MAX);
    if (cl_fw_state5(&dev.fw) == 2) {
        REQUIRE(cl_fw_update(&dev.fw) == CL_OK, "execute");
        run(20);
    }
    REQUIRE(dev.reset, "an update comes to its end");
    return false;
}

/* One power-on up to the next reset. True: nothing is left to do. */
static bool power_on(void)
{
    switch_on();
    uint32_t version = cl_fw_version(&dev.fw);
    REQUIRE(version == world.old || version == world.target, "old or new image");
    REQUIRE(!world.confirmed || version == world.target, "a confirmed image stays");
    REQUIRE(!(world.rejected && version == world.target), "a rejected image never starts again");
    if (version == world.target && world.bad) {
        REQUIRE(dev.boot.act == CL_BOOT_TRIAL, "a bad image is never confirmed");
        run(STEPS_MAX);
        REQUIRE(dev.reset, "a trial that does not register starts again");
        return false;
    }
    cl_fw_registered(&dev.fw);
    if (version == world.target) {
        world.confirmed = true;
        run(10);
        REQUIRE(cl_fw_state(&dev.fw) == CL_FW_IDLE && cl_fw_result(&dev.fw) == -1,
                "a good image is never reported as failed");
        REQUIRE(cl_fw_state5(&dev.fw) == 0 &&
                    cl_fw_result5(&dev.fw) == (world.way == BY_MANIFEST ? 0 : 1),
                "nor to object 5");
        return true;
    }
    if (world.way != BY_MANIFEST) {
        return serve_object5();
    }
    if (world.sent && cl_fw_result(&dev.fw) != -1) {
        run(10);
        REQUIRE(world.bad && cl_fw_result(&dev.fw) == CL_RESULT_INSTALL, "only a bad image fails");
        world.rejected = true;
        return cl_fw_state(&dev.fw) == CL_FW_IDLE;
    }
    if (cl_fw_state(&dev.fw) == CL_FW_IDLE) {
        REQUIRE(!world.bad || !world.rejected, "reported for good");
        REQUIRE(cl_fw_manifest(&dev.fw, world.manifest, world.manifest_len) == CL_OK, "manifest");
        world.sent = true;
    }
    run(STEPS_MAX);
    REQUIRE(dev.reset || cl_fw_result(&dev.fw) != -1, "an update comes to its end");
    return false;
}

static void live(void)
{
    rig_live(power_on, BOOTS_MAX);
}

static void aim(uint32_t old, uint32_t target, const char *text, bool bad)
{
    memset(&world, 0, sizeof world);
    world.old = old;
    world.target = target;
    world.bad = bad;
    rig_image_make(&world.image, target, 1, BODY, 0);
    manifest_make(text, "coap://s/fw");
}

static bool one_life(enum way way, bool bad, uint64_t n, enum nor_tear tear, bool twice)
{
    rig_reset();
    aim(V(1, 0), V(1, 1), "1.1.0", bad);
    world.way = way;
    rig_cut(n, tear, 0, (uint32_t)n);
    if (twice && setjmp(rig.off) == 0) {
        (void)power_on();
    }
    bool hit = rig.nor.cut_at == 0;
    if (twice && hit) {
        rig_cut(1 + n * 7 % 61, tear, 0, (uint32_t)n + 99);
    }
    live();
    hit = hit || rig.nor.cut_at == 0;
    rig.nor.cut_at = 0;
    REQUIRE(bad ? world.rejected && !world.confirmed : world.confirmed, "it ends as it should");
    for (int i = 0; i <= CL_TRIES_MAX; i++) {
        switch_on();
        REQUIRE(cl_fw_version(&dev.fw) == (bad ? V(1, 0) : V(1, 1)), "what runs stays");
    }
    /* and the next one works, from slot to slot */
    uint32_t now = bad ? V(1, 0) : V(1, 1);
    aim(now, V(2, 0), "2.0.0", false);
    live();
    REQUIRE(world.confirmed, "the next update works");
    return hit;
}

static uint64_t every_cut(enum way way, bool bad)
{
    bool all = getenv("DR_LONG") != NULL;
    uint64_t n = 1, hits = 0, step = RIG_SECTOR == 512 || all ? 1 : 7;

    for (bool hit = true; hit; n += step) {
        hit = false;
        for (int tear = 0; tear < NOR_TEARS; tear++) {
            if (all || (uint64_t)tear == n % NOR_TEARS) {
                hit = one_life(way, bad, n, (enum nor_tear)tear, false) || hit;
                hits++;
            }
            if (all || (uint64_t)tear == (n + 2) % NOR_TEARS) {
                hit = one_life(way, bad, n, (enum nor_tear)tear, true) || hit;
                hits++;
            }
        }
    }
    REQUIRE(n > 280, "the cuts reach the end of the update");
    return hits;
}

static void good_update(void)
{
    (void)every_cut(BY_MANIFEST, false);
}

static void bad_update(void)
{
    (void)every_cut(BY_MANIFEST, true);
}

static const struct {
    enum way way;
    bool bad;
    const char *what;
} cut_cases[] = {
    {BY_MANIFEST, false, "updates by manifest"},
    {BY_MANIFEST, true, "updates by manifest to a bad image"},
    {BY_PULL, false, "pulled packages"},
    {BY_PULL, true, "pulled bad packages"},
    {BY_PUSH, false, "pushed packages"},
    {BY_PUSH, true, "pushed bad packages"},
};

START_TEST(every_cut_ends_well)
{
    printf("%u %s, cut\n", (unsigned)every_cut(cut_cases[_i].way, cut_cases[_i].bad),
           cut_cases[_i].what);
}
END_TEST

/* ---- what is told ---- */

static void is_told(const int (*want)[2], int count)
{
    for (int i = 0; i < count && i < world.notes; i++) {
        ck_assert_msg(world.note[i][0] == want[i][0] && world.note[i][1] == want[i][1],
                      "note %d: %d = %d instead of %d = %d", i, world.note[i][0], world.note[i][1],
                      want[i][0], want[i][1]);
    }
    ck_assert_int_eq(world.notes, count);
}

static void factory(void)
{
    rig_reset();
    aim(V(1, 0), V(1, 1), "1.1.0", false);
    switch_on();
    cl_fw_registered(&dev.fw);
    ck_assert_int_eq(cl_fw_version(&dev.fw), V(1, 0));
}

static void send(void)
{
    ck_assert_int_eq(cl_fw_manifest(&dev.fw, world.manifest, world.manifest_len), CL_OK);
}

START_TEST(states_are_told_in_order)
{
    static const int want[][2] = {
        {100000 + 2520 + 2, 3}, {102522, 4}, {102522, 6}, {102522, 7}, {102522, 8}};

    factory();
    send();
    ck_assert_int_eq(cl_fw_state(&dev.fw), CL_FW_CHECKING);
    run(STEPS_MAX);
    ck_assert(dev.reset);
    is_told(want, 5);
    /* while it ran another manifest changed nothing */
    world.notes = 0;
    switch_on();
    ck_assert_int_eq(dev.boot.act, CL_BOOT_TRIAL);
    ck_assert_uint_eq(cl_fw_version(&dev.fw), V(1, 1));
    /* what the registration says: idle, no result, the new version */
    ck_assert_int_eq(cl_fw_state(&dev.fw), CL_FW_IDLE);
    ck_assert_int_eq(cl_fw_result(&dev.fw), -1);
    cl_fw_registered(&dev.fw);
    run(10);
    switch_on();
    ck_assert_int_eq(dev.boot.act, CL_BOOT_RUN);
    /* the same manifest again is too old now */
    cl_fw_registered(&dev.fw);
    world.notes = 0;
    send();
    run(20);
    static const int refused[][2] = {{102523, 27}, {102522, 1}};
    is_told(refused, 2);
}
END_TEST

static void refuse(int result)
{
    uint8_t before[2 * RIG_SLOT];

    memcpy(before, rig.mem, sizeof before);
    send();
    run(STEPS_MAX);
    REQUIRE(!dev.reset, "no installation");
    REQUIRE(cl_fw_result(&dev.fw) == result, "the result");
    REQUIRE(world.notes >= 2 && world.note[world.notes - 2][0] == 102523 &&
                world.note[world.notes - 2][1] == result &&
                world.note[world.notes - 1][0] == 102522 && world.note[world.notes - 1][1] == 1,
            "result first, then the idle state");
    REQUIRE(memcmp(before, rig.mem, sizeof before) == 0, "nothing was erased for it");
    /* it is remembered */
    switch_on();
    REQUIRE(cl_fw_result(&dev.fw) == result && cl_fw_state(&dev.fw) == CL_FW_IDLE, "remembered");
}

static void forged_manifest(void)
{
    factory();
    world.manifest[world.manifest_len - 1] ^= 1;
    refuse(CL_RESULT_SIGNATURE);
}

START_TEST(refusals_are_told_and_erase_nothing)
{
    forged_manifest();
    factory();
    size_t at = vendor_at();
    world.manifest[at] ^= 1;
    refuse(CL_RESULT_SIGNATURE); /* changed behind the signature */
    factory();
    manifest_change(vendor_at());
    refuse(CL_RESULT_VENDOR);
    factory();
    manifest_change(vendor_at() + CL_UUID_LEN + 2);
    refuse(CL_RESULT_CLASS);
    factory();
    manifest_make("1.0.0", "coap://s/fw");
    refuse(CL_RESULT_VERSION);
    factory();
    manifest_make("0.9.9", "coap://s/fw");
    refuse(CL_RESULT_VERSION);
    factory();
    manifest_make("1.1.0", "ftp://s/fw");
    refuse(CL_RESULT_URI);
    factory();
    world.image.len = RIG_SLOT;
    manifest_make("1.1.0", "coap://s/fw");
    refuse(CL_RESULT_SPACE);
    factory();
    world.manifest_len--;
    refuse(CL_RESULT_MALFORMED);
}
END_TEST

/* A signed image under a signed manifest that names another one. */
static void other_payload(void)
{
    factory();
    struct rig_image other = world.image;
    rig_image_make(&other, V(1, 1), 1, BODY, 0);
    for (uint32_t i = CL_HEADER_LEN; i < other.len; i++) {
        other.raw[i] ^= 0x5a;
    }
    cl_sha256(other.raw + CL_HEADER_LEN, other.len - CL_HEADER_LEN, other.raw + 32);
    cl_sha256(other.raw, 448, other.raw + 448);
    memcpy(other.raw + 480, other.raw + 448, 32);
    world.image = other;
    REQUIRE(cl_fw_manifest(&dev.fw, world.manifest, world.manifest_len) == CL_OK, "manifest");
    run(STEPS_MAX);
    REQUIRE(!dev.reset && cl_fw_result(&dev.fw) == CL_RESULT_PAYLOAD, "another payload is refused");
}

/* A manifest that is right and an image whose header is not. */
static void forged_image(void)
{
    uint8_t before[2 * RIG_SLOT];

    factory();
    world.image.raw[460] ^= 1;
    manifest_make("1.1.0", "coap://s/fw");
    memcpy(before, rig.mem, sizeof before);
    REQUIRE(cl_fw_manifest(&dev.fw, world.manifest, world.manifest_len) == CL_OK, "manifest");
    /* flash that an erasure would change */
    memset(rig.mem, 0, RIG_SLOT);
    run(STEPS_MAX);
    REQUIRE(!dev.reset && cl_fw_result(&dev.fw) == CL_RESULT_SIGNATURE, "refused");
    REQUIRE(rig.mem[0] == 0 && rig.mem[RIG_SLOT - 1] == 0, "the slot was not erased for it");
}

START_TEST(payloads_are_checked)
{
    other_payload();
    forged_image();
    factory(); /* another version than the manifest says */
    rig_image_make(&world.image, V(1, 2), 1, BODY, 0);
    manifest_make("1.1.0", "coap://s/fw");
    send();
    run(STEPS_MAX);
    ck_assert_int_eq(cl_fw_result(&dev.fw), CL_RESULT_PAYLOAD);
    factory(); /* no image of ours */
    world.image.raw[0] = 'X';
    manifest_make("1.1.0", "coap://s/fw");
    send();
    run(STEPS_MAX);
    ck_assert_int_eq(cl_fw_result(&dev.fw), CL_RESULT_FORMAT);
    factory(); /* ends early */
    send();
    world.image.len -= 9;
    run(STEPS_MAX);
    ck_assert_int_eq(cl_fw_result(&dev.fw), CL_RESULT_PAYLOAD);
    factory(); /* does not end */
    send();
    world.image.len += 9;
    run(STEPS_MAX);
    ck_assert_int_eq(cl_fw_result(&dev.fw), CL_RESULT_PAYLOAD);
}
END_TEST

START_TEST(downloads_go_on_where_they_were)
{
    factory();
    send();
    world.give = SAVED + 76; /* then the network is gone for a while */
    world.fetched = CL_ERR_TIMEOUT;
    run(SAVED / BLOCK + 12);
    ck_assert_int_eq(cl_fw_state(&dev.fw), CL_FW_DOWNLOADING);
    world.give = 0;
    uint32_t before = world.served;
    run(STEPS_MAX);
    ck_assert(dev.reset);
    ck_assert_uint_eq(world.served, world.image.len);
    ck_assert_uint_gt(before, SAVED);
    /* and after a reset, from the sector that the store knows of */
    factory();
    send();
    world.give = SAVED + 476;
    world.fetched = CL_ERR_CLOSED;
    run(SAVED / BLOCK + 14);
    before = world.served;
    switch_on();
    ck_assert_int_eq(cl_fw_state(&dev.fw), CL_FW_DOWNLOADING);
    world.give = 0;
    cl_fw_registered(&dev.fw);
    run(STEPS_MAX);
    ck_assert(dev.reset);
    ck_assert_uint_le(world.served - before, world.image.len - SAVED);
}
END_TEST

START_TEST(report_that_never_arrives_delays_but_does_not_stop)
{
    factory();
    world.lost = true;
    send();
    run(STEPS_MAX);
    ck_assert_int_eq(cl_fw_state(&dev.fw), CL_FW_CHECKING);
    run(8 * CL_FW_NOTIFY_MS / 50);
    ck_assert(dev.reset);
    ck_assert_uint_ge(dev.now, 4 * CL_FW_NOTIFY_MS);
}
END_TEST

START_TEST(fetches_end_some_day)
{
    factory();
    send();
    world.give = 1;
    world.served = 1;
    world.fetched = CL_ERR_TIMEOUT;
    run(STEPS_MAX);
    ck_assert_int_eq(cl_fw_result(&dev.fw), CL_RESULT_FETCH);
    ck_assert_uint_gt(dev.now, 60000); /* not at once */
    factory();
    send();
    world.give = 1;
    world.served = 1;
    world.fetched = CL_ERR_REFUSED;
    run(20);
    ck_assert_int_eq(cl_fw_result(&dev.fw), CL_RESULT_FETCH);
    ck_assert_uint_lt(dev.now, 5000);
}
END_TEST

/* ---- consent ---- */

static void nothing_without_consent(void)
{
    factory();
    world.deaf = true;
    memset(rig.mem, 0, RIG_SLOT);
    REQUIRE(cl_fw_manifest(&dev.fw, world.manifest, world.manifest_len) == CL_OK, "manifest");
    run(50);
    REQUIRE(cl_fw_state(&dev.fw) == CL_FW_ASK_DOWNLOAD && world.asks == 1, "it waits");
    REQUIRE(rig.mem[0] == 0 && world.served == 0, "nothing happened so far");
    REQUIRE(cl_fw_authorise(&dev.fw, CL_FW_INSTALL, true) == CL_ERR_STATE, "not that one");
    REQUIRE(cl_fw_authorise(&dev.fw, CL_FW_DOWNLOAD, true) == CL_OK, "now");
    REQUIRE(cl_fw_authorise(&dev.fw, CL_FW_DOWNLOAD, true) == CL_ERR_STATE, "once");
    run(100);
    REQUIRE(cl_fw_state(&dev.fw) == CL_FW_ASK_INSTALL && world.asks == 2, "it waits again");
    REQUIRE(!dev.reset, "and does not install");
    switch_on(); /* a reset in between does not count as consent */
    cl_fw_registered(&dev.fw);
    REQUIRE(dev.boot.act == CL_BOOT_NONE, "the old program runs");
    run(50);
    REQUIRE(cl_fw_state(&dev.fw) == CL_FW_ASK_INSTALL && world.asks == 3, "it asks again");
    REQUIRE(cl_fw_authorise(&dev.fw, CL_FW_INSTALL, true) == CL_OK, "now");
    run(50);
    REQUIRE(dev.reset, "installed");
}

START_TEST(application_decides)
{
    nothing_without_consent();
    factory();
    world.say = CL_FW_NO;
    send();
    run(20);
    ck_assert_int_eq(cl_fw_result(&dev.fw), CL_RESULT_DOWNLOAD_DENIED);
    factory();
    world.deaf = true;
    send();
    run(20);
    ck_assert_int_eq(cl_fw_authorise(&dev.fw, CL_FW_DOWNLOAD, true), CL_OK);
    run(100);
    ck_assert_int_eq(cl_fw_authorise(&dev.fw, CL_FW_INSTALL, false), CL_OK);
    run(20);
    ck_assert_int_eq(cl_fw_result(&dev.fw), CL_RESULT_INSTALL_DENIED);
    ck_assert_int_eq(cl_fw_state(&dev.fw), CL_FW_IDLE);
}
END_TEST

START_TEST(second_manifest_is_dropped)
{
    factory();
    world.deaf = true;
    send();
    run(20);
    ck_assert_int_eq(cl_fw_manifest(&dev.fw, (const uint8_t *)"junk", 4), CL_OK);
    ck_assert_int_eq(cl_fw_package_uri(&dev.fw, "coap://s/fw", 11), CL_ERR_STATE);
    ck_assert_int_eq(cl_fw_package(&dev.fw, 0, world.image.raw, 100, false), CL_ERR_STATE);
    ck_assert_int_eq(cl_fw_package_uri(&dev.fw, "", 0), CL_ERR_STATE);
    run(20);
    ck_assert_int_eq(cl_fw_state(&dev.fw), CL_FW_ASK_DOWNLOAD);
    ck_assert_int_eq(cl_fw_result(&dev.fw), -1);
    ck_assert_int_eq(cl_fw_state5(&dev.fw), 0);
    uint8_t big[CL_MANIFEST_MAX + 1] = {0};
    factory();
    ck_assert_int_eq(cl_fw_manifest(&dev.fw, big, sizeof big), CL_ERR_SPACE);
    ck_assert_int_eq(cl_fw_manifest(&dev.fw, big, 0), CL_ERR_INVAL);
}
END_TEST

/* ---- downgrade ---- */

START_TEST(authorised_downgrade_keeps_the_manifests_name)
{
    factory();
    rig_image_make(&world.image, V(0, 5), 1, BODY, CL_HEADER_DOWNGRADE);
    manifest_make("1.2.0", "coap://s/fw");
    send();
    run(STEPS_MAX);
    ck_assert(dev.reset);
    switch_on();
    ck_assert_uint_eq(cl_fw_version(&dev.fw), V(1, 2));
    cl_fw_registered(&dev.fw);
    run(10);
    /* not the way back to a manifest that was replaced */
    world.old = V(1, 2);
    rig_image_make(&world.image, V(1, 1), 1, BODY, 0);
    manifest_make("1.1.0", "coap://s/fw");
    send();
    run(STEPS_MAX);
    ck_assert_int_eq(cl_fw_result(&dev.fw), CL_RESULT_VERSION);
    /* without the signer's leave */
    factory();
    rig_image_make(&world.image, V(0, 5), 1, BODY, 0);
    manifest_make("1.2.0", "coap://s/fw");
    send();
    run(STEPS_MAX);
    ck_assert_int_eq(cl_fw_result(&dev.fw), CL_RESULT_PAYLOAD);
}
END_TEST

START_TEST(security_counter_never_goes_back)
{
    factory();
    rig_image_make(&world.image, V(1, 1), 7, BODY, 0);
    manifest_make("1.1.0", "coap://s/fw");
    send();
    run(STEPS_MAX);
    switch_on();
    cl_fw_registered(&dev.fw);
    run(10);
    /* the very next update, without a restart in between */
    rig_image_make(&world.image, V(1, 2), 6, BODY, 0);
    manifest_make("1.2.0", "coap://s/fw");
    send();
    run(STEPS_MAX);
    ck_assert_int_eq(cl_fw_result(&dev.fw), CL_RESULT_VERSION);
    ck_assert(!dev.reset);
    rig_image_make(&world.image, V(1, 2), 7, BODY, 0);
    manifest_make("1.2.0", "coap://s/fw");
    send();
    run(STEPS_MAX);
    ck_assert(dev.reset);
}
END_TEST

/* ---- object 5 ---- */

START_TEST(package_is_pushed)
{
    static const int want[][2] = {{53, 1}, {53, 2}, {53, 3}, {53, 3}};
    static const int after[][2] = {{53, 0}, {55, 1}};

    factory();
    ck_assert_int_eq(cl_fw_update(&dev.fw), CL_ERR_DENIED);
    ck_assert_int_eq(push(world.image.raw, world.image.len), CL_OK);
    run(10);
    ck_assert_int_eq(cl_fw_state5(&dev.fw), 2);
    ck_assert_int_eq(cl_fw_state(&dev.fw), 1);
    ck_assert_uint_eq(cl_fw_package_version(&dev.fw), V(1, 1));
    switch_on(); /* it waits across a reset */
    cl_fw_registered(&dev.fw);
    run(10);
    ck_assert_int_eq(cl_fw_state5(&dev.fw), 2);
    ck_assert_int_eq(cl_fw_update(&dev.fw), CL_OK);
    run(10);
    ck_assert(dev.reset);
    is_told(want, 4);
    world.notes = 0;
    switch_on();
    ck_assert_int_eq(cl_fw_state5(&dev.fw), 3);
    cl_fw_registered(&dev.fw);
    run(10);
    is_told(after, 2);
    ck_assert_int_eq(cl_fw_result5(&dev.fw), 1);
    ck_assert_uint_eq(cl_fw_package_version(&dev.fw), V(1, 1));
    switch_on();
    ck_assert_int_eq(cl_fw_result5(&dev.fw), 1);
}
END_TEST

START_TEST(manifest_before_a_pushed_image_counts)
{
    uint8_t both[CL_MANIFEST_MAX + RIG_IMAGE_MAX];

    factory();
    memcpy(both, world.manifest, world.manifest_len);
    memcpy(both + world.manifest_len, world.image.raw, world.image.len);
    ck_assert_int_eq(push(both, world.manifest_len + world.image.len), CL_OK);
    ck_assert_int_eq(cl_fw_state5(&dev.fw), 2);
    factory();
    both[world.manifest_len - 1] ^= 1;
    ck_assert_int_eq(push(both, world.manifest_len + world.image.len), CL_ERR_INVAL);
    run(10);
    ck_assert_int_eq(cl_fw_result5(&dev.fw), 5);
    ck_assert_int_eq(cl_fw_state5(&dev.fw), 0);
    both[world.manifest_len - 1] ^= 1;
    both[world.manifest_len + world.image.len - 1] ^= 1;
    factory();
    ck_assert_int_eq(push(both, world.manifest_len + world.image.len), CL_ERR_INVAL);
    run(10);
    ck_assert_int_eq(cl_fw_result5(&dev.fw), 5);
}
END_TEST

START_TEST(bad_packages_are_refused)
{
    static const uint8_t zero;

    factory();
    world.image.raw[460] ^= 1;
    ck_assert_int_eq(push(world.image.raw, world.image.len), CL_ERR_AUTH);
    run(10);
    ck_assert_int_eq(cl_fw_result5(&dev.fw), 5);
    ck_assert_int_eq(push((const uint8_t *)"hello", 5), CL_ERR_INVAL);
    run(10);
    ck_assert_int_eq(cl_fw_result5(&dev.fw), 5);
    /* a part is missing */
    rig_image_make(&world.image, V(1, 1), 1, BODY, 0);
    ck_assert_int_eq(cl_fw_package(&dev.fw, 0, world.image.raw, 500, false), CL_OK);
    ck_assert_int_eq(cl_fw_package(&dev.fw, 600, world.image.raw + 600, 100, false), CL_ERR_STATE);
    /* it starts again */
    ck_assert_int_eq(push(world.image.raw, world.image.len), CL_OK);
    ck_assert_int_eq(cl_fw_state5(&dev.fw), 2);
    ck_assert_int_eq(cl_fw_result5(&dev.fw), 0);
    /* and the server forgets it */
    ck_assert_int_eq(cl_fw_package(&dev.fw, 0, &zero, 1, true), CL_OK);
    ck_assert_int_eq(cl_fw_state5(&dev.fw), 0);
    ck_assert_int_eq(cl_fw_update(&dev.fw), CL_ERR_DENIED);
    /* power goes in the middle of a push */
    ck_assert_int_eq(cl_fw_package(&dev.fw, 0, world.image.raw, 1000, false), CL_OK);
    switch_on();
    cl_fw_registered(&dev.fw);
    run(10);
    ck_assert_int_eq(cl_fw_state5(&dev.fw), 0);
    ck_assert_int_eq(cl_fw_result5(&dev.fw), 4);
}
END_TEST

START_TEST(package_is_pulled)
{
    char far[CL_PAYLOAD_URI_MAX + 2] = "coap://";

    factory();
    ck_assert_int_eq(cl_fw_package_uri(&dev.fw, "coap://s/fw", 11), CL_OK);
    ck_assert_int_eq(cl_fw_state5(&dev.fw), 1);
    world.give = SAVED + 176;
    world.fetched = CL_ERR_TIMEOUT;
    run(SAVED / BLOCK + 12);
    switch_on();
    world.give = 0;
    cl_fw_registered(&dev.fw);
    run(100);
    ck_assert_int_eq(cl_fw_state5(&dev.fw), 2);
    ck_assert_uint_lt(world.served, world.image.len + 300);
    ck_assert_int_eq(cl_fw_update(&dev.fw), CL_OK);
    run(10);
    ck_assert(dev.reset);
    factory();
    ck_assert_int_eq(cl_fw_package_uri(&dev.fw, "ftp://s/fw", 10), CL_OK);
    run(20);
    ck_assert_int_eq(cl_fw_result5(&dev.fw), 9);
    ck_assert_int_eq(cl_fw_package_uri(&dev.fw, far, sizeof far), CL_ERR_SPACE);
    ck_assert_int_eq(cl_fw_package_uri(&dev.fw, "", 0), CL_OK);
    ck_assert_int_eq(cl_fw_result5(&dev.fw), 0);
    /* the server changes its mind in the middle */
    ck_assert_int_eq(cl_fw_package_uri(&dev.fw, "coap://s/fw", 11), CL_OK);
    run(8);
    ck_assert_int_eq(cl_fw_state5(&dev.fw), 1);
    ck_assert_int_eq(cl_fw_package_uri(&dev.fw, "", 0), CL_OK);
    run(20);
    ck_assert_int_eq(cl_fw_state5(&dev.fw), 0);
    ck_assert(!dev.fetching);
}
END_TEST

static const struct {
    enum cl_rule rule;
    void (*scenario)(void);
} mutants[] = {
    {CL_RULE_MANIFEST_SIGNATURE, forged_manifest},
    {CL_RULE_BEFORE_ERASE, forged_image},
    {CL_RULE_SIGNATURE, forged_image},
    {CL_RULE_PAYLOAD_DIGEST, other_payload},
    {CL_RULE_CONFIRM_LATE, bad_update},
    {CL_RULE_RESUME_ERASE, good_update},
    {CL_RULE_AUTHORISE, nothing_without_consent},
    {CL_RULE_HEADER_LAST, good_update},
    {CL_RULE_TORN_CONFIRM, good_update},
    {CL_RULE_TRIES, bad_update},
    {CL_RULE_STORE_TAIL, good_update},
};

START_TEST(each_rule_is_needed)
{
    ck_assert_msg(rig_turns_red(mutants[_i].rule, mutants[_i].scenario), "rule %d",
                  mutants[_i].rule);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client update");
    TCase *tc = add_case(suite, "cuts");

    tcase_set_timeout(tc, 600);
    tcase_add_loop_test(tc, every_cut_ends_well, 0, sizeof cut_cases / sizeof *cut_cases);
    tc = add_case(suite, "reports");
    tcase_add_test(tc, states_are_told_in_order);
    tcase_add_test(tc, refusals_are_told_and_erase_nothing);
    tcase_add_test(tc, payloads_are_checked);
    tcase_add_test(tc, downloads_go_on_where_they_were);
    tcase_add_test(tc, report_that_never_arrives_delays_but_does_not_stop);
    tcase_add_test(tc, fetches_end_some_day);
    tcase_add_test(tc, application_decides);
    tcase_add_test(tc, second_manifest_is_dropped);
    tcase_add_test(tc, authorised_downgrade_keeps_the_manifests_name);
    tcase_add_test(tc, security_counter_never_goes_back);
    tc = add_case(suite, "object 5");
    tcase_add_test(tc, package_is_pushed);
    tcase_add_test(tc, manifest_before_a_pushed_image_counts);
    tcase_add_test(tc, bad_packages_are_refused);
    tcase_add_test(tc, package_is_pulled);
    tc = add_case(suite, "rules");
    tcase_set_timeout(tc, 600);
    if (RIG_SECTOR == 512) { /* every single write is cut there */
        tcase_add_loop_test(tc, each_rule_is_needed, 0, sizeof mutants / sizeof *mutants);
    }
    return run_suite(suite);
}
