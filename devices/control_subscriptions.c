/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs on the control loop: subscriptions, pre-subscriptions, values and links.
 *
 * A subscription is a row and, once, a request in the device's queue: so its first value comes in
 * order, waits for a sleeping device and survives a restart like every other answer. The shards
 * create its observation again after each Register without control.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "db/subscription.h"
#include "devices/cache.h"
#include "devices/control_priv.h"
#include "devices/presub_json.h"
#include "devices/rules.h"
#include "lwm2m/format.h"

/* ---- subscribe ---- */

struct sub_start {
    struct db_read read;
    struct db_job job;
    struct dev_control *c;
    struct dev_subscribe *sub;
    struct dev_found found;
    char path[LWM2M_PATH_STR_MAX];
    uint32_t count;
    struct db_subscription row;
    struct db_request request;
};

static void sub_end(struct sub_start *s, dr_err_t err)
{
    struct dev_control *c = s->c;
    struct dev_subscribe *sub = s->sub;

    free(s);
    sub->cb(sub, err);
    dev_idle(c);
}

static dr_err_t sub_insert_run(struct db_writer *w, struct db_job *job)
{
    struct sub_start *s = DR_CONTAINER_OF(job, struct sub_start, job);
    dr_err_t err = db_subscription_insert(w, &s->row);

    return err == DR_OK ? db_request_insert(w, &s->request, DEV_QUEUE_MAX) : err;
}

static void sub_insert_done(struct db_job *job, dr_err_t err)
{
    struct sub_start *s = DR_CONTAINER_OF(job, struct sub_start, job);
    struct dev_control *c = s->c;
    struct db_request row = s->request;
    uint64_t hash = s->found.hash;

    sub_end(s, err);
    if (err == DR_OK) {
        dev_requests_add(c, &row, hash, NULL);
    }
}

static dr_err_t sub_count(void *data, const struct db_subscription *row)
{
    struct sub_start *s = data;

    (void)row;
    s->count++;
    return DR_OK;
}

static dr_err_t sub_find_run(struct db_reader *r, struct db_read *read)
{
    struct sub_start *s = DR_CONTAINER_OF(read, struct sub_start, read);
    const struct dev_subscribe *sub = s->sub;
    dr_err_t err = dev_find(r, s->c->core, sub->account, sub->device, s->path, false, &s->found);

    if (err == DR_OK && !s->found.listed) {
        err = DR_ERR_INVAL;
    }
    if (err == DR_OK) {
        err = db_subscription_list(r, sub->account, sub->device, sub_count, s);
    }
    if (err == DR_OK && s->count >= DEV_SUBSCRIPTIONS_MAX) {
        err = DR_ERR_LIMIT;
    }
    return err;
}

static void sub_find_done(struct db_read *read, dr_err_t err)
{
    struct sub_start *s = DR_CONTAINER_OF(read, struct sub_start, read);
    const struct dev_subscribe *sub = s->sub;
    int64_t now_ms = dr_wall_ms();

    if (err != DR_OK) {
        sub_end(s, err);
        return;
    }
    s->row = (struct db_subscription){.account = sub->account,
                                      .device = sub->device,
                                      .key = sub->key,
                                      .path = s->path,
                                      .created_at = now_ms};
    bool sleepy = s->found.queue_mode;
    s->request = (struct db_request){
        .id = dr_id_new(&s->c->ids),
        .account = sub->account,
        .device = sub->device,
        .key = sub->key,
        .async_id = sub->async_id,
        .method = DEV_METHOD_OBSERVE,
        .uri = s->path,
        .content_type = "",
        .accept = "",
        .retry_left = sleepy ? DEV_RETRY_QUEUE : 0,
        .created_at = now_ms,
        .expires_at = now_ms + (sleepy ? DEV_EXPIRY_QUEUE_S : DEV_EXPIRY_S) * 1000LL};
    s->job = (struct db_job){.home = s->c->loop,
                             .run = sub_insert_run,
                             .done = sub_insert_done,
                             .lane = DB_LANE_ACK,
                             .savepoint = true};
    err = db_submit(s->c->db, &s->job);
    if (err != DR_OK) {
        sub_end(s, err);
    }
}

