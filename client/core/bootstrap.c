/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/client_priv.h"
#include "client/core/enrol.h"
#include "client/core/links.h"

enum {
    GUARD_MS = 247000, /**< spec: LWM2M-1.1-CORE#6.1.4: no Finish in time: start again */
    GUARD_PELION_MS = 1800000,
    LINGER_MS = 300, /**< an acknowledgement of Finish that got lost can be sent again so long */
};

static void guard(void *ctx)
{
    cl_retry(ctx, "the bootstrap did not finish in time");
}

static void guard_start(struct cl_client *cl)
{
    cl_cancel(&cl->evq, guard, cl);
    if (cl_post_after(&cl->evq, cl->config.pelion ? GUARD_PELION_MS : GUARD_MS, guard, cl) !=
        CL_OK) {
        cl_retry(cl, "no room for a timer");
    }
}

static void requested(struct cl_call *call, cl_err_t err, const struct cl_msg *answer)
{
    struct cl_client *cl = call->ctx;

    if (err == CL_ERR_CLOSED) {
        return; /* whoever closed the association goes on */
    }
    if (err != CL_OK) {
        cl_retry(cl, "no answer to the bootstrap request");
    } else if (answer->code >> 5 != 2) {
        cl_trouble(cl, "the bootstrap server refused", "");
        cl_retry(cl, NULL);
    }
}

void cl_bootstrap_start(struct cl_client *cl)
{
    struct cl_uri uri;

    cl_state_set(cl, CL_BOOTSTRAPPING);
    cl->finished = false;
    cl_query_clear(cl);
    (void)cl_query_add(cl, "ep", cl->config.endpoint);
    if (!cl->config.pelion) {
        (void)cl_query_add(cl, "pct", "11542");
    } else if (cl_uri_parse(cl->accounts.account[CL_BOOTSTRAPPER].uri, &uri) == CL_OK &&
               uri.query[0] != '\0') {
        (void)cl_query_add(cl, uri.query, NULL);
        if (cl->device_id[0] != '\0') {
            (void)cl_query_add(cl, "iep", cl->device_id);
        }
        (void)cl_query_add(cl, "mccv", CL_PELION_VERSION);
    }
    guard_start(cl);
    cl->call = (struct cl_call){.format = CL_ID_NONE, .accept = CL_ID_NONE};
    if (cl_request(cl, CL_POST, "/bs", requested) != CL_OK) {
        cl_retry(cl, "the bootstrap request does not fit");
    }
}

void cl_bootstrap_undo(struct cl_client *cl)
{
    struct cl_account *acc = &cl->accounts.account[CL_SERVER];

    cl_cancel(&cl->evq, guard, cl);
    cl_wipe(acc, sizeof *acc);
    cl->accounts.server.there = false;
    if (cl_accounts_load(&cl->accounts) != CL_OK) {
        cl_wipe(acc, sizeof *acc);
    }
}

bool cl_bootstrap_consistent(const struct cl_client *cl)
{
    const struct cl_account *acc = &cl->accounts.account[CL_SERVER];
    const struct cl_server *s = &cl->accounts.server;
    struct cl_uri uri;

    if (!acc->there || !s->there || cl_uri_parse(acc->uri, &uri) != CL_OK) {
        return false;
    }
    if (acc->mode == CL_MODE_PSK) {
        return acc->id_len > 0 && acc->key_len > 0;
    }
    if (acc->mode == CL_MODE_CERT && acc->key_len > 0) {
        return acc->id_len > 0 && acc->peer_len > 0;
    }
    return acc->mode == CL_MODE_NONE || acc->peer_len > 0;
}

static void complete(struct cl_client *cl)
{
    cl_cancel(&cl->evq, guard, cl);
    if (cl_accounts_save(&cl->accounts) != CL_OK) {
        cl_trouble(cl, "the new keys could not be stored", "");
    }
    cl->must_bootstrap = false; /* failures count on: a server may refuse these keys, too */
    cl_connect_soon(cl, 0);
}

static void enrolled(struct cl_client *cl, cl_err_t err)
{
    if (err == CL_OK) {
        complete(cl);
    } else if (err != CL_ERR_CLOSED) {
        cl_retry(cl, "the enrolment failed");
    }
}

static bool must_enrol(const struct cl_client *cl)
{
    const struct cl_account *acc = &cl->accounts.account[CL_SERVER];

    return acc->mode == CL_MODE_EST || (acc->mode == CL_MODE_CERT && acc->key_len == 0);
}

void cl_bootstrap_closed(struct cl_client *cl, const char *why)
{
    if (cl->finished && !must_enrol(cl)) { /* the server may close once it has said Finish */
        complete(cl);
    } else {
        cl_retry(cl, why);
    }
}

static void bootstrap_finish(struct cl_client *cl)
{
    if (must_enrol(cl)) {
        cl_enrol(cl, enrolled);
    } else {
        complete(cl);
    }
}

static void finish_event(void *ctx)
{
    struct cl_client *cl = ctx;

    if (cl->bootstrapping && cl->finished) {
        if (cl->later.open || cl->notifying != -1) { /* its answer is not acknowledged yet */
            if (cl_post_after(&cl->evq, LINGER_MS, finish_event, cl) != CL_OK) {
                cl_retry(cl, "no room for a timer");
            }
            return;
        }
        bootstrap_finish(cl);
    }
}

