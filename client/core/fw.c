/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In the store, little endian, under keys of our own:
 *   STATE   1 | origin | state | slot | result | result5 | 0 | 0 | done u32 | size u32 | version
 * u32 | priority u32 | digest, 32 e.g. an idle device that failed with 23: 01 01 01 01 17 05 00 00
 * ... SOURCE  the manifest, or the URI of a pull; written before the state that needs it HEADER 512
 * bytes of the image that is being received; written before the first "done" LABEL n digest, 32 |
 * version u32: what a manifest calls the image in slot n
 */
#include "client/core/fw.h"

#define KEY_STATE  (CL_KEY_OWN | 0x465701)
#define KEY_SOURCE (CL_KEY_OWN | 0x465702)
#define KEY_HEADER (CL_KEY_OWN | 0x465703)
#define KEY_LABEL  (CL_KEY_OWN | 0x465710) /* + slot */

#define STATE_LEN  56
#define STATE_FORM 1
#define LABEL_LEN  (CL_HASH_LEN + 4)

#define POLL_MS      50
#define RETRY_MS     1000
#define RETRY_MAX_MS 60000

enum { OBJ_FIRMWARE = 5, OBJ_COMPONENT = 14, OBJ_UPDATE = 10252 };

/* ---- what the store keeps ---- */

static cl_err_t save(struct cl_fw *fw)
{
    uint8_t raw[STATE_LEN] = {STATE_FORM,     fw->saved.origin, fw->saved.state,
                              fw->saved.slot, fw->saved.result, fw->saved.result5};

    cl_put32(raw + 8, fw->saved.done);
    cl_put32(raw + 12, fw->saved.size);
    cl_put32(raw + 16, fw->saved.version);
    cl_put32(raw + 20, fw->saved.priority);
    memcpy(raw + 24, fw->saved.digest, CL_HASH_LEN);
    return cl_kvs_set(fw->conf.kvs, KEY_STATE, raw, sizeof raw, 0);
}

static cl_err_t load(struct cl_fw *fw)
{
    uint8_t raw[STATE_LEN] = {0};
    size_t len = 0;
    cl_err_t err = cl_kvs_get(fw->conf.kvs, KEY_STATE, raw, sizeof raw, &len, NULL);

    fw->saved = (struct cl_fw_saved){.state = CL_FW_IDLE};
    if (err == CL_ERR_NOENT || (err == CL_OK && (len != sizeof raw || raw[0] != STATE_FORM))) {
        return CL_OK; /* a new device, or another program's */
    }
    if (err != CL_OK) {
        return err;
    }
    fw->saved = (struct cl_fw_saved){.origin = raw[1],
                                     .state = raw[2],
                                     .slot = raw[3],
                                     .result = raw[4],
                                     .result5 = raw[5],
                                     .done = cl_get32(raw + 8),
                                     .size = cl_get32(raw + 12),
                                     .version = cl_get32(raw + 16),
                                     .priority = cl_get32(raw + 20)};
    memcpy(fw->saved.digest, raw + 24, CL_HASH_LEN);
    err =
        cl_kvs_get(fw->conf.kvs, KEY_SOURCE, fw->source, sizeof fw->source, &fw->source_len, NULL);
    return err == CL_ERR_NOENT ? CL_OK : err;
}

/* What runs: its header's version, or what the manifest of an authorised downgrade called it. */
static void learn_version(struct cl_fw *fw, const struct cl_slot_state *running)
{
    uint8_t label[LABEL_LEN];
    size_t len = 0;

    fw->version = running->header.version;
    if (cl_kvs_get(fw->conf.kvs, KEY_LABEL + (uint64_t)fw->conf.boot.slot, label, sizeof label,
                   &len, NULL) == CL_OK &&
        len == sizeof label && memcmp(label, running->header.digest, CL_HASH_LEN) == 0) {
        fw->version = cl_get32(label + CL_HASH_LEN);
    }
}

static int target_slot(const struct cl_fw *fw)
{
    return fw->conf.boot.slot == CL_SLOT_NONE ? 0 : 1 - fw->conf.boot.slot;
}

/* ---- states and what is told of them ---- */

/* Does the image run that was being installed? */
static bool arrived(const struct cl_fw *fw)
{
    return fw->saved.state >= CL_FW_INSTALLING && fw->saved.slot == fw->conf.boot.slot;
}

