/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs on shard loops: news on their way to control.
 *
 * One batch is under way at a time; what happens meanwhile waits in a list, values of the same
 * resource replacing each other, up to DEV_NEWS_MAX. So a slow control slows devices down (they get
 * 5.03, their values are only kept in the cache) and never the other way round.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "devices/shard_priv.h"

#define MERGE_LOOK_BACK 32

bool dev_listening(const struct dev_shard *s, int64_t account)
{
    for (size_t i = 0; i < s->n_listening; i++) {
        if (s->listening[i] == account) {
            return true;
        }
    }
    return false;
}

bool dev_news_room(const struct dev_shard *s)
{
    return s->n_news < DEV_NEWS_MAX;
}

static void batch_done(struct loop_call *call, dr_err_t err)
{
    struct dev_shard *s =
        DR_CONTAINER_OF(DR_CONTAINER_OF(call, struct dev_batch, call), struct dev_shard, batch);

    (void)err;
    s->n_news -= s->batch_count;
    s->batch_out = false;
    dev_news_push(s);
    dev_op_end_check(s);
}

void dev_news_push(struct dev_shard *s)
{
    if (s->batch_out || dr_list_empty(&s->news)) {
        return;
    }
    dr_list_init(&s->batch.news);
    dr_list_splice(&s->batch.news, &s->news);
    s->batch.core = s->core;
    s->batch_count = s->n_news;
    s->batch_out = true;
    loop_call_start(s->core->cfg.control, &s->batch.call, dev_control_batch, batch_done);
}

static struct dev_news *news_new(const struct dev_shard *s, const struct dev_reg *reg,
                                 struct lwm2m_str links)
{
    const char *type = dev_type_text(s, reg->type);
    size_t name_len = strlen(reg->name) + 1;
    size_t type_len = strlen(type) + 1;
    struct dev_news *n = malloc(sizeof *n + name_len + type_len + links.len);

    if (n == NULL) {
        DR_LOG_LIMITED(DR_LOG_ERROR, "devices", 1, "event lost: out of memory");
        return NULL;
    }
    char *text = (char *)(n + 1);
    *n = (struct dev_news){.account = reg->account,
                           .device = reg->device,
                           .at_ms = dr_wall_ms(),
                           .queue_mode = (reg->flags & DEV_REG_QUEUE) != 0,
                           .endpoint = text,
                           .type = text + name_len};
    memcpy(text, reg->name, name_len);
    memcpy(text + name_len, type, type_len);
    if (links.len != 0) {
        memcpy(text + name_len + type_len, links.ptr, links.len);
        n->links = text + name_len + type_len;
        n->links_len = links.len;
    }
    return n;
}

static void news_add(struct dev_shard *s, struct dev_news *n)
{
    dr_list_push_back(&s->news, &n->node);
    s->n_news++;
    dev_news_push(s);
}

void dev_news_state(struct dev_shard *s, const struct dev_reg *reg, enum dev_event_kind kind,
                    bool first)
{
    struct lwm2m_str links = {0};
    bool heard = dev_listening(s, reg->account);

    if (kind == DEV_EVENT_UPDATED && (!heard || !dev_news_room(s))) {
        return;
    }
    if (heard && (kind == DEV_EVENT_REGISTERED || kind == DEV_EVENT_UPDATED)) {
        links = lwm2m_shape_text(s->shapes, reg->shape);
    }
    struct dev_news *n = news_new(s, reg, links);
    if (n != NULL) {
        n->kind = kind;
        n->first = first;
        news_add(s, n);
    }
}

void dev_news_wake(struct dev_shard *s, const struct dev_reg *reg)
{
    struct dev_news *n = news_new(s, reg, (struct lwm2m_str){0});

    if (n != NULL) {
        n->wake = true;
        news_add(s, n);
    }
}

static struct dev_news *news_find(struct dev_shard *s, uint64_t merge_key, int64_t device,
                                  int64_t key)
{
    unsigned looked = 0;

    for (struct dr_list *it = s->news.prev; it != &s->news && looked < MERGE_LOOK_BACK;
         it = it->prev, looked++) {
        struct dev_news *n = DR_CONTAINER_OF(it, struct dev_news, node);
        if (n->merge_key == merge_key && n->device == device && n->key == key) {
            return n;
        }
        if (n->device == device && n->merge_key == 0) {
            return NULL; /* never past a change of state of the same device */
        }
    }
    return NULL;
}

void dev_news_value(struct dev_shard *s, const struct dev_reg *reg, uint32_t index, int64_t key,
                    const struct lwm2m_path *path, uint16_t ct, struct dr_bytes payload,
                    uint32_t max_age_s, int64_t at_ms)
{
    (void)index;
    if (!dev_listening(s, reg->account)) {
        return;
    }
    uint8_t *copy = malloc(payload.len + 1);
    if (copy == NULL) {
        return;
    }
    if (payload.len != 0) {
        memcpy(copy, payload.p, payload.len);
    }
    uint64_t merge_key = lwm2m_path_pack(path);
    struct dev_news *n = news_find(s, merge_key, reg->device, key);
    if (n == NULL && !dev_news_room(s)) {
        free(copy);
        return;
    }
    bool fresh = n == NULL;
    if (fresh) {
        n = news_new(s, reg, (struct lwm2m_str){0});
        if (n == NULL) {
            free(copy);
            return;
        }
        n->kind = DEV_EVENT_VALUE;
        n->merge_key = merge_key;
        n->key = key;
        (void)lwm2m_path_format(path, n->path);
    }
    free(n->payload);
    n->payload = copy;
    n->payload_len = payload.len;
    n->ct = ct;
    n->max_age_s = max_age_s;
    n->at_ms = at_ms;
    if (fresh) {
        news_add(s, n);
    }
}

/* ---- settings from control ---- */

struct listen_msg {
    struct loop_msg msg;
    struct dev_shard *s;
    int64_t account;
    unsigned count;
};

static void listen_run(struct loop_msg *msg)
{
    struct listen_msg *m = DR_CONTAINER_OF(msg, struct listen_msg, msg);
    struct dev_shard *s = m->s;
    size_t i = 0;

    while (i < s->n_listening && s->listening[i] != m->account) {
        i++;
    }
    if (m->count == 0 && i < s->n_listening) {
        s->listening[i] = s->listening[--s->n_listening];
    } else if (m->count != 0 && i == s->n_listening) {
        int64_t *more = realloc(s->listening, (i + 1) * sizeof *more);
        if (more != NULL) {
            s->listening = more;
            more[s->n_listening++] = m->account;
        }
    }
    free(m);
}

void dev_shard_set_listeners(struct dev_shard *s, int64_t account, unsigned count)
{
    struct listen_msg *m = malloc(sizeof *m);

    if (m == NULL) {
        DR_LOG_LIMITED(DR_LOG_ERROR, "devices", 1, "a channel will miss events: out of memory");
        return;
    }
    *m = (struct listen_msg){.s = s, .account = account, .count = count};
    loop_post(s->loop, &m->msg, listen_run);
}
