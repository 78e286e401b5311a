/* SPDX-License-Identifier: Apache-2.0 */
#include "campaigns/plan.h"

#include <stdio.h>
#include <string.h>

#include "campaigns/engine_priv.h"
#include "db/device.h"

static bool differ(const char *want, const char *have)
{
    return want[0] != '\0' && have != NULL && have[0] != '\0' && strcasecmp(want, have) != 0;
}

struct look {
    const struct camp_content *content;
    struct camp_verdict_of_device *ret;
};

static dr_err_t look_row(void *data, const struct db_device *row)
{
    const struct look *l = data;

    l->ret->registered = row->state == DB_DEVICE_REGISTERED;
    if (differ(l->content->vendor, row->vendor_id) ||
        differ(l->content->class_id, row->device_class)) {
        l->ret->code = "SYS_117";
    }
    return DR_OK;
}

dr_err_t camp_precheck(struct db_reader *r, const struct db_campaign *c,
                       const struct camp_content *content, int64_t device,
                       struct camp_verdict_of_device *ret)
{
    struct look look = {.content = content, .ret = ret};
    int64_t other = 0;

    *ret = (struct camp_verdict_of_device){.device = device};
    dr_err_t err = db_device_get(r, c->account, device, look_row, &look);
    if (err == DR_OK && ret->code == NULL && c->conflict == CAMP_CONFLICT_SKIP) {
        err = db_campaign_device_other(r, c->id, device, content->component,
                                       CAMP_STATUS_UNFINISHED_FIRST, CAMP_STATUS_UNFINISHED_LAST,
                                       &other);
        if (other != 0) {
            ret->code = "SYS_121";
            ret->conflict = true;
        }
    }
    return err;
}

dr_err_t camp_candidates(struct db_reader *r, const struct db_campaign *c, int64_t after,
                         uint32_t limit, dr_err_t (*fn)(void *data, int64_t device), void *data)
{
    struct db_cond conds[DB_CONDS_MAX];
    const char *values[CAMP_CONDS_MAX / 2];
    char text[CAMP_CONDS_MAX + 1];

    if (limit == 0) {
        return DR_OK;
    }
    if (c->source_campaign != 0) {
        return db_campaign_device_ids(r, c->account, c->source_campaign, c->source_buckets, after,
                                      limit, fn, data);
    }
    (void)snprintf(text, sizeof text, "%s", c->conditions);
    struct db_query query = {
        .account = c->account, .conds = conds, .order = DB_ASC, .after = after, .limit = limit};
    query.n_conds = camp_conds_unpack(text, conds, values, DR_ARRAY_LEN(values));
    return db_device_ids(r, &query, fn, data, NULL);
}

/* ---- dry run ---- */

struct plan {
    const struct camp_engine *e;
    struct db_reader *r;
    camp_plan_fn *fn;
    void *data;
    struct camp_plan *ret;
    struct camp_content content;
    struct db_campaign_wave waves[CAMP_WAVES_MAX];
    int64_t ids[CAMP_COPY_BATCH];
    size_t n_ids;
};

static dr_err_t wave_row(void *data, const struct db_campaign_wave *row)
{
    struct plan *p = data;

    if (p->ret->n_waves < CAMP_WAVES_MAX) {
        p->waves[p->ret->n_waves] = *row;
        p->waves[p->ret->n_waves++].verdict = "";
    }
    return DR_OK;
}

static dr_err_t candidate(void *data, int64_t device)
{
    struct plan *p = data;

    p->ids[p->n_ids++] = device;
    return DR_OK;
}

static dr_err_t plan_one(struct plan *p, const struct db_campaign *c, int64_t device)
{
    struct camp_verdict_of_device v;
    struct camp_plan *ret = p->ret;
    dr_err_t err = camp_precheck(p->r, c, &p->content, device, &v);

    if (err == DR_ERR_NOT_FOUND) {
        return DR_OK; /* of another campaign, and deleted since */
    }
    if (err != DR_OK) {
        return err;
    }
    v.wave = camp_wave_of(p->waves, ret->n_waves, ret->devices, c->id, device);
    ret->total++;
    ret->devices[v.wave]++;
    ret->updated[v.wave] += v.code == NULL;
    ret->conflicts += v.conflict;
    ret->wrong_kind += v.code != NULL && !v.conflict;
    ret->unregistered += v.code == NULL && !v.registered;
    return p->fn(p->data, &v);
}

static dr_err_t plan_campaign(void *data, const struct db_campaign *c)
{
    struct plan *p = data;
    struct dr_errinfo info;
    int64_t after = 0;

    if (c->root_manifest_id == 0) {
        return DR_ERR_INVAL;
    }
    dr_err_t err = p->e->cfg.content == NULL
                       ? DR_ERR_INVAL
                       : p->e->cfg.content(p->e->cfg.content_data, p->r, c->account,
                                           c->root_manifest_id, &p->content, &info);
    if (err == DR_ERR_NOT_FOUND) {
        err = DR_ERR_INVAL;
    }
    if (err == DR_OK) {
        err = db_campaign_waves(p->r, c->id, wave_row, p);
    }
    do {
        int64_t left = c->max_devices == 0 ? CAMP_DEVICES_MAX : c->max_devices - p->ret->total;
        p->n_ids = 0;
        if (err == DR_OK) {
            err = camp_candidates(p->r, c, after,
                                  (uint32_t)(left > CAMP_COPY_BATCH ? CAMP_COPY_BATCH
                                             : left < 0             ? 0
                                                                    : left),
                                  candidate, p);
        }
        for (size_t i = 0; err == DR_OK && i < p->n_ids; i++) {
            after = p->ids[i];
            err = plan_one(p, c, p->ids[i]);
        }
    } while (err == DR_OK && p->n_ids == CAMP_COPY_BATCH);
    camp_content_fini(&p->content);
    return err;
}

dr_err_t camp_plan(const struct camp_engine *e, struct db_reader *r, int64_t account, int64_t id,
                   camp_plan_fn *fn, void *data, struct camp_plan *ret)
{
    struct plan p = {.e = e, .r = r, .fn = fn, .data = data, .ret = ret};

    dr_assert(e != NULL && r != NULL && fn != NULL && ret != NULL);
    *ret = (struct camp_plan){0};
    return db_campaign_get(r, account, id, plan_campaign, &p);
}
