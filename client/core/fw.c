/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In the store, little endian, under keys of our own:
 *   STATE   1 | origin | state | slot | result | result5 | 0 | 0 | done u32 | size u32 | version
 * u32 | priority u32 | digest, 32 e.g. an idle device that failed with 23: 01 01 01 01 17 05 00 00
 * ... SOURCE  the manifest, or the URI of a pull; written before the state that needs it HEADER 512
 * bytes of the image that is being received; written before the first "done" LABEL n digest, 32 |
 * version u32: what a manifest calls the image in slot n
 */
#include "client/core/fw_priv.h"

#define STATE_LEN  56
#define STATE_FORM 1

#define POLL_MS 50

enum { OBJ_FIRMWARE = 5, OBJ_COMPONENT = 14, OBJ_UPDATE = 10252 };

/* ---- what the store keeps ---- */

cl_err_t cl_fw_save(struct cl_fw *fw)
{
    uint8_t raw[STATE_LEN] = {STATE_FORM,     fw->saved.origin, fw->saved.state,
                              fw->saved.slot, fw->saved.result, fw->saved.result5};

    cl_put32(raw + 8, fw->saved.done);
    cl_put32(raw + 12, fw->saved.size);
    cl_put32(raw + 16, fw->saved.version);
    cl_put32(raw + 20, fw->saved.priority);
    memcpy(raw + 24, fw->saved.digest, CL_HASH_LEN);
    return cl_kvs_set(fw->conf.kvs, CL_FW_KEY_STATE, raw, sizeof raw, 0);
}

static cl_err_t load(struct cl_fw *fw)
{
    uint8_t raw[STATE_LEN] = {0};
    size_t len = 0;
    cl_err_t err = cl_kvs_get(fw->conf.kvs, CL_FW_KEY_STATE, raw, sizeof raw, &len, NULL);

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
    err = cl_kvs_get(fw->conf.kvs, CL_FW_KEY_SOURCE, fw->source, sizeof fw->source, &fw->source_len,
                     NULL);
    return err == CL_ERR_NOENT ? CL_OK : err;
}

/* What runs: its header's version, or what the manifest of an authorised downgrade called it. */
static void learn_version(struct cl_fw *fw, const struct cl_slot_state *running)
{
    uint8_t label[CL_FW_LABEL_LEN];
    size_t len = 0;

    fw->version = running->header.version;
    if (cl_kvs_get(fw->conf.kvs, CL_FW_KEY_LABEL + (uint64_t)fw->conf.boot.slot, label,
                   sizeof label, &len, NULL) == CL_OK &&
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

bool cl_fw_by_manifest(const struct cl_fw *fw)
{
    return fw->saved.origin == CL_FW_MANIFEST;
}

static void tell_state(struct cl_fw *fw)
{
    if (cl_fw_by_manifest(fw)) {
        fw->ops->changed(fw->ops->ctx, OBJ_UPDATE, 0, 2);
    } else {
        fw->ops->changed(fw->ops->ctx, OBJ_FIRMWARE, 0, 3);
    }
}

static bool told(const struct cl_fw *fw)
{
    void *ctx = fw->ops->ctx;
    bool unsent =
        cl_fw_by_manifest(fw)
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

void cl_fw_fail(struct cl_fw *fw, enum cl_result res)
{
    cl_fw_fail_as(fw, res, as_result5(res));
}

static void tell_result(struct cl_fw *fw)
{
    if (cl_fw_by_manifest(fw)) {
        fw->ops->changed(fw->ops->ctx, OBJ_UPDATE, 0, 3);
    } else {
        fw->ops->changed(fw->ops->ctx, OBJ_FIRMWARE, 0, 5);
    }
}

/* Room for others, once nothing is under way. What cannot be removed is written over some day. */
static void store_clear(struct cl_fw *fw)
{
    static const uint64_t keys[] = {CL_FW_KEY_SOURCE, CL_FW_KEY_HEADER};

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        cl_err_t err = cl_kvs_remove(fw->conf.kvs, keys[i]);
        (void)err;
    }
}

/* The new state is in the store before anyone sees it. */
void cl_fw_enter(struct cl_fw *fw, enum cl_fw_state state)
{
    fw->saved.state = (uint8_t)state;
    fw->asked = fw->agreed = false;
    fw->wait_due_ms = fw->now_ms + CL_FW_NOTIFY_MS;
    if (cl_fw_save(fw) != CL_OK && state != CL_FW_IDLE) {
        cl_fw_fail(fw, CL_RESULT_WRITE);
        return;
    }
    if (state == CL_FW_IDLE) {
        store_clear(fw);
    }
    if (state != CL_FW_CHECKING) {
        tell_state(fw);
    }
    fw->ops->kick(fw->ops->ctx);
}

/* The result goes out first, the idle state once that has arrived. */
void cl_fw_fail_as(struct cl_fw *fw, enum cl_result res, uint8_t result5)
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
    if (cl_fw_save(fw) != CL_OK) {
        fw->saved.result = CL_RESULT_WRITE; /* and tried once more after a reset */
    }
    fw->saved.state = shown;
    fw->ops->kick(fw->ops->ctx);
}

static void succeed(struct cl_fw *fw)
{
    bool manifest = cl_fw_by_manifest(fw);

    fw->saved.result = CL_RESULT_OK;
    fw->saved.result5 = manifest ? 0 : 1;
    cl_fw_enter(fw, CL_FW_IDLE);
    if (!manifest) {
        fw->ops->changed(fw->ops->ctx, OBJ_FIRMWARE, 0, 5);
    }
    fw->ops->changed(fw->ops->ctx, OBJ_COMPONENT, 0, 2);
}

void cl_fw_begin(struct cl_fw *fw, enum cl_fw_origin origin)
{
    fw->saved = (struct cl_fw_saved){
        .origin = (uint8_t)origin, .state = CL_FW_IDLE, .slot = (uint8_t)target_slot(fw)};
    fw->failures = 0;
    fw->begun = fw->got_bytes = false;
    fw->retry_at_ms = 0;
}

bool cl_fw_busy(const struct cl_fw *fw)
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
        cl_fw_fail(fw, CL_RESULT_INSTALL);
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
        cl_fw_fail(fw, CL_RESULT_FETCH); /* the server has to send it again */
    }
}