/* Subscriptions are kept under one spelling of their path. */
static dr_err_t path_normal(const char *text, char out[LWM2M_PATH_STR_MAX])
{
    struct dev_uri uri;
    dr_err_t err = dev_uri_parse(text, &uri);

    if (err != DR_OK || uri.query != NULL) {
        return DR_ERR_PROTO;
    }
    (void)lwm2m_path_format(&uri.path, out);
    return DR_OK;
}

dr_err_t dev_subscribe_start(struct dev_core *core, struct dev_subscribe *sub)
{
    struct dev_control *c = core->control;

    loop_assert_current(c->loop);
    dr_assert(sub != NULL && sub->cb != NULL && sub->path != NULL && sub->async_id != NULL);
    if (c->stopping) {
        return DR_ERR_CANCELED;
    }
    struct sub_start *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return DR_ERR_NOMEM;
    }
    dr_err_t err = path_normal(sub->path, s->path);
    s->c = c;
    s->sub = sub;
    s->read = (struct db_read){.home = c->loop, .fn = sub_find_run, .done = sub_find_done};
    if (err == DR_OK) {
        err = db_read_start(c->db, &s->read);
    }
    if (err != DR_OK) {
        free(s);
        return err;
    }
    dev_busy(c);
    return DR_OK;
}

/* ---- unsubscribe ---- */

struct unsub {
    struct db_job job;
    struct dev_control *c;
    struct dev_unsubscribe *un;
    struct dev_task *task; /* ready, for the shard */
    char path[LWM2M_PATH_STR_MAX];
    struct dev_found found;
    bool known;
    uint32_t n;
};

static dr_err_t unsub_run(struct db_writer *w, struct db_job *job)
{
    struct unsub *u = DR_CONTAINER_OF(job, struct unsub, job);
    const struct dev_unsubscribe *un = u->un;
    dr_err_t err =
        dev_find(db_writer_reader(w), u->c->core, un->account, un->device, NULL, false, &u->found);

    u->known = err == DR_OK;
    if (err != DR_OK && err != DR_ERR_NOT_FOUND) {
        return err;
    }
    u->n = 0;
    return db_subscription_delete(w, un->account, un->device, un->path == NULL ? NULL : u->path,
                                  un->key, &u->n);
}

static void forget_done(struct dev_task *task)
{
    struct dev_control *c = task->core->control;

    (void)dev_task_free(task);
    dev_idle(c);
}

static void unsub_done(struct db_job *job, dr_err_t err)
{
    struct unsub *u = DR_CONTAINER_OF(job, struct unsub, job);
    struct dev_control *c = u->c;
    struct dev_unsubscribe *un = u->un;

    if (err == DR_OK && u->known) {
        u->task->hash = u->found.hash;
        dev_busy(c);
        dev_task_send(u->task);
        u->task = NULL;
    }
    if (err == DR_OK && u->n == 0) {
        err = DR_ERR_NOT_FOUND;
    }
    (void)dev_task_free(u->task);
    free(u);
    un->cb(un, err);
    dev_idle(c);
}

dr_err_t dev_unsubscribe_start(struct dev_core *core, struct dev_unsubscribe *un)
{
    struct dev_control *c = core->control;
    struct unsub *u = calloc(1, sizeof *u);
    struct dev_task *task = calloc(1, sizeof *task);
    dr_err_t err = u == NULL || task == NULL ? DR_ERR_NOMEM : DR_OK;

    loop_assert_current(c->loop);
    dr_assert(un != NULL && un->cb != NULL);
    if (err == DR_OK && un->path != NULL) {
        err = path_normal(un->path, u->path);
    }
    if (err == DR_OK) {
        *task = (struct dev_task){.core = core,
                                  .kind = DEV_TASK_FORGET,
                                  .done = forget_done,
                                  .device = un->device,
                                  .account = un->account,
                                  .key = un->key,
                                  .uri = un->path == NULL ? NULL : strdup(u->path)};
        u->c = c;
        u->un = un;
        u->task = task;
        u->job = (struct db_job){
            .home = c->loop, .run = unsub_run, .done = unsub_done, .lane = DB_LANE_ACK};
        err = un->path != NULL && task->uri == NULL ? DR_ERR_NOMEM : db_submit(c->db, &u->job);
    }
    if (err != DR_OK) {
        (void)dev_task_free(task);
        free(u);
        return err;
    }
    dev_busy(c);
    return DR_OK;
}

/* ---- pre-subscriptions ---- */