static bool by_manifest(const struct cl_fw *fw)
{
    return fw->saved.origin == CL_FW_MANIFEST;
}

static void tell_state(struct cl_fw *fw)
{
    if (by_manifest(fw)) {
        fw->ops->changed(fw->ops->ctx, OBJ_UPDATE, 0, 2);
    } else {
        fw->ops->changed(fw->ops->ctx, OBJ_FIRMWARE, 0, 3);
    }
}

static bool told(const struct cl_fw *fw)
{
    void *ctx = fw->ops->ctx;
    bool unsent =
        by_manifest(fw)
            ? fw->ops->unsent(ctx, OBJ_UPDATE, 0, 2) || fw->ops->unsent(ctx, OBJ_UPDATE, 0, 3)
            : fw->ops->unsent(ctx, OBJ_FIRMWARE, 0, 3) || fw->ops->unsent(ctx, OBJ_FIRMWARE, 0, 5);

    return !unsent || fw->now_ms >= fw->wait_due_ms;
}

static uint8_t as_result5(enum cl_result res)
{
    switch (res) {
    case CL_RESULT_SPACE:
        return 2;
    case CL_RESULT_FETCH:
        return 4;
    case CL_RESULT_SIGNATURE:
    case CL_RESULT_PAYLOAD:
    case CL_RESULT_CRYPTO:
        return 5;
    case CL_RESULT_MALFORMED:
    case CL_RESULT_FORMAT:
    case CL_RESULT_SCHEMA:
        return 6;
    case CL_RESULT_URI:
        return 7;
    default:
        return 8;
    }
}

static void fail_as(struct cl_fw *fw, enum cl_result res, uint8_t result5);

static void fail(struct cl_fw *fw, enum cl_result res)
{
    fail_as(fw, res, as_result5(res));
}

static void tell_result(struct cl_fw *fw)
{
    if (by_manifest(fw)) {
        fw->ops->changed(fw->ops->ctx, OBJ_UPDATE, 0, 3);
    } else {
        fw->ops->changed(fw->ops->ctx, OBJ_FIRMWARE, 0, 5);
    }
}

/* The new state is in the store before anyone sees it. */
static void enter(struct cl_fw *fw, enum cl_fw_state state)
{
    fw->saved.state = (uint8_t)state;
    fw->asked = fw->agreed = false;
    fw->wait_due_ms = fw->now_ms + CL_FW_NOTIFY_MS;
    if (save(fw) != CL_OK && state != CL_FW_IDLE) {
        fail(fw, CL_RESULT_WRITE);
        return;
    }
    if (state != CL_FW_CHECKING) {
        tell_state(fw);
    }
    fw->ops->kick(fw->ops->ctx);
}

/* The result goes out first, the idle state once that has arrived. */
static void fail_as(struct cl_fw *fw, enum cl_result res, uint8_t result5)
{
    fw->failing = true;
    fw->saved.result = (uint8_t)res;
    fw->saved.result5 = result5;
    fw->saved.done = 0;
    fw->begun = false;
    fw->wait_due_ms = fw->now_ms + CL_FW_NOTIFY_MS;
    if (fw->fetching) {
        fw->ops->fetch_stop(fw->ops->ctx);
    }
    tell_result(fw);
    /* a cut before the idle state is stored must not begin anew */
    uint8_t shown = fw->saved.state;
    fw->saved.state = CL_FW_IDLE;
    (void)save(fw); /* at worst the update is tried and refused once more */
    fw->saved.state = shown;
    fw->ops->kick(fw->ops->ctx);
}

static void succeed(struct cl_fw *fw)
{
    bool manifest = by_manifest(fw);

    fw->saved.result = CL_RESULT_OK;
    fw->saved.result5 = manifest ? 0 : 1;
    enter(fw, CL_FW_IDLE);
    if (!manifest) {
        fw->ops->changed(fw->ops->ctx, OBJ_FIRMWARE, 0, 5);
    }
    fw->ops->changed(fw->ops->ctx, OBJ_COMPONENT, 0, 2);
}

