/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs on shard loops: one device request on its device.
 *
 * The format is what the caller asked for; without a wish it is left to the device, or picked from
 * what it registered and has shown. A single resource comes back as text/plain (opaque: as bytes),
 * whatever the device speaks. 4.06 and 4.15 teach us, and the request is tried in the next format.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "devices/ops_priv.h"
#include "devices/rules.h"
#include "lwm2m/codec.h"
#include "lwm2m/links.h"

#define TRIES_MAX    5
#define PELION_BLOCK 512 /* what its clients take; larger ones are answered 4.13 */

struct exec {
    struct cx_call call;
    struct dev_shard *s;
    struct dev_task *task;
    int64_t device, registered_ms;
    struct dev_uri uri;
    struct dev_opts opts;
    uint16_t accept, format; /* of this try; LWM2M_CT_NONE = option absent */
    uint8_t *body;           /* owned: payload in another format, or NULL */
    size_t body_len;
    unsigned tries;
};

/* ---- options ---- */

dr_err_t dev_opts_put(struct dev_opts *o, uint16_t num, const void *val, size_t len)
{
    if (o->n == DEV_OPTS_MAX || len > DEV_OPTS_BYTES_MAX - o->len) {
        return DR_ERR_RANGE;
    }
    uint8_t *at = o->bytes + o->len;
    if (len != 0) {
        memcpy(at, val, len);
    }
    o->len += len;
    o->opts[o->n++] = (struct cx_opt){.num = num, .len = (uint16_t)len, .val = at};
    return DR_OK;
}

dr_err_t dev_opts_uint(struct dev_opts *o, uint16_t num, uint32_t value)
{
    uint8_t buf[4];
    struct cx_opt opt = cx_opt_uint(num, value, buf);

    return dev_opts_put(o, num, opt.val, opt.len);
}

static dr_err_t segments_put(struct dev_opts *o, uint16_t num, const char *text, size_t len,
                             char sep)
{
    dr_err_t err = DR_OK;

    while (len != 0 && err == DR_OK) {
        const char *end = memchr(text, sep, len);
        size_t n = end == NULL ? len : (size_t)(end - text);
        if (n != 0) {
            err = dev_opts_put(o, num, text, n);
        }
        n += end != NULL;
        text += n;
        len -= n;
    }
    return err;
}

dr_err_t dev_opts_path(struct dev_opts *o, const struct lwm2m_links *links,
                       const struct lwm2m_path *path)
{
    char text[LWM2M_PATH_STR_MAX];
    size_t len = lwm2m_path_format(path, text);
    dr_err_t err = DR_OK;

    if (links != NULL && links->root.len != 0) {
        err = segments_put(o, CX_OPT_URI_PATH, links->root.ptr, links->root.len, '/');
    }
    if (err == DR_OK) {
        err = segments_put(o, CX_OPT_URI_PATH, text, len, '/');
    }
    return err;
}

dr_err_t dev_opts_query(struct dev_opts *o, const char *query)
{
    return segments_put(o, CX_OPT_URI_QUERY, query, strlen(query), '&');
}

/* ---- results ---- */

struct single {
    struct dev_task *task;
    unsigned count;
    dr_err_t err;
};

static void single_value(void *data, const struct lwm2m_path *path, uint16_t ct,
                         struct dr_bytes payload, int64_t at_ms)
{
    struct single *one = data;
    struct dev_task *task = one->task;

    (void)path;
    (void)at_ms;
    if (one->count++ != 0) {
        return;
    }
    task->result = malloc(payload.len + 1);
    if (task->result == NULL) {
        one->err = DR_ERR_NOMEM;
        return;
    }
    if (payload.len != 0) {
        memcpy(task->result, payload.p, payload.len);
    }
    task->result_len = payload.len;
    task->ct = ct;
}

static dr_err_t payload_take(struct dev_task *task, const struct cx_pdu *answer)
{
    free(task->result);
    task->result = malloc(answer->payload_len + 1);
    if (task->result == NULL) {
        task->result_len = 0;
        return DR_ERR_NOMEM;
    }
    if (answer->payload_len != 0) {
        memcpy(task->result, answer->payload, answer->payload_len);
    }
    task->result_len = answer->payload_len;
    task->ct = LWM2M_CT_NONE;
    if (answer->payload_len != 0) {
        task->ct = answer->content_format < 0
                       ? LWM2M_CT_TEXT
                       : lwm2m_format_normal((uint16_t)answer->content_format);
    }
    return DR_OK;
}

