/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/integ/campaigns/world.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "base/clock.h"
#include "base/ids.h"
#include "base/loop.h"
#include "coap/engine.h"
#include "db/account.h"
#include "db/db.h"
#include "db/device.h"
#include "db/registration.h"

struct world_device world_dev[WORLD_DEVICES_MAX];
int64_t world_ms, world_account;
struct loop *world_loop;
struct db *world_db;
struct camp_engine *world_engine;
int world_requests, world_in_flight_max, world_watched;
char world_url_seen[512];
int64_t world_key;
bool world_no_content;

static char dir[64];
static struct dev_sink *sinks;
static struct dr_idgen ids;
static int n_devices;
static uint64_t commits0;

/* ---- devices/ made up ---- */

static struct world_device *find(int64_t id)
{
    for (int i = 0; i < n_devices; i++) {
        if (world_dev[i].id == id) {
            return &world_dev[i];
        }
    }
    return NULL;
}

static void publish(const struct dev_event *ev)
{
    for (struct dev_sink *s = sinks; s != NULL; s = s->next) {
        s->event(s->data, ev);
    }
}

void dev_sink_add(struct dev_core *core, struct dev_sink *sink)
{
    (void)core;
    sink->next = NULL;
    sinks = sink; /* one engine at a time */
}

void dev_watch_set(struct dev_core *core, int64_t account, bool on)
{
    (void)core;
    (void)account;
    world_watched = on;
}

void dev_answer_delivered(struct dev_core *core, int64_t request)
{
    (void)core;
    (void)request;
}

struct call {
    struct loop_msg msg;
    struct dev_request *req;
    struct dev_subscribe *sub;
    struct world_device *d;
    enum dev_method method;
    char uri[64], async_id[DEV_ASYNC_ID_MAX + 1], payload[512];
    size_t payload_len;
    struct dev_sink *sink; /* the engine that asked */
};

static void value_tell(struct world_device *d, const char *path, int v)
{
    char text[16];

    (void)snprintf(text, sizeof text, "%d", v);
    struct dev_event ev = {.kind = DEV_EVENT_VALUE,
                           .account = world_account,
                           .device = d->id,
                           .path = path,
                           .ct = "text/plain",
                           .payload = dr_bytes_str(text)};
    publish(&ev);
}

static void state_tell(struct world_device *d, int state)
{
    d->state = state;
    value_tell(d, d->object5 ? "/5/0/3" : "/10252/0/2", state);
}

static void result_tell(struct world_device *d, int result)
{
    d->result = result;
    value_tell(d, d->object5 ? "/5/0/5" : "/10252/0/3", result);
}

static int serve(struct call *c, char *body, size_t size, const char **ct)
{
    struct world_device *d = c->d;

    *ct = "application/senml+json";
    if (strcmp(c->uri, "/10252/0") == 0) {
        (void)snprintf(body, size,
                       "[{\"bn\":\"/10252/0/\",\"n\":\"2\",\"v\":%d},{\"n\":\"3\",\"v\":%d}]",
                       d->state, d->result);
    } else if (strcmp(c->uri, "/14") == 0) {
        (void)snprintf(body, size,
                       "[{\"bn\":\"/14/\",\"n\":\"0/0\",\"vs\":\"MAIN\"},"
                       "{\"n\":\"0/2\",\"vs\":\"%s\"}]",
                       d->version);
    } else if (strcmp(c->uri, "/5/0") == 0) {
        (void)snprintf(body, size,
                       "[{\"bn\":\"/5/0/\",\"n\":\"3\",\"v\":%d},{\"n\":\"5\",\"v\":%d},"
                       "{\"n\":\"8/0\",\"v\":0},{\"n\":\"8/1\",\"v\":2},{\"n\":\"9\",\"v\":%d}]",
                       d->state, d->result, d->push_only ? 1 : 2);
    } else if (strcmp(c->uri, "/3/0/3") == 0) {
        *ct = "text/plain";
        (void)snprintf(body, size, "%s", d->version);
    } else if (strcmp(c->uri, "/10252/0/1") == 0 || strcmp(c->uri, "/5/0/0") == 0 ||
               (strcmp(c->uri, "/5/0/1") == 0 && c->payload_len != 0)) {
        if (d->step == 0) { /* the same again is taken and ignored */
            d->step = 1;
            d->result = d->object5 ? 0 : -1;
        }
        d->delivered++;
        (void)snprintf(world_url_seen, sizeof world_url_seen, "%.500s", c->payload);
    } else if (strcmp(c->uri, "/5/0/1") == 0) {
        d->resets++;
        d->step = 0;
        d->state = 0;
    } else if (strcmp(c->uri, "/5/0/2") == 0) {
        if (d->state != 2) {
            return 405;
        }
        d->executed++;
        d->step = 10;
    } else {
        return 404;
    }
    return 200;
}

