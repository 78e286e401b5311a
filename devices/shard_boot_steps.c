/* SPDX-License-Identifier: Apache-2.0 */
/* Runs on shard loops: what is said to a device, one request after the other, until Finish. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sm.h"
#include "base/text.h"
#include "devices/boot_priv.h"
#include "lwm2m/codec.h"

static const struct cx_timing timing = {.ack_timeout_ms = 2000,
                                        .random_factor_pct = 150,
                                        .retransmit_max = 4,
                                        .response_timeout_ms = DEV_BOOT_RESPONSE_MS};

static void next(struct boot_session *s);

/* ---- one request ---- */

static void body_free(struct boot_session *s)
{
    if (s->body != NULL) {
        dr_wipe(s->body, s->body_len);
        free(s->body);
    }
    s->body = NULL;
    s->body_len = 0;
}

static struct cx_opt opt_number(struct boot_session *s, unsigned i, uint16_t num, uint16_t value)
{
    return cx_opt_uint(num, value, s->numbers[i]);
}

static size_t opts_path(struct boot_session *s, const struct lwm2m_path *path)
{
    size_t n = 0;

    for (unsigned i = 0; i < path->depth && i < DR_ARRAY_LEN(s->segments); i++) {
        int len = snprintf(s->segments[i], sizeof s->segments[i], "%u", path->id[i]);
        s->opts[n++] =
            (struct cx_opt){CX_OPT_URI_PATH, (uint16_t)len, (const uint8_t *)s->segments[i]};
    }
    return n;
}

static void call(struct boot_session *s, uint8_t code, size_t n_opts, cx_call_cb *cb)
{
    s->call = (struct cx_call){.peer = s->peer,
                               .code = code,
                               .opts = s->opts,
                               .n_opts = n_opts,
                               .payload = s->body,
                               .payload_len = s->body_len,
                               .timing = &timing,
                               .block_size = s->pelion ? BOOT_PELION_BLOCK : 0,
                               .cb = cb,
                               .data = s};
    dr_err_t err = cx_call_start(s->sh->engine, &s->call);
    if (err != DR_OK) {
        s->call.cb = NULL;
        boot_fail(s, 0, dr_err_str(err));
        return;
    }
    s->waiting = true;
}

/* The end of a request. True: the session has ended, also because there was no answer. */
static bool back(struct boot_session *s, dr_err_t err)
{
    s->call.cb = NULL;
    body_free(s);
    if (boot_back(s)) {
        return true;
    }
    if (err != DR_OK) {
        boot_fail(s, 0, dr_err_str(err));
        return true;
    }
    return false;
}

static void fail_code(struct boot_session *s, const char *what, uint8_t code)
{
    char text[64];

    (void)snprintf(text, sizeof text, "%s was answered with %u.%02u", what, (unsigned)(code >> 5),
                   (unsigned)(code & 31));
    boot_fail(s, 0, text);
}

static void talk_again(struct boot_session *s)
{
    boot_plan_begin(s);
    if (s->n_steps == 0) {
        dr_err_t err = boot_plan_rest(s);
        if (err != DR_OK) {
            boot_fail(s, 0, dr_err_str(err));
            return;
        }
    }
    next(s);
}

/* The device finds that its configuration does not hold together: once more, in another format.
 * spec: LWM2M-1.1-CORE#6.1.7.6 */
static void repair(struct boot_session *s, const char *why)
{
    if (s->repairs == DEV_BOOT_REPAIRS_MAX || s->pelion) {
        boot_fail(s, 0, why);
        return;
    }
    s->repairs++;
    s->format = (s->format + 1) % s->n_formats;
    dr_metric_inc(&boot_metrics[BOOT_M_REPAIRS]);
    if (s->state != BOOT_TALKING) {
        boot_state_set(s, BOOT_TALKING);
    }
    talk_again(s);
}

/* ---- Discover ---- */

static void formats_set(struct boot_session *s)
{
    if (s->pelion) {
        s->formats[0] = LWM2M_CT_TLV;
        s->n_formats = 1;
    } else if (s->n_formats == 0) { /* a repair goes on where it was */
        s->n_formats = lwm2m_boot_formats(s->pct, s->found.version, s->formats);
    }
}