void dev_task_answer(struct dev_shard *s, struct dev_reg *reg, struct dev_task *task,
                     const struct cx_pdu *answer, bool observe)
{
    struct dev_uri uri;
    dr_err_t err = payload_take(task, answer);
    bool wants_text = task->accept == LWM2M_CT_NONE || task->accept == LWM2M_CT_TEXT;

    task->status = dev_status_of_code(answer->code);
    task->max_age_s =
        answer->max_age > 0 && answer->max_age <= UINT32_MAX ? (uint32_t)answer->max_age : 0;
    if (observe && task->status == 200 && answer->observe < 0) {
        task->status = 412;
        task->error = "NOT_OBSERVABLE";
    }
    if (observe && answer->code == CX_NOT_ALLOWED) {
        task->status = 412;
        task->error = "NOT_OBSERVABLE";
    }
    if (task->status != 200 && task->error == NULL) {
        task->error = "REFUSED_BY_DEVICE";
    }
    if (err == DR_OK && task->status == 200 && reg != NULL && wants_text &&
        task->method == DEV_GET && (lwm2m_format_is_multi(task->ct) || task->ct == LWM2M_CT_CBOR) &&
        dev_uri_parse(task->uri, &uri) == DR_OK && uri.path.depth >= LWM2M_LEVEL_RESOURCE) {
        uint8_t *raw = task->result;
        size_t raw_len = task->result_len;
        uint16_t raw_ct = task->ct;
        struct single one = {.task = task};
        task->result = NULL;
        err = dev_values_split(s, reg, &uri.path, raw_ct, dr_bytes_of(raw, raw_len), true,
                               single_value, &one);
        if (err == DR_OK && one.err == DR_OK && one.count == 1) {
            free(raw);
        } else { /* several values, or not what it says: as the device sent it */
            free(task->result);
            task->result = raw;
            task->result_len = raw_len;
            task->ct = raw_ct;
            err = DR_OK;
        }
    }
    dev_task_return(task, err);
}

/* ---- the call ---- */

static const struct lwm2m_res_def *res_def(const struct exec *x, const struct dev_reg *reg)
{
    struct lwm2m_schema schema = {.models = x->s->core->cfg.models,
                                  .links = lwm2m_shape_links(x->s->shapes, reg->shape),
                                  .enabler = dev_reg_version(reg)};

    if (schema.models == NULL || x->uri.path.depth < LWM2M_LEVEL_RESOURCE) {
        return NULL;
    }
    return lwm2m_schema_resource(&schema, x->uri.path.id[0], x->uri.path.id[2]);
}

static enum lwm2m_use use_of(const struct exec *x, const struct dev_reg *reg)
{
    const struct lwm2m_res_def *def = res_def(x, reg);

    if (x->uri.path.depth < LWM2M_LEVEL_RESOURCE ||
        (def != NULL && def->multiple && x->uri.path.depth == LWM2M_LEVEL_RESOURCE)) {
        return LWM2M_USE_MULTI;
    }
    return def != NULL && def->type == LWM2M_TYPE_OPAQUE ? LWM2M_USE_SINGLE_OPAQUE
                                                         : LWM2M_USE_SINGLE;
}

static uint16_t format_next(const struct exec *x, const struct dev_reg *reg)
{
    const struct lwm2m_links *links = lwm2m_shape_links(x->s->shapes, reg->shape);

    return lwm2m_format_pick(dev_reg_version(reg), links == NULL ? NULL : &links->ct, &reg->formats,
                             use_of(x, reg));
}

/* The caller's text in @p format. */
static dr_err_t body_convert(struct exec *x, const struct dev_reg *reg, uint16_t format)
{
    const struct lwm2m_res_def *def = res_def(x, reg);
    const struct dev_task *task = x->task;

    if (def == NULL || format == LWM2M_CT_NONE) {
        return DR_ERR_UNSUPPORTED;
    }
    uint8_t *scratch = malloc(task->payload_len + 1);
    if (scratch == NULL) {
        return DR_ERR_NOMEM;
    }
    struct lwm2m_node node = {.path = x->uri.path};
    if (def->multiple && node.path.depth == LWM2M_LEVEL_RESOURCE) {
        free(scratch);
        return DR_ERR_UNSUPPORTED;
    }
    dr_err_t err =
        lwm2m_value_from_text((enum lwm2m_type)def->type, (const char *)task->payload,
                              task->payload_len, scratch, task->payload_len + 1, &node.value);
    uint8_t *body = NULL;
    size_t len = 0;
    if (err == DR_OK) {
        err = lwm2m_encode_alloc(format, &x->uri.path, &node, 1, &body, &len);
    }
    free(scratch);
    if (err == DR_OK) {
        free(x->body);
        x->body = body;
        x->body_len = len;
        x->format = format;
    }
    return err;
}