struct presub_put {
    struct db_job job;
    struct dev_control *c;
    struct dev_presubscriptions_put *put;
    struct dev_presubs *list;
    const char **json; /* owned, with its texts */
    size_t n;
};

static void presub_put_free(struct presub_put *p)
{
    for (size_t i = 0; p->json != NULL && i < p->n; i++) {
        free((void *)(uintptr_t)p->json[i]);
    }
    free(p->json);
    (void)dev_presubs_unref(p->list);
    free(p);
}

static dr_err_t presub_put_run(struct db_writer *w, struct db_job *job)
{
    struct presub_put *p = DR_CONTAINER_OF(job, struct presub_put, job);

    return db_presubscription_replace(w, p->put->account, p->put->key, p->json, p->n);
}

static void presub_put_done(struct db_job *job, dr_err_t err)
{
    struct presub_put *p = DR_CONTAINER_OF(job, struct presub_put, job);
    struct dev_control *c = p->c;
    struct dev_presubscriptions_put *put = p->put;

    if (err == DR_OK) {
        for (unsigned i = 0; i < c->core->n; i++) {
            dev_shard_set_presubs(c->core->shards[i], dev_presubs_ref(p->list));
        }
    }
    presub_put_free(p);
    put->cb(put, err);
    dev_idle(c);
}

static struct dev_presubs *presubs_new(int64_t account, int64_t key, size_t n)
{
    struct dev_presubs *list = calloc(1, sizeof *list);

    if (list == NULL) {
        return NULL;
    }
    atomic_init(&list->refs, 1);
    list->account = account;
    list->key = key;
    list->items = calloc(n + 1, sizeof *list->items);
    if (list->items == NULL) {
        free(list);
        return NULL;
    }
    return list;
}

static dr_err_t presub_add(struct presub_put *p, const struct dev_presubscription *in)
{
    struct dr_dynbuf b;
    char *text;

    if (in->n_paths > DEV_PRESUBSCRIPTION_PATHS_MAX ||
        (in->endpoint != NULL && strlen(in->endpoint) > 64) ||
        (in->endpoint_type != NULL && strlen(in->endpoint_type) > DEV_TYPE_MAX)) {
        return DR_ERR_RANGE;
    }
    for (size_t i = 0; i < in->n_paths; i++) {
        if (strlen(in->paths[i]) > 128) {
            return DR_ERR_RANGE;
        }
    }
    dr_dynbuf_init(&b, 1024 * 1024);
    dr_err_t err = dev_presub_write(in, &b);
    if (err == DR_OK) {
        err = dr_dynbuf_take(&b, &text, NULL);
    }
    if (err != DR_OK) {
        dr_dynbuf_fini(&b);
        return err;
    }
    p->json[p->n++] = text;
    err = dev_presub_read(text, &p->list->items[p->list->n]);
    p->list->n += err == DR_OK;
    return err;
}

dr_err_t dev_presubscriptions_put_start(struct dev_core *core, struct dev_presubscriptions_put *put)
{
    struct dev_control *c = core->control;

    loop_assert_current(c->loop);
    dr_assert(put != NULL && put->cb != NULL);
    if (put->n > DEV_PRESUBSCRIPTIONS_MAX) {
        return DR_ERR_LIMIT;
    }
    struct presub_put *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return DR_ERR_NOMEM;
    }
    p->c = c;
    p->put = put;
    p->json = calloc(put->n + 1, sizeof *p->json);
    p->list = presubs_new(put->account, put->key, put->n);
    dr_err_t err = p->json == NULL || p->list == NULL ? DR_ERR_NOMEM : DR_OK;
    for (size_t i = 0; i < put->n && err == DR_OK; i++) {
        err = presub_add(p, &put->list[i]);
    }
    p->job = (struct db_job){.home = c->loop,
                             .run = presub_put_run,
                             .done = presub_put_done,
                             .lane = DB_LANE_ACK,
                             .savepoint = true};
    if (err == DR_OK) {
        err = db_submit(c->db, &p->job);
    }
    if (err != DR_OK) {
        presub_put_free(p);
        return err;
    }
    dev_busy(c);
    return DR_OK;
}

struct presub_load {
    struct db_read read;
    struct dev_control *c;
    void (*done)(struct dev_control *c, dr_err_t err);
    struct dev_presubs **lists; /* owned */
    size_t n;
};

