/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs on the control loop: one device of a campaign. Inputs go through camp_machine() into a copy
 * of the row, the copy is stored, and when it is on disk it becomes the row and its op is begun.
 * What happens meanwhile waits in `news`: states, not events, so nothing piles up.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/text.h"
#include "campaigns/engine_priv.h"

static struct dr_list *bucket_of(const struct camp_engine *e, int64_t device)
{
    return &e->buckets[dr_mix64((uint64_t)device) & (CAMP_BUCKETS_OF_DEVICES - 1)];
}

static void timer_due(struct dr_timer *t, uint64_t now_ms);
static void again_due(struct dr_timer *t, uint64_t now_ms);

struct camp_dev *camp_dev_new(struct camp *c, const struct db_campaign_device *row)
{
    struct camp_dev *d = calloc(1, sizeof *d);

    if (d == NULL) {
        return NULL;
    }
    d->c = c;
    camp_row_load(&d->row, row);
    dr_timer_init(&d->timer, timer_due);
    dr_timer_init(&d->again, again_due);
    dr_list_push_back(bucket_of(c->e, row->device), &d->by_device);
    dr_list_push_back(&c->devs, &d->node);
    c->n_devs++;
    return d;
}

void camp_dev_free(struct camp_dev *d)
{
    struct camp_engine *e = d->c->e;

    dr_assert(!d->writing && !d->asking);
    dr_timer_cancel(&e->wheel, &d->timer);
    dr_timer_cancel(&e->wheel, &d->again);
    dr_list_remove(&d->by_device);
    dr_list_remove(&d->node);
    d->c->n_devs--;
    free(d);
}

struct camp_dev *camp_dev_find(const struct camp_engine *e, int64_t campaign, int64_t device)
{
    DR_LIST_EACH(it, bucket_of(e, device))
    {
        struct camp_dev *d = DR_CONTAINER_OF(it, struct camp_dev, by_device);
        if (d->row.d.device == device && d->row.d.campaign == campaign) {
            return d;
        }
    }
    return NULL;
}

/* ---- writing ---- */

static void tally_move(struct camp *c, const struct db_campaign_device *from,
                       const struct db_campaign_device *to)
{
    struct camp_tally *t = &c->tally[from->wave];

    t->by_status[from->status]--;
    t->failed_by[from->status == CAMP_FAILED ? from->fail : 0] -= from->status == CAMP_FAILED;
    t = &c->tally[to->wave];
    t->by_status[to->status]++;
    if (to->status == CAMP_ASK_DOWNLOAD || to->status == CAMP_ASK_INSTALL) {
        c->asked_at = camp_now(c->e);
    }
    t->failed_by[to->status == CAMP_FAILED ? to->fail : 0] += to->status == CAMP_FAILED;
}

static dr_err_t write_run(struct db_writer *w, struct db_job *job)
{
    struct camp_dev *d = DR_CONTAINER_OF(job, struct camp_dev, job);
    dr_err_t err = db_campaign_device_update(w, &d->next.d);

    return err == DR_OK && d->has_event ? db_event_append(w, &d->event) : err;
}

static void write_done(struct db_job *job, dr_err_t err);

/* The store refuses: the same again in a while. */
static void write_later(struct camp_dev *d)
{
    struct camp_engine *e = d->c->e;

    d->write_again = true;
    dr_timer_start(&e->wheel, &d->again, (uint64_t)camp_now(e) + CAMP_STORE_AGAIN_MS);
}

static void write_start(struct camp_dev *d)
{
    struct camp_engine *e = d->c->e;

    d->job = (struct db_job){.home = e->loop,
                             .run = write_run,
                             .done = write_done,
                             .lane = DB_LANE_ACK,
                             .savepoint = true};
    camp_fault(&e->faults, CAMP_FAULT_DECIDED);
    d->writing = true;
    d->write_again = false;
    e->busy++;
    dr_err_t err = db_submit(e->db, &d->job);
    if (err != DR_OK) {
        e->busy--;
        d->writing = false;
        if (err != DR_ERR_CANCELED && !e->stopping) {
            DR_LOG_LIMITED(DR_LOG_WARNING, "campaigns", 1, "store refuses a transition: %s",
                           dr_err_str(err));
            write_later(d);
        }
    }
}

