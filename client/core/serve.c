/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/client_priv.h"
#include "client/core/links.h"

uint8_t cl_code_of(cl_err_t err, bool reading)
{
    switch (err) {
    case CL_OK:
        return reading ? CL_CODE(2, 5) : CL_CODE(2, 4);
    case CL_ERR_NOENT:
        return CL_CODE(4, 4);
    case CL_ERR_INVAL:
    case CL_ERR_STATE:
    case CL_ERR_OLD:
        return CL_CODE(4, 0);
    case CL_ERR_DENIED:
        return CL_CODE(4, 5);
    case CL_ERR_FORMAT:
        return reading ? CL_CODE(4, 6) : CL_CODE(4, 15);
    case CL_ERR_SPACE:
        return reading ? CL_CODE(5, 0) : CL_CODE(4, 13);
    case CL_ERR_AUTH:
        return CL_CODE(4, 1);
    case CL_ERR_BUSY:
        return CL_CODE(5, 3);
    default:
        return CL_CODE(5, 0);
    }
}

static uint32_t body_hash(const struct cl_msg *m)
{
    uint32_t h = 2166136261u ^ m->code;

    for (size_t i = 0; i < m->path.count; i++) {
        for (size_t k = 0; k < m->path.seg[i].len; k++) {
            h = (h ^ m->path.seg[i].p[k]) * 16777619u;
        }
        h = (h ^ '/') * 16777619u;
    }
    return h;
}

/* Does this block continue the body? A first one begins it anew. 0 = yes. */
static uint8_t block_in(struct cl_client *cl, const struct cl_msg *req, struct cl_msg *answer)
{
    struct cl_inbody *in = &cl->in;
    size_t offset = (size_t)req->block1.num * req->block1.size;

    if (req->block1.num == 0) {
        *in = (struct cl_inbody){.open = true, .hash = body_hash(req)};
    }
    if (req->block1.more && req->payload.len != req->block1.size) {
        return CL_CODE(4, 0);
    }
    if (!in->open || in->hash != body_hash(req) || in->len != offset) {
        in->open = false;
        return CL_CODE(4, 8);
    }
    answer->block1 = req->block1;
    return 0;
}

uint8_t cl_body_in(struct cl_client *cl, const struct cl_msg *req, struct cl_msg *answer,
                   struct cl_bytes *ret_body)
{
    struct cl_inbody *in = &cl->in;

    if (!req->block1.there) {
        *ret_body = req->payload;
        return 0;
    }
    uint8_t code = block_in(cl, req, answer);
    if (code != 0) {
        return code;
    }
    if (req->payload.len > sizeof in->buf - in->len ||
        (req->block1.num == 0 && req->size1 > (int64_t)sizeof in->buf)) {
        in->open = false;
        answer->size1 = sizeof in->buf;
        return CL_CODE(4, 13);
    }
    memcpy(in->buf + in->len, req->payload.p, req->payload.len);
    in->len += req->payload.len;
    if (req->block1.more) {
        return CL_CODE(2, 31);
    }
    in->open = false;
    *ret_body = (struct cl_bytes){in->buf, in->len};
    return 0;
}

void cl_body_out(struct cl_client *cl, const struct cl_msg *req, struct cl_msg *answer,
                 const struct cl_out *body, uint16_t format)
{
    uint16_t size = req->block2.there && req->block2.size < CL_BLOCK_NORMAL ? req->block2.size
                                                                            : CL_BLOCK_NORMAL;
    size_t offset = req->block2.there ? (size_t)req->block2.num * req->block2.size : 0;

    answer->format = format;
    if (body->len <= size && offset == 0) {
        answer->payload = (struct cl_bytes){body->buf, body->len};
        return;
    }
    if (offset >= body->len) {
        answer->code = CL_CODE(4, 0);
        answer->format = CL_ID_NONE;
        return;
    }
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < body->len; i++) {
        hash = (hash ^ body->buf[i]) * 16777619u;
    }
    cl_put32(cl->etag, hash);
    answer->etag = (struct cl_bytes){cl->etag, sizeof cl->etag};
    size_t left = body->len - offset, n = left < size ? left : size;
    answer->payload = (struct cl_bytes){body->buf + offset, n};
    answer->block2 = (struct cl_block){
        .there = true, .more = n < left, .size = size, .num = (uint32_t)(offset / size)};
    if (offset == 0) {
        answer->size2 = (int64_t)body->len;
    }
}