static void discovered(struct cx_call *c, dr_err_t err, const struct cx_pdu *answer)
{
    struct boot_session *s = c->data;

    if (back(s, err)) {
        return;
    }
    struct boot_step *step = &s->steps[s->step];
    s->discovered = answer->code == CX_CONTENT &&
                    lwm2m_boot_discover_read((const char *)answer->payload, answer->payload_len,
                                             &s->found) == DR_OK;
    if (!s->discovered && step->path.depth == LWM2M_LEVEL_ROOT) {
        /* spec: LWM2M-1.0-CORE#5.2.7.3: older clients know one object at a time */
        step->path = LWM2M_PATH(LWM2M_OBJ_SECURITY);
        next(s);
        return;
    }
    s->step++;
    formats_set(s);
    err = boot_plan_rest(s);
    if (err != DR_OK) {
        boot_fail(s, 0, dr_err_str(err));
        return;
    }
    next(s);
}

static void discover(struct boot_session *s, const struct boot_step *step)
{
    size_t n = opts_path(s, &step->path);

    s->opts[n++] = opt_number(s, 0, CX_OPT_ACCEPT, LWM2M_CT_LINK);
    call(s, CX_GET, n, discovered);
}

/* ---- Delete ---- */

static void deleted(struct cx_call *c, dr_err_t err, const struct cx_pdu *answer)
{
    struct boot_session *s = c->data;

    if (back(s, err)) {
        return;
    }
    if (answer->code >> 5U == 5 || (s->pelion && answer->code >> 5U != 2)) {
        fail_code(s, "Delete", answer->code);
        return;
    }
    s->step++; /* 4.xx: there is nothing, or it does not let go: the writes will show */
    next(s);
}

/* ---- Write ---- */

static void write_step(struct boot_session *s, const struct boot_step *step);

static void written(struct cx_call *c, dr_err_t err, const struct cx_pdu *answer)
{
    struct boot_session *s = c->data;

    if (back(s, err)) {
        return;
    }
    if (answer->code >> 5U == 2) {
        s->step++;
        next(s);
        return;
    }
    bool format = answer->code == CX_UNSUPPORTED_FORMAT || answer->code == CX_NOT_ACCEPTABLE;
    if (format && s->format + 1 < s->n_formats) {
        s->format++;
        write_step(s, &s->steps[s->step]);
        return;
    }
    fail_code(s, "Write", answer->code);
}

static void write_step(struct boot_session *s, const struct boot_step *step)
{
    uint16_t ct = s->formats[s->format];
    size_t n = opts_path(s, &step->path);
    dr_err_t err = lwm2m_encode_alloc(ct, &step->path, &s->nodes.items[step->first], step->count,
                                      &s->body, &s->body_len);

    if (err != DR_OK) {
        boot_fail(s, 0, dr_err_str(err));
        return;
    }
    s->opts[n++] = opt_number(s, 0, CX_OPT_CONTENT_FORMAT, ct);
    call(s, CX_PUT, n, written);
}

/* ---- Read ---- */

static void read_back(struct cx_call *c, dr_err_t err, const struct cx_pdu *answer)
{
    struct boot_session *s = c->data;
    struct boot_step *step = &s->steps[s->step];
    const struct lwm2m_schema schema = {.models = s->sh->boot->cfg.models,
                                        .enabler = s->found.version};
    const struct lwm2m_decode_opts opts = {.schema = &schema, .base = step->path};
    struct lwm2m_nodes nodes = {0};

    if (back(s, err)) {
        return;
    }
    bool holds = true; /* what cannot be read is not held against the device */
    if (answer->code == CX_CONTENT) {
        uint16_t ct = answer->content_format < 0 ? LWM2M_CT_NONE : (uint16_t)answer->content_format;
        lwm2m_nodes_init(&nodes, 0, 0);
        holds =
            lwm2m_decode_nodes(ct, &opts, answer->payload, answer->payload_len, &nodes) == DR_OK &&
            lwm2m_boot_server_holds(&nodes, s->server_instance, &s->server);
        lwm2m_nodes_fini(&nodes);
    }
    if (!holds) {
        repair(s, "it does not hold what was written");
        return;
    }
    s->step++;
    next(s);
}

/* ---- Finish ---- */

