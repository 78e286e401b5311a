/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/client_priv.h"

enum {
    SEC_URI,
    SEC_BOOTSTRAP,
    SEC_MODE,
    SEC_ID,
    SEC_PEER,
    SEC_KEY,
    SEC_SSID = 10,
    SEC_HOLD_OFF,
    SEC_TIMEOUT,
};
enum {
    SRV_SSID,
    SRV_LIFETIME,
    SRV_PMIN,
    SRV_PMAX,
    SRV_STORE = 6,
    SRV_BINDING,
    SRV_UPDATE,
    SRV_BOOTSTRAP,
};

/* Nothing here is readable, to anyone. */
static const struct cl_res security_res[] = {
    {SEC_URI, CL_STRING, CL_BOOTSTRAP, NULL},  {SEC_BOOTSTRAP, CL_BOOL, CL_BOOTSTRAP, NULL},
    {SEC_MODE, CL_INT, CL_BOOTSTRAP, NULL},    {SEC_ID, CL_OPAQUE, CL_BOOTSTRAP, NULL},
    {SEC_PEER, CL_OPAQUE, CL_BOOTSTRAP, NULL}, {SEC_KEY, CL_OPAQUE, CL_BOOTSTRAP, NULL},
    {SEC_SSID, CL_INT, CL_BOOTSTRAP, NULL},    {SEC_HOLD_OFF, CL_INT, CL_BOOTSTRAP, NULL},
    {SEC_TIMEOUT, CL_INT, CL_BOOTSTRAP, NULL},
};
static const struct cl_res server_res[] = {
    {SRV_SSID, CL_INT, CL_READ | CL_BOOTSTRAP, NULL},
    {SRV_LIFETIME, CL_INT, CL_READ | CL_WRITE, NULL},
    {SRV_PMIN, CL_INT, CL_READ | CL_WRITE, NULL},
    {SRV_PMAX, CL_INT, CL_READ | CL_WRITE, NULL},
    {SRV_STORE, CL_BOOL, CL_READ | CL_WRITE, NULL},
    {SRV_BINDING, CL_STRING, CL_READ | CL_BOOTSTRAP, NULL},
    {SRV_UPDATE, CL_NONE, CL_EXEC, NULL},
    {SRV_BOOTSTRAP, CL_NONE, CL_EXEC, NULL},
};

static size_t security_instances(const struct cl_obj *obj, uint16_t ret[CL_INSTANCES_MAX])
{
    const struct cl_accounts *a = &((struct cl_client *)obj->ctx)->accounts;
    size_t n = 0;

    for (size_t i = 0; i < CL_ACCOUNTS_MAX; i++) {
        if (a->account[i].there) {
            ret[n++] = a->account[i].inst;
        }
    }
    if (n == 2 && ret[0] > ret[1]) {
        uint16_t swap = ret[0];
        ret[0] = ret[1];
        ret[1] = swap;
    }
    return n;
}

static struct cl_account *account_at(struct cl_client *cl, uint16_t inst)
{
    for (size_t i = 0; i < CL_ACCOUNTS_MAX; i++) {
        if (cl->accounts.account[i].there && cl->accounts.account[i].inst == inst) {
            return &cl->accounts.account[i];
        }
    }
    return NULL;
}

static cl_err_t security_create(const struct cl_obj *obj, uint16_t inst)
{
    struct cl_client *cl = obj->ctx;
    struct cl_account *acc = &cl->accounts.account[CL_SERVER];

    if (acc->there) {
        return CL_ERR_SPACE;
    }
    cl_wipe(acc, sizeof *acc);
    acc->there = acc->written = true;
    acc->inst = inst;
    acc->mode = CL_MODE_NONE;
    return CL_OK;
}

static cl_err_t security_remove(const struct cl_obj *obj, uint16_t inst)
{
    struct cl_client *cl = obj->ctx;
    struct cl_account *acc = account_at(cl, inst);

    if (acc == NULL) {
        return CL_ERR_NOENT;
    }
    if (acc != &cl->accounts.account[CL_BOOTSTRAPPER]) { /* that one always stays */
        cl_wipe(acc, sizeof *acc);
    }
    return CL_OK;
}

