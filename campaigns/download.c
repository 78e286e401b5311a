/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block costs its shard a look at 64 ids and a token of 32 digits, whoever asks. What a shard has
 * not seen goes to control once:
 *
 *     shard: image not here, or no grant → ask → control: rows → image mapped and checked
 *        → shard: reference and grant kept, answered
 *
 * Grants are for requests that bring no token: the keyed hash of (account, device or address) and
 * the image that it may have, for a minute.
 */
#include "campaigns/download.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/text.h"
#include "campaigns/campaign.h"
#include "campaigns/image.h"
#include "campaigns/target.h"
#include "coap/engine.h"
#include "db/db.h"
#include "devices/dev.h"
#include "devices/route.h"

#define CT_OCTETS 42

struct grant {
    uint64_t key; /* 0 = free */
    int64_t image;
    uint64_t until_ms;
};

struct shard {
    struct loop *loop;
    struct loop_msg sweep;
    atomic_bool sweeping;
    struct camp_image *images[CAMP_DOWNLOAD_IMAGES_MAX]; /* references */
    unsigned n_images, next; /* the next place to be taken when all are */
    unsigned asks;
    struct grant grants[CAMP_DOWNLOAD_GRANTS];
};

struct camp_downloads {
    struct camp_downloads_config cfg;
    struct dr_hash_key key;
    struct shard *shards; /* owned; each is its loop's */
};

/* A question of a shard to control, and the same block back. */
struct ask {
    struct loop_msg msg;
    struct camp_downloads *all;
    struct shard *shard;
    struct dev_route_to to;
    int64_t account, image;
    uint64_t grant; /* 0 = the token decides */
    struct db_read read;
    struct camp_image_get get;
    dr_err_t err;
    struct camp_image *found; /* owned reference */
    char token[DB_TOKEN_LEN + 1];
    char endpoint[DEV_ENDPOINT_MAX + 1];
    char uri[CAMP_TARGET_URI_MAX + 1];
};

/* ---- on a shard ---- */

static struct camp_image *image_here(struct shard *s, int64_t id)
{
    for (unsigned i = 0; i < s->n_images; i++) {
        if (s->images[i]->id != id) {
            continue;
        }
        if (camp_image_gone(s->images[i])) {
            (void)camp_image_unref(s->images[i]);
            s->images[i] = s->images[--s->n_images];
            return NULL;
        }
        return s->images[i];
    }
    return NULL;
}

/* Images whose rows are gone are let go, so that their disk space is free. */
static void sweep_run(struct loop_msg *msg)
{
    struct shard *s = DR_CONTAINER_OF(msg, struct shard, sweep);

    atomic_store(&s->sweeping, false);
    for (unsigned i = s->n_images; i-- > 0;) {
        if (camp_image_gone(s->images[i])) {
            (void)camp_image_unref(s->images[i]);
            s->images[i] = s->images[--s->n_images];
        }
    }
}

static void image_keep(struct shard *s, struct camp_image *image)
{
    if (image_here(s, image->id) != NULL || camp_image_gone(image)) {
        return;
    }
    if (s->n_images < CAMP_DOWNLOAD_IMAGES_MAX) {
        s->images[s->n_images++] = camp_image_ref(image);
        return;
    }
    struct camp_image **at = &s->images[s->next++ % CAMP_DOWNLOAD_IMAGES_MAX];
    (void)camp_image_unref(*at);
    *at = camp_image_ref(image);
}

static struct grant *grant_at(struct shard *s, uint64_t key)
{
    return &s->grants[key & (CAMP_DOWNLOAD_GRANTS - 1)];
}

/* The image that this key may have, 0 = not known (any more). */
static int64_t granted(struct shard *s, uint64_t key)
{
    const struct grant *g = grant_at(s, key);

    return g->key == key && g->until_ms > dr_now_ms() ? g->image : 0;
}

static uint64_t grant_key(const struct camp_downloads *d, int64_t account, int64_t image,
                          const char *text, size_t len)
{
    uint64_t h = dr_siphash(&d->key, text, len);

    h = dr_mix64(h ^ (uint64_t)account) ^ (uint64_t)image;
    h = dr_mix64(h);
    return h == 0 ? 1 : h;
}

static void serve(const struct dev_route_to *to, struct camp_image *image)
{
    uint8_t buf[4];
    struct cx_opt type = cx_opt_uint(CX_OPT_CONTENT_FORMAT, CT_OCTETS, buf);
    const struct cx_reply reply = {
        .code = CX_CONTENT, .opts = &type, .n_opts = 1, .body = image->body};

    dev_route_answer(to, &reply);
}

