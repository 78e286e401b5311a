/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v2_notification.c
 * @brief /v2/notification: the long poll, what kind of channel there is, and no webhook.
 *
 * A poll takes what waits, or waits itself until something comes, REST_POLL_HOLD_MS have passed,
 * the channel goes or the client hangs up. Events leave their channel when the last byte of the
 * answer has left (req->sent); otherwise they are the front of the queue again.
 */
#include "rest/hub.h"
#include "rest/rest_priv.h"

/* What a poll's answer carries. */
struct delivery {
    struct rest_channel *ch;
    struct rest_message msg;
};

static void poll_sent(struct rest_req *req, bool ok)
{
    struct delivery *d = req->op;

    if (d != NULL) {
        rest_hub_message_end(d->ch, &d->msg, ok);
    }
}

/* Answer @p req with what waits. DR_ERR_AGAIN: nothing does. */
static dr_err_t poll_answer(struct rest_channel *ch, struct rest_req *req)
{
    struct delivery *d = rest_arena_alloc(&req->arena, sizeof *d);
    struct dr_dynbuf body;
    if (d == NULL) {
        return DR_ERR_NOMEM;
    }
    dr_dynbuf_init(&body, REST_ANSWER_MAX);
    d->ch = ch;
    dr_err_t err = rest_message_take(&ch->queue, REST_MESSAGE_ENTRIES_MAX, true, &d->msg, &body);
    if (err != DR_OK) {
        dr_dynbuf_fini(&body);
        return err;
    }
    rest_hub_message_begin(ch);
    ch->used_ms = loop_now_ms(rest_of(req)->loop);
    req->op = d;
    req->sent = poll_sent;
    rest_answer_json(req, 200, &body);
    return DR_OK;
}

/* The poll is over. */
static struct rest_req *poll_take(struct rest_channel *ch)
{
    struct rest_req *req = ch->poll;

    ch->poll = NULL;
    ch->used_ms = loop_now_ms(rest_of(req)->loop);
    dr_timer_cancel(loop_wheel(rest_of(req)->loop), &ch->hold);
    return req;
}

static void poll_ready(struct rest_channel *ch)
{
    if (ch->poll == NULL || ch->queue.count == 0) {
        return;
    }
    struct rest_req *req = poll_take(ch);
    dr_err_t err = poll_answer(ch, req);
    if (err != DR_OK) {
        rest_answer_err(req, err);
    }
}

static void poll_timeout(struct dr_timer *t, uint64_t now_ms)
{
    (void)now_ms;
    rest_answer_empty(poll_take(DR_CONTAINER_OF(t, struct rest_channel, hold)), 204);
}

static void poll_hangup(struct rest_req *req)
{
    struct rest_channel *ch = req->op;

    req->op = NULL;
    (void)poll_take(ch);
    rest_answer_empty(req, 204);
}

static void channel_gone(struct rest_channel *ch)
{
    if (ch->poll != NULL) {
        struct rest_req *req = poll_take(ch);
        req->op = NULL;
        rest_answer_empty(req, 204);
    }
}

static void pull_get(struct rest_req *req)
{
    struct rest *rest = rest_of(req);
    struct rest_channel *ch = NULL;
    dr_err_t err =
        rest_hub_open(rest->hub, req->who.account, req->who.key, REST_CHANNEL_POLL, &ch, NULL);

    if (err == DR_ERR_EXISTS) {
        rest_answer_text(req, 400, "CHANNEL_OF_OTHER_KIND_EXISTS");
        return;
    }
    if (err != DR_OK) {
        rest_answer_err(req, err);
        return;
    }
    ch->ready = poll_ready;
    ch->gone = channel_gone;
    if (ch->poll != NULL) {
        rest_answer_text(req, 409, "POLL_ALREADY_OPEN");
        return;
    }
    err = poll_answer(ch, req);
    if (err == DR_OK) {
        return;
    }
    if (err != DR_ERR_AGAIN) {
        rest_answer_err(req, err);
        return;
    }
    uint32_t hold = rest->config.poll_hold_ms == 0 ? REST_POLL_HOLD_MS : rest->config.poll_hold_ms;
    ch->poll = req;
    req->op = ch;
    req->gone = poll_hangup;
    ch->hold.fn = poll_timeout;
    dr_timer_start(loop_wheel(rest->loop), &ch->hold, loop_now_ms(rest->loop) + hold);
}

static void pull_delete(struct rest_req *req)
{
    struct rest_channel *ch = rest_hub_find(rest_of(req)->hub, req->who.key);

    if (ch == NULL || ch->kind != REST_CHANNEL_POLL) {
        rest_answer_text(req, 200, "ALREADY_DELETED");
        return;
    }
    rest_hub_delete(ch);
    rest_answer_text(req, 200, "REMOVED");
}

static void channel_get(struct rest_req *req)
{
    static const char *const kinds[] = {
        [REST_CHANNEL_POLL] = "LONG_POLLING",
        [REST_CHANNEL_WEBSOCKET] = "WEB_SOCKET",
        [REST_CHANNEL_CALLBACK] = "CALLBACK",
    };
    struct rest_channel *ch = rest_hub_find(rest_of(req)->hub, req->who.key);
    struct dr_dynbuf body;

    if (ch == NULL) {
        rest_answer_text(req, 404, "CHANNEL_NOT_FOUND");
        return;
    }
    dr_dynbuf_init(&body, 1024);
    struct rest_json j = rest_json_of(&body);
    rest_json_object(&j, NULL);
    rest_json_str(&j, "delivery_mechanism", kinds[ch->kind]);
    rest_json_object_end(&j);
    rest_answer_json(req, 200, &body);
}

/* Clients ask whether there is a webhook and need the 404; a webhook cannot be registered here. */
static void callback_none(struct rest_req *req)
{
    rest_answer_text(req, 404, "CALLBACK_NOT_FOUND");
}

static const struct rest_route routes[] = {
    {REST_GET, REST_READ, "/v2/notification/pull", pull_get, 0},
    {REST_DELETE, REST_READ, "/v2/notification/pull", pull_delete, 0},
    {REST_GET, REST_READ, "/v2/notification/channel", channel_get, 0},
    {REST_GET, REST_READ, "/v2/notification/callback", callback_none, 0},
    {REST_DELETE, REST_READ, "/v2/notification/callback", callback_none, 0},
};

const struct rest_routes rest_v2_notification_routes = {routes, DR_ARRAY_LEN(routes)};