static const char *const summaries[CAMP_BUCKETS] = {"INFO", "SUCCESS", "FAIL", "SKIPPED"};

static void event_make(struct camp_dev *d)
{
    const struct db_campaign_device *n = &d->next.d;
    char id[DR_ID_LEN + 1];

    dr_id_format(d->row.d.campaign, id);
    (void)snprintf(d->event_data, sizeof d->event_data, "{\"campaign_id\":\"%s\"}", id);
    d->event = (struct db_event){.id = dr_id_new(&d->c->e->ids),
                                 .account = n->account,
                                 .device = n->device,
                                 .event_type = d->next.code,
                                 .event_type_category = "update",
                                 .event_type_description = summaries[n->bucket],
                                 .description = d->next.reason,
                                 .state_change = camp_status_final(n->status),
                                 .changes = "{}",
                                 .data = d->event_data};
    d->has_event = true;
}

static void news_drain(struct camp_dev *d);

static void stop_waiting(struct camp_dev *d)
{
    if (d->reserved) {
        d->reserved = false;
        d->c->reserved--;
        /* the last of a round is stored, so that the next one does not find them again */
        d->c->admitting = d->c->admitting && d->c->reserved > 0;
    }
}

static void write_done(struct db_job *job, dr_err_t err)
{
    struct camp_dev *d = DR_CONTAINER_OF(job, struct camp_dev, job);
    struct camp *c = d->c;
    struct camp_engine *e = c->e;

    d->writing = false;
    stop_waiting(d);
    if (err == DR_ERR_EXISTS) { /* another campaign has the device */
        struct camp_input in = {.kind = CAMP_IN_SKIP,
                                .code = "SYS_121",
                                .reason = "The device is being updated by another campaign"};
        if (c->text.row.conflict == CAMP_CONFLICT_QUEUE) {
            d->doomed = true; /* it stays in the queue */
        } else {
            camp_dev_input(d, &in);
        }
    } else if (err == DR_ERR_STALE) {
        d->doomed = true;
        c->tallied = false; /* deleted, or not as we thought: count again */
    } else if (err != DR_OK) {
        if (!e->stopping) {
            write_later(d);
        }
    } else {
        camp_fault(&e->faults, CAMP_FAULT_STORED);
        d->next.d.version++;
        tally_move(c, &d->row.d, &d->next.d);
        d->row = d->next;
        camp_row_bind(&d->row);
        if (d->row.d.deadline != 0) {
            dr_timer_start(&e->wheel, &d->timer, (uint64_t)d->row.d.deadline);
        } else {
            dr_timer_cancel(&e->wheel, &d->timer);
        }
        camp_dev_act(d);
        news_drain(d);
    }
    if (!d->writing && !d->asking && !d->write_again && (d->doomed || d->row.d.watch == 0)) {
        camp_dev_free(d);
    }
    camp_drive(c);
    camp_idle(e);
}

void camp_dev_input(struct camp_dev *d, struct camp_input *in)
{
    struct camp *c = d->c;
    struct camp_policy policy = camp_policy_of(c);

    dr_assert(!d->writing);
    in->now_ms = camp_now(c->e);
    in->slot_free = camp_slots(c) < c->text.row.max_inflight;
    in->may_install = camp_open_now(c);
    in->jitter_ms = (uint32_t)(dr_rand_u32() % (1 + (uint64_t)c->text.row.retry_backoff_s * 100));
    d->next = d->row;
    camp_row_bind(&d->next);
    if (!camp_machine(&policy, in, &d->next)) {
        return;
    }
    bool was = camp_status_slot(d->row.d.status), is = camp_status_slot(d->next.d.status);
    if (is && !was && !d->reserved) {
        d->reserved = true;
        c->reserved++;
    }
    d->has_event = false;
    if (strcmp(d->next.code, d->row.code) != 0 || d->next.d.status != d->row.d.status) {
        event_make(d);
    }
    write_start(d);
}