static void call_answer(struct loop_msg *msg)
{
    struct call *c = DR_CONTAINER_OF(msg, struct call, msg);
    char body[400] = "";
    const char *ct = "";
    bool live = sinks == c->sink && sinks != NULL;

    if (!c->d->registered) {
        c->d = NULL;
    }
    if (c->d != NULL && c->d->mute) {
        loop_post(world_loop, &c->msg, call_answer);
        return;
    }
    struct dev_event ev = {.kind = DEV_EVENT_ANSWER,
                           .account = world_account,
                           .owner_key = DEV_KEY_CAMPAIGNS,
                           .async_id = c->async_id,
                           .request = 1};
    if (c->d == NULL) {
        ev.status = 429;
        ev.error = "DEVICE_REMOVED_REGISTRATION";
    } else {
        ev.device = c->d->id;
        ev.status = serve(c, body, sizeof body, &ct);
    }
    ev.ct = ct;
    ev.payload = dr_bytes_str(body);
    if (live && ev.device != 0) {
        publish(&ev);
    }
    free(c);
}

static bool has_path(const struct world_device *d, const char *uri)
{
    if (d->manner == WORLD_NO_OBJECT) {
        return false;
    }
    return d->object5 ? strncmp(uri, "/5", 2) == 0 || strncmp(uri, "/3/", 3) == 0
                      : strncmp(uri, "/10252", 6) == 0 || strcmp(uri, "/14") == 0;
}

static void call_taken(struct loop_msg *msg)
{
    struct call *c = DR_CONTAINER_OF(msg, struct call, msg);
    dr_err_t err = c->d == NULL || !c->d->registered ? DR_ERR_NOT_FOUND
                   : !has_path(c->d, c->uri)         ? DR_ERR_INVAL
                                                     : DR_OK;

    if (c->req != NULL) {
        c->req->cb(c->req, err);
    } else {
        c->sub->cb(c->sub, err);
    }
    if (err == DR_OK && c->req != NULL) {
        loop_post(world_loop, &c->msg, call_answer);
    } else if (err == DR_OK) {
        struct dev_event ev = {.kind = DEV_EVENT_ANSWER,
                               .account = world_account,
                               .owner_key = DEV_KEY_CAMPAIGNS,
                               .device = c->d->id,
                               .async_id = c->async_id,
                               .ct = "text/plain",
                               .status = 200};
        publish(&ev);
        free(c);
    } else {
        free(c);
    }
}

dr_err_t dev_request_start(struct dev_core *core, struct dev_request *req)
{
    struct call *c = calloc(1, sizeof *c);

    (void)core;
    ck_assert_ptr_nonnull(c);
    ck_assert_int_eq(req->key, DEV_KEY_CAMPAIGNS);
    ck_assert_uint_le(strlen(req->async_id), DEV_ASYNC_ID_MAX);
    world_requests++;
    c->req = req;
    c->d = find(req->device);
    c->sink = sinks;
    c->method = req->method;
    (void)snprintf(c->uri, sizeof c->uri, "%s", req->uri);
    (void)snprintf(c->async_id, sizeof c->async_id, "%s", req->async_id);
    c->payload_len = req->payload.len;
    if (req->payload.len != 0) {
        size_t n = req->payload.len < 500 ? req->payload.len : 500;
        memcpy(c->payload, req->payload.p, n);
    }
    loop_post(world_loop, &c->msg, call_taken);
    return DR_OK;
}

