/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/channel.h"

#include <stdlib.h>
#include <string.h>

struct event {
    struct dr_list node;
    enum rest_list list;
    bool alone;
    int64_t request;
    uint64_t at_ms;
    size_t len;
    char json[];
};

static struct event *event_of(struct dr_list *node)
{
    return DR_CONTAINER_OF(node, struct event, node);
}

static size_t cost(const struct event *ev)
{
    return ev->len + REST_EVENT_OVERHEAD;
}

static void account(struct rest_queue *q, const struct event *ev, bool in)
{
    size_t note = ev->list == REST_LIST_NOTIFICATIONS;

    if (q->total != NULL) {
        *q->total += in ? cost(ev) : 0 - cost(ev);
    }
    if (in) {
        q->bytes += cost(ev);
        q->count++;
        q->notifications += note;
    } else {
        q->bytes -= cost(ev);
        q->count--;
        q->notifications -= note;
    }
}

static void event_free(struct rest_queue *q, struct event *ev)
{
    if (ev->request != 0 && q->released != NULL) {
        q->released(q->data, ev->request);
    }
    free(ev);
}

static void drop_first(struct rest_queue *q)
{
    struct event *ev = event_of(dr_list_pop_front(&q->events));

    account(q, ev, false);
    q->dropped++;
    event_free(q, ev);
}

void rest_queue_init(struct rest_queue *q, size_t bytes_max,
                     void (*released)(void *data, int64_t request), void *data)
{
    dr_assert(q != NULL);
    *q = (struct rest_queue){.bytes_max = bytes_max, .released = released, .data = data};
    dr_list_init(&q->events);
}

void rest_queue_fini(struct rest_queue *q)
{
    dr_assert(q != NULL);
    while (!dr_list_empty(&q->events)) {
        drop_first(q);
    }
}

dr_err_t rest_queue_push(struct rest_queue *q, enum rest_list list, struct dr_bytes json,
                         bool alone, int64_t request, uint64_t now_ms)
{
    dr_assert(q != NULL && list < REST_LIST_COUNT);
    if (json.len > q->bytes_max || json.len + REST_EVENT_OVERHEAD > q->bytes_max) {
        return DR_ERR_TOO_LARGE;
    }
    struct event *ev = malloc(sizeof *ev + json.len);
    if (ev == NULL) {
        return DR_ERR_NOMEM;
    }
    *ev = (struct event){
        .list = list, .alone = alone, .request = request, .at_ms = now_ms, .len = json.len};
    memcpy(ev->json, json.p, json.len);
    while (q->bytes + cost(ev) > q->bytes_max && !dr_list_empty(&q->events)) {
        drop_first(q);
    }
    dr_list_push_back(&q->events, &ev->node);
    account(q, ev, true);
    return DR_OK;
}

void rest_queue_expire(struct rest_queue *q, uint64_t now_ms)
{
    dr_assert(q != NULL);
    while (!dr_list_empty(&q->events) &&
           event_of(q->events.next)->at_ms + REST_CHANNEL_AGE_MS <= now_ms) {
        drop_first(q);
    }
}

/* How many events from the front make the next message. */
static size_t choose(const struct rest_queue *q, size_t entries_max, bool single)
{
    size_t n = 0;
    size_t bytes = 0;
    size_t notes = 0;
    bool one = single && q->notifications <= REST_MESSAGE_SINGLE_UP_TO;

    DR_LIST_EACH(it, &q->events)
    {
        const struct event *ev = event_of(it);
        bool note = ev->list == REST_LIST_NOTIFICATIONS;
        if (n != 0 && (n == entries_max || bytes + ev->len > REST_MESSAGE_BYTES_MAX || ev->alone ||
                       (note && one && notes != 0))) {
            break;
        }
        n++;
        bytes += ev->len + 1;
        notes += note;
        if (ev->alone) {
            break;
        }
    }
    return n;
}

static void list_write(const struct rest_queue *q, size_t n, enum rest_list list,
                       struct dr_dynbuf *out)
{
    static const char *const names[] = {
        [REST_LIST_ASYNC_RESPONSES] = "async-responses",
        [REST_LIST_NOTIFICATIONS] = "notifications",
        [REST_LIST_REGISTRATIONS] = "registrations",
        [REST_LIST_REG_UPDATES] = "reg-updates",
        [REST_LIST_DE_REGISTRATIONS] = "de-registrations",
        [REST_LIST_REGISTRATIONS_EXPIRED] = "registrations-expired",
    };
    bool open = false;

    DR_LIST_EACH(it, &q->events)
    {
        const struct event *ev = event_of(it);
        if (n-- == 0) {
            break;
        }
        if (ev->list != list) {
            continue;
        }
        if (!open) {
            dr_dynbuf_printf(out, "%s\"%s\":[", out->p[out->len - 1] == '{' ? "" : ",",
                             names[list]);
            open = true;
        } else {
            dr_dynbuf_append_char(out, ',');
        }
        dr_dynbuf_append(out, ev->json, ev->len);
    }
    if (open) {
        dr_dynbuf_append_char(out, ']');
    }
}

dr_err_t rest_message_take(struct rest_queue *q, size_t entries_max, bool single,
                           struct rest_message *msg, struct dr_dynbuf *out)
{
    dr_assert(q != NULL && entries_max != 0 && msg != NULL && out != NULL);
    size_t n = choose(q, entries_max, single);
    if (n == 0) {
        return DR_ERR_AGAIN;
    }
    dr_dynbuf_append_char(out, '{');
    for (unsigned i = 0; i < REST_LIST_COUNT && dr_dynbuf_err(out) == DR_OK; i++) {
        list_write(q, n, (enum rest_list)i, out);
    }
    dr_dynbuf_append_char(out, '}');
    dr_err_t err = dr_dynbuf_err(out);
    if (err != DR_OK) {
        return err;
    }
    dr_list_init(&msg->events);
    msg->count = n;
    for (size_t i = 0; i < n; i++) {
        struct event *ev = event_of(dr_list_pop_front(&q->events));
        account(q, ev, false);
        dr_list_push_back(&msg->events, &ev->node);
    }
    return DR_OK;
}

void rest_message_done(struct rest_queue *q, struct rest_message *msg)
{
    dr_assert(q != NULL && msg != NULL);
    while (!dr_list_empty(&msg->events)) {
        event_free(q, event_of(dr_list_pop_front(&msg->events)));
    }
    msg->count = 0;
}

void rest_message_return(struct rest_queue *q, struct rest_message *msg)
{
    dr_assert(q != NULL && msg != NULL);
    while (!dr_list_empty(&msg->events)) {
        struct event *ev = event_of(msg->events.prev);
        dr_list_remove(&ev->node);
        dr_list_push_front(&q->events, &ev->node);
        account(q, ev, true);
    }
    msg->count = 0;
}