static void begin(struct cl_fw *fw, enum cl_fw_origin origin)
{
    fw->saved = (struct cl_fw_saved){
        .origin = (uint8_t)origin, .state = CL_FW_IDLE, .slot = (uint8_t)target_slot(fw)};
    fw->failures = 0;
    fw->begun = fw->got_bytes = false;
    fw->retry_at_ms = 0;
}

static bool busy(const struct cl_fw *fw)
{
    return fw->saved.state != CL_FW_IDLE || fw->failing || fw->trial;
}

/* ---- start ---- */

/* The store says that an installation was on its way. Which image runs tells how it went. */
static void take_up_installation(struct cl_fw *fw, const struct cl_slot_state slots[CL_SLOTS])
{
    int slot = fw->saved.slot < CL_SLOTS ? fw->saved.slot : 0;
    const struct cl_slot_state *s = &slots[slot];
    bool same = s->valid && memcmp(s->header.digest, fw->saved.digest, CL_HASH_LEN) == 0;

    if (slot == fw->conf.boot.slot && same) {
        return; /* done: it is said once this has registered */
    }
    if (same && s->rejected) {
        fail(fw, CL_RESULT_INSTALL);
    } else if (!same || s->pending || slot != target_slot(fw)) {
        fw->saved.done = 0; /* torn: all of it again */
        fw->saved.slot = (uint8_t)target_slot(fw);
        fw->saved.state = CL_FW_DOWNLOADING;
    }
}

static void take_up(struct cl_fw *fw, const struct cl_slot_state slots[CL_SLOTS])
{
    switch (fw->saved.state) {
    case CL_FW_CHECKING:
        return;
    case CL_FW_INSTALLING:
    case CL_FW_REBOOTING:
        take_up_installation(fw, slots);
        break;
    case CL_FW_ASK_INSTALL: {
        const struct cl_slot_state *s = &slots[target_slot(fw)];
        if (fw->saved.slot != target_slot(fw) || !s->valid ||
            memcmp(s->header.digest, fw->saved.digest, CL_HASH_LEN) != 0) {
            fw->saved.done = 0;
            fw->saved.slot = (uint8_t)target_slot(fw);
            fw->saved.state = CL_FW_DOWNLOADING;
        }
        break;
    }
    case CL_FW_ASK_DOWNLOAD:
    case CL_FW_DOWNLOADING:
        break;
    default:
        fw->saved.state = CL_FW_IDLE;
        return;
    }
    if (fw->saved.origin == CL_FW_PUSH && fw->saved.state == CL_FW_DOWNLOADING) {
        fail(fw, CL_RESULT_FETCH); /* the server has to send it again */
    }
}

/* A manifest out of the store, checked again: the store is not what is trusted. */
static enum cl_result check_manifest(struct cl_fw *fw)
{
    static const char *const names[] = {"MAIN"};
    struct cl_manifest_means means = {.trust = fw->conf.trust,
                                      .components = names,
                                      .versions = &fw->version,
                                      .component_count = 1};

    memcpy(means.vendor, fw->conf.vendor, CL_UUID_LEN);
    memcpy(means.class_id, fw->conf.class_id, CL_UUID_LEN);
    enum cl_result res = cl_manifest_check(fw->source, fw->source_len, &means, &fw->manifest);
    if (res == CL_RESULT_OK && fw->manifest.size > fw->conf.lay->slot_size - fw->conf.lay->sector) {
        res = CL_RESULT_SPACE;
    }
    return res;
}

cl_err_t cl_fw_init(struct cl_fw *fw, const struct cl_fw_config *conf, const struct cl_fw_ops *ops)
{
    struct cl_slot_state slots[CL_SLOTS];

    *fw = (struct cl_fw){.conf = *conf, .ops = ops};
    for (int i = 0; i < CL_SLOTS; i++) {
        cl_slot_read(conf->lay, conf->trust, i, &slots[i]);
    }
    fw->version = conf->built_in;
    fw->floor = cl_boot_floor(slots, hal_counter_get());
    if (conf->boot.slot != CL_SLOT_NONE) {
        learn_version(fw, &slots[conf->boot.slot]);
    }
    cl_err_t err = load(fw);
    if (err != CL_OK) {
        return err;
    }
    fw->trial = conf->boot.act == CL_BOOT_TRIAL;
    if (fw->trial && !CL_RULE(CL_RULE_CONFIRM_LATE)) {
        fw->trial = cl_boot_confirm(conf->lay, conf->trust, &conf->boot) != CL_OK;
    }
    take_up(fw, slots);
    if (by_manifest(fw) && fw->saved.state >= CL_FW_ASK_DOWNLOAD && !arrived(fw) && !fw->failing) {
        enum cl_result res = check_manifest(fw);
        if (res != CL_RESULT_OK) {
            fail(fw, res);
        }
    }
    return CL_OK;
}