static void exec_done(struct cx_call *call, dr_err_t err, const struct cx_pdu *answer);

static dr_err_t exec_send(struct exec *x, struct dev_reg *reg)
{
    static const uint8_t codes[] = {
        [DEV_GET] = CX_GET, [DEV_PUT] = CX_PUT, [DEV_POST] = CX_POST, [DEV_DELETE] = CX_DELETE};
    const struct lwm2m_links *links = lwm2m_shape_links(x->s->shapes, reg->shape);
    const struct dev_task *task = x->task;
    bool pelion = (reg->flags & DEV_REG_PELION) != 0;

    if (pelion && task->method == DEV_POST && x->uri.path.depth >= LWM2M_LEVEL_RESOURCE &&
        x->format != LWM2M_CT_NONE) {
        x->format = LWM2M_CT_TEXT; /* what others have as their format gets no answer, ever */
    }
    x->opts.n = x->opts.len = 0;
    dr_err_t err = dev_opts_path(&x->opts, links, &x->uri.path);
    if (err == DR_OK && x->uri.query != NULL) {
        err = dev_opts_query(&x->opts, x->uri.query);
    }
    if (err == DR_OK && x->format != LWM2M_CT_NONE) {
        err = dev_opts_uint(&x->opts, CX_OPT_CONTENT_FORMAT, x->format);
    }
    if (err == DR_OK && x->accept != LWM2M_CT_NONE) {
        err = dev_opts_uint(&x->opts, CX_OPT_ACCEPT, x->accept);
    }
    if (err != DR_OK) {
        return err;
    }
    struct dr_bytes body = task->body != NULL ? cx_body_bytes(task->body)
                           : x->body != NULL  ? dr_bytes_of(x->body, x->body_len)
                                              : dr_bytes_of(task->payload, task->payload_len);
    bool same = task->body != NULL && task->body_reg == reg->registered_ms;
    x->registered_ms = reg->registered_ms;
    x->tries++;
    x->call = (struct cx_call){.peer = reg->peer,
                               .code = codes[task->method],
                               .opts = x->opts.opts,
                               .n_opts = x->opts.n,
                               .payload = body.p,
                               .payload_len = body.len,
                               .payload_from = same ? task->body_from : 0,
                               .block_size = pelion ? PELION_BLOCK : 0,
                               .cb = exec_done};
    err = cx_call_start(x->s->engine, &x->call);
    x->s->calls += err == DR_OK;
    return err;
}

static void exec_end(struct exec *x, dr_err_t err)
{
    dev_task_return(x->task, err);
    free(x->body);
    free(x);
}

/* Another format, if that may help: true when the request is on its way again. */
static bool exec_again(struct exec *x, struct dev_reg *reg, uint8_t code)
{
    const struct dev_task *task = x->task;
    bool wants_text = task->accept == LWM2M_CT_NONE || task->accept == LWM2M_CT_TEXT;

    if (x->tries >= TRIES_MAX) {
        return false;
    }
    if (code == CX_NOT_ACCEPTABLE && task->method == DEV_GET && wants_text) {
        if (x->accept != LWM2M_CT_NONE) {
            lwm2m_format_learn(&reg->formats, x->accept, true);
        }
        uint16_t next = format_next(x, reg);
        if (next == LWM2M_CT_NONE || next == x->accept) {
            return false;
        }
        x->accept = next;
        return exec_send(x, reg) == DR_OK;
    }
    bool from_text = task->content_type == LWM2M_CT_NONE || task->content_type == LWM2M_CT_TEXT;
    if (code == CX_UNSUPPORTED_FORMAT && task->method == DEV_PUT && from_text &&
        x->format != LWM2M_CT_NONE) {
        lwm2m_format_learn(&reg->formats, x->format, true);
        uint16_t next = format_next(x, reg);
        return next != x->format && body_convert(x, reg, next) == DR_OK &&
               exec_send(x, reg) == DR_OK;
    }
    return false;
}

