/* SPDX-License-Identifier: Apache-2.0 */
/* Runs on the control loop: news of the shards to the sinks. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "devices/control_priv.h"
#include "lwm2m/format.h"

void dev_publish(struct dev_control *c, const struct dev_event *ev)
{
    struct dev_sink *next;

    for (struct dev_sink *s = c->sinks; s != NULL; s = next) {
        next = s->next;
        s->event(s->data, ev);
    }
}

/* ---- links ---- */

void dev_link_list_fini(struct dev_link_list *list)
{
    if (list->text != NULL) {
        lwm2m_links_fini(&list->links);
    }
    free(list->text);
    free(list->items);
    free(list->strings);
    *list = (struct dev_link_list){0};
}

static const char *text_put(char **at, struct lwm2m_str s)
{
    char *start = *at;

    if (s.len != 0) {
        memcpy(start, s.ptr, s.len);
    }
    start[s.len] = '\0';
    *at = start + s.len + 1;
    return start;
}

/* ct= of a link as MIME text; "" when it is absent or unknown. */
static const char *link_ct(const struct lwm2m_link *l)
{
    static const char key[] = "ct=";
    const char *p = l->attrs.ptr;
    const char *end = p + l->attrs.len;

    for (; p != NULL && p + sizeof key - 1 <= end; p++) {
        bool begins = p == l->attrs.ptr || p[-1] == ';';
        if (!begins || memcmp(p, key, sizeof key - 1) != 0) {
            continue;
        }
        unsigned ct = 0;
        for (p += sizeof key - 1; p < end && (*p == '"' || (*p >= '0' && *p <= '9')); p++) {
            ct = *p == '"' ? ct : ct * 10 + (unsigned)(*p - '0');
            if (ct > UINT16_MAX) {
                return "";
            }
        }
        const char *name = lwm2m_format_name((uint16_t)ct);
        return name == NULL ? "" : name;
    }
    return "";
}

static dr_err_t list_make(struct dev_link_list *list, const char *text, size_t len)
{
    size_t bytes = 1;
    struct lwm2m_links links;
    dr_err_t err = lwm2m_links_parse(text, len, LWM2M_LINKS_REGISTER, &links);

    if (err != DR_OK) {
        return err;
    }
    for (size_t i = 0; i < links.count; i++) {
        const struct lwm2m_link *l = &links.items[i];
        bytes += LWM2M_PATH_STR_MAX + l->device.len + 4 + l->rt.len + l->ifs.len + 2;
    }
    char *copy = malloc(len + 1);
    struct dev_link *items = calloc(links.count + 1, sizeof *items);
    char *strings = malloc(bytes);
    if (copy == NULL || items == NULL || strings == NULL) {
        free(copy);
        free(items);
        free(strings);
        lwm2m_links_fini(&links);
        return DR_ERR_NOMEM;
    }
    if (len != 0) {
        memcpy(copy, text, len);
    }
    dev_link_list_fini(list);
    char *at = strings;
    for (size_t i = 0; i < links.count; i++) {
        const struct lwm2m_link *l = &links.items[i];
        char *path = at;
        if (l->device.len != 0) {
            memcpy(at, "/d/", 3);
            memcpy(at + 3, l->device.ptr, l->device.len);
            at += 3 + l->device.len;
        }
        at += lwm2m_path_format(&l->path, at) + 1;
        items[i] = (struct dev_link){.path = path,
                                     .rt = text_put(&at, l->rt),
                                     .ifd = text_put(&at, l->ifs),
                                     .ct = link_ct(l),
                                     .obs = l->observable};
    }
    list->text = copy;
    list->text_len = len;
    list->links = links;
    list->items = items;
    list->n = links.count;
    list->strings = strings;
    return DR_OK;
}

dr_err_t dev_link_list_get(struct dev_control *c, const char *text, size_t len,
                           const struct dev_link_list **ret)
{
    for (size_t i = 0; i < DEV_LINK_LISTS_CACHED; i++) { /* a fleet has few different lists */
        struct dev_link_list *list = &c->lists[i];
        if (list->text != NULL && list->text_len == len && memcmp(list->text, text, len) == 0) {
            *ret = list;
            return DR_OK;
        }
    }
    struct dev_link_list *list = &c->lists[c->next_list];
    dr_err_t err = list_make(list, text, len);
    if (err == DR_OK) {
        c->next_list = (c->next_list + 1) % DEV_LINK_LISTS_CACHED;
        *ret = list;
    }
    return err;
}

/* ---- news ---- */

static void news_publish(struct dev_control *c, const struct dev_news *n)
{
    const char *ct = lwm2m_format_name(n->ct);
    struct dev_event ev = {.kind = n->kind,
                           .account = n->account,
                           .device = n->device,
                           .owner_key = n->key,
                           .endpoint = n->endpoint,
                           .endpoint_type = n->type,
                           .queue_mode = n->queue_mode,
                           .path = n->path,
                           .ct = n->kind == DEV_EVENT_VALUE && ct != NULL ? ct : "",
                           .payload = dr_bytes_of(n->payload, n->payload_len),
                           .max_age_s = n->max_age_s,
                           .at_ms = n->at_ms};
    const struct dev_link_list *list;

    if (n->links != NULL && dev_link_list_get(c, n->links, n->links_len, &list) == DR_OK) {
        ev.links = list->items;
        ev.n_links = list->n;
    }
    dev_publish(c, &ev);
}

static void news_handle(struct dev_control *c, const struct dev_news *n)
{
    if (n->wake) {
        dev_requests_wake(c, n->device);
        return;
    }
    news_publish(c, n);
    switch (n->kind) {
    case DEV_EVENT_REGISTERED:
    case DEV_EVENT_UPDATED:
        dev_requests_wake(c, n->device);
        break;
    case DEV_EVENT_DEREGISTERED:
    case DEV_EVENT_EXPIRED:
        dev_requests_fail(c, n->device, "DEVICE_REMOVED_REGISTRATION");
        break;
    case DEV_EVENT_VALUE:
    case DEV_EVENT_ANSWER:
        break;
    }
}

void dev_control_batch(struct loop_call *call)
{
    struct dev_batch *batch = DR_CONTAINER_OF(call, struct dev_batch, call);
    struct dev_control *c = batch->core->control;

    for (;;) {
        struct dr_list *node = dr_list_pop_front(&batch->news);
        if (node == NULL) {
            break;
        }
        struct dev_news *n = DR_CONTAINER_OF(node, struct dev_news, node);
        news_handle(c, n);
        free(n->payload);
        free(n);
    }
    loop_call_done(call, DR_OK);
}
