/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device that takes an update. Its memory for that lives from the manifest to the reboot:
 *
 *     CONSENT -> FETCH -> CONFIRM -> INSTALL -> REBOOT -> (another version)      object 10252
 *                FETCH -> STORED --5/0/2--> INSTALL -> REBOOT                    object 5
 *     any -> FAILED -> (as before)
 *
 * Each state is told to the server, and the next one waits until that was acknowledged. When the
 * association ends in between the device tells its state again after it has registered, and goes
 * on with the block that it was waiting for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/sm.h"
#include "coap/block.h"
#include "device-sim/fleet_priv.h"

#define RESUME_MIN_MS 1000 /* the server said 5.03 */
#define RESUME_MAX_MS 10000
#define SLOW_MS       200

enum { TELL_RESULT = 1, TELL_STATE = 2 };

enum update_step {
    STEP_NEW,
    STEP_CONSENT,
    STEP_FETCH,
    STEP_STORED,
    STEP_CONFIRM,
    STEP_INSTALL,
    STEP_REBOOT,
    STEP_FAILED,
};

struct sim_update {
    struct dr_timer timer; /* a pause before the next block */
    struct sim_fleet *fleet;
    struct sim_firmware *firmware; /* borrowed from the fleet's */
    uint32_t device, wait_ms;
    size_t offset;
    uint16_t block;
    uint8_t step, tell; /* tell: what the server does not know yet */
    int16_t result;
    bool own; /* the device downloads by itself, nobody is told */
};

#define TO(step) DR_SM_TO(STEP_##step)

static const struct dr_sm_state step_states[] = {
    [STEP_NEW] = {.name = "new", .to = TO(CONSENT) | TO(FETCH) | TO(STORED) | TO(FAILED)},
    [STEP_CONSENT] = {.name = "consent", .to = TO(FETCH) | TO(FAILED)},
    [STEP_FETCH] = {.name = "fetch", .to = TO(CONFIRM) | TO(STORED) | TO(REBOOT) | TO(FAILED)},
    [STEP_STORED] = {.name = "stored", .to = TO(INSTALL) | TO(FAILED)},
    [STEP_CONFIRM] = {.name = "confirm", .to = TO(INSTALL)},
    [STEP_INSTALL] = {.name = "install", .to = TO(REBOOT)},
    [STEP_REBOOT] = {.name = "reboot", .final = true},
    [STEP_FAILED] = {.name = "failed", .final = true, .failure = true},
};

static const struct dr_sm step_sm = {
    .name = "update", .states = step_states, .count = DR_ARRAY_LEN(step_states)};

static bool is_pelion(const struct sim_fleet *f)
{
    return f->o->model.update == SIM_UPDATE_PELION;
}

static enum sim_fota_fault fault_of(const struct sim_fleet *f, const struct device *d)
{
    return f->fault_once && d->tried ? SIM_FOTA_FINE : (enum sim_fota_fault)d->fault;
}

/* ---- what the objects show ---- */

static void show(struct sim_fleet *f, struct device *d, enum update_step step)
{
    static const uint8_t pelion[] = {
        [STEP_NEW] = SIM_PELION_CHECKING,        [STEP_CONSENT] = SIM_PELION_ASK_DOWNLOAD,
        [STEP_FETCH] = SIM_PELION_DOWNLOADING,   [STEP_STORED] = SIM_PELION_DOWNLOADING,
        [STEP_CONFIRM] = SIM_PELION_ASK_INSTALL, [STEP_INSTALL] = SIM_PELION_INSTALLING,
        [STEP_REBOOT] = SIM_PELION_REBOOTING,    [STEP_FAILED] = SIM_PELION_IDLE};
    static const uint8_t object5[] = {
        [STEP_NEW] = SIM_OBJ5_IDLE,           [STEP_CONSENT] = SIM_OBJ5_IDLE,
        [STEP_FETCH] = SIM_OBJ5_DOWNLOADING,  [STEP_STORED] = SIM_OBJ5_DOWNLOADED,
        [STEP_CONFIRM] = SIM_OBJ5_DOWNLOADED, [STEP_INSTALL] = SIM_OBJ5_UPDATING,
        [STEP_REBOOT] = SIM_OBJ5_UPDATING,    [STEP_FAILED] = SIM_OBJ5_IDLE};

    d->values.update_state = is_pelion(f) ? pelion[step] : object5[step];
}

