/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/client_priv.h"

enum { NOTHING = -1, ANSWER = -2 };

void cl_changed(struct cl_client *cl, uint16_t obj, uint16_t inst, uint16_t res)
{
    cl_observe_changed(&cl->observers, obj, inst, res);
}

bool cl_unsent(const struct cl_client *cl, uint16_t obj, uint16_t inst, uint16_t res)
{
    return cl_observe_unsent(&cl->observers, obj, inst, res);
}

void cl_done(struct cl_client *cl, cl_err_t err)
{
    if (cl->later.open && !cl->later.done) {
        cl->later.done = true;
        cl->later.err = err;
    }
}

void cl_done_text(struct cl_client *cl, const char *text)
{
    if (cl->later.open && !cl->later.done && strlen(text) < sizeof cl->later.text) {
        memcpy(cl->later.text, text, strlen(text) + 1);
    }
    cl_done(cl, CL_OK);
}

static void later_send(struct cl_client *cl)
{
    struct cl_msg m;

    cl_msg_init(&m);
    m.code = cl->later.err == CL_OK ? cl->later.code : cl_code_of(cl->later.err, false);
    m.token_len = cl->later.token_len;
    memcpy(m.token, cl->later.token, m.token_len);
    if (cl->later.text[0] != '\0' && cl->later.err == CL_OK) {
        m.format = CL_FMT_TEXT;
        m.payload = (struct cl_bytes){(const uint8_t *)cl->later.text, strlen(cl->later.text)};
    }
    if (cl_coap_answer(&cl->coap, &m, true) == CL_OK) {
        cl->notifying = ANSWER;
    }
    cl->later.open = cl->later.done = false;
}

bool cl_number_of(const struct cl_client *cl, const struct cl_path *path, double *ret)
{
    const struct cl_obj *obj = cl_object_find(&cl->objects, path->id[0]);
    const struct cl_res *res =
        obj != NULL && path->depth >= 3 ? cl_res_find(obj, path->id[2]) : NULL;
    struct cl_value v;

    if (res == NULL || (res->type != CL_INT && res->type != CL_UINT && res->type != CL_FLOAT) ||
        cl_obj_read(obj, path->id[1], res, path->depth == 4 ? path->id[3] : 0, &v) != CL_OK) {
        return false;
    }
    *ret = v.type == CL_FLOAT ? v.f : (double)v.i;
    return true;
}

static void notify(struct cl_client *cl, int16_t index, uint64_t now_ms)
{
    struct cl_observer *ob = &cl->observers.observer[index];
    struct cl_out out = {.buf = cl->out, .cap = sizeof cl->out};
    struct cl_msg req, m;
    uint16_t format = CL_ID_NONE;
    double value = 0;
    bool number = cl_number_of(cl, &ob->path, &value);

    ob->dirty = false;
    if (number && !cl_observe_passes(&cl->observers, ob, value, now_ms)) {
        return;
    }
    cl_msg_init(&req);
    cl_msg_init(&m);
    cl_err_t err = cl_read(&cl->objects, &ob->path, ob->accept, &out, &format);
    m.code = cl_code_of(err, true);
    m.token_len = ob->token_len;
    memcpy(m.token, ob->token, m.token_len);
    if (err == CL_OK) {
        ob->seq++;
        m.observe = (int32_t)(ob->seq & 0xffffff);
        cl_body_out(cl, &req, &m, &out, format);
    }
    ob->sent_ms = now_ms;
    ob->has_last = number;
    ob->last = value;
    if (cl_coap_answer(&cl->coap, &m, true) == CL_OK) {
        ob->flying = err == CL_OK;
        cl->notifying = index;
    }
    if (err != CL_OK) { /* spec: RFC7641#3.2: an error ends the observation */
        ob->there = false;
    }
}

uint64_t cl_report(struct cl_client *cl)
{
    uint64_t next = CL_NEVER;
    uint64_t now_ms = cl->coap.now_ms;

    if (cl->sec.state != CL_SEC_OPEN || cl->notifying != NOTHING) {
        return CL_NEVER;
    }
    if (cl->later.done) {
        later_send(cl);
        return now_ms;
    }
    if (cl->state != CL_REGISTERED) {
        return CL_NEVER;
    }
    for (int16_t i = 0; i < CL_OBSERVERS_MAX; i++) {
        uint64_t due = cl_observe_due(&cl->observers, &cl->observers.observer[i]);
        if (due <= now_ms) {
            notify(cl, i, now_ms);
            return now_ms;
        }
        next = due < next ? due : next;
    }
    return next;
}

void cl_report_delivered(void *ctx, cl_err_t err)
{
    struct cl_client *cl = ctx;
    int16_t index = cl->notifying;

    cl->notifying = NOTHING;
    if (index >= 0) {
        struct cl_observer *ob = &cl->observers.observer[index];
        if (err == CL_ERR_REFUSED && ob->flying) {
            ob->there = false; /* spec: RFC7641#3.6: a reset cancels it */
        }
        ob->dirty = ob->dirty || (err == CL_ERR_TIMEOUT && ob->flying);
        ob->flying = false;
    }
    if (err == CL_ERR_TIMEOUT) {
        cl_retry(cl, "no acknowledgement of a notification");
    }
}