/* A manifest out of the store, checked again: the store is not what is trusted. */
enum cl_result cl_fw_check(struct cl_fw *fw)
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
    if (cl_fw_by_manifest(fw) && fw->saved.state >= CL_FW_ASK_DOWNLOAD && !arrived(fw) &&
        !fw->failing) {
        enum cl_result res = cl_fw_check(fw);
        if (res != CL_RESULT_OK) {
            cl_fw_fail(fw, res);
        }
    }
    return CL_OK;
}

/* A confirmed image raises it. */
static void learn_floor(struct cl_fw *fw)
{
    struct cl_slot_state slots[CL_SLOTS];

    for (int i = 0; i < CL_SLOTS; i++) {
        cl_slot_read(fw->conf.lay, fw->conf.trust, i, &slots[i]);
    }
    fw->floor = cl_boot_floor(slots, hal_counter_get());
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
        learn_floor(fw);
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

static void answer_take(struct cl_fw *fw, enum cl_fw_ask what, bool yes)
{
    if (yes) {
        fw->asked = fw->agreed = true;
        fw->ops->kick(fw->ops->ctx);
    } else {
        cl_fw_fail(fw,
                   what == CL_FW_DOWNLOAD ? CL_RESULT_DOWNLOAD_DENIED : CL_RESULT_INSTALL_DENIED);
    }
}

cl_err_t cl_fw_authorise(struct cl_fw *fw, enum cl_fw_ask what, bool yes)
{
    enum cl_fw_state state = what == CL_FW_DOWNLOAD  ? CL_FW_ASK_DOWNLOAD
                             : cl_fw_by_manifest(fw) ? CL_FW_ASK_INSTALL
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
    enum cl_result res = cl_fw_check(fw);

    if (res != CL_RESULT_OK) {
        cl_fw_fail(fw, res);
        return 0;
    }
    fw->saved.size = fw->manifest.size;
    fw->saved.version = fw->manifest.version;
    fw->saved.priority = fw->manifest.priority;
    cl_fw_enter(fw, CL_FW_ASK_DOWNLOAD);
    return 0;
}

/* Object 5 shows "updating" while the application is asked; Pelion's objects ask before it. */
static uint32_t install(struct cl_fw *fw)
{
    if (!cl_fw_by_manifest(fw) && !ask(fw, CL_FW_INSTALL)) {
        return fw->failing ? 0 : CL_FW_NEVER;
    }
    cl_err_t err = cl_install_request(fw->conf.lay, fw->conf.trust, fw->saved.slot);
    if (err == CL_OK) {
        cl_fw_enter(fw, CL_FW_REBOOTING);
    } else if (err == CL_ERR_STATE && fw->saved.origin == CL_FW_PUSH) {
        cl_fw_fail(fw, CL_RESULT_FETCH); /* power went in this very write: the server's turn */
    } else if (err == CL_ERR_STATE) {
        fw->saved.done = 0; /* the same: all of it again */
        fw->begun = false;
        cl_fw_enter(fw, CL_FW_DOWNLOADING);
    } else {
        cl_fw_fail(fw, CL_RESULT_WRITE);
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
        cl_fw_enter(fw, CL_FW_IDLE);
        return 0;
    }
    switch (fw->saved.state) {
    case CL_FW_CHECKING:
        return check(fw);
    case CL_FW_ASK_DOWNLOAD:
        if (ask(fw, CL_FW_DOWNLOAD)) {
            cl_fw_enter(fw, CL_FW_DOWNLOADING);
        }
        return fw->asked && !fw->failing && fw->saved.state == CL_FW_ASK_DOWNLOAD ? CL_FW_NEVER : 0;
    case CL_FW_DOWNLOADING:
        return fw->saved.origin == CL_FW_PUSH ? CL_FW_NEVER : cl_fw_get(fw);
    case CL_FW_ASK_INSTALL:
        if (!cl_fw_by_manifest(fw)) {
            return CL_FW_NEVER; /* the server says when */
        }
        if (ask(fw, CL_FW_INSTALL)) {
            cl_fw_enter(fw, CL_FW_INSTALLING);
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
    return cl_fw_by_manifest(fw) && !arrived(fw) ? fw->saved.state : CL_FW_IDLE;
}

int cl_fw_result(const struct cl_fw *fw)
{
    return cl_fw_by_manifest(fw) && fw->saved.result != CL_RESULT_OK ? fw->saved.result : -1;
}

int cl_fw_state5(const struct cl_fw *fw)
{
    if (cl_fw_by_manifest(fw)) {
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
    return cl_fw_by_manifest(fw) ? 0 : fw->saved.result5;
}

uint32_t cl_fw_package_version(const struct cl_fw *fw)
{
    return cl_fw_state5(fw) >= 2 ? fw->saved.version : fw->version;
}