static int16_t object5_result(int result)
{
    switch (result) {
    case SIM_RESULT_DOWNLOAD:
        return 4;
    case SIM_RESULT_NO_SPACE:
        return 2;
    case SIM_RESULT_NO_MEMORY:
        return 3;
    case SIM_RESULT_SIGNATURE:
    case SIM_RESULT_CORRUPTED:
        return 5;
    default:
        return 8;
    }
}

static void enter(struct sim_update *u, enum update_step step)
{
    struct sim_fleet *f = u->fleet;
    struct device *d = &f->devices[u->device];

    dr_sm_move(&step_sm, &u->step, (uint8_t)step, u);
    show(f, d, step);
    if (step == STEP_FAILED) {
        d->values.update_result = is_pelion(f) ? u->result : object5_result(u->result);
        u->tell |= TELL_RESULT;
    }
    u->tell |= TELL_STATE;
    if (u->own) {
        u->tell = 0;
    }
    fleet_todo(f, u->device);
}

/* An update is over, well or badly. */
static void ended(struct sim_fleet *f, struct device *d)
{
    f->n_ended += d->update_ended ? 0 : 1;
    d->update_ended = true;
    d->tried = true;
}

void update_free(struct sim_fleet *f, struct device *d)
{
    if (d->up != NULL) {
        dr_timer_cancel(loop_wheel(f->loop), &d->up->timer);
        free(d->up);
        d->up = NULL;
    }
}

static void fail_update(struct sim_update *u, int result)
{
    u->result = (int16_t)result;
    enter(u, STEP_FAILED);
}

/* ---- the last step: another version ---- */

static void install(struct sim_fleet *f, uint32_t i)
{
    struct device *d = &f->devices[i];
    bool old = fault_of(f, d) == SIM_FOTA_OLDVERSION;

    d->values.update_state = is_pelion(f) ? SIM_PELION_IDLE : SIM_OBJ5_IDLE;
    d->values.update_result = is_pelion(f) ? SIM_NO_RESULT : old ? 8 : 1;
    if (!old && d->up->firmware->version[0] != '\0') {
        d->values.version = d->up->firmware->version;
    }
    d->came_old = old;
    d->installed = true;
    update_free(f, d);
}

static void reboot(struct sim_fleet *f, uint32_t i)
{
    if (fault_of(f, &f->devices[i]) == SIM_FOTA_DEAD) {
        update_free(f, &f->devices[i]);
        ended(f, &f->devices[i]);
        fleet_die(f, i);
        return;
    }
    fleet_reboot_later(f, i);
}

void update_rebooting(struct sim_fleet *f, uint32_t i)
{
    struct device *d = &f->devices[i];

    if (d->up != NULL && d->up->step == STEP_REBOOT) {
        install(f, i);
    }
}

/* ---- from step to step ---- */

/* The server knows this step: on to the next one. */
static void next(struct sim_update *u)
{
    struct sim_fleet *f = u->fleet;
    struct device *d = &f->devices[u->device];
    uint32_t i = u->device;

    switch ((enum update_step)u->step) {
    case STEP_CONSENT:
        enter(u, STEP_FETCH);
        break;
    case STEP_CONFIRM:
        enter(u, STEP_INSTALL);
        break;
    case STEP_INSTALL:
        enter(u, STEP_REBOOT);
        break;
    case STEP_REBOOT:
        reboot(f, i);
        break;
    case STEP_FAILED:
        f->stats->failed++;
        update_free(f, d);
        ended(f, d);
        break;
    case STEP_FETCH:
        fleet_todo(f, i);
        break;
    case STEP_NEW:
    case STEP_STORED:
        break;
    }
}

static struct sim_update *begin(struct sim_fleet *f, uint32_t i, struct sim_firmware *firmware)
{
    struct device *d = &f->devices[i];
    struct sim_update *u = calloc(1, sizeof *u);