/* The device id may come with Finish. */
static void iep_take(struct cl_client *cl, const struct cl_msg *req)
{
    for (size_t i = 0; i < req->query.count; i++) {
        struct cl_bytes q = req->query.seg[i];
        if (q.len > 4 && q.len - 4 < sizeof cl->device_id && memcmp(q.p, "iep=", 4) == 0) {
            memcpy(cl->device_id, q.p + 4, q.len - 4);
            cl->device_id[q.len - 4] = '\0';
        }
    }
}

static void serve_finish(struct cl_client *cl, const struct cl_msg *req, struct cl_msg *answer)
{
    if (!cl_bootstrap_consistent(cl)) {
        answer->code = CL_CODE(4, 6);
        return;
    }
    iep_take(cl, req);
    answer->code = CL_CODE(2, 4);
    if (cl->config.pelion) { /* as Pelion's client does: empty acknowledgement, answer apart */
        cl->later = (struct cl_later){
            .open = true, .done = true, .token_len = req->token_len, .code = CL_CODE(2, 4)};
        memcpy(cl->later.token, req->token, req->token_len);
        answer->code = CL_EMPTY;
    }
    if (!cl->finished &&
        cl_post_after(&cl->evq, cl->config.pelion ? 0 : LINGER_MS, finish_event, cl) != CL_OK) {
        answer->code = CL_CODE(5, 3);
        return;
    }
    cl->finished = true;
}

static void instances_remove(const struct cl_obj *obj)
{
    uint16_t ids[CL_INSTANCES_MAX];
    size_t n = cl_obj_instances(obj, ids);

    for (size_t i = 0; i < n && obj->remove != NULL; i++) {
        (void)obj->remove(obj, ids[i]);
    }
}

/* spec: LWM2M-1.1-CORE#6.1.7.6: what must stay (bootstrap account, device) is passed over. */
static void serve_delete(struct cl_client *cl, const struct cl_path *path, struct cl_msg *answer)
{
    const struct cl_obj *obj = path->depth > 0 ? cl_object_find(&cl->objects, path->id[0]) : NULL;

    answer->code = CL_CODE(2, 2);
    if (path->depth == 0) {
        for (size_t i = 0; i < cl->objects.count; i++) {
            instances_remove(cl->objects.obj[i]);
        }
    } else if (obj == NULL) {
        answer->code = CL_CODE(4, 4);
    } else if (path->depth == 1) {
        instances_remove(obj);
    } else if (path->depth == 2 && obj->remove != NULL) {
        (void)obj->remove(obj, path->id[1]);
    } else {
        answer->code = CL_CODE(4, 0);
    }
}

static void serve_put(struct cl_client *cl, const struct cl_msg *req, const struct cl_path *path,
                      struct cl_msg *answer)
{
    struct cl_write w = {
        .objects = &cl->objects, .path = *path, .format = req->format, .bootstrap = true};
    const struct cl_obj *obj = path->depth > 0 ? cl_object_find(&cl->objects, path->id[0]) : NULL;

    answer->code = cl_body_in(cl, req, answer, &w.body);
    if (answer->code != 0) {
        return;
    }
    cl_err_t err = CL_OK;
    if (obj != NULL && path->depth == 2 && !cl_obj_has(obj, path->id[1])) {
        err = obj->create != NULL ? obj->create(obj, path->id[1]) : CL_ERR_NOENT;
    }
    answer->code = cl_code_of(err == CL_OK ? cl_write(&w) : err, false);
    cl_wipe(cl->in.buf, sizeof cl->in.buf); /* keys were in it */
}

static void serve_get(struct cl_client *cl, const struct cl_msg *req, const struct cl_path *path,
                      struct cl_msg *answer)
{
    struct cl_out out = {.buf = cl->out, .cap = sizeof cl->out};
    uint16_t format = CL_FMT_LINK;
    cl_err_t err = CL_ERR_DENIED;

    if (req->accept == CL_FMT_LINK) {
        err = cl_links_bootstrap(&cl->objects, &cl->accounts, path, &out);
    } else if (path->depth > 0 && path->id[0] == 1) {
        err = cl_read(&cl->objects, path, req->accept, &out, &format);
    }
    answer->code = cl_code_of(err, true);
    if (err == CL_OK) {
        cl_body_out(cl, req, answer, &out, format);
    }
}

void cl_serve_bootstrap(struct cl_client *cl, const struct cl_msg *req, struct cl_msg *answer)
{
    struct cl_path path;

    guard_start(cl);
    if (cl->state != CL_BOOTSTRAPPING) {
        answer->code = CL_CODE(4, 0);
    } else if (req->code == CL_POST && req->path.count == 1 &&
               cl_bytes_are(req->path.seg[0], "bs")) {
        serve_finish(cl, req, answer);
    } else if (cl_path_parse(&req->path, &path) != CL_OK) {
        answer->code = CL_CODE(4, 4);
    } else if (req->code == CL_DELETE) {
        serve_delete(cl, &path, answer);
    } else if (req->code == CL_PUT) {
        serve_put(cl, req, &path, answer);
    } else if (req->code == CL_GET) {
        serve_get(cl, req, &path, answer);
    } else {
        answer->code = CL_CODE(4, 5);
    }
}