dr_err_t dev_subscribe_start(struct dev_core *core, struct dev_subscribe *sub)
{
    struct call *c = calloc(1, sizeof *c);

    (void)core;
    ck_assert_ptr_nonnull(c);
    c->sub = sub;
    c->d = find(sub->device);
    c->sink = sinks;
    (void)snprintf(c->uri, sizeof c->uri, "%s", sub->path);
    (void)snprintf(c->async_id, sizeof c->async_id, "%s", sub->async_id);
    loop_post(world_loop, &c->msg, call_taken);
    return DR_OK;
}

/* ---- how they move ---- */

static void state_event(struct world_device *d, enum dev_event_kind kind)
{
    struct dev_event ev = {.kind = kind, .account = world_account, .device = d->id};

    publish(&ev);
}

struct write {
    struct db_job job;
    dr_err_t (*fn)(struct db_writer *w, void *data);
    void *data;
    bool done;
    dr_err_t err;
};

static dr_err_t write_run(struct db_writer *w, struct db_job *job)
{
    struct write *x = DR_CONTAINER_OF(job, struct write, job);

    return x->fn(w, x->data);
}

static void write_done(struct db_job *job, dr_err_t err)
{
    struct write *x = DR_CONTAINER_OF(job, struct write, job);

    x->done = true;
    x->err = err;
}

static void write_now(dr_err_t (*fn)(struct db_writer *w, void *data), void *data)
{
    struct write x = {
        .job = {.home = world_loop, .run = write_run, .done = write_done}, .fn = fn, .data = data};

    ck_assert_int_eq(db_submit(world_db, &x.job), DR_OK);
    for (int i = 0; i < 200000 && !x.done; i++) {
        loop_run_once(world_loop, false);
        usleep(10);
    }
    ck_assert(x.done);
    ck_assert_msg(x.err == DR_OK, "%s", dr_err_str(x.err));
}

static dr_err_t register_run(struct db_writer *w, void *data)
{
    struct world_device *d = data;
    char name[32];
    struct db_register_out out;

    (void)snprintf(name, sizeof name, "dev-%d", (int)(d - world_dev));
    struct db_register_in in = {.account = world_account,
                                .endpoint_name = name,
                                .new_device = d->id,
                                .event_ids = {dr_id_new(&ids), dr_id_new(&ids)},
                                .at_ms = dr_wall_ms(),
                                .lifetime_s = 86400,
                                .version_major = 1,
                                .version_minor = 1,
                                .binding = "U",
                                .links = dr_bytes_str("</5/0>"),
                                .address = "127.0.0.1:1"};
    dr_err_t err = db_register(w, &in, &out);
    if (err == DR_OK) {
        ck_assert_int_eq(out.device, d->id);
    }
    return err;
}

void world_register(struct world_device *d)
{
    write_now(register_run, d);
    d->registered = true;
    state_event(d, DEV_EVENT_REGISTERED);
}

static dr_err_t delete_run(struct db_writer *w, void *data)
{
    return db_device_delete(w, world_account, ((struct world_device *)data)->id);
}

void world_delete(struct world_device *d)
{
    write_now(delete_run, d);
    d->registered = false;
    state_event(d, DEV_EVENT_DEREGISTERED);
}

static struct world_device *add(bool object5)
{
    struct world_device *d = &world_dev[n_devices++];

    *d = (struct world_device){.id = dr_id_new(&ids), .object5 = object5};
    d->result = object5 ? 0 : -1;
    d->state = object5 ? 0 : 1;
    (void)snprintf(d->version, sizeof d->version, "1.0.0");
    world_register(d);
    return d;
}

struct world_device *world_add(void)
{
    return add(world_dev[0].object5);
}

struct gone {
    int64_t device, generation;
};

static dr_err_t gone_get(void *data, const struct db_registration *row)
{
    ((struct gone *)data)->generation = row->generation;
    return DR_OK;
}

static dr_err_t deregister_run(struct db_writer *w, void *data)
{
    struct world_device *d = data;
    struct gone g = {.device = d->id};
    dr_err_t err = db_registration_get(db_writer_reader(w), world_account, d->id, gone_get, &g);

    return err == DR_OK ? db_deregister(w, d->id, g.generation, DB_GONE_DEREGISTERED, dr_wall_ms(),
                                        dr_id_new(&ids))
                        : err;
}