static cl_err_t bytes_set(const struct cl_value *v, uint8_t *p, size_t cap, uint16_t *len)
{
    if (v->s.len > cap) {
        return CL_ERR_SPACE;
    }
    if (v->s.len > 0) {
        memcpy(p, v->s.p, v->s.len);
    }
    *len = (uint16_t)v->s.len;
    return CL_OK;
}

static cl_err_t text_set(const struct cl_value *v, char *p, size_t cap)
{
    if (v->s.len >= cap || memchr(v->s.p, 0, v->s.len) != NULL) {
        return CL_ERR_INVAL;
    }
    memcpy(p, v->s.p, v->s.len);
    p[v->s.len] = '\0';
    return CL_OK;
}

/* The new instance turns out to be the bootstrap server's: it takes that place. */
static cl_err_t bootstrap_set(struct cl_client *cl, struct cl_account *acc, bool on)
{
    struct cl_account *place = &cl->accounts.account[CL_BOOTSTRAPPER];

    if (!on) {
        return acc == place ? CL_ERR_INVAL : CL_OK;
    }
    if (acc != place) {
        *place = *acc;
        cl_wipe(acc, sizeof *acc);
    }
    return CL_OK;
}

static bool mode_known(int64_t mode)
{
    return mode == CL_MODE_PSK || mode == CL_MODE_CERT || mode == CL_MODE_NONE ||
           mode == CL_MODE_EST;
}

static cl_err_t security_write(const struct cl_obj *obj, uint16_t inst, uint16_t res, uint16_t ri,
                               const struct cl_value *v)
{
    struct cl_client *cl = obj->ctx;
    struct cl_account *acc = account_at(cl, inst);

    (void)ri;
    if (acc == NULL) {
        return CL_ERR_NOENT;
    }
    acc->written = true;
    switch (res) {
    case SEC_URI:
        return text_set(v, acc->uri, sizeof acc->uri);
    case SEC_BOOTSTRAP:
        return bootstrap_set(cl, acc, v->b);
    case SEC_MODE:
        acc->mode = (uint8_t)v->i;
        return mode_known(v->i) ? CL_OK : CL_ERR_INVAL;
    case SEC_ID:
        return bytes_set(v, acc->id, sizeof acc->id, &acc->id_len);
    case SEC_PEER:
        return bytes_set(v, acc->peer, sizeof acc->peer, &acc->peer_len);
    case SEC_KEY:
        return bytes_set(v, acc->key, sizeof acc->key, &acc->key_len);
    case SEC_SSID:
        acc->ssid = (uint16_t)v->i;
        return v->i >= 0 && v->i < CL_ID_NONE ? CL_OK : CL_ERR_INVAL;
    case SEC_HOLD_OFF:
        acc->hold_off_s = (uint32_t)v->i;
        return v->i >= 0 && v->i <= UINT32_MAX ? CL_OK : CL_ERR_INVAL;
    default:
        return CL_OK; /* a timeout of the bootstrap account: it is kept for ever here */
    }
}

static size_t server_instances(const struct cl_obj *obj, uint16_t ret[CL_INSTANCES_MAX])
{
    const struct cl_server *s = &((struct cl_client *)obj->ctx)->accounts.server;

    ret[0] = s->inst;
    return s->there ? 1 : 0;
}

static cl_err_t server_create(const struct cl_obj *obj, uint16_t inst)
{
    struct cl_client *cl = obj->ctx;
    struct cl_server *s = &cl->accounts.server;

    if (s->there) {
        return CL_ERR_SPACE;
    }
    *s = (struct cl_server){
        .there = true, .inst = inst, .lifetime_s = cl->config.lifetime_s, .binding = "U"};
    return CL_OK;
}

static cl_err_t server_remove(const struct cl_obj *obj, uint16_t inst)
{
    (void)inst;
    ((struct cl_client *)obj->ctx)->accounts.server.there = false;
    return CL_OK;
}