void cl_fw_registered(struct cl_fw *fw)
{
    struct cl_boot boot = fw->conf.boot;

    fw->registered = true;
    fw->retry_at_ms = 0;
    fw->wait_due_ms = fw->now_ms + CL_FW_NOTIFY_MS;
    if (fw->failing) {
        tell_result(fw); /* nobody may have heard of it yet */
    }
    if (fw->trial) {
        if (cl_boot_confirm(fw->conf.lay, fw->conf.trust, &boot) != CL_OK) {
            fw->ops->reset(fw->ops->ctx); /* the next try, if there is one */
            return;
        }
        fw->trial = false;
        fw->conf.boot.act = CL_BOOT_RUN;
    }
    if (!fw->failing && arrived(fw)) {
        succeed(fw);
    }
    fw->ops->kick(fw->ops->ctx);
}

void cl_fw_lost(struct cl_fw *fw)
{
    fw->registered = false;
}

/* ---- download ---- */

static enum cl_result result_of(cl_err_t err)
{
    switch (err) {
    case CL_OK:
        return CL_RESULT_OK;
    case CL_ERR_AUTH:
        return CL_RESULT_SIGNATURE;
    case CL_ERR_OLD:
        return CL_RESULT_VERSION;
    case CL_ERR_SPACE:
        return CL_RESULT_SPACE;
    case CL_ERR_INVAL:
        return CL_RESULT_FORMAT;
    case CL_ERR_REFUSED:
        return CL_RESULT_PAYLOAD;
    default:
        return CL_RESULT_WRITE;
    }
}

static void inst_begin(struct cl_fw *fw)
{
    cl_install_begin(&fw->inst, fw->conf.lay, fw->saved.slot);
    fw->inst.want_len = fw->saved.size;
    fw->inst.want_version = fw->saved.size != 0 ? fw->saved.version : 0;
    fw->begun = true;
}

/* From the first byte: the store must not say that some are there while they are erased. */
static cl_err_t start_over(struct cl_fw *fw)
{
    fw->saved.done = 0;
    fw->begun = false;
    return save(fw);
}

/* Go on behind what the store says is there, or from the start. */
static cl_err_t inst_take_up(struct cl_fw *fw)
{
    uint8_t raw[CL_HEADER_LEN];
    size_t len = 0;

    inst_begin(fw);
    if (fw->saved.done == 0) {
        return CL_OK;
    }
    if (cl_kvs_get(fw->conf.kvs, KEY_HEADER, raw, sizeof raw, &len, NULL) != CL_OK ||
        len != sizeof raw ||
        cl_install_resume(&fw->inst, fw->conf.trust, fw->floor, fw->version, raw, fw->saved.done) !=
            CL_OK) {
        cl_err_t err = start_over(fw);
        inst_begin(fw);
        return err;
    }
    return CL_OK;
}

/* From time to time the store learns how far it is. */
static cl_err_t note_progress(struct cl_fw *fw)
{
    uint32_t sector = fw->conf.lay->sector, done = fw->inst.done / sector * sector;

    if (fw->saved.origin == CL_FW_PUSH || fw->inst.done < CL_HEADER_LEN ||
        done < fw->saved.done + CL_FW_SAVE_SECTORS * sector) {
        return CL_OK;
    }
    cl_err_t err = CL_OK;
    if (fw->saved.done == 0) {
        err = cl_kvs_set(fw->conf.kvs, KEY_HEADER, fw->inst.raw, CL_HEADER_LEN, 0);
    }
    if (err == CL_OK) {
        fw->saved.done = done;
        err = save(fw);
    }
    return err;
}