/* ---- reads ---- */

static void observe(struct cl_client *cl, const struct cl_msg *req, const struct cl_path *path,
                    struct cl_msg *answer)
{
    if (req->observe == 1) {
        cl_observe_cancel(&cl->observers, path, req->token, req->token_len);
        return;
    }
    if (req->observe != 0 || req->block2.num != 0) {
        return;
    }
    struct cl_observer *ob = cl_observe_add(&cl->observers, path, req->token, req->token_len,
                                            req->accept, cl->coap.now_ms);
    if (ob != NULL) { /* otherwise it is a plain read: the server sees that from the answer */
        ob->has_last = cl_number_of(cl, path, &ob->last);
        answer->observe = (int32_t)(ob->seq & 0xffffff);
    }
}

static void serve_get(struct cl_client *cl, const struct cl_msg *req, const struct cl_path *path,
                      struct cl_msg *answer)
{
    struct cl_out out = {.buf = cl->out, .cap = sizeof cl->out};
    uint16_t format = CL_FMT_LINK;
    cl_err_t err = req->accept == CL_FMT_LINK
                       ? cl_links_discover(&cl->objects, &cl->observers, path, &out)
                       : cl_read(&cl->objects, path, req->accept, &out, &format);

    answer->code = cl_code_of(err, true);
    if (err != CL_OK) {
        return;
    }
    if (req->accept != CL_FMT_LINK) {
        observe(cl, req, path, answer);
    }
    cl_body_out(cl, req, answer, &out, format);
}

/* ---- executes and writes that come in parts ---- */

/* The answer follows: the request waits in cl->later. */
static void postpone(struct cl_client *cl, const struct cl_msg *req, struct cl_msg *answer,
                     cl_err_t err)
{
    cl->later = (struct cl_later){.open = true,
                                  .done = err != CL_ERR_LATER,
                                  .err = err,
                                  .token_len = req->token_len,
                                  .code = CL_CODE(2, 4)};
    memcpy(cl->later.token, req->token, req->token_len);
    answer->code = CL_EMPTY;
    answer->block1.there = false;
}

static void stream(struct cl_client *cl, const struct cl_obj *obj, const struct cl_res *res,
                   const struct cl_path *path, const struct cl_msg *req, struct cl_msg *answer)
{
    struct cl_part part = {.p = req->payload.len > 0 ? req->payload.p : (const uint8_t *)"",
                           .len = req->payload.len,
                           .total = req->size1 > 0 ? (size_t)req->size1 : 0,
                           .last = true,
                           .format = req->format};

    if (req->block1.there) {
        uint8_t code = block_in(cl, req, answer);
        if (code != 0) {
            answer->code = code;
            return;
        }
        part.offset = cl->in.len;
        part.last = !req->block1.more;
    }
    cl_err_t err = obj->stream(obj, path->id[1], path->id[2], &part);
    cl->in.len += part.len;
    cl->in.open = req->block1.there && err == CL_OK && !part.last;
    if (part.last && (err == CL_ERR_LATER || (res->flags & CL_SEPARATE) != 0)) {
        postpone(cl, req, answer, err);
        return;
    }
    answer->code = err == CL_OK && !part.last ? CL_CODE(2, 31) : cl_code_of(err, false);
}