/* ---- what comes while a change is being written ---- */

static void report_merge(struct camp_report *to, const struct camp_report *from)
{
    if (from->at != CAMP_AT_UNKNOWN) {
        to->at = from->at;
    }
    if (from->has_result) {
        to->has_result = true;
        to->result_ok = from->result_ok;
        to->result = from->result;
        to->fail = from->fail;
    }
    if (from->has_target) {
        to->has_target = true;
        to->at_target = from->at_target;
    }
    if (from->version[0] != '\0') {
        memcpy(to->version, from->version, sizeof to->version);
    }
    bool outranked = to->has_result && !to->result_ok && !from->has_result;
    if (from->code[0] != '\0' && !outranked) {
        memcpy(to->code, from->code, sizeof to->code);
    }
}

static const char *result_reason(const struct camp_dev *d, const struct camp_report *r)
{
    const struct camp_driver *driver = camp_driver_of((enum camp_mech)d->row.d.mech);

    return r->has_result && !r->result_ok && driver != NULL ? driver->result_text(r->result) : NULL;
}

static bool news_take(struct camp_dev *d, unsigned bit)
{
    bool is = (d->news & bit) != 0;

    d->news &= ~bit;
    return is;
}

static void news_one(struct camp_dev *d)
{
    struct camp_input in = {0};
    struct camp_report report;

    if (news_take(d, CAMP_NEWS_REMOVED)) {
        in.kind = CAMP_IN_REMOVED;
    } else if (news_take(d, CAMP_NEWS_ANSWER)) {
        enum camp_op op = (enum camp_op)d->row.d.op;
        in.kind = !d->op_ok ? CAMP_IN_OP_FAILED : op == CAMP_OP_READ ? CAMP_IN_READ : CAMP_IN_OP_OK;
        report = d->known;
        in.report = &report;
        in.mech = d->trying;
        in.fail = d->op_fail;
        in.away = d->op_away;
        in.reason = !d->op_ok ? d->op_reason : result_reason(d, &report);
        d->op_seq = 0;
    } else if (news_take(d, CAMP_NEWS_REPORT)) {
        report = d->note;
        d->note = (struct camp_report){0};
        in.kind = CAMP_IN_NOTE;
        in.report = &report;
        in.reason = result_reason(d, &report);
    } else if (news_take(d, CAMP_NEWS_OFFLINE)) {
        in.kind = CAMP_IN_OFFLINE;
    } else if (news_take(d, CAMP_NEWS_ONLINE)) {
        in.kind = CAMP_IN_ONLINE;
    } else if (news_take(d, CAMP_NEWS_EXPIRE)) {
        in.kind = CAMP_IN_EXPIRE;
    } else if ((d->news & (CAMP_NEWS_CANCEL | CAMP_NEWS_CANCEL_HARD)) != 0) {
        in.kind = CAMP_IN_CANCEL;
        in.hard = (d->news & CAMP_NEWS_CANCEL_HARD) != 0;
        d->news &= ~(unsigned)(CAMP_NEWS_CANCEL | CAMP_NEWS_CANCEL_HARD);
    } else if (news_take(d, CAMP_NEWS_RECALL)) {
        in.kind = CAMP_IN_RECALL;
    } else {
        d->news = 0;
        return;
    }
    camp_dev_input(d, &in);
}

static void news_drain(struct camp_dev *d)
{
    while (d->news != 0 && !d->writing && !d->write_again) {
        news_one(d);
    }
}