static cl_err_t take_bytes(struct cl_fw *fw, const uint8_t *data, size_t len)
{
    cl_err_t err = cl_install_write(&fw->inst, fw->conf.trust, fw->floor, fw->version, data, len);

    if (err == CL_ERR_SPACE && fw->inst.erased) {
        err = CL_ERR_REFUSED; /* more than the header says */
    }
    if (err == CL_OK) {
        err = note_progress(fw);
    }
    if (err != CL_OK) {
        fail(fw, result_of(err));
    }
    return err;
}

cl_err_t cl_fw_data(struct cl_fw *fw, uint32_t offset, const uint8_t *data, size_t len)
{
    if (fw->saved.state != CL_FW_DOWNLOADING || fw->failing || !fw->fetching ||
        offset != fw->inst.done) {
        return CL_ERR_STATE;
    }
    fw->got_bytes = fw->got_bytes || len > 0;
    return take_bytes(fw, data, len);
}

/* The image is in flash; is it the one that was signed? Then it gets its header. */
static enum cl_result seal(struct cl_fw *fw)
{
    uint8_t digest[CL_HASH_LEN];

    if (cl_install_digest(&fw->inst, digest) != CL_OK) {
        return CL_RESULT_PAYLOAD; /* too short */
    }
    if (fw->saved.size != 0 && memcmp(digest, fw->manifest.digest, CL_HASH_LEN) != 0 &&
        CL_RULE(CL_RULE_PAYLOAD_DIGEST)) {
        return CL_RESULT_PAYLOAD;
    }
    memcpy(fw->saved.digest, fw->inst.header.digest, CL_HASH_LEN);
    if (fw->saved.size == 0) {
        fw->saved.version = fw->inst.header.version;
    }
    cl_err_t err = CL_OK;
    if (fw->saved.version != fw->inst.header.version) { /* a downgrade keeps its manifest's name */
        uint8_t label[LABEL_LEN];
        memcpy(label, fw->saved.digest, CL_HASH_LEN);
        cl_put32(label + CL_HASH_LEN, fw->saved.version);
        err =
            cl_kvs_set(fw->conf.kvs, KEY_LABEL + (uint64_t)fw->saved.slot, label, sizeof label, 0);
    }
    if (err == CL_OK) {
        err = cl_install_finish(&fw->inst);
    }
    return err == CL_ERR_AUTH ? CL_RESULT_PAYLOAD : result_of(err);
}

static void downloaded(struct cl_fw *fw)
{
    enum cl_result res = seal(fw);

    fw->begun = false;
    if (res != CL_RESULT_OK) {
        fail(fw, res);
    } else {
        enter(fw, CL_FW_ASK_INSTALL);
    }
}

void cl_fw_fetched(struct cl_fw *fw, cl_err_t err)
{
    fw->fetching = false;
    fw->ops->kick(fw->ops->ctx);
    if (fw->failing || fw->saved.state != CL_FW_DOWNLOADING) {
        return;
    }
    if (err == CL_OK) {
        if (fw->got_bytes) {
            downloaded(fw);
        } else {
            fail(fw, CL_RESULT_FETCH); /* it ended where we are and that is not the end */
        }
        return;
    }
    if (err == CL_ERR_STATE && start_over(fw) != CL_OK) { /* another payload now */
        fail(fw, CL_RESULT_WRITE);
        return;
    }
    fw->failures = fw->got_bytes ? 1 : (uint8_t)(fw->failures + 1);
    if (err == CL_ERR_REFUSED || fw->failures >= CL_FW_FETCHES_MAX) {
        fail(fw, CL_RESULT_FETCH);
        return;
    }
    uint32_t wait = fw->failures < 7 ? RETRY_MS << (fw->failures - 1) : RETRY_MAX_MS;
    fw->retry_at_ms = fw->now_ms + wait;
}