static void serve_exec(struct cl_client *cl, const struct cl_obj *obj, const struct cl_res *res,
                       const struct cl_path *path, const struct cl_msg *req, struct cl_msg *answer)
{
    struct cl_bytes args;

    if (cl->later.open) { /* one such request at a time */
        answer->code = CL_CODE(5, 3);
        return;
    }
    if ((res->flags & CL_STREAM) != 0 && obj->stream != NULL) {
        stream(cl, obj, res, path, req, answer);
        return;
    }
    if (req->format != CL_ID_NONE && req->format != CL_FMT_TEXT) {
        answer->code = CL_CODE(4, 15);
        return;
    }
    answer->code = cl_body_in(cl, req, answer, &args);
    if (answer->code != 0) {
        return;
    }
    cl_err_t err = obj->exec == NULL ? CL_ERR_DENIED
                                     : obj->exec(obj, path->id[1], path->id[2], args.p, args.len);
    if (err == CL_ERR_LATER || (res->flags & CL_SEPARATE) != 0) {
        postpone(cl, req, answer, err);
        return;
    }
    answer->code = cl_code_of(err, false);
}

static void serve_write(struct cl_client *cl, const struct cl_msg *req, const struct cl_path *path,
                        struct cl_msg *answer)
{
    struct cl_write w = {.objects = &cl->objects, .path = *path, .format = req->format};

    answer->code = cl_body_in(cl, req, answer, &w.body);
    if (answer->code == 0) {
        answer->code = cl_code_of(cl_write(&w), false);
    }
}

static const struct cl_res *resource_of(const struct cl_obj *obj, const struct cl_path *path)
{
    return path->depth >= 3 && cl_obj_has(obj, path->id[1]) ? cl_res_find(obj, path->id[2]) : NULL;
}

static void serve_put(struct cl_client *cl, const struct cl_obj *obj, const struct cl_msg *req,
                      const struct cl_path *path, struct cl_msg *answer)
{
    const struct cl_res *res = resource_of(obj, path);

    if (req->query.count > 0 && req->payload.len == 0) {
        bool there =
            path->depth == 1 || (path->depth == 2 && cl_obj_has(obj, path->id[1])) || res != NULL;
        answer->code = cl_code_of(
            there ? cl_attrs_write(&cl->observers, path, &req->query) : CL_ERR_NOENT, false);
    } else if (path->depth == 1) {
        answer->code = CL_CODE(4, 5);
    } else if (path->depth == 3 && res != NULL && obj->stream != NULL &&
               (res->flags & (CL_STREAM | CL_WRITE)) == (CL_STREAM | CL_WRITE)) {
        if (cl->later.open) {
            answer->code = CL_CODE(5, 3);
            return;
        }
        stream(cl, obj, res, path, req, answer);
    } else {
        serve_write(cl, req, path, answer);
    }
}

/* ---- instances that come and go ---- */

static const uint8_t *number_text(uint8_t buf[6], uint16_t v, size_t *ret_len)
{
    struct cl_out o = {.buf = buf, .cap = 6};

    cl_out_int(&o, v);
    *ret_len = o.len;
    return buf;
}

static uint16_t free_instance(const struct cl_obj *obj)
{
    uint16_t id = 0;

    while (cl_obj_has(obj, id)) {
        id++;
    }
    return id;
}

static cl_err_t first_instance(void *ctx, const struct cl_leaf *leaf)
{
    *(uint16_t *)ctx = leaf->inst;
    return CL_OK;
}

static void serve_create(struct cl_client *cl, const struct cl_obj *obj, const struct cl_msg *req,
                         struct cl_msg *answer)
{
    struct cl_write w = {.objects = &cl->objects, .format = req->format, .create = true};
    uint16_t inst = CL_ID_NONE;
    struct cl_path object = {.depth = 1, .id = {obj->id}};