static bool token_fits(const struct camp_image *image, int64_t account, const char *token)
{
    return image->account == account && dr_ct_equal(token, image->token, DB_TOKEN_LEN);
}

static void refuse(const struct dev_route_to *to, dr_err_t err, bool other)
{
    switch (err) {
    case DR_ERR_PROTO:
        dev_route_refuse(to, CX_BAD_REQUEST);
        break;
    case DR_ERR_NOT_FOUND:
        dev_route_refuse(to, other ? CX_NO_PROXY : CX_NOT_FOUND);
        break;
    case DR_ERR_UNSUPPORTED:
        dev_route_refuse(to, CX_NO_PROXY);
        break;
    case DR_ERR_CORRUPT:
    case DR_ERR_IO:
        dev_route_later(to, CAMP_DOWNLOAD_DAMAGED_S);
        break;
    default:
        dev_route_later(to, CAMP_DOWNLOAD_SOON_S);
        break;
    }
}

static void ask_back(struct loop_msg *msg)
{
    struct ask *ask = DR_CONTAINER_OF(msg, struct ask, msg);
    struct shard *s = ask->shard;

    s->asks--;
    if (ask->err == DR_OK) {
        image_keep(s, ask->found);
        if (ask->grant != 0) {
            *grant_at(s, ask->grant) =
                (struct grant){.key = ask->grant,
                               .image = ask->found->id,
                               .until_ms = dr_now_ms() + CAMP_DOWNLOAD_GRANT_MS};
        } else if (!token_fits(ask->found, ask->account, ask->token)) {
            ask->err = DR_ERR_NOT_FOUND;
        }
    }
    if (ask->err == DR_OK) {
        serve(&ask->to, ask->found);
    } else {
        refuse(&ask->to, ask->err, ask->image == 0);
    }
    (void)camp_image_unref(ask->found);
    free(ask);
}

/* ---- on control ---- */

static void ask_end(struct ask *ask, dr_err_t err)
{
    ask->err = err;
    loop_post(ask->to.home->loop, &ask->msg, ask_back);
}

static void image_got(struct camp_image_get *get, dr_err_t err, struct camp_image *image)
{
    struct ask *ask = DR_CONTAINER_OF(get, struct ask, get);

    if (err == DR_OK) {
        ask->found = camp_image_ref(image);
    }
    ask_end(ask, err);
}

static void image_get(struct ask *ask, int64_t id)
{
    ask->get = (struct camp_image_get){.account = ask->account, .id = id, .cb = image_got};
    camp_image_get_start(ask->all->cfg.images, &ask->get);
}

static dr_err_t id_take(void *data, const struct db_image *row)
{
    *(int64_t *)data = row->id;
    return DR_OK;
}

/* Which image, and may this device have it? */
static dr_err_t grant_read(struct db_reader *r, struct db_read *read)
{
    struct ask *ask = DR_CONTAINER_OF(read, struct ask, read);
    bool may = false;

    if (ask->image == 0) {
        return db_image_of_url(r, ask->account, ask->uri, id_take, &ask->get.id);
    }
    ask->get.id = ask->image;
    dr_err_t err = db_image_for_device(r, ask->account, ask->image, ask->endpoint, CAMP_ACTIVE,
                                       CAMP_STOPPING, &may);
    return err == DR_OK && !may ? DR_ERR_NOT_FOUND : err;
}

static void grant_done(struct db_read *read, dr_err_t err)
{
    struct ask *ask = DR_CONTAINER_OF(read, struct ask, read);

    if (err != DR_OK) {
        ask_end(ask, err);
        return;
    }
    image_get(ask, ask->get.id);
}

static void ask_run(struct loop_msg *msg)
{
    struct ask *ask = DR_CONTAINER_OF(msg, struct ask, msg);

    if (ask->grant == 0) {
        image_get(ask, ask->image);
        return;
    }
    ask->read =
        (struct db_read){.home = ask->all->cfg.control, .fn = grant_read, .done = grant_done};
    dr_err_t err = db_read_start(ask->all->cfg.db, &ask->read);
    if (err != DR_OK) {
        ask_end(ask, err);
    }
}

static void sweep_all(void *data)
{
    struct camp_downloads *d = data;

    for (unsigned i = 0; i < d->cfg.shards; i++) {
        struct shard *s = &d->shards[i];
        if (!atomic_exchange(&s->sweeping, true)) {
            loop_post(s->loop, &s->sweep, sweep_run);
        }
    }
}