static void exec_done(struct cx_call *call, dr_err_t err, const struct cx_pdu *answer)
{
    struct exec *x = DR_CONTAINER_OF(call, struct exec, call);
    struct dev_shard *s = x->s;
    uint32_t index = dev_reg_by_device(s, x->device);
    struct dev_reg *reg = index == 0 ? NULL : dev_reg_at(s, index);

    s->calls--;
    x->task->body_from = call->payload_from;
    x->task->body_reg = x->registered_ms;
    if (err != DR_OK) {
        if (reg != NULL && err != DR_ERR_MOVED) {
            reg->flags |= DEV_REG_WANTED;
            if (err == DR_ERR_TIMEOUT && (reg->flags & DEV_REG_QUEUE) != 0) {
                reg->heard_s = 0; /* it sleeps */
            }
        }
        exec_end(x, err);
        return;
    }
    if (reg != NULL) {
        reg->heard_s = (uint32_t)(dr_wall_ms() / 1000);
        if ((answer->code == CX_NOT_ACCEPTABLE || answer->code == CX_UNSUPPORTED_FORMAT) &&
            exec_again(x, reg, answer->code)) {
            return;
        }
        if (answer->code == CX_CONTENT && answer->content_format >= 0) {
            lwm2m_format_learn(&reg->formats, (uint16_t)answer->content_format, false);
        }
    }
    struct dev_task *task = x->task;
    bool cacheable = task->method == DEV_GET && answer->code == CX_CONTENT && reg != NULL &&
                     (reg->flags & DEV_REG_LIVE) != 0 && x->accept != LWM2M_CT_LINK &&
                     answer->max_age > 0;
    struct lwm2m_path path = x->uri.path;
    if (cacheable && !lwm2m_format_is_multi((uint16_t)answer->content_format)) {
        dev_value_put(s, index, &path,
                      answer->content_format < 0 ? LWM2M_CT_TEXT : (uint16_t)answer->content_format,
                      dr_bytes_of(answer->payload, answer->payload_len),
                      (uint32_t)(answer->max_age > UINT32_MAX ? UINT32_MAX : answer->max_age),
                      dr_wall_ms());
    }
    free(x->body);
    free(x);
    dev_task_answer(s, reg, task, answer, false);
}

void dev_exec_start(struct dev_shard *s, uint32_t index, struct dev_task *task)
{
    struct dev_reg *reg = dev_reg_at(s, index);
    struct dev_uri uri;

    if (dev_uri_parse(task->uri, &uri) != DR_OK) {
        dev_task_return(task, DR_ERR_INVAL);
        return;
    }
    if (task->cache_ok && task->method == DEV_GET && uri.query == NULL &&
        dev_value_fresh(s, reg, task)) {
        dev_task_return(task, DR_OK);
        return;
    }
    if (s->ending || reg->op != NULL) {
        dev_task_return(task, DR_ERR_MOVED); /* in a moment */
        return;
    }
    if (!dev_reg_awake(s, reg) || reg->peer == 0) {
        reg->flags |= DEV_REG_WANTED;
        bool sleeps = (reg->flags & DEV_REG_QUEUE) != 0;
        dev_task_return(task, sleeps ? DR_ERR_ASLEEP : DR_ERR_GONE);
        return;
    }
    struct exec *x = calloc(1, sizeof *x);
    if (x == NULL) {
        dev_task_return(task, DR_ERR_NOMEM);
        return;
    }
    x->s = s;
    x->task = task;
    x->device = task->device;
    x->uri = uri;
    x->accept = task->accept;
    x->format = task->content_type;
    if (task->method == DEV_GET && x->accept == LWM2M_CT_NONE) {
        const struct lwm2m_links *links = lwm2m_shape_links(s->shapes, reg->shape);
        if ((links != NULL && links->ct.count != 0) || reg->formats.refused != 0) {
            x->accept = format_next(x, reg);
        }
    }
    if (task->payload_len == 0 && task->body == NULL) {
        x->format = LWM2M_CT_NONE;
    } else if (x->format == LWM2M_CT_NONE) {
        x->format = LWM2M_CT_TEXT;
    }
    if (task->method == DEV_PUT && x->uri.query == NULL && task->payload_len == 0 &&
        task->body == NULL) {
        x->format = LWM2M_CT_TEXT; /* an empty value, not attributes */
    }
    dr_err_t err = exec_send(x, reg);
    if (err != DR_OK) {
        exec_end(x, err);
    }
}