    if (u == NULL) {
        return NULL;
    }
    d->up = u;
    *u = (struct sim_update){.fleet = f,
                             .firmware = firmware,
                             .device = i,
                             .block =
                                 (uint16_t)(f->o->block != 0 ? f->o->block : CX_BLOCK_SIZE_MAX)};
    dr_timer_init(&u->timer, NULL);
    d->values.update_result = is_pelion(f) ? SIM_NO_RESULT : 0;
    show(f, d, STEP_NEW);
    return u;
}

static uint8_t take_manifest(struct sim_fleet *f, uint32_t i, struct dr_bytes manifest)
{
    struct device *d = &f->devices[i];

    if (d->up != NULL) {
        return CX_CHANGED; /* taken and ignored, whichever it is */
    }
    struct sim_firmware *fw = sim_firmware_of_manifest(&f->firmwares, manifest);
    struct sim_update *u = fw != NULL ? begin(f, i, fw) : NULL;
    if (u == NULL) {
        return CX_SERVER_ERROR;
    }
    int result = sim_firmware_verdict(fw, d->values.version);
    result = fault_of(f, d) == SIM_FOTA_REJECT ? SIM_RESULT_SIGNATURE : result;
    if (result != 0) {
        fail_update(u, result);
    } else {
        enter(u, STEP_CONSENT);
    }
    return CX_CHANGED;
}

/* Path and query of a URI are all that the device asks its server for. */
static bool fetchable(const char *uri)
{
    const char *host = strstr(uri, "://");

    return strncmp(uri, "coap", 4) == 0 && host != NULL && strchr(host + 3, '/') != NULL;
}

static uint8_t take_uri(struct sim_fleet *f, uint32_t i, struct dr_bytes uri)
{
    struct device *d = &f->devices[i];

    if (uri.len == 0) { /* forget what was delivered */
        update_free(f, d);
        d->values.update_result = 0;
        d->values.update_state = SIM_OBJ5_IDLE;
        return CX_CHANGED;
    }
    if (d->up != NULL) {
        return CX_NOT_ALLOWED;
    }
    struct sim_firmware *fw = sim_firmware_of_uri(&f->firmwares, (const char *)uri.p, uri.len);
    struct sim_update *u = fw != NULL ? begin(f, i, fw) : NULL;
    if (u == NULL) {
        return fw != NULL ? CX_SERVER_ERROR : CX_BAD_REQUEST;
    }
    if (fetchable(fw->uri)) {
        enter(u, STEP_FETCH);
    } else {
        update_free(f, d);
        d->values.update_result = 7; /* invalid URI */
        return CX_BAD_REQUEST;
    }
    return CX_CHANGED;
}

static uint8_t take_image(struct sim_fleet *f, uint32_t i, struct dr_bytes image)
{
    struct device *d = &f->devices[i];

    if (image.len == 0) {
        return take_uri(f, i, image);
    }
    if (d->up != NULL) {
        return CX_NOT_ALLOWED;
    }
    struct sim_firmware *fw = sim_firmware_of_image(&f->firmwares, image);
    struct sim_update *u = fw != NULL ? begin(f, i, fw) : NULL;
    if (u == NULL) {
        return CX_TOO_LARGE;
    }
    enum sim_fota_fault fault = fault_of(f, d);
    if (fault == SIM_FOTA_REJECT || fault == SIM_FOTA_CORRUPT) {
        fail_update(u, SIM_RESULT_CORRUPTED);
    } else {
        enter(u, STEP_STORED);
    }
    return CX_CHANGED;
}

static uint8_t take_execute(struct sim_fleet *f, uint32_t i)
{
    struct sim_update *u = f->devices[i].up;

    if (u == NULL || u->step != STEP_STORED) {
        return CX_NOT_ALLOWED;
    }
    enter(u, STEP_INSTALL);
    return CX_CHANGED;
}

void update_take(struct sim_fleet *f, uint32_t i, const struct cx_pdu *request,
                 struct sim_answer *answer)
{
    struct dr_bytes body = dr_bytes_of(request->payload, request->payload_len);

    switch (answer->effect) {
    case SIM_MANIFEST:
        answer->code = take_manifest(f, i, body);
        break;
    case SIM_PACKAGE:
        answer->code = take_image(f, i, body);
        break;
    case SIM_PACKAGE_URI:
        answer->code = take_uri(f, i, body);
        break;
    default:
        answer->code = take_execute(f, i);
        break;
    }
}