void camp_dev_news(struct camp_dev *d, unsigned news)
{
    d->news |= news;
    if ((news & CAMP_NEWS_ONLINE) != 0) {
        d->news &= ~(unsigned)CAMP_NEWS_OFFLINE;
    } else if ((news & CAMP_NEWS_OFFLINE) != 0) {
        d->news &= ~(unsigned)CAMP_NEWS_ONLINE;
    }
    news_drain(d);
}

static void timer_due(struct dr_timer *t, uint64_t now_ms)
{
    struct camp_dev *d = DR_CONTAINER_OF(t, struct camp_dev, timer);
    struct camp_input in = {.kind = CAMP_IN_DEADLINE};

    (void)now_ms;
    if (!d->writing && !d->write_again) {
        camp_dev_input(d, &in);
    } else {
        dr_timer_start(&d->c->e->wheel, &d->timer,
                       (uint64_t)camp_now(d->c->e) + CAMP_STORE_AGAIN_MS);
    }
}

/* A write that failed, or a request that found no room. */
static void again_due(struct dr_timer *t, uint64_t now_ms)
{
    struct camp_dev *d = DR_CONTAINER_OF(t, struct camp_dev, again);

    (void)now_ms;
    if (d->write_again) {
        write_start(d);
        return;
    }
    camp_dev_act(d);
    news_drain(d);
}

/* ---- operations ---- */

static void op_end(struct camp_dev *d, bool ok, bool is_away, enum camp_fail fail,
                   const char *reason)
{
    d->op_ok = ok;
    d->op_away = is_away;
    d->op_fail = fail;
    (void)snprintf(d->op_reason, sizeof d->op_reason, "%s", reason == NULL ? "" : reason);
    camp_dev_news(d, CAMP_NEWS_ANSWER);
}

static void step_start(struct camp_dev *d);

static void step_again(struct camp_dev *d)
{
    d->op_seq = 0;
    dr_timer_start(&d->c->e->wheel, &d->again, (uint64_t)camp_now(d->c->e) + CAMP_STORE_AGAIN_MS);
}

static void step_next(struct camp_dev *d)
{
    d->step++;
    step_start(d);
}

/* The path is not among what the device registered, or it says so. */
static void step_missing(struct camp_dev *d)
{
    if (d->at.optional) {
        step_next(d);
        return;
    }
    if (d->row.d.mech == CAMP_MECH_UNKNOWN && d->row.d.op == CAMP_OP_READ && d->step == 0 &&
        d->trying == CAMP_MECH_PELION) {
        d->trying = CAMP_MECH_OBJECT5;
        step_start(d);
        return;
    }
    op_end(d, false, false, CAMP_FAIL_NO_OBJECT, "The device has no object for updates");
}

static void step_put(struct camp_dev *d, dr_err_t err)
{
    switch (err) {
    case DR_OK:
    case DR_ERR_EXISTS:
        break;
    case DR_ERR_NOT_FOUND:
        op_end(d, false, true, CAMP_FAIL_TRANSIENT, "The device is not registered");
        break;
    case DR_ERR_INVAL:
        step_missing(d);
        break;
    case DR_ERR_TOO_LARGE:
    case DR_ERR_PROTO:
    case DR_ERR_UNSUPPORTED:
        op_end(d, false, false, CAMP_FAIL_REJECTED, "The update cannot be sent to the device");
        break;
    default:
        step_again(d);
        break;
    }
}

static void asked(struct camp_dev *d, dr_err_t err)
{
    struct camp *c = d->c;
    struct camp_engine *e = c->e;

    camp_fault(&e->faults, CAMP_FAULT_ASKED);
    d->asking = false;
    if (d->doomed || e->stopping) {
        if (d->doomed && !d->writing) {
            camp_dev_free(d);
        }
    } else if (d->op_seq == d->row.d.op_seq && d->op_seq != 0) {
        if (err == DR_ERR_EXISTS && d->at.observe != NULL) {
            step_next(d); /* subscribed already */
        } else {
            step_put(d, err);
        }
    } else {
        camp_dev_act(d);
    }
    camp_idle(e);
}