void world_deregister(struct world_device *d)
{
    write_now(deregister_run, d);
    d->registered = false;
    state_event(d, DEV_EVENT_DEREGISTERED);
}

static void give_up(struct world_device *d, int result)
{
    d->step = 0;
    result_tell(d, result);
    state_tell(d, d->object5 ? 0 : 1);
}

static void reboot(struct world_device *d, bool updated)
{
    d->step = 0;
    d->state = d->object5 ? 0 : 1;
    d->result = d->object5 && updated ? 1 : d->object5 ? 8 : -1;
    if (updated) {
        (void)snprintf(d->version, sizeof d->version, "2.0.0");
    }
    world_register(d);
}

/* One second of a device. */
static void move(struct world_device *d)
{
    if (d->step == 0 || !d->registered) {
        return;
    }
    switch (d->step++) {
    case 1:
        state_tell(d, d->object5 ? 1 : 2);
        if (d->manner == WORLD_REFUSES) {
            give_up(d, d->object5 ? 5 : 23);
        }
        break;
    case 2:
        state_tell(d, d->object5 ? 1 : 4);
        break;
    case 3:
        if (d->manner == WORLD_STORAGE) {
            give_up(d, d->object5 ? 2 : 33);
        } else if (d->manner == WORLD_DROPS) {
            d->manner = WORLD_GOOD;
            give_up(d, d->object5 ? 4 : 24);
        } else if (d->manner == WORLD_FOREVER) {
            d->step = 3;
        }
        break;
    case 4:
        if (d->object5) {
            state_tell(d, 2);
            d->step = 5; /* until it is executed */
        } else {
            state_tell(d, 7);
            d->step = 11;
        }
        break;
    case 5:
        d->step = 5;
        break;
    case 10:
        state_tell(d, 3);
        break;
    case 11:
        if (d->manner == WORLD_VANISHES) {
            d->registered = false;
            write_now(deregister_run, d);
            state_event(d, DEV_EVENT_EXPIRED);
            d->step = 0;
            return;
        }
        if (!d->object5) {
            state_tell(d, 8);
        }
        break;
    default:
        reboot(d, d->manner != WORLD_ROLLS_BACK);
        break;
    }
}

/* ---- the engine ---- */

static dr_err_t content(void *data, struct db_reader *r, int64_t account, int64_t manifest,
                        struct camp_content *ret, struct dr_errinfo *reterr)
{
    (void)data;
    (void)r;
    (void)reterr;
    if (world_no_content || manifest != 77 || account != world_account) {
        return DR_ERR_NOT_FOUND;
    }
    *ret = (struct camp_content){.manifest = manifest, .size = 100, .n_urls = 2};
    ret->raw = dr_bytes_of((const uint8_t *)strdup("MANIFEST"), 8);
    ret->image = cx_body_new((const uint8_t *)"IMAGE", 5, NULL, 0, NULL, NULL);
    (void)snprintf(ret->version, sizeof ret->version, "2.0.0");
    (void)snprintf(ret->urls[0], CAMP_URL_MAX, "http://x/fw");
    (void)snprintf(ret->urls[1], CAMP_URL_MAX, "coap://x/fw");
    return DR_OK;
}

static int64_t wall(void *data)
{
    (void)data;
    return world_ms;
}

static void loaded(void *data, dr_err_t err)
{
    ck_assert_msg(err == DR_OK, "%s", dr_err_str(err));
    *(bool *)data = true;
}

static void engine_begin(void)
{
    bool done = false;
    const struct camp_config config = {.control = world_loop,
                                       .db = world_db,
                                       .devices = (struct dev_core *)(void *)&sinks,
                                       .content = content,
                                       .wall_ms = wall,
                                       .tick_ms = CAMP_TICK_NEVER,
                                       .visible_ms = 2000};

    ck_assert_int_eq(camp_engine_new(&config, &world_engine), DR_OK);
    camp_engine_load(world_engine, loaded, &done);
    for (int i = 0; i < 200000 && !done; i++) {
        loop_run_once(world_loop, false);
        usleep(10);
    }
    ck_assert(done);
    camp_engine_run(world_engine);
}

static void stopped(void *data)
{
    *(bool *)data = true;
}