bool update_fetch(struct sim_fleet *f, uint32_t i)
{
    struct device *d = &f->devices[i];
    const char *uri = f->o->fetch_uri;
    struct sim_firmware *fw = sim_firmware_of_uri(&f->firmwares, uri, strlen(uri));
    struct sim_update *u = d->up == NULL && fw != NULL ? begin(f, i, fw) : NULL;

    if (u != NULL) {
        u->own = true;
        enter(u, STEP_FETCH);
    }
    return u != NULL;
}

/* ---- messages ---- */

static void send_shown(struct sim_fleet *f, uint32_t i, uint8_t what)
{
    struct device *d = &f->devices[i];
    bool pelion = is_pelion(f);
    const uint16_t path[] = {pelion ? 10252 : 5, 0,
                             what == TELL_STATE ? (pelion ? 2 : 3) : (pelion ? 3 : 5)};
    struct observation *ob = observe_find(d, path, 3);
    struct sim_message *m;

    d->up->tell &= (uint8_t)~what;
    if (ob == NULL && !pelion) {
        return; /* nobody wants to know */
    }
    m = observe_message(f, i, KIND_STATE, path, 3, ob);
    if (ob == NULL) {
        uint16_t token = what == TELL_STATE ? SIM_AOBS_STATE : SIM_AOBS_RESULT;
        m->token_len = 2;
        m->token[0] = (uint8_t)(token >> 8);
        m->token[1] = (uint8_t)token;
    }
    fleet_send(f, m);
}

/* The path behind the host of a coap URI; its parts go into the message's own room. */
static void name_uri(struct sim_message *m, const char *uri)
{
    char *text = (char *)m->body.payload;
    const char *path = strchr(strstr(uri, "://") + 3, '/') + 1;
    size_t len = strcspn(path, "?");

    (void)snprintf(text, sizeof m->body.payload, "%.*s", (int)len, path);
    m->path = text;
    for (const char *at = path + len; *at != '\0' && m->n_query < SIM_QUERY_MAX;) {
        size_t n = strcspn(at + 1, "&");
        (void)snprintf(m->query[m->n_query++], SIM_QUERY_LEN, "%.*s", (int)n, at + 1);
        at += 1 + n;
    }
}

static void send_block(struct sim_fleet *f, uint32_t i)
{
    struct sim_update *u = f->devices[i].up;
    struct sim_message *m = fleet_take_slot(f, i, KIND_BLOCK);
    struct cx_block block = {.num = (uint32_t)(u->offset / u->block), .size = u->block};

    m->code = CX_GET;
    m->block2 = (int32_t)cx_block_encode(&block);
    if (is_pelion(f) || u->own) {
        m->path = "fw";
        m->proxy_uri = u->firmware->uri;
    } else {
        name_uri(m, u->firmware->uri);
    }
    fleet_send(f, m);
}

void update_act(struct sim_fleet *f, uint32_t i)
{
    struct device *d = &f->devices[i];

    while (d->up != NULL && !d->busy && d->up->tell != 0 && f->phase != PHASE_DRAIN &&
           d->state == DEVICE_REGISTERED) {
        send_shown(f, i, (d->up->tell & TELL_RESULT) != 0 ? TELL_RESULT : TELL_STATE);
        if (d->up != NULL && d->up->tell == 0 && !d->busy && d->state == DEVICE_REGISTERED) {
            next(d->up); /* nobody wants to know */
        }
    }
    if (d->up == NULL || d->busy || d->state != DEVICE_REGISTERED || f->phase == PHASE_DRAIN) {
        return;
    }
    if (d->up->step == STEP_FETCH && !dr_timer_running(&d->up->timer)) {
        send_block(f, i);
    } else if (d->up->own && d->up->step >= STEP_REBOOT && !d->reboot) {
        next(d->up);
    }
}

bool update_wants(const struct device *d)
{
    return d->up != NULL && d->state == DEVICE_REGISTERED &&
           (d->up->tell != 0 || (d->up->step == STEP_FETCH && !dr_timer_running(&d->up->timer)));
}