static dr_err_t presub_load_row(void *data, int64_t account, int64_t key, uint32_t order,
                                const char *json)
{
    struct presub_load *l = data;
    struct dev_presubs *list = l->n == 0 ? NULL : l->lists[l->n - 1];

    (void)order;
    if (list == NULL || list->account != account || list->key != key) {
        struct dev_presubs **lists = realloc(l->lists, (l->n + 1) * sizeof(void *));
        if (lists == NULL) {
            return DR_ERR_NOMEM;
        }
        l->lists = lists;
        list = presubs_new(account, key, DEV_PRESUBSCRIPTIONS_MAX);
        if (list == NULL) {
            return DR_ERR_NOMEM;
        }
        lists[l->n++] = list;
    }
    if (list->n == DEV_PRESUBSCRIPTIONS_MAX) {
        return DR_OK;
    }
    dr_err_t err = dev_presub_read(json, &list->items[list->n]);
    list->n += err == DR_OK;
    return err == DR_ERR_NOMEM ? err : DR_OK; /* one that cannot be read is passed over */
}

static dr_err_t presub_load_run(struct db_reader *r, struct db_read *read)
{
    struct presub_load *l = DR_CONTAINER_OF(read, struct presub_load, read);

    return db_presubscription_list(r, 0, 0, presub_load_row, l);
}

static void presub_load_done(struct db_read *read, dr_err_t err)
{
    struct presub_load *l = DR_CONTAINER_OF(read, struct presub_load, read);
    struct dev_control *c = l->c;
    void (*done)(struct dev_control * ctl, dr_err_t e) = l->done;

    for (size_t i = 0; i < l->n; i++) {
        for (unsigned k = 0; err == DR_OK && k < c->core->n; k++) {
            dev_shard_set_presubs(c->core->shards[k], dev_presubs_ref(l->lists[i]));
        }
        (void)dev_presubs_unref(l->lists[i]);
    }
    free(l->lists);
    free(l);
    done(c, err);
}

void dev_presubs_load(struct dev_control *c, void (*done)(struct dev_control *c, dr_err_t err))
{
    struct presub_load *l = calloc(1, sizeof *l);
    dr_err_t err = DR_ERR_NOMEM;

    if (l != NULL) {
        l->c = c;
        l->done = done;
        l->read =
            (struct db_read){.home = c->loop, .fn = presub_load_run, .done = presub_load_done};
        err = db_read_start(c->db, &l->read);
    }
    if (err != DR_OK) {
        free(l);
        done(c, err);
    }
}

/* ---- values ---- */

struct value_get {
    struct db_read read;
    struct dev_control *c;
    struct dev_value_get *get;
    struct dev_found found;
    struct dev_task *task;
    struct dev_uri uri;
    struct dev_cache *cache; /* of the row; owned */
};

static dr_err_t value_cache_row(void *data, const struct db_cache *row)
{
    struct value_get *v = data;
    dr_err_t err = dev_cache_load(row->blob, &v->cache);

    return err == DR_ERR_CORRUPT ? DR_OK : err;
}

static dr_err_t value_find_run(struct db_reader *r, struct db_read *read)
{
    struct value_get *v = DR_CONTAINER_OF(read, struct value_get, read);
    dr_err_t err = dev_find(r, v->c->core, v->get->account, v->get->device, NULL, false, &v->found);

    if (err == DR_OK) {
        err = db_cache_get(r, v->get->device, value_cache_row, v);
        err = err == DR_ERR_NOT_FOUND ? DR_OK : err;
    }
    return err;
}

static void value_end(struct value_get *v, dr_err_t err, const char *ct, struct dr_bytes payload,
                      uint32_t max_age_s)
{
    struct dev_control *c = v->c;
    struct dev_value_get *get = v->get;

    get->cb(get, err, ct == NULL ? "" : ct, payload, max_age_s);
    (void)dev_task_free(v->task);
    free(v->cache);
    free(v);
    dev_idle(c);
}

