/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/integ/rest/fake_dev.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"
#include "db/db.h"
#include "db/device.h"
#include "devices/renew.h"
#include "devices/trust.h"

struct fake fake;
static struct dev_sink *sinks;
static int core_object;

void fake_reset(struct loop *loop, struct db *db)
{
    memset(&fake, 0, sizeof fake);
    sinks = NULL;
    fake.loop = loop;
    fake.db = db;
    fake.value_err = DR_ERR_AGAIN;
}

struct dev_core *fake_core(void)
{
    return (struct dev_core *)(void *)&core_object;
}

void fake_publish(const struct dev_event *ev)
{
    for (struct dev_sink *s = sinks; s != NULL; s = s->next) {
        s->event(s->data, ev);
    }
}

void dev_sink_add(struct dev_core *core, struct dev_sink *sink)
{
    (void)core;
    sink->next = sinks;
    sinks = sink;
}

void dev_listeners_set(struct dev_core *core, int64_t account, unsigned count)
{
    (void)core;
    (void)account;
    fake.listeners = count;
}

void dev_watch_set(struct dev_core *core, int64_t account, bool on)
{
    (void)core;
    (void)account;
    fake.watched = on;
}

void dev_answer_delivered(struct dev_core *core, int64_t request)
{
    (void)core;
    if (fake.n_delivered < 64) {
        fake.delivered[fake.n_delivered++] = request;
    }
}

/* Completion in a later turn. */
struct later {
    struct loop_msg msg;
    void (*fn)(void *op);
    void *op;
};

static void later_run(struct loop_msg *msg)
{
    struct later *l = DR_CONTAINER_OF(msg, struct later, msg);
    void (*fn)(void *op) = l->fn;
    void *op = l->op;

    free(l);
    fn(op);
}

static dr_err_t later(void (*fn)(void *op), void *op)
{
    struct later *l = calloc(1, sizeof *l);

    if (l == NULL) {
        return DR_ERR_NOMEM;
    }
    l->fn = fn;
    l->op = op;
    loop_post(fake.loop, &l->msg, later_run);
    return DR_OK;
}

static void request_end(void *op)
{
    struct dev_request *r = op;

    r->cb(r, fake.request_err);
}

dr_err_t dev_request_start(struct dev_core *core, struct dev_request *r)
{
    (void)core;
    fake.requests++;
    (void)snprintf(fake.async_id, sizeof fake.async_id, "%s", r->async_id);
    (void)snprintf(fake.uri, sizeof fake.uri, "%s", r->uri);
    (void)snprintf(fake.content_type, sizeof fake.content_type, "%s", r->content_type);
    (void)snprintf(fake.accept, sizeof fake.accept, "%s", r->accept);
    (void)snprintf(fake.payload, sizeof fake.payload, "%.*s", (int)r->payload.len,
                   r->payload.len == 0 ? "" : (const char *)r->payload.p);
    fake.method = r->method;
    fake.retry = r->retry;
    fake.expiry_s = r->expiry_s;
    fake.device = r->device;
    fake.key = r->key;
    return later(request_end, r);
}

static void value_end(void *op)
{
    struct dev_value_get *g = op;

    g->cb(g, fake.value_err, "text/plain", dr_bytes_str("cached"), 42);
}

dr_err_t dev_value_get_start(struct dev_core *core, struct dev_value_get *get)
{
    (void)core;
    (void)snprintf(fake.path, sizeof fake.path, "%s", get->path);
    return later(value_end, get);
}

static void links_end(void *op)
{
    struct dev_links_get *g = op;
    static const struct dev_link links[] = {{"/1/0/1", "Lifetime", "", "text/plain", true},
                                            {"/3/0", "", "", "", false}};

    g->cb(g, fake.links_err, links, fake.links_err == DR_OK ? 2 : 0);
}

dr_err_t dev_links_get_start(struct dev_core *core, struct dev_links_get *get)
{
    (void)core;
    return later(links_end, get);
}

static void subscribe_end(void *op)
{
    struct dev_subscribe *s = op;

    s->cb(s, fake.subscribe_err);
}

dr_err_t dev_subscribe_start(struct dev_core *core, struct dev_subscribe *sub)
{
    (void)core;
    fake.subscribes++;
    (void)snprintf(fake.path, sizeof fake.path, "%s", sub->path);
    (void)snprintf(fake.async_id, sizeof fake.async_id, "%s", sub->async_id);
    fake.device = sub->device;
    fake.key = sub->key;
    return later(subscribe_end, sub);
}

static void unsubscribe_end(void *op)
{
    struct dev_unsubscribe *u = op;

    u->cb(u, DR_OK);
}

dr_err_t dev_unsubscribe_start(struct dev_core *core, struct dev_unsubscribe *un)
{
    (void)core;
    fake.unsubscribes++;
    (void)snprintf(fake.path, sizeof fake.path, "%s", un->path == NULL ? "(all)" : un->path);
    return later(unsubscribe_end, un);
}

static void presubs_end(void *op)
{
    struct dev_presubscriptions_put *p = op;

    p->cb(p, DR_OK);
}

dr_err_t dev_presubscriptions_put_start(struct dev_core *core, struct dev_presubscriptions_put *put)
{
    (void)core;
    fake.presubs++;
    fake.n_presubs = put->n;
    if (put->n != 0) {
        (void)snprintf(fake.presub_endpoint, sizeof fake.presub_endpoint, "%s",
                       put->list[0].endpoint);
        (void)snprintf(fake.presub_path, sizeof fake.presub_path, "%s",
                       put->list[0].n_paths == 0 ? "" : put->list[0].paths[0]);
    }
    return later(presubs_end, put);
}

struct delete_job {
    struct db_job job;
    struct dev_delete *del;
};

static dr_err_t delete_run(struct db_writer *w, struct db_job *job)
{
    struct delete_job *d = DR_CONTAINER_OF(job, struct delete_job, job);

    return db_device_delete(w, d->del->account, d->del->device);
}

static void delete_done(struct db_job *job, dr_err_t err)
{
    struct delete_job *d = DR_CONTAINER_OF(job, struct delete_job, job);
    struct dev_delete *del = d->del;

    free(d);
    del->cb(del, err);
}

dr_err_t dev_delete_start(struct dev_core *core, struct dev_delete *del)
{
    (void)core;
    fake.deletes++;
    struct delete_job *d = calloc(1, sizeof *d);
    if (d == NULL) {
        return DR_ERR_NOMEM;
    }
    d->job = (struct db_job){.home = fake.loop, .run = delete_run, .done = delete_done};
    d->del = del;
    dr_err_t err = db_submit(fake.db, &d->job);
    if (err != DR_OK) {
        free(d);
    }
    return err;
}

void dev_trust_reload_start(struct dev_trust *trust, struct dev_trust_reload *op)
{
    (void)trust;
    op->cb(op, DR_OK);
}

void dev_credential_changed(struct dev_core *core, int64_t account, const char *identity)
{
    (void)core;
    (void)account;
    fake.credentials++;
    (void)snprintf(fake.identity, sizeof fake.identity, "%s", identity);
}

dr_err_t dev_renew_start(struct dev_renewals *r, struct dev_renew *op)
{
    (void)r;
    (void)op;
    return DR_ERR_BUSY; /* nobody renews anything here */
}