static void engine_end(void)
{
    bool done = false;

    camp_engine_stop(world_engine, stopped, &done);
    for (int i = 0; i < 200000 && !done; i++) {
        loop_run_once(world_loop, false);
        usleep(10);
    }
    ck_assert(done);
    world_engine = camp_engine_free(world_engine);
    sinks = NULL;
}

void world_restart(void)
{
    engine_end();
    engine_begin();
}

static dr_err_t seed(struct db_writer *w, void *data)
{
    struct db_account a = {.id = world_account,
                           .display_name = "t",
                           .status = "ACTIVE",
                           .tier = "1",
                           .end_market = "",
                           .fields = "{}"};
    (void)data;
    return db_account_insert(w, &a);
}

void world_open(int n, bool object5)
{
    struct dr_errinfo info = {0};

    (void)snprintf(dir, sizeof dir, "/tmp/camp-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(loop_new("control", &world_loop), DR_OK);
    const struct db_config dbc = {.dir = dir, .sync = DB_SYNC_OFF};
    ck_assert_msg(db_open(&dbc, &world_db, &info) == DR_OK, "%s", info.text);
    ck_assert_int_eq(dr_idgen_init(&ids, NULL, NULL), DR_OK);
    world_account = dr_id_new(&ids);
    world_ms = 1700000000000;
    world_requests = world_in_flight_max = 0;
    world_no_content = false;
    world_key = 1;
    n_devices = 0;
    write_now(seed, NULL);
    for (int i = 0; i < n; i++) {
        (void)add(object5);
    }
    engine_begin();
    commits0 = 0;
    commits0 = world_commits();
}

void world_close(void)
{
    engine_end();
    for (int i = 0; i < WORLD_DEVICES_MAX; i++) {
        world_dev[i].mute = false;
    }
    world_turns(50);
    world_db = db_close(world_db);
    world_turns(5);
    dr_idgen_fini(&ids);
    world_loop = loop_free(world_loop);
    DIR *d = opendir(dir);
    for (struct dirent *e = d == NULL ? NULL : readdir(d); e != NULL; e = readdir(d)) {
        char path[400];
        (void)snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        (void)unlink(path);
    }
    if (d != NULL) {
        closedir(d);
    }
    (void)rmdir(dir);
}

uint64_t world_commits(void)
{
    struct db_stats s;

    db_stats(world_db, &s);
    return s.jobs - commits0;
}

void world_turns(int n)
{
    for (int i = 0; i < n; i++) {
        loop_run_once(world_loop, false);
        usleep(20);
    }
}

/* Until nothing is being written or read. */
static void settle(void)
{
    struct db_stats before = {0}, after;

    for (int quiet = 0; quiet < 12;) {
        world_turns(3);
        db_stats(world_db, &after);
        bool same = after.jobs == before.jobs && after.reads == before.reads;
        quiet = same ? quiet + 1 : 0;
        before = after;
    }
}

void world_run(int seconds)
{
    for (int i = 0; i < seconds; i++) {
        settle();
        int in_flight = 0;
        for (int k = 0; k < n_devices; k++) {
            in_flight += world_dev[k].step != 0;
        }
        world_in_flight_max = in_flight > world_in_flight_max ? in_flight : world_in_flight_max;
        world_ms += 1000;
        for (int k = 0; k < n_devices; k++) {
            move(&world_dev[k]);
        }
        settle();
        camp_tick(world_engine);
    }
    settle();
}

bool world_until(int64_t campaign, int64_t phase, int seconds)
{
    for (int i = 0; i < seconds; i++) {
        if (world_row(campaign).phase == phase) {
            return true;
        }
        world_run(1);
    }
    return world_row(campaign).phase == phase;
}

/* ---- asking ---- */

struct asked {
    bool done;
    dr_err_t err;
};

static void action_done(struct camp_action *action, dr_err_t err)
{
    struct asked *a = action->data;

    a->done = true;
    a->err = err;
}

static dr_err_t action_wait(struct camp_action *action)
{
    struct asked a = {0};

    action->account = world_account;
    action->cb = action_done;
    action->data = &a;
    dr_err_t err = camp_action_start(world_engine, action);
    for (int i = 0; err == DR_OK && i < 200000 && !a.done; i++) {
        loop_run_once(world_loop, false);
        usleep(10);
    }
    ck_assert(err != DR_OK || a.done);
    return err != DR_OK ? err : a.err;
}

int64_t world_campaign(void (*change)(struct db_campaign *row),
                       const struct db_campaign_wave *waves, size_t n_waves)
{
    struct db_campaign row;

    camp_spec_defaults(&row);
    row.root_manifest_id = 77;
    row.rate_per_min = 0;
    if (change != NULL) {
        change(&row);
    }
    struct camp_action a = {
        .verb = CAMP_DO_CREATE, .row = &row, .waves = waves, .n_waves = n_waves};
    ck_assert_int_eq(action_wait(&a), DR_OK);
    return a.id;
}

dr_err_t world_do(enum camp_verb verb, int64_t campaign)
{
    struct camp_action a = {.verb = verb, .id = campaign, .key = world_key};

    return action_wait(&a);
}

struct got {
    int64_t campaign, device;
    struct db_campaign row;
    char reason[200], hold[200];
    struct db_campaign_device dev;
    char dev_reason[200], code[20];
    struct db_campaign_wave wave;
    char verdict[130];
    int64_t seq, status, count;
};

static dr_err_t got_row(void *data, const struct db_campaign *row)
{
    struct got *g = data;

    g->row = *row;
    (void)snprintf(g->reason, sizeof g->reason, "%s", row->autostop_reason);
    (void)snprintf(g->hold, sizeof g->hold, "%s", row->hold_reason);
    return DR_OK;
}

static dr_err_t get_row(struct db_writer *w, void *data)
{
    struct got *g = data;

    return db_campaign_get(db_writer_reader(w), world_account, g->campaign, got_row, g);
}

struct db_campaign world_row(int64_t campaign)
{
    static struct got g;

    g = (struct got){.campaign = campaign};
    write_now(get_row, &g);
    g.row.autostop_reason = g.reason;
    g.row.hold_reason = g.hold;
    return g.row;
}

static dr_err_t got_device(void *data, const struct db_campaign_device *row)
{
    struct got *g = data;

    g->dev = *row;
    (void)snprintf(g->dev_reason, sizeof g->dev_reason, "%s", row->reason);
    (void)snprintf(g->code, sizeof g->code, "%s", row->code);
    return DR_OK;
}

static dr_err_t get_device(struct db_writer *w, void *data)
{
    struct got *g = data;

    return db_campaign_device_find(db_writer_reader(w), world_account, g->campaign, g->device,
                                   got_device, g);
}

struct db_campaign_device world_device_row(int64_t campaign, int64_t device)
{
    static struct got g;

    g = (struct got){.campaign = campaign, .device = device};
    write_now(get_device, &g);
    g.dev.reason = g.dev_reason;
    g.dev.code = g.code;
    return g.dev;
}

static dr_err_t got_wave(void *data, const struct db_campaign_wave *row)
{
    struct got *g = data;

    if (row->seq == g->seq) {
        g->wave = *row;
        (void)snprintf(g->verdict, sizeof g->verdict, "%s", row->verdict);
    }
    return DR_OK;
}

static dr_err_t get_wave(struct db_writer *w, void *data)
{
    struct got *g = data;

    return db_campaign_waves(db_writer_reader(w), g->campaign, got_wave, g);
}

struct db_campaign_wave world_wave(int64_t campaign, int64_t seq)
{
    static struct got g;

    g = (struct got){.campaign = campaign, .seq = seq};
    write_now(get_wave, &g);
    g.wave.verdict = g.verdict;
    return g.wave;
}

static dr_err_t got_tally(void *data, int64_t wave, int64_t status, int64_t fail_kind, int64_t n)
{
    struct got *g = data;

    (void)wave;
    (void)fail_kind;
    g->count += status == g->status ? n : 0;
    return DR_OK;
}

static dr_err_t get_tally(struct db_writer *w, void *data)
{
    struct got *g = data;

    g->count = 0;
    return db_campaign_tally(db_writer_reader(w), g->campaign, got_tally, g);
}

int world_count(int64_t campaign, int64_t status)
{
    struct got g = {.campaign = campaign, .status = status};

    write_now(get_tally, &g);
    return (int)g.count;
}