/* ---- requests ---- */

static void ask_start(struct camp_downloads *d, struct shard *s, const struct dev_route_req *req,
                      const struct camp_target *t, uint64_t grant)
{
    struct ask *ask = s->asks < CAMP_DOWNLOAD_ASKS_MAX ? calloc(1, sizeof *ask) : NULL;

    if (ask == NULL) {
        dev_route_later(&req->to, CAMP_DOWNLOAD_SOON_S);
        return;
    }
    ask->all = d;
    ask->shard = s;
    ask->to = req->to;
    ask->account = req->account;
    ask->image = t->image;
    ask->grant = grant;
    memcpy(ask->token, t->token, sizeof ask->token);
    (void)strncpy(ask->endpoint, req->endpoint, sizeof ask->endpoint - 1);
    if (t->uri != NULL) {
        memcpy(ask->uri, t->uri, t->uri_len);
    }
    s->asks++;
    loop_post(d->cfg.control, &ask->msg, ask_run);
}

static void on_request(void *ctx, const struct dev_route_req *req)
{
    struct camp_downloads *d = ctx;
    struct camp_target t;
    dr_err_t err = camp_target_parse(req->pdu, &t);

    if (req->pdu->code != CX_GET) {
        dev_route_refuse(&req->to, CX_NOT_ALLOWED);
        return;
    }
    if (err == DR_OK && (req->account == 0 || req->to.home->number >= d->cfg.shards)) {
        err = DR_ERR_NOT_FOUND;
    }
    if (err != DR_OK) {
        refuse(&req->to, err, false);
        return;
    }
    struct shard *s = &d->shards[req->to.home->number];
    struct camp_image *image;
    if (t.token[0] != '\0') {
        image = image_here(s, t.image);
        if (image == NULL) {
            ask_start(d, s, req, &t, 0);
        } else if (token_fits(image, req->account, t.token)) {
            serve(&req->to, image);
        } else {
            refuse(&req->to, DR_ERR_NOT_FOUND, false);
        }
        return;
    }
    const char *text = t.uri != NULL ? t.uri : req->endpoint;
    size_t len = t.uri != NULL ? t.uri_len : strlen(req->endpoint);
    uint64_t key = grant_key(d, req->account, t.image, text, len);
    int64_t id = granted(s, key);
    image = id == 0 ? NULL : image_here(s, id);
    if (image == NULL) {
        ask_start(d, s, req, &t, key);
    } else {
        serve(&req->to, image);
    }
}

/* ---- life ---- */

dr_err_t camp_downloads_new(const struct camp_downloads_config *config, struct camp_downloads **ret)
{
    dr_assert(config != NULL && config->control != NULL && config->db != NULL &&
              config->images != NULL && config->shards != 0 && ret != NULL);
    struct camp_downloads *d = calloc(1, sizeof *d);

    if (d == NULL) {
        return DR_ERR_NOMEM;
    }
    d->cfg = *config;
    dr_hash_key_init(&d->key);
    d->shards = calloc(config->shards, sizeof *d->shards);
    if (d->shards == NULL) {
        free(d);
        return DR_ERR_NOMEM;
    }
    for (unsigned i = 0; i < config->shards; i++) {
        d->shards[i].loop = config->shard_loops[i];
        atomic_init(&d->shards[i].sweeping, false);
    }
    camp_images_on_forget(config->images, sweep_all, d);
    *ret = d;
    return DR_OK;
}

dr_err_t camp_downloads_route(struct camp_downloads *downloads, struct dev_core *devices)
{
    dr_assert(downloads != NULL && devices != NULL);
    dr_err_t err = dev_core_route(devices, "fw", on_request, downloads);

    return err == DR_OK ? dev_core_route(devices, "download", on_request, downloads) : err;
}

struct camp_downloads *camp_downloads_free(struct camp_downloads *downloads)
{
    if (downloads == NULL) {
        return NULL;
    }
    camp_images_on_forget(downloads->cfg.images, NULL, NULL);
    for (unsigned i = 0; i < downloads->cfg.shards; i++) {
        struct shard *s = &downloads->shards[i];
        while (s->n_images != 0) {
            (void)camp_image_unref(s->images[--s->n_images]);
        }
    }
    free(downloads->shards);
    dr_wipe(&downloads->key, sizeof downloads->key);
    free(downloads);
    return NULL;
}
