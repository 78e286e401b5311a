/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/hub.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "rest/json.h"
#include "rest/rest_priv.h"
#include "rest/wait.h"

#define BUCKETS        256
#define SWEEP_MS       10000
/* Largest JSON of one event: a payload in base64 and names. */
#define EVENT_JSON_MAX (4 * 1024 * 1024)

enum { M_EVENTS, M_DROPPED, M_CHANNELS, M_COUNT };
static struct dr_metric metrics[M_COUNT] = {
    [M_EVENTS] = {.name = "drover_rest_events_total",
                  .type = DR_COUNTER,
                  .help = "Events put into notification channels"},
    [M_DROPPED] = {.name = "drover_rest_events_dropped_total",
                   .type = DR_COUNTER,
                   .help = "Events that left a channel undelivered"},
    [M_CHANNELS] = {.name = "drover_rest_channels",
                    .type = DR_GAUGE,
                    .help = "Notification channels"},
};

struct rest_hub {
    struct rest *rest;
    struct loop *loop;
    struct dev_sink sink;
    struct dr_list channels;
    struct dr_list buckets[BUCKETS];
    struct dr_list dirty;
    struct loop_idle idle;
    struct loop_timer sweep;
    size_t count;
    size_t bytes; /* of all queues */
    struct dr_dynbuf scratch;
};

/* ---- channels ---- */

static struct dr_list *bucket(struct rest_hub *hub, int64_t key)
{
    return &hub->buckets[dr_mix32((uint64_t)key) % BUCKETS];
}

static struct rest_channel *find_any(struct rest_hub *hub, int64_t key)
{
    struct dr_list *head = bucket(hub, key);

    DR_LIST_EACH(it, head)
    {
        struct rest_channel *ch = DR_CONTAINER_OF(it, struct rest_channel, bucket);
        if (ch->key == key) {
            return ch;
        }
    }
    return NULL;
}

struct rest_channel *rest_hub_find(struct rest_hub *hub, int64_t key)
{
    dr_assert(hub != NULL);
    struct rest_channel *ch = find_any(hub, key);

    return ch == NULL || ch->kind == REST_CHANNEL_NONE ? NULL : ch;
}

/* Devices publish only what somebody listens to. */
static void listeners_tell(struct rest_hub *hub, int64_t account)
{
    unsigned n = 0;

    DR_LIST_EACH(it, &hub->channels)
    {
        const struct rest_channel *ch = DR_CONTAINER_OF(it, struct rest_channel, node);
        n += ch->account == account && ch->kind != REST_CHANNEL_NONE;
    }
    if (hub->rest->devices != NULL) {
        dev_listeners_set(hub->rest->devices, account, n);
    }
}

static void answer_released(void *data, int64_t request)
{
    struct rest_channel *ch = data;

    if (ch->hub->rest->devices != NULL) {
        dev_answer_delivered(ch->hub->rest->devices, request);
    }
}

static dr_err_t channel_new(struct rest_hub *hub, int64_t account, int64_t key,
                            struct rest_channel **ret)
{
    if (hub->count >= REST_CHANNELS_MAX) {
        return DR_ERR_LIMIT;
    }
    struct rest_channel *ch = calloc(1, sizeof *ch);
    if (ch == NULL) {
        return DR_ERR_NOMEM;
    }
    ch->hub = hub;
    ch->account = account;
    ch->key = key;
    ch->used_ms = loop_now_ms(hub->loop);
    rest_queue_init(&ch->queue, REST_LIMBO_BYTES_MAX, answer_released, ch);
    ch->queue.total = &hub->bytes;
    dr_list_push_back(&hub->channels, &ch->node);
    dr_list_push_back(bucket(hub, key), &ch->bucket);
    hub->count++;
    dr_metric_change(&metrics[M_CHANNELS], 1);
    *ret = ch;
    return DR_OK;
}

static void channel_free(struct rest_channel *ch)
{
    rest_queue_fini(&ch->queue);
    free(ch);
}

dr_err_t rest_hub_open(struct rest_hub *hub, int64_t account, int64_t key,
                       enum rest_channel_kind kind, struct rest_channel **ret, bool *ret_new)
{
    dr_assert(hub != NULL && kind != REST_CHANNEL_NONE && ret != NULL);
    struct rest_channel *ch = find_any(hub, key);
    bool fresh = ch == NULL || ch->kind == REST_CHANNEL_NONE;