static uint32_t fetch(struct cl_fw *fw)
{
    if (fw->fetching || !fw->registered) {
        return CL_FW_NEVER;
    }
    if (fw->retry_at_ms > fw->now_ms) {
        return (uint32_t)(fw->retry_at_ms - fw->now_ms);
    }
    if (!fw->begun && inst_take_up(fw) != CL_OK) {
        fail(fw, CL_RESULT_WRITE);
        return 0;
    }
    if (fw->inst.erased && fw->inst.done == CL_HEADER_LEN + fw->inst.header.body_len) {
        downloaded(fw); /* the reset came just before the end */
        return 0;
    }
    const char *uri = by_manifest(fw) ? fw->manifest.uri : (const char *)fw->source;
    size_t uri_len = by_manifest(fw) ? fw->manifest.uri_len : fw->source_len;
    fw->got_bytes = false;
    fw->fetching = true;
    cl_err_t err = fw->ops->fetch(fw->ops->ctx, uri, uri_len, fw->inst.done);
    if (err == CL_OK) {
        return CL_FW_NEVER;
    }
    fw->fetching = false;
    if (err == CL_ERR_INVAL || err == CL_ERR_FORMAT) {
        fail_as(fw, CL_RESULT_URI, err == CL_ERR_FORMAT ? 9 : 7);
        return 0;
    }
    fw->retry_at_ms = fw->now_ms + RETRY_MS;
    return RETRY_MS;
}

/* ---- in ---- */

cl_err_t cl_fw_manifest(struct cl_fw *fw, const uint8_t *in, size_t len)
{
    if (busy(fw)) {
        return CL_OK;
    }
    if (len > CL_MANIFEST_MAX) {
        return CL_ERR_SPACE;
    }
    if (len == 0) {
        return CL_ERR_INVAL;
    }
    begin(fw, CL_FW_MANIFEST);
    memcpy(fw->source, in, len);
    fw->source_len = len;
    cl_err_t err = cl_kvs_set(fw->conf.kvs, KEY_SOURCE, in, len, 0);
    if (err == CL_OK) {
        fw->saved.state = CL_FW_CHECKING;
        err = save(fw);
    }
    if (err != CL_OK) {
        fw->saved.state = CL_FW_IDLE;
        return CL_ERR_IO;
    }
    fw->ops->kick(fw->ops->ctx);
    return CL_OK;
}

/* The server wants nothing of it any more. */
static cl_err_t forget(struct cl_fw *fw)
{
    if (by_manifest(fw) && busy(fw)) {
        return CL_ERR_STATE;
    }
    if (fw->saved.state >= CL_FW_INSTALLING) {
        return CL_ERR_STATE;
    }
    if (fw->fetching) {
        fw->ops->fetch_stop(fw->ops->ctx);
    }
    begin(fw, CL_FW_NOTHING);
    fw->failing = false;
    enter(fw, CL_FW_IDLE);
    fw->ops->changed(fw->ops->ctx, OBJ_FIRMWARE, 0, 5);
    return CL_OK;
}

/* Length of the manifest before a pushed image: all of it is in the first part. */
static enum cl_result push_manifest(struct cl_fw *fw, const uint8_t *in, size_t len)
{
    if (len < 4 || in[0] != 0x30) {
        return CL_RESULT_OK; /* an image by itself */
    }
    size_t whole = in[1] == 0x82   ? 4 + ((size_t)in[2] << 8 | in[3])
                   : in[1] == 0x81 ? 3 + (size_t)in[2]
                                   : 2 + (size_t)in[1];
    if (whole > len || whole > CL_MANIFEST_MAX) {
        return CL_RESULT_MALFORMED;
    }
    memcpy(fw->source, in, whole);
    fw->source_len = whole;
    enum cl_result res = check_manifest(fw);
    if (res == CL_RESULT_OK) {
        fw->saved.size = fw->manifest.size;
        fw->saved.version = fw->manifest.version;
        fw->push_skip = (uint32_t)whole;
    }
    return res;
}

static cl_err_t push_begin(struct cl_fw *fw, const uint8_t *in, size_t len)
{
    if (busy(fw) &&
        !(fw->saved.origin == CL_FW_PUSH && fw->saved.state == CL_FW_DOWNLOADING && !fw->failing)) {
        return CL_ERR_STATE;
    }
    begin(fw, CL_FW_PUSH);
    fw->part_end = 0;
    fw->push_skip = 0;
    enter(fw, CL_FW_DOWNLOADING);
    if (fw->failing) {
        return CL_ERR_IO;
    }
    enum cl_result res = push_manifest(fw, in, len);
    if (res != CL_RESULT_OK) {
        fail(fw, res);
        return CL_ERR_INVAL;
    }
    inst_begin(fw);
    return CL_OK;
}