void update_online(struct sim_fleet *f, uint32_t i)
{
    struct device *d = &f->devices[i];

    if (d->installed) {
        d->installed = false;
        f->stats->updated += d->came_old ? 0 : 1;
        f->stats->failed += d->came_old ? 1 : 0;
        f->n_updated += !d->came_old && !d->updated ? 1 : 0;
        d->updated = d->updated || !d->came_old;
        ended(f, d);
    }
    if (d->up != NULL) {
        uint8_t tell = d->up->step == STEP_FAILED ? TELL_STATE | TELL_RESULT : TELL_STATE;
        d->up->tell = d->up->own ? 0 : tell;
        fleet_todo(f, i);
    }
}

/* ---- answers ---- */

static void resume(struct dr_timer *t, uint64_t now_ms)
{
    struct sim_update *u = DR_CONTAINER_OF(t, struct sim_update, timer);

    (void)now_ms;
    fleet_todo(u->fleet, u->device);
}

static void pause_for(struct sim_update *u, uint32_t ms)
{
    u->timer.fn = resume;
    dr_timer_start(loop_wheel(u->fleet->loop), &u->timer, loop_now_ms(u->fleet->loop) + ms);
}

static void whole(struct sim_update *u, enum sim_fota_fault fault)
{
    if (fault == SIM_FOTA_CORRUPT || (fault == SIM_FOTA_REJECT && !u->own)) {
        fail_update(u, SIM_RESULT_CORRUPTED); /* what comes without a manifest is rejected now */
    } else if (u->own) {
        enter(u, STEP_REBOOT);
    } else {
        enter(u, is_pelion(u->fleet) ? STEP_CONFIRM : STEP_STORED);
    }
}

/* 0, or the result that ends the update. */
static int take_block(struct sim_update *u, const struct sim_reply *reply, bool *ret_more)
{
    struct cx_block block = {.size = u->block};

    if (reply->code != CX_CONTENT) {
        return SIM_RESULT_DOWNLOAD;
    }
    if (reply->block2 >= 0 &&
        (cx_block_decode(reply->block2, &block) != DR_OK || block.size > u->block ||
         cx_block_offset(&block) != u->offset || (block.more && reply->len != block.size))) {
        return SIM_RESULT_DOWNLOAD;
    }
    *ret_more = block.more;
    u->block = block.size; /* the server may have smaller ones */
    return sim_firmware_block(&u->fleet->firmwares, u->firmware, u->offset,
                              dr_bytes_of(reply->payload, reply->len), block.more);
}

static void block_answered(struct sim_fleet *f, uint32_t i, const struct sim_reply *reply)
{
    struct device *d = &f->devices[i];
    struct sim_update *u = d->up;
    enum sim_fota_fault fault = fault_of(f, d);
    bool more = false;

    if (u == NULL || u->step != STEP_FETCH) {
        return;
    }
    if (reply->code == CX_UNAVAILABLE) {
        u->wait_ms = u->wait_ms == 0                  ? RESUME_MIN_MS
                     : u->wait_ms < RESUME_MAX_MS / 2 ? u->wait_ms * 2
                                                      : RESUME_MAX_MS;
        pause_for(u, u->wait_ms);
        return;
    }
    u->wait_ms = 0;
    int result = take_block(u, reply, &more);
    if (result != 0) {
        sim_stats_error(f->stats,
                        reply->code != CX_CONTENT ? fleet_code_error(reply->code) : "bad block");
        fail_update(u, result);
        return;
    }
    u->offset += reply->len;
    sim_stats_block(f->stats, reply->len, dr_mono_us());
    if (!more) {
        whole(u, fault);
    } else if (fault == SIM_FOTA_BROKEN &&
               (!u->firmware->sized || u->offset >= u->firmware->size / 2)) {
        fail_update(u, SIM_RESULT_DOWNLOAD);
    } else if (fault == SIM_FOTA_SLOW) {
        pause_for(u, SLOW_MS);
    } else {
        fleet_todo(f, i);
    }
}

void update_answered(struct sim_fleet *f, const struct sim_message *m,
                     const struct sim_reply *reply)
{
    struct device *d = &f->devices[m->device];

    if (m->kind == KIND_BLOCK) {
        block_answered(f, m->device, reply);
    } else if (d->up != NULL && d->up->tell == 0) {
        next(d->up);
    } else if (d->up != NULL) {
        fleet_todo(f, m->device);
    }
}