    if (!fresh && ch->kind != kind) {
        return DR_ERR_EXISTS;
    }
    if (ch == NULL) {
        dr_err_t err = channel_new(hub, account, key, &ch);
        if (err != DR_OK) {
            return err;
        }
    }
    if (fresh) {
        uint64_t max = hub->rest->config.channel_bytes_max;
        ch->kind = kind;
        ch->queue.bytes_max = max == 0 ? REST_CHANNEL_BYTES_MAX : (size_t)max;
        listeners_tell(hub, account);
    }
    ch->used_ms = loop_now_ms(hub->loop);
    if (ret_new != NULL) {
        *ret_new = fresh;
    }
    *ret = ch;
    return DR_OK;
}

void rest_hub_delete(struct rest_channel *ch)
{
    dr_assert(ch != NULL && !ch->dead);
    struct rest_hub *hub = ch->hub;

    if (ch->gone != NULL) {
        ch->gone(ch);
    }
    dr_timer_cancel(loop_wheel(hub->loop), &ch->hold);
    dr_list_remove(&ch->node);
    dr_list_remove(&ch->bucket);
    dr_list_remove(&ch->dirty);
    hub->count--;
    dr_metric_change(&metrics[M_CHANNELS], -1);
    if (ch->kind != REST_CHANNEL_NONE) {
        listeners_tell(hub, ch->account);
    }
    ch->dead = true;
    if (ch->messages == 0) {
        channel_free(ch);
    }
}

void rest_hub_key_deleted(struct rest_hub *hub, int64_t key)
{
    dr_assert(hub != NULL);
    struct rest_channel *ch = find_any(hub, key);

    if (ch != NULL) {
        ch->end_code = 1008;
        rest_hub_delete(ch);
    }
}

void rest_hub_sockets_close(struct rest_hub *hub)
{
    dr_assert(hub != NULL);
    DR_LIST_EACH(it, &hub->channels)
    {
        struct rest_channel *ch = DR_CONTAINER_OF(it, struct rest_channel, node);
        if (ch->socket != NULL && ch->gone != NULL) {
            ch->end_code = 1012;
            ch->gone(ch);
        }
    }
}

void rest_hub_wake(struct rest_channel *ch)
{
    dr_assert(ch != NULL);
    if (!ch->dead && !dr_list_linked(&ch->dirty)) {
        dr_list_push_back(&ch->hub->dirty, &ch->dirty);
        loop_again(ch->hub->loop);
    }
}

void rest_hub_message_begin(struct rest_channel *ch)
{
    dr_assert(ch != NULL && !ch->dead);
    ch->messages++;
}

void rest_hub_message_end(struct rest_channel *ch, struct rest_message *msg, bool delivered)
{
    dr_assert(ch != NULL && msg != NULL && ch->messages != 0);
    if (delivered || ch->dead) {
        rest_message_done(&ch->queue, msg);
    } else {
        rest_message_return(&ch->queue, msg);
        rest_hub_wake(ch);
    }
    ch->messages--;
    if (ch->dead && ch->messages == 0) {
        channel_free(ch);
    }
}

static void idle(struct loop_idle *h)
{
    struct rest_hub *hub = DR_CONTAINER_OF(h, struct rest_hub, idle);
    struct dr_list turn;

    dr_list_init(&turn);
    dr_list_splice(&turn, &hub->dirty); /* what is woken meanwhile has its turn later */
    for (struct dr_list *it = dr_list_pop_front(&turn); it != NULL; it = dr_list_pop_front(&turn)) {
        struct rest_channel *ch = DR_CONTAINER_OF(it, struct rest_channel, dirty);
        if (ch->ready != NULL) {
            ch->ready(ch);
        }
    }
}

/* ---- events ---- */

static void push(struct rest_channel *ch, enum rest_list list, bool alone, int64_t request)
{
    struct rest_hub *hub = ch->hub;
    uint64_t dropped = ch->queue.dropped;
    dr_err_t err = DR_ERR_NOSPACE;

    if (hub->bytes < REST_HUB_BYTES_MAX) {
        err = rest_queue_push(&ch->queue, list, dr_dynbuf_bytes(&hub->scratch), alone, request,
                              loop_now_ms(hub->loop));
    }
    if (err != DR_OK) {
        dr_metric_inc(&metrics[M_DROPPED]);
        DR_LOG_LIMITED(DR_LOG_WARNING, "rest", 1, "event dropped, channel cannot take it: %s",
                       dr_err_str(err));
        return;
    }
    dr_metric_inc(&metrics[M_EVENTS]);
    dr_metric_add(&metrics[M_DROPPED], ch->queue.dropped - dropped);
    rest_hub_wake(ch);
}