static cl_err_t server_read(const struct cl_obj *obj, uint16_t inst, uint16_t res, uint16_t ri,
                            struct cl_value *ret)
{
    const struct cl_server *s = &((struct cl_client *)obj->ctx)->accounts.server;

    (void)inst;
    (void)ri;
    switch (res) {
    case SRV_SSID:
        ret->i = s->ssid;
        return CL_OK;
    case SRV_LIFETIME:
        ret->i = s->lifetime_s;
        return CL_OK;
    case SRV_PMIN:
        ret->i = s->pmin_s;
        return CL_OK;
    case SRV_PMAX:
        ret->i = s->pmax_s;
        return CL_OK;
    case SRV_STORE:
        ret->b = s->store_notes;
        return CL_OK;
    case SRV_BINDING:
        cl_value_text(ret, s->binding);
        return CL_OK;
    default:
        return CL_ERR_NOENT;
    }
}

static cl_err_t seconds_set(const struct cl_value *v, uint32_t min, uint32_t *ret)
{
    if (v->i < min || v->i > UINT32_MAX) {
        return CL_ERR_INVAL;
    }
    *ret = (uint32_t)v->i;
    return CL_OK;
}

static cl_err_t server_write(const struct cl_obj *obj, uint16_t inst, uint16_t res, uint16_t ri,
                             const struct cl_value *v)
{
    struct cl_client *cl = obj->ctx;
    struct cl_server *s = &cl->accounts.server;
    cl_err_t err = CL_OK;

    (void)inst;
    (void)ri;
    switch (res) {
    case SRV_SSID:
        s->ssid = (uint16_t)v->i;
        err = v->i > 0 && v->i < CL_ID_NONE ? CL_OK : CL_ERR_INVAL;
        break;
    case SRV_LIFETIME:
        err = seconds_set(v, 1, &s->lifetime_s);
        cl->must_update = cl->must_update || (err == CL_OK && cl->state == CL_REGISTERED);
        break;
    case SRV_PMIN:
        err = seconds_set(v, 0, &s->pmin_s);
        break;
    case SRV_PMAX:
        err = seconds_set(v, 0, &s->pmax_s);
        break;
    case SRV_STORE:
        s->store_notes = v->b;
        break;
    case SRV_BINDING:
        err = text_set(v, s->binding, sizeof s->binding);
        break;
    default:
        return CL_ERR_DENIED;
    }
    cl->observers.pmin_s = s->pmin_s;
    cl->observers.pmax_s = s->pmax_s;
    if (err == CL_OK) {
        cl_changed(cl, obj->id, inst, res);
    }
    return err;
}

static cl_err_t server_exec(const struct cl_obj *obj, uint16_t inst, uint16_t res,
                            const uint8_t *args, size_t len)
{
    struct cl_client *cl = obj->ctx;

    (void)inst;
    (void)args;
    (void)len;
    if (res == SRV_UPDATE) {
        cl->must_update = true;
    } else if (!cl->accounts.account[CL_BOOTSTRAPPER].there) {
        return CL_ERR_DENIED;
    } else {
        cl_rebootstrap(cl);
    }
    return CL_OK;
}

cl_err_t cl_core_objects(struct cl_client *cl)
{
    cl->security_obj = (struct cl_obj){.id = 0,
                                       .res = security_res,
                                       .res_count = sizeof security_res / sizeof security_res[0],
                                       .ctx = cl,
                                       .instances = security_instances,
                                       .write = security_write,
                                       .create = security_create,
                                       .remove = security_remove};
    cl->server_obj = (struct cl_obj){.id = 1,
                                     .res = server_res,
                                     .res_count = sizeof server_res / sizeof server_res[0],
                                     .ctx = cl,
                                     .instances = server_instances,
                                     .read = server_read,
                                     .write = server_write,
                                     .exec = server_exec,
                                     .create = server_create,
                                     .remove = server_remove};
    cl_err_t err = cl_object_add(&cl->objects, &cl->security_obj);
    return err == CL_OK ? cl_object_add(&cl->objects, &cl->server_obj) : err;
}