static void request_asked(struct dev_request *req, dr_err_t err)
{
    asked(DR_CONTAINER_OF(req, struct camp_dev, req), err);
}

static void subscribe_asked(struct dev_subscribe *sub, dr_err_t err)
{
    asked(DR_CONTAINER_OF(sub, struct camp_dev, sub), err);
}

static void step_start(struct camp_dev *d)
{
    struct camp *c = d->c;
    const struct camp_driver *driver = camp_driver_of(d->trying);
    enum camp_op op = (enum camp_op)d->row.d.op;
    dr_err_t err = driver->request(&c->content, op, d->step, &d->known, &d->at);

    if (err == DR_ERR_NOT_FOUND) {
        op_end(d, true, false, CAMP_FAIL_NONE, NULL);
        return;
    }
    if (err != DR_OK) {
        op_end(d, false, false, CAMP_FAIL_NO_OBJECT,
               "The device and the campaign have no way of delivery in common");
        return;
    }
    /* the id names row, operation and step: an answer that is late finds nobody */
    (void)snprintf(d->async_id, sizeof d->async_id, "c%016" PRIx64 "-%" PRIx64 "-%x",
                   (uint64_t)d->row.d.id, (uint64_t)d->row.d.op_seq, d->step);
    if (d->at.observe != NULL) {
        d->sub = (struct dev_subscribe){.account = c->account,
                                        .device = d->row.d.device,
                                        .key = DEV_KEY_CAMPAIGNS,
                                        .path = d->at.observe,
                                        .async_id = d->async_id,
                                        .cb = subscribe_asked};
        err = dev_subscribe_start(c->e->cfg.devices, &d->sub);
    } else {
        bool read = op == CAMP_OP_READ;
        d->req = (struct dev_request){.account = c->account,
                                      .device = d->row.d.device,
                                      .key = DEV_KEY_CAMPAIGNS,
                                      .async_id = d->async_id,
                                      .method = d->at.method,
                                      .uri = d->at.uri,
                                      .content_type = d->at.content_type,
                                      .accept = "",
                                      .payload = d->at.payload,
                                      .body = d->at.body,
                                      .retry = -1,
                                      .expiry_s = read ? -1 : c->text.row.deliver_s,
                                      .cb = request_asked};
        err = dev_request_start(c->e->cfg.devices, &d->req);
    }
    if (err != DR_OK) {
        step_put(d, err);
        return;
    }
    d->asking = true;
    c->e->busy++;
}

void camp_dev_act(struct camp_dev *d)
{
    struct camp *c = d->c;

    if (d->row.d.op == CAMP_OP_NONE || d->op_seq == d->row.d.op_seq || d->asking || d->doomed ||
        !c->e->running || c->e->stopping || !c->has_content || d->writing) {
        return;
    }
    d->op_seq = d->row.d.op_seq;
    d->step = 0;
    d->news &= ~(unsigned)CAMP_NEWS_ANSWER;
    if (d->row.d.op == CAMP_OP_READ) {
        d->known = (struct camp_report){0};
        d->trying =
            d->row.d.mech == CAMP_MECH_UNKNOWN ? CAMP_MECH_PELION : (enum camp_mech)d->row.d.mech;
    } else {
        d->trying = (enum camp_mech)d->row.d.mech;
    }
    step_start(d);
}

/* ---- what devices/ tells ---- */

static bool is_away(const struct dev_event *ev)
{
    return ev->status == 429 || ev->status == 502 || ev->status == 503 || ev->status == 504;
}