static dr_err_t note_run(struct db_writer *w, struct db_job *job)
{
    const struct boot_session *s = DR_CONTAINER_OF(job, struct boot_session, job);
    dr_err_t err = db_boot_finish(w, &s->finish);

    if (err == DR_OK && s->enrollment != 0) {
        err = db_enrollment_claim(w, s->account, s->enrollment, s->device, s->finish.at_ms);
        err = err == DR_ERR_NOT_FOUND ? DR_OK : err; /* taken back meanwhile */
    }
    return err;
}

static void note_done(struct db_job *job, dr_err_t err)
{
    struct boot_session *s = DR_CONTAINER_OF(job, struct boot_session, job);

    if (boot_back(s)) {
        return;
    }
    if (err != DR_OK) { /* the device has what it needs all the same */
        DR_LOG_LIMITED(DR_LOG_WARNING, "bootstrap", 5, "bootstrap of '%s' was not noted: %s",
                       s->endpoint, dr_err_str(err));
    }
    dr_metric_inc(&boot_metrics[BOOT_M_DONE]);
    boot_state_set(s, BOOT_DONE);
    boot_end(s);
}

static void date_format(int64_t unix_ms, char *out, size_t cap)
{
    char text[DR_TIME_LEN + 1];

    dr_time_format(unix_ms, text);
    (void)snprintf(out, cap, "%.10s", unix_ms > 0 ? text : "");
}

static void colons(const uint8_t *bytes, size_t len, char *out)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < len; i++) {
        *out++ = digits[bytes[i] >> 4U];
        *out++ = digits[bytes[i] & 15U];
        *out++ = i + 1 < len ? ':' : '\0';
    }
}

static void note(struct boot_session *s)
{
    boot_state_set(s, BOOT_NOTING);
    dr_timer_start(loop_wheel(s->sh->loop), &s->timer,
                   loop_now_ms(s->sh->loop) + DEV_BOOT_PREPARE_MS);
    if (s->cert.has_fingerprint) {
        colons(s->cert.fingerprint, sizeof s->cert.fingerprint, s->texts[0]);
    }
    if (s->kind == CX_ID_CERT && s->credential > 0) {
        dr_id_format(s->credential, s->texts[1]);
    }
    date_format(s->cert.not_after_ms, s->texts[2], sizeof s->texts[2]);
    date_format(s->issued == NULL ? 0 : s->issued->not_after_ms, s->connector_date,
                sizeof s->connector_date);
    s->finish = (struct db_boot_finish){
        .account = s->account,
        .device = s->device,
        .event_id = dr_id_new(s->sh->ids),
        .at_ms = dr_wall_ms(),
        .device_key = s->texts[0],
        .ca_id = s->texts[1],
        .bootstrap_expiration_date = s->texts[2],
        .connector_expiration_date = s->connector_date,
        .execution_mode = s->kind == CX_ID_CERT ? s->cert.execution_mode : -1,
    };
    s->job = (struct db_job){
        .home = s->sh->loop, .run = note_run, .done = note_done, .lane = DB_LANE_ACK};
    dr_err_t err = db_submit(s->sh->boot->cfg.db, &s->job);
    if (err != DR_OK) {
        boot_fail(s, 0, dr_err_str(err));
        return;
    }
    s->waiting = true;
}

static void finished(struct cx_call *c, dr_err_t err, const struct cx_pdu *answer)
{
    struct boot_session *s = c->data;

    if (back(s, err)) {
        return;
    }
    if (answer->code == CX_NOT_ACCEPTABLE) {
        repair(s, "the device finds its configuration inconsistent");
        return;
    }
    if (answer->code >> 5U != 2) {
        fail_code(s, "Finish", answer->code);
        return;
    }
    note(s);
}

static void finish(struct boot_session *s)
{
    size_t n = 0;

    boot_state_set(s, BOOT_FINISHING);
    s->opts[n++] = (struct cx_opt){CX_OPT_URI_PATH, 2, (const uint8_t *)"bs"};
    if (s->pelion && s->mode == LWM2M_SECURITY_EST) { /* its device id, for the request that it will
                                                       * make */
        memcpy(s->query, "iep=", 4);
        dr_id_format(s->device, s->query + 4);
        s->opts[n++] = (struct cx_opt){CX_OPT_URI_QUERY, 4 + DR_ID_LEN, (const uint8_t *)s->query};
    }
    call(s, CX_POST, n, finished);
}

/* ---- a pack: all in one answer, no Finish. spec: LWM2M-1.2-CORE#6.1.7.7 ---- */