    answer->code = cl_body_in(cl, req, answer, &w.body);
    if (answer->code != 0) {
        return;
    }
    if (req->format != CL_FMT_TLV && req->format != CL_FMT_SENML_CBOR) {
        answer->code = CL_CODE(4, 15);
        return;
    }
    cl_err_t form = req->format == CL_FMT_TLV
                        ? cl_tlv_walk(&object, w.body, first_instance, &inst)
                        : cl_senml_walk(&object, w.body, first_instance, &inst);
    if (form != CL_OK) { /* bare resources are allowed; other errors show again in the write */
        inst = CL_ID_NONE;
    }
    inst = inst == CL_ID_NONE ? free_instance(obj) : inst;
    w.path = (struct cl_path){.depth = 2, .id = {obj->id, inst}};
    cl_err_t err = cl_obj_has(obj, inst) ? CL_ERR_INVAL : obj->create(obj, inst);
    if (err == CL_OK) {
        err = w.body.len > 0 ? cl_write(&w) : CL_OK;
        if (err != CL_OK) {
            (void)obj->remove(obj, inst);
        }
    }
    answer->code = err == CL_OK ? CL_CODE(2, 1) : cl_code_of(err, false);
    if (err == CL_OK) {
        size_t n;
        answer->location.seg[0] = (struct cl_bytes){number_text(cl->out, obj->id, &n), 0};
        answer->location.seg[0].len = n;
        answer->location.seg[1] = (struct cl_bytes){number_text(cl->out + 8, inst, &n), 0};
        answer->location.seg[1].len = n;
        answer->location.count = 2;
        cl_list_changed(cl);
    }
}

static void serve_post(struct cl_client *cl, const struct cl_obj *obj, const struct cl_msg *req,
                       const struct cl_path *path, struct cl_msg *answer)
{
    const struct cl_res *res = resource_of(obj, path);

    if (path->depth == 1) {
        if (obj->create == NULL || obj->remove == NULL || obj->id <= 1) {
            answer->code = CL_CODE(4, 5);
        } else {
            serve_create(cl, obj, req, answer);
        }
    } else if (path->depth == 2) {
        serve_write(cl, req, path, answer);
    } else if (res == NULL) {
        answer->code = CL_CODE(4, 4);
    } else if (path->depth == 3 && (res->flags & CL_EXEC) != 0) {
        serve_exec(cl, obj, res, path, req, answer);
    } else if (path->depth == 3 && (res->flags & CL_MULTI) != 0) {
        serve_write(cl, req, path, answer);
    } else {
        answer->code = CL_CODE(4, 5);
    }
}

static void serve_delete(struct cl_client *cl, const struct cl_obj *obj, const struct cl_path *path,
                         struct cl_msg *answer)
{
    cl_err_t err = CL_ERR_DENIED;

    if (path->depth == 2 && obj->remove != NULL && obj->id > 1) {
        err = cl_obj_has(obj, path->id[1]) ? obj->remove(obj, path->id[1]) : CL_ERR_NOENT;
    }
    answer->code = err == CL_OK ? CL_CODE(2, 2) : cl_code_of(err, false);
    if (err == CL_OK) {
        cl_list_changed(cl);
    }
}

void cl_serve(void *ctx, const struct cl_msg *req, struct cl_msg *answer)
{
    struct cl_client *cl = ctx;
    struct cl_path path;

    if (cl->bootstrapping) {
        cl_serve_bootstrap(cl, req, answer);
        return;
    }
    if (cl_path_parse(&req->path, &path) != CL_OK || path.depth == 0) {
        answer->code = CL_CODE(4, 4);
        return;
    }
    const struct cl_obj *obj = cl_object_find(&cl->objects, path.id[0]);
    if (obj == NULL || obj->id == 0) {
        answer->code = obj == NULL ? CL_CODE(4, 4) : CL_CODE(4, 1);
        return;
    }
    switch (req->code) {
    case CL_GET:
        serve_get(cl, req, &path, answer);
        break;
    case CL_PUT:
        serve_put(cl, obj, req, &path, answer);
        break;
    case CL_POST:
        serve_post(cl, obj, req, &path, answer);
        break;
    case CL_DELETE:
        serve_delete(cl, obj, &path, answer);
        break;
    default:
        answer->code = CL_CODE(4, 5);
    }
}