cl_err_t cl_fw_package(struct cl_fw *fw, size_t offset, const uint8_t *in, size_t len, bool last)
{
    if (offset == 0 && last && (len == 0 || (len == 1 && in[0] == 0))) {
        return forget(fw);
    }
    if (offset == 0) {
        cl_err_t err = push_begin(fw, in, len);
        if (err != CL_OK) {
            return err;
        }
        in += fw->push_skip;
        len -= fw->push_skip;
        fw->part_end = fw->push_skip;
    }
    if (fw->saved.origin != CL_FW_PUSH || fw->saved.state != CL_FW_DOWNLOADING || fw->failing ||
        !fw->begun || (offset != 0 && offset != fw->part_end)) {
        return CL_ERR_STATE;
    }
    cl_err_t err = take_bytes(fw, in, len);
    if (err != CL_OK) {
        return err;
    }
    fw->part_end += len;
    if (last) {
        downloaded(fw);
    }
    return fw->failing ? CL_ERR_INVAL : CL_OK;
}

cl_err_t cl_fw_package_uri(struct cl_fw *fw, const char *uri, size_t len)
{
    if (len == 0) {
        return forget(fw);
    }
    if (len > CL_PAYLOAD_URI_MAX) {
        return CL_ERR_SPACE;
    }
    if (busy(fw)) {
        return CL_ERR_STATE;
    }
    begin(fw, CL_FW_PULL);
    memcpy(fw->source, uri, len);
    fw->source_len = len;
    if (cl_kvs_set(fw->conf.kvs, KEY_SOURCE, uri, len, 0) != CL_OK) {
        return CL_ERR_IO;
    }
    enter(fw, CL_FW_ASK_DOWNLOAD);
    return fw->failing ? CL_ERR_IO : CL_OK;
}

cl_err_t cl_fw_update(struct cl_fw *fw)
{
    if (by_manifest(fw) || fw->saved.state != CL_FW_ASK_INSTALL || fw->failing) {
        return CL_ERR_DENIED;
    }
    enter(fw, CL_FW_INSTALLING);
    return fw->failing ? CL_ERR_IO : CL_OK;
}

static void answer_take(struct cl_fw *fw, enum cl_fw_ask what, bool yes)
{
    if (yes) {
        fw->asked = fw->agreed = true;
        fw->ops->kick(fw->ops->ctx);
    } else {
        fail(fw, what == CL_FW_DOWNLOAD ? CL_RESULT_DOWNLOAD_DENIED : CL_RESULT_INSTALL_DENIED);
    }
}

cl_err_t cl_fw_authorise(struct cl_fw *fw, enum cl_fw_ask what, bool yes)
{
    enum cl_fw_state state = what == CL_FW_DOWNLOAD ? CL_FW_ASK_DOWNLOAD
                             : by_manifest(fw)      ? CL_FW_ASK_INSTALL
                                                    : CL_FW_INSTALLING;

    if (fw->saved.state != state || fw->failing || fw->agreed) {
        return CL_ERR_STATE;
    }
    answer_take(fw, what, yes);
    return CL_OK;
}

/* ---- steps ---- */

/* True once the application agreed. */
static bool ask(struct cl_fw *fw, enum cl_fw_ask what)
{
    if (!fw->asked && !fw->agreed) {
        enum cl_fw_answer answer =
            fw->ops->ask == NULL || !CL_RULE(CL_RULE_AUTHORISE)
                ? CL_FW_YES
                : fw->ops->ask(fw->ops->ctx, what, fw->saved.version, fw->saved.priority);
        fw->asked = true;
        if (answer != CL_FW_LATER) {
            answer_take(fw, what, answer == CL_FW_YES);
        }
    }
    return fw->agreed && !fw->failing;
}

static uint32_t check(struct cl_fw *fw)
{
    enum cl_result res = check_manifest(fw);

    if (res != CL_RESULT_OK) {
        fail(fw, res);
        return 0;
    }
    fw->saved.size = fw->manifest.size;
    fw->saved.version = fw->manifest.version;
    fw->saved.priority = fw->manifest.priority;
    enter(fw, CL_FW_ASK_DOWNLOAD);
    return 0;
}