static void answer(struct camp_dev *d, const struct dev_event *ev)
{
    const struct camp_driver *driver = camp_driver_of(d->trying);
    const char *path = d->at.observe != NULL ? d->at.observe : d->at.uri;
    char reason[CAMP_REASON_MAX + 1];

    if (ev->status == 200) {
        struct camp_report *to = d->row.d.op == CAMP_OP_READ ? &d->known : NULL;
        if (to != NULL) {
            (void)driver->value(&d->c->content, path, ev->ct, ev->payload, to);
        }
        step_next(d);
        return;
    }
    if (is_away(ev)) {
        op_end(d, false, true, CAMP_FAIL_TRANSIENT, ev->error);
        return;
    }
    if (d->at.optional) {
        step_next(d);
        return;
    }
    if (ev->status == 404 && d->row.d.op == CAMP_OP_READ) {
        step_missing(d);
        return;
    }
    (void)snprintf(reason, sizeof reason, "The device refused the request for %s (%d %s)", path,
                   ev->status, ev->error == NULL ? "" : ev->error);
    op_end(d, false, false, CAMP_FAIL_TRANSIENT, reason);
}

static void event_answer(struct camp_engine *e, const struct dev_event *ev)
{
    uint64_t id, seq, step;

    camp_fault(&e->faults, CAMP_FAULT_ANSWERED);
    dev_answer_delivered(e->cfg.devices, ev->request);
    if (ev->async_id == NULL ||
        sscanf(ev->async_id, "c%16" SCNx64 "-%" SCNx64 "-%" SCNx64, &id, &seq, &step) != 3) {
        return;
    }
    DR_LIST_EACH_SAFE(it, bucket_of(e, ev->device))
    {
        struct camp_dev *d = DR_CONTAINER_OF(it, struct camp_dev, by_device);
        if ((uint64_t)d->row.d.id == id && (uint64_t)d->op_seq == seq && d->step == step &&
            d->op_seq == d->row.d.op_seq) {
            answer(d, ev);
            return;
        }
    }
}

static void event_value(struct camp_dev *d, const struct dev_event *ev)
{
    const struct camp_driver *driver = camp_driver_of((enum camp_mech)d->row.d.mech);
    struct camp_report r = {0};

    if (driver != NULL && d->c->has_content &&
        driver->value(&d->c->content, ev->path, ev->ct, ev->payload, &r)) {
        report_merge(&d->note, &r);
        camp_dev_news(d, CAMP_NEWS_REPORT);
    }
}

void camp_sink_event(void *data, const struct dev_event *ev)
{
    struct camp_engine *e = data;

    if (e->stopping) {
        return;
    }
    if (ev->kind == DEV_EVENT_ANSWER) {
        if (ev->owner_key == DEV_KEY_CAMPAIGNS && e->running) {
            event_answer(e, ev);
        }
        return;
    }
    DR_LIST_EACH_SAFE(it, bucket_of(e, ev->device))
    {
        struct camp_dev *d = DR_CONTAINER_OF(it, struct camp_dev, by_device);
        if (d->row.d.device != ev->device || !e->running) {
            continue;
        }
        switch (ev->kind) {
        case DEV_EVENT_VALUE:
            event_value(d, ev);
            break;
        case DEV_EVENT_REGISTERED:
            camp_dev_news(d, CAMP_NEWS_ONLINE);
            break;
        case DEV_EVENT_UPDATED:
            if (d->row.d.status == CAMP_WAIT_DEVICE) {
                camp_dev_news(d, CAMP_NEWS_ONLINE);
            }
            break;
        case DEV_EVENT_DEREGISTERED:
            camp_orphans_soon(d->c); /* perhaps it was deleted */
            camp_dev_news(d, CAMP_NEWS_OFFLINE);
            break;
        case DEV_EVENT_EXPIRED:
            camp_dev_news(d, CAMP_NEWS_OFFLINE);
            break;
        case DEV_EVENT_ANSWER:
            break;
        }
    }
}