/* What a channel asked for on top; inside of an open object. */
static void extras_write(struct rest_json *j, const struct dev_event *ev, unsigned options,
                         struct dr_idgen *ids)
{
    if ((options & REST_OPTION_ORIGINAL_EP) != 0 && ev->kind != DEV_EVENT_REGISTERED &&
        ev->kind != DEV_EVENT_UPDATED) {
        rest_json_str(j, "original-ep", ev->endpoint == NULL ? "" : ev->endpoint);
    }
    if ((options & REST_OPTION_TIMESTAMP) != 0) {
        rest_json_time(j, "timestamp", ev->at_ms > 0 ? ev->at_ms : dr_wall_ms());
    }
    if ((options & REST_OPTION_UID) != 0) {
        rest_json_id(j, "uid", dr_id_new(ids));
    }
}

static void endpoint_write(struct rest_json *j, const struct dev_event *ev)
{
    rest_json_id(j, "ep", ev->device);
    rest_json_str(j, "original-ep", ev->endpoint);
    rest_json_str(j, "ept", ev->endpoint_type == NULL ? "" : ev->endpoint_type);
    rest_json_bool(j, "q", ev->queue_mode);
    rest_json_array(j, "resources");
    for (size_t i = 0; i < ev->n_links; i++) {
        const struct dev_link *l = &ev->links[i];
        rest_json_object(j, NULL);
        rest_json_str(j, "path", l->path);
        rest_json_str(j, "rt", l->rt == NULL ? "" : l->rt);
        rest_json_str(j, "if", l->ifd == NULL ? "" : l->ifd);
        rest_json_str(j, "ct", l->ct == NULL ? "" : l->ct);
        rest_json_bool(j, "obs", l->obs);
        rest_json_object_end(j);
    }
    rest_json_array_end(j);
}

static void value_write(struct rest_json *j, const struct dev_event *ev)
{
    rest_json_id(j, "ep", ev->device);
    rest_json_str(j, "path", ev->path);
    rest_json_str(j, "ct", ev->ct == NULL ? "" : ev->ct);
    rest_json_base64(j, "payload", ev->payload);
    rest_json_int(j, "max-age", ev->max_age_s);
}

static void answer_write(struct rest_json *j, const struct dev_event *ev)
{
    rest_json_str(j, "id", ev->async_id);
    rest_json_int(j, "status", ev->status);
    rest_json_base64(j, "payload", ev->payload);
    if (ev->error != NULL && ev->error[0] != '\0') {
        rest_json_str(j, "error", ev->error);
    }
    rest_json_str(j, "ct", ev->ct == NULL ? "" : ev->ct);
    rest_json_int(j, "max-age", ev->max_age_s);
}

static enum rest_list list_of(enum dev_event_kind kind)
{
    switch (kind) {
    case DEV_EVENT_REGISTERED:
        return REST_LIST_REGISTRATIONS;
    case DEV_EVENT_UPDATED:
        return REST_LIST_REG_UPDATES;
    case DEV_EVENT_DEREGISTERED:
        return REST_LIST_DE_REGISTRATIONS;
    case DEV_EVENT_EXPIRED:
        return REST_LIST_REGISTRATIONS_EXPIRED;
    case DEV_EVENT_VALUE:
        return REST_LIST_NOTIFICATIONS;
    case DEV_EVENT_ANSWER:
        break;
    }
    return REST_LIST_ASYNC_RESPONSES;
}

/* The entry into hub->scratch; false = too large. */
static bool event_write(struct rest_hub *hub, const struct dev_event *ev, unsigned options)
{
    struct rest_json j = rest_json_of(&hub->scratch);
    bool gone = ev->kind == DEV_EVENT_DEREGISTERED || ev->kind == DEV_EVENT_EXPIRED;

    dr_dynbuf_reset(&hub->scratch);
    if (gone && (options & REST_OPTION_DEREG_OBJECT) == 0) {
        rest_json_id(&j, NULL, ev->device);
        return true;
    }
    rest_json_object(&j, NULL);
    if (gone) {
        rest_json_id(&j, "ep", ev->device);
    } else if (ev->kind == DEV_EVENT_VALUE) {
        value_write(&j, ev);
    } else if (ev->kind == DEV_EVENT_ANSWER) {
        answer_write(&j, ev);
    } else {
        endpoint_write(&j, ev);
    }
    extras_write(&j, ev, options, &hub->rest->ids);
    rest_json_object_end(&j);
    if (dr_dynbuf_err(&hub->scratch) == DR_OK) {
        return true;
    }
    dr_metric_inc(&metrics[M_DROPPED]);
    DR_LOG_LIMITED(DR_LOG_WARNING, "rest", 1, "event of '%s' is too large to be told",
                   ev->endpoint == NULL ? "" : ev->endpoint);
    return false;
}

/* Where an answer or a value for one key goes; NULL = nowhere. */
static struct rest_channel *owner_channel(struct rest_hub *hub, const struct dev_event *ev)
{
    struct rest_channel *ch = find_any(hub, ev->owner_key);