static void pack_answer(struct boot_session *s)
{
    uint8_t buf[4];
    const struct lwm2m_path root = LWM2M_PATH_ROOT;
    struct cx_opt opt = cx_opt_uint(CX_OPT_CONTENT_FORMAT, s->pct, buf);
    dr_err_t err = boot_plan_nodes(s);

    if (err == DR_OK) {
        err = lwm2m_encode_alloc(s->pct, &root, s->nodes.items, s->nodes.count, &s->body,
                                 &s->body_len);
    }
    if (err != DR_OK) {
        boot_fail(s, CX_UNAVAILABLE, dr_err_str(err));
        return;
    }
    const struct cx_reply reply = {.code = CX_CONTENT,
                                   .opts = &opt,
                                   .n_opts = 1,
                                   .payload = s->body,
                                   .payload_len = s->body_len};
    (void)cx_answer(s->sh->engine, s->x, &reply);
    s->x = 0;
    body_free(s);
    note(s);
}

/* ---- before Finish ---- */

static dr_err_t offer_run(struct db_writer *w, struct db_job *job)
{
    struct boot_session *s = DR_CONTAINER_OF(job, struct boot_session, job);

    return db_boot_offer(w, s->device, &s->offer);
}

static void store_done(struct boot_session *s)
{
    if (s->pack) {
        pack_answer(s);
    } else {
        finish(s);
    }
}

static void offer_done(struct db_job *job, dr_err_t err)
{
    struct boot_session *s = DR_CONTAINER_OF(job, struct boot_session, job);

    if (boot_back(s)) {
        return;
    }
    if (err != DR_OK) {
        boot_fail_store(s, err);
        return;
    }
    store_done(s);
}

/* The device's new key works before the device knows that it may use it; the old one still does. */
static void store(struct boot_session *s)
{
    boot_state_set(s, BOOT_STORING);
    if (s->mode != LWM2M_SECURITY_PSK || s->offer.id != 0) {
        store_done(s); /* no key of ours, or committed before a repair */
        return;
    }
    s->offer = (struct db_psk){.id = dr_id_new(s->sh->ids),
                               .account = s->account,
                               .use = DB_PSK_OFFERED,
                               .identity = dr_bytes_str(s->psk_identity),
                               .endpoint_name = s->endpoint,
                               .key = dr_bytes_of(s->psk, sizeof s->psk),
                               .created_at = dr_wall_ms()};
    s->job = (struct db_job){
        .home = s->sh->loop, .run = offer_run, .done = offer_done, .lane = DB_LANE_ACK};
    dr_err_t err = db_submit(s->sh->boot->cfg.db, &s->job);
    if (err != DR_OK) {
        boot_fail(s, CX_UNAVAILABLE, dr_err_str(err));
        return;
    }
    s->waiting = true;
}

/* ---- the order ---- */

static void next(struct boot_session *s)
{
    if (s->step == s->n_steps) {
        store(s);
        return;
    }
    const struct boot_step *step = &s->steps[s->step];
    switch ((enum boot_step_kind)step->kind) {
    case BOOT_DISCOVER:
        discover(s, step);
        return;
    case BOOT_DELETE:
        call(s, CX_DELETE, opts_path(s, &step->path), deleted);
        return;
    case BOOT_WRITE:
        write_step(s, step);
        return;
    case BOOT_READ: {
        size_t n = opts_path(s, &step->path);
        s->opts[n++] = opt_number(s, 0, CX_OPT_ACCEPT, s->formats[s->format]);
        call(s, CX_GET, n, read_back);
        return;
    }
    }
}

void boot_talk(struct boot_session *s)
{
    dr_assert(s != NULL && s->state == BOOT_MAKING);
    s->now_s = dr_wall_ms() / 1000;
    cx_peer_set_user(s->sh->engine, s->peer, (uint64_t)s->device); /* for routes */
    if (s->pack) {
        store(s);
        return;
    }
    const struct cx_reply reply = {.code = CX_CHANGED};
    (void)cx_answer(s->sh->engine, s->x, &reply);
    s->x = 0;
    dr_timer_start(loop_wheel(s->sh->loop), &s->timer,
                   loop_now_ms(s->sh->loop) + s->sh->boot->cfg.session_ms);
    boot_state_set(s, BOOT_TALKING);
    if (s->pelion) { /* for the others the version matters, which Discover tells */
        formats_set(s);
    }
    talk_again(s);
}