/* Object 5 shows "updating" while the application is asked; Pelion's objects ask before it. */
static uint32_t install(struct cl_fw *fw)
{
    if (!by_manifest(fw) && !ask(fw, CL_FW_INSTALL)) {
        return fw->failing ? 0 : CL_FW_NEVER;
    }
    cl_err_t err = cl_install_request(fw->conf.lay, fw->conf.trust, fw->saved.slot);
    if (err == CL_OK) {
        enter(fw, CL_FW_REBOOTING);
    } else if (err == CL_ERR_STATE && fw->saved.origin != CL_FW_PUSH) {
        fw->saved.done = 0; /* power went in this very write: all of it again */
        fw->begun = false;
        enter(fw, CL_FW_DOWNLOADING);
    } else {
        fail(fw, CL_RESULT_WRITE);
    }
    return 0;
}

static uint32_t reboot(struct cl_fw *fw)
{
    if (!fw->reset_asked) {
        fw->reset_asked = true;
        fw->ops->reset(fw->ops->ctx);
    }
    return CL_FW_NEVER;
}

static uint32_t trial_left(const struct cl_fw *fw)
{
    return fw->trial_due_ms > fw->now_ms ? (uint32_t)(fw->trial_due_ms - fw->now_ms) : 0;
}

uint32_t cl_fw_step(struct cl_fw *fw, uint64_t now_ms)
{
    fw->now_ms = now_ms;
    if (fw->trial_due_ms == 0) {
        fw->trial_due_ms = now_ms + (fw->conf.trial_ms != 0 ? fw->conf.trial_ms : CL_FW_TRIAL_MS);
    }
    if (fw->trial) {
        if (trial_left(fw) == 0) {
            return reboot(fw); /* not registered in time: the next try */
        }
        return trial_left(fw);
    }
    if (!told(fw)) {
        return POLL_MS;
    }
    if (fw->failing) {
        if (!fw->registered) {
            return CL_FW_NEVER;
        }
        fw->failing = false;
        enter(fw, CL_FW_IDLE);
        return 0;
    }
    switch (fw->saved.state) {
    case CL_FW_CHECKING:
        return check(fw);
    case CL_FW_ASK_DOWNLOAD:
        if (ask(fw, CL_FW_DOWNLOAD)) {
            enter(fw, CL_FW_DOWNLOADING);
        }
        return fw->asked && !fw->failing && fw->saved.state == CL_FW_ASK_DOWNLOAD ? CL_FW_NEVER : 0;
    case CL_FW_DOWNLOADING:
        return fw->saved.origin == CL_FW_PUSH ? CL_FW_NEVER : fetch(fw);
    case CL_FW_ASK_INSTALL:
        if (!by_manifest(fw)) {
            return CL_FW_NEVER; /* the server says when */
        }
        if (ask(fw, CL_FW_INSTALL)) {
            enter(fw, CL_FW_INSTALLING);
        }
        return fw->asked && !fw->failing && fw->saved.state == CL_FW_ASK_INSTALL ? CL_FW_NEVER : 0;
    case CL_FW_INSTALLING:
        return arrived(fw) ? CL_FW_NEVER : install(fw);
    case CL_FW_REBOOTING:
        return arrived(fw) ? CL_FW_NEVER : reboot(fw);
    default:
        return CL_FW_NEVER;
    }
}

/* ---- what the objects show ---- */

int cl_fw_state(const struct cl_fw *fw)
{
    /* the new image registers as idle: its version is the report */
    return by_manifest(fw) && !arrived(fw) ? fw->saved.state : CL_FW_IDLE;
}

int cl_fw_result(const struct cl_fw *fw)
{
    return by_manifest(fw) && fw->saved.result != CL_RESULT_OK ? fw->saved.result : -1;
}

int cl_fw_state5(const struct cl_fw *fw)
{
    if (by_manifest(fw)) {
        return 0;
    }
    switch (fw->saved.state) {
    case CL_FW_ASK_DOWNLOAD:
    case CL_FW_DOWNLOADING:
        return 1;
    case CL_FW_ASK_INSTALL:
        return 2;
    case CL_FW_INSTALLING:
    case CL_FW_REBOOTING:
        return 3;
    default:
        return 0;
    }
}

int cl_fw_result5(const struct cl_fw *fw)
{
    return by_manifest(fw) ? 0 : fw->saved.result5;
}

uint32_t cl_fw_package_version(const struct cl_fw *fw)
{
    return cl_fw_state5(fw) >= 2 ? fw->saved.version : fw->version;
}