static void value_task_done(struct dev_task *task)
{
    struct value_get *v = task->data;
    struct dev_cached row;

    if (task->err == DR_OK) {
        value_end(v, DR_OK, lwm2m_format_name(task->ct),
                  dr_bytes_of(task->result, task->result_len), task->max_age_s);
        return;
    }
    /* nobody holds it yet, as after a restart: the row, while it is fresh */
    if (dev_cache_get(v->cache, lwm2m_path_pack(&v->uri.path), &row)) {
        int64_t left_ms = row.at_ms + (int64_t)row.max_age_s * 1000 - dr_wall_ms();
        if (left_ms > 0) {
            value_end(v, DR_OK, lwm2m_format_name(row.ct), row.payload, (uint32_t)(left_ms / 1000));
            return;
        }
    }
    value_end(v, DR_ERR_AGAIN, NULL, dr_bytes_of(NULL, 0), 0);
}

static void value_find_done(struct db_read *read, dr_err_t err)
{
    struct value_get *v = DR_CONTAINER_OF(read, struct value_get, read);

    if (err != DR_OK) {
        value_end(v, err, NULL, dr_bytes_of(NULL, 0), 0);
        return;
    }
    v->task->hash = v->found.hash;
    dev_task_send(v->task);
}

dr_err_t dev_value_get_start(struct dev_core *core, struct dev_value_get *get)
{
    struct dev_control *c = core->control;
    struct value_get *v = calloc(1, sizeof *v);
    struct dev_task *task = calloc(1, sizeof *task);
    dr_err_t err = v == NULL || task == NULL ? DR_ERR_NOMEM : DR_OK;

    loop_assert_current(c->loop);
    dr_assert(get != NULL && get->cb != NULL && get->path != NULL);
    if (err == DR_OK) {
        err = dev_uri_parse(get->path, &v->uri);
    }
    if (err == DR_OK) {
        *task = (struct dev_task){.core = core,
                                  .kind = DEV_TASK_VALUE,
                                  .done = value_task_done,
                                  .data = v,
                                  .device = get->device,
                                  .account = get->account,
                                  .accept = LWM2M_CT_NONE,
                                  .uri = strdup(get->path)};
        v->c = c;
        v->get = get;
        v->task = task;
        v->read = (struct db_read){.home = c->loop, .fn = value_find_run, .done = value_find_done};
        err = task->uri == NULL ? DR_ERR_NOMEM : db_read_start(c->db, &v->read);
    }
    if (err != DR_OK) {
        (void)dev_task_free(task);
        free(v);
        return err;
    }
    dev_busy(c);
    return DR_OK;
}

/* ---- links ---- */

struct links_get {
    struct db_read read;
    struct dev_control *c;
    struct dev_links_get *get;
    char *text; /* owned */
    size_t len;
};

static dr_err_t links_row(void *data, const struct db_registration *row)
{
    struct links_get *l = data;

    if (!row->registered) {
        return DR_ERR_NOT_FOUND;
    }
    l->text = malloc(row->links.len + 1);
    if (l->text == NULL) {
        return DR_ERR_NOMEM;
    }
    if (row->links.len != 0) {
        memcpy(l->text, row->links.p, row->links.len);
    }
    l->len = row->links.len;
    return DR_OK;
}

static dr_err_t links_run(struct db_reader *r, struct db_read *read)
{
    struct links_get *l = DR_CONTAINER_OF(read, struct links_get, read);

    return db_registration_get(r, l->get->account, l->get->device, links_row, l);
}

static void links_done(struct db_read *read, dr_err_t err)
{
    struct links_get *l = DR_CONTAINER_OF(read, struct links_get, read);
    struct dev_control *c = l->c;
    struct dev_links_get *get = l->get;
    const struct dev_link_list *list = NULL;

    if (err == DR_OK) {
        err = dev_link_list_get(c, l->text, l->len, &list);
    }
    if (err == DR_OK) {
        get->cb(get, DR_OK, list->items, list->n);
    } else {
        get->cb(get, err, NULL, 0);
    }
    free(l->text);
    free(l);
    dev_idle(c);
}

dr_err_t dev_links_get_start(struct dev_core *core, struct dev_links_get *get)
{
    struct dev_control *c = core->control;
    struct links_get *l = calloc(1, sizeof *l);

    loop_assert_current(c->loop);
    dr_assert(get != NULL && get->cb != NULL);
    if (l == NULL) {
        return DR_ERR_NOMEM;
    }
    *l = (struct links_get){
        .read = {.home = c->loop, .fn = links_run, .done = links_done}, .c = c, .get = get};
    dr_err_t err = db_read_start(c->db, &l->read);
    if (err != DR_OK) {
        free(l);
        return err;
    }
    dev_busy(c);
    return DR_OK;
}