    if (ev->kind != DEV_EVENT_ANSWER) {
        return ch == NULL || ch->kind == REST_CHANNEL_NONE ? NULL : ch;
    }
    if (ch == NULL && channel_new(hub, ev->account, ev->owner_key, &ch) != DR_OK) {
        return NULL;
    }
    return ch;
}

static void tell(struct rest_channel *ch, const struct dev_event *ev)
{
    bool answer = ev->kind == DEV_EVENT_ANSWER;

    if (event_write(ch->hub, ev, ch->options)) {
        push(ch, list_of(ev->kind), answer && ev->status >= 500, answer ? ev->request : 0);
    }
}

static void event_seen(void *data, const struct dev_event *ev)
{
    struct rest_hub *hub = data;
    bool answer = ev->kind == DEV_EVENT_ANSWER;

    if ((answer || ev->kind == DEV_EVENT_VALUE) && ev->owner_key != 0 &&
        ev->owner_key <= DEV_KEY_INTERNAL_LAST) {
        return; /* asked by a part of the server */
    }
    if (answer && hub->rest->n_waits != 0 && event_write(hub, ev, 0) &&
        rest_wait_take(hub->rest, ev, dr_dynbuf_bytes(&hub->scratch))) {
        return;
    }
    if (ev->owner_key != 0 && (ev->kind == DEV_EVENT_VALUE || answer)) {
        struct rest_channel *owner = owner_channel(hub, ev);
        if (owner != NULL && owner->account == ev->account) {
            tell(owner, ev);
        }
        return;
    }
    DR_LIST_EACH(it, &hub->channels)
    {
        struct rest_channel *ch = DR_CONTAINER_OF(it, struct rest_channel, node);
        if (ch->account == ev->account && ch->kind != REST_CHANNEL_NONE) {
            tell(ch, ev);
        }
    }
}

/* ---- age ---- */

static bool is_idle(const struct rest_channel *ch, uint64_t now)
{
    uint64_t max = ch->kind == REST_CHANNEL_POLL ? REST_POLL_IDLE_MS : REST_WEBSOCKET_IDLE_MS;

    return ch->poll == NULL && ch->socket == NULL && ch->messages == 0 && ch->used_ms + max <= now;
}

static void sweep(struct loop_timer *t)
{
    struct rest_hub *hub = DR_CONTAINER_OF(t, struct rest_hub, sweep);
    uint64_t now = loop_now_ms(hub->loop);

    DR_LIST_EACH_SAFE(it, &hub->channels)
    {
        struct rest_channel *ch = DR_CONTAINER_OF(it, struct rest_channel, node);
        rest_queue_expire(&ch->queue, now);
        if (is_idle(ch, now)) {
            rest_hub_delete(ch);
        }
    }
}

/* ---- start and stop ---- */

dr_err_t rest_hub_new(struct rest *rest, struct rest_hub **ret)
{
    dr_assert(rest != NULL && ret != NULL);
    struct rest_hub *hub = calloc(1, sizeof *hub);
    if (hub == NULL) {
        return DR_ERR_NOMEM;
    }
    hub->rest = rest;
    hub->loop = rest->loop;
    dr_list_init(&hub->channels);
    dr_list_init(&hub->dirty);
    for (size_t i = 0; i < BUCKETS; i++) {
        dr_list_init(&hub->buckets[i]);
    }
    dr_dynbuf_init(&hub->scratch, EVENT_JSON_MAX);
    if (dr_metrics_register(metrics, M_COUNT) != DR_OK) {
        dr_log(DR_LOG_WARNING, "rest", "no room for metrics of channels");
    }
    loop_on_idle(hub->loop, &hub->idle, idle);
    loop_timer_start(hub->loop, &hub->sweep, SWEEP_MS, SWEEP_MS, sweep);
    if (rest->devices != NULL) {
        hub->sink = (struct dev_sink){.event = event_seen, .data = hub};
        dev_sink_add(rest->devices, &hub->sink);
    }
    *ret = hub;
    return DR_OK;
}

struct rest_hub *rest_hub_free(struct rest_hub *hub)
{
    if (hub == NULL) {
        return NULL;
    }
    hub->rest->devices = NULL; /* answers that were not delivered stay for the next start */
    DR_LIST_EACH_SAFE(it, &hub->channels)
    {
        rest_hub_delete(DR_CONTAINER_OF(it, struct rest_channel, node));
    }
    loop_timer_stop(&hub->sweep);
    loop_idle_remove(&hub->idle);
    dr_dynbuf_fini(&hub->scratch);
    free(hub);
    return NULL;
}
