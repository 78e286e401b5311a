/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device that begins at the bootstrap server (--bootstrap):
 *
 *     POST /bs --2.04--> Discover, Delete and Write of the server --POST /bs--> goodbye
 *
 * What it was told of object 0 is its account from then on. It is kept for the life of the fleet;
 * an association that ends before the server's last request leaves nothing behind.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "device-sim/fleet_priv.h"
#include "lwm2m/codec.h"

#define PATH_TEXT_MAX 64
#define NODES_MAX     64
#define LEAVE_MS      20 /* so that the answer to the last request gets out */

enum { RES_URI = 0, RES_MODE = 2, RES_IDENTITY = 3, RES_KEY = 5 };
enum { MODE_PSK = 0, MODE_CERTIFICATE = 2 };

bool bootstrap_wanted(const struct sim_fleet *f, const struct device *d)
{
    return f->o->bootstrap && (d->account == NULL || !d->account->complete);
}

void bootstrap_free(struct device *d)
{
    if (d->account != NULL) {
        dr_wipe(d->account, sizeof *d->account);
        free(d->account);
        d->account = NULL;
    }
}

void bootstrap_begin(struct sim_fleet *f, uint32_t i)
{
    struct sim_message *m = fleet_take_slot(f, i, KIND_BOOTSTRAP);
    struct sim_name name = fleet_name(f, i);
    char text[SIM_NAME_MAX];

    sim_name_text(&name, text);
    m->code = CX_POST;
    m->path = "bs";
    (void)snprintf(m->query[m->n_query++], SIM_QUERY_LEN, "ep=%s", text);
    (void)snprintf(m->query[m->n_query++], SIM_QUERY_LEN, "pct=%d", LWM2M_CT_SENML_CBOR);
    fleet_send(f, m);
}

/* ---- what the server writes ---- */

/* "coaps://127.0.0.1:5684", perhaps with a query */
static bool take_uri(const struct lwm2m_value *v, union cx_addr *ret)
{
    char text[SIM_URI_MAX + 1];
    uint64_t port;

    if (v->bytes.len > SIM_URI_MAX) {
        return false;
    }
    memcpy(text, v->bytes.ptr, v->bytes.len);
    text[v->bytes.len] = '\0';
    text[strcspn(text, "?")] = '\0';
    char *host = strstr(text, "://"), *colon = strrchr(text, ':');
    if (host == NULL || colon <= host + 3 ||
        dr_parse_u64_max(colon + 1, strlen(colon + 1), UINT16_MAX, &port) != DR_OK) {
        return false;
    }
    *colon = '\0';
    *ret = (union cx_addr){.in4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)}};
    return inet_pton(AF_INET, host + 3, &ret->in4.sin_addr) == 1;
}

static bool take_account(struct sim_account *a, const struct lwm2m_node *n)
{
    const struct lwm2m_value *v = &n->value;

    switch (n->path.id[2]) {
    case RES_URI:
        return take_uri(v, &a->server);
    case RES_MODE:
        a->certificate = v->i == MODE_CERTIFICATE;
        return v->i == MODE_PSK || a->certificate;
    case RES_IDENTITY:
        if (!a->certificate && v->bytes.len < sizeof a->identity) {
            memcpy(a->identity, v->bytes.ptr, v->bytes.len);
            a->identity[v->bytes.len] = '\0';
        }
        a->named = v->bytes.len > 0;
        return a->named;
    case RES_KEY:
        a->keyed = v->bytes.len > 0;
        if (v->bytes.len <= sizeof a->key) {
            memcpy(a->key, v->bytes.ptr, v->bytes.len);
            a->key_len = v->bytes.len;
        }
        return a->keyed;
    default:
        return true;
    }
}

static uint8_t write_nodes(struct device *d, const struct cx_pdu *request, const char *path)
{
    static struct lwm2m_models *models; /* one fleet, one thread */
    struct lwm2m_nodes nodes;
    bool ok = models != NULL || lwm2m_models_new(&models) == DR_OK;
    const struct lwm2m_schema schema = {.models = models, .enabler = LWM2M_VERSION(1, 1)};
    struct lwm2m_decode_opts opts = {.schema = &schema, .relative = true};
    uint16_t ct = request->content_format < 0 ? LWM2M_CT_NONE : (uint16_t)request->content_format;

    if (!ok || lwm2m_path_parse(path, strlen(path), &opts.base) != DR_OK) {
        return CX_BAD_REQUEST;
    }
    lwm2m_nodes_init(&nodes, NODES_MAX, 0);
    ok = lwm2m_decode_nodes(ct, &opts, request->payload, request->payload_len, &nodes) == DR_OK;
    /* the mode first: it says what the others are */
    for (unsigned pass = 0; ok && pass < 2; pass++) {
        for (size_t k = 0; ok && k < nodes.count; k++) {
            const struct lwm2m_path *p = &nodes.items[k].path;
            bool mine = p->depth == 3 && p->id[0] == 0 && (p->id[2] == RES_MODE) == (pass == 0);
            ok = !mine || take_account(d->account, &nodes.items[k]);
        }
    }
    lwm2m_nodes_fini(&nodes);
    return ok ? CX_CHANGED : CX_BAD_REQUEST;
}

/* ---- the server's requests ---- */

static void discover(struct sim_answer *ret)
{
    static const char text[] = "</>;lwm2m=1.1,</0/0>,</1>,</3/0>";

    ret->code = CX_CONTENT;
    ret->content_format = LWM2M_CT_LINK;
    ret->len = sizeof text - 1;
    memcpy(ret->payload, text, ret->len);
}

static bool usable(const struct sim_account *a)
{
    bool psk = a->identity[0] != '\0' && a->key_len > 0;

    return a->server.sa.sa_family != 0 && a->named && a->keyed && (a->certificate || psk);
}

static uint8_t finish(struct sim_fleet *f, uint32_t i)
{
    struct device *d = &f->devices[i];

    if (d->account->complete || !usable(d->account)) {
        return d->account->complete ? CX_CHANGED : CX_NOT_ACCEPTABLE;
    }
    d->account->complete = true;
    fleet_bootstrapped(f, i, LEAVE_MS);
    return CX_CHANGED;
}

void bootstrap_operate(struct sim_fleet *f, uint32_t i, const struct cx_pdu *request,
                       struct sim_answer *ret)
{
    struct device *d = &f->devices[i];
    char path[PATH_TEXT_MAX];

    *ret = (struct sim_answer){.code = CX_NOT_FOUND, .content_format = -1};
    if (d->account == NULL) {
        d->account = calloc(1, sizeof *d->account);
    }
    if (d->account == NULL || cx_pdu_path(request, path, sizeof path) != DR_OK) {
        ret->code = CX_SERVER_ERROR;
    } else if (request->code == CX_GET && request->accept == LWM2M_CT_LINK) {
        discover(ret);
    } else if (request->code == CX_DELETE) {
        ret->code = CX_DELETED;
    } else if (request->code == CX_PUT) {
        ret->code = write_nodes(d, request, path);
    } else if (request->code == CX_POST && strcmp(path, "/bs") == 0) {
        ret->code = finish(f, i);
    }
}

dr_err_t bootstrap_connect(struct sim_fleet *f, struct sim_message *m, uint32_t source)
{
    const struct sim_account *a = f->devices[m->device].account;

    return f->ops->connect(f->stack, m, &a->server, source, a->identity, a->key, a->key_len);
}
