/* SPDX-License-Identifier: Apache-2.0 */
#include "campaigns/content.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "campaigns/image_priv.h"
#include "coap/engine.h"
#include "manifest/key.h"

struct taking {
    struct camp_content *c;
    char payload[DB_DIGEST_LEN + 1];
    int64_t image; /* 0 = none here */
    char sha256[DB_DIGEST_LEN + 1];
    char token[DB_TOKEN_LEN + 1];
    char url[CAMP_URL_MAX]; /* of the manifest */
    uint64_t size;
};

static void text_copy(char *to, size_t size, const char *from)
{
    (void)snprintf(to, size, "%s", strlen(from) < size ? from : "");
}

static dr_err_t copy(struct dr_bytes in, struct dr_bytes *ret)
{
    uint8_t *p = malloc(in.len + 1);

    if (p == NULL) {
        return DR_ERR_NOMEM;
    }
    if (in.len != 0) {
        memcpy(p, in.p, in.len);
    }
    *ret = dr_bytes_of(p, in.len);
    return DR_OK;
}

static dr_err_t manifest_take(void *data, const struct db_manifest *row)
{
    struct taking *t = data;
    struct camp_content *c = t->c;
    const char *digest =
        row->installed_digest[0] != '\0' ? row->installed_digest : row->payload_digest;

    c->manifest = row->id;
    c->size = (uint64_t)row->payload_size;
    c->has_digest =
        strlen(digest) == DB_DIGEST_LEN &&
        dr_hex_decode(digest, DB_DIGEST_LEN, c->digest, sizeof c->digest, NULL) == DR_OK;
    text_copy(c->version, sizeof c->version, row->version);
    text_copy(c->component, sizeof c->component,
              strcmp(row->component, "MAIN") == 0 ? "" : row->component);
    text_copy(c->vendor, sizeof c->vendor, row->vendor);
    text_copy(c->class_id, sizeof c->class_id, row->class_id);
    text_copy(t->payload, sizeof t->payload, row->payload_digest);
    text_copy(t->url, sizeof t->url, row->payload_url);
    return copy(row->raw, &c->raw);
}

static dr_err_t image_take(void *data, const struct db_image *row)
{
    struct taking *t = data;

    t->image = row->id;
    t->size = (uint64_t)row->size;
    text_copy(t->sha256, sizeof t->sha256, row->sha256);
    text_copy(t->token, sizeof t->token, row->token);
    return DR_OK;
}

/* Where devices can fetch it: here by CoAP if it lies here, and where its manifest says. */
static void urls_make(const struct camp_images *images, const struct taking *t)
{
    struct camp_content *c = t->c;
    char id[DR_ID_LEN + 1];

    for (unsigned i = 0; t->image != 0 && i < CAMP_BASES_MAX; i++) {
        if (images->bases[i][0] != '\0') {
            dr_id_format(t->image, id);
            (void)snprintf(c->urls[c->n_urls++], CAMP_URL_MAX, "%s/fw/%s/%s", images->bases[i], id,
                           t->token);
        }
    }
    if (t->url[0] != '\0') {
        text_copy(c->urls[c->n_urls++], CAMP_URL_MAX, t->url);
    }
}

static void image_release(void *data)
{
    (void)camp_image_unref(data);
}

/* The file, mapped and checked, as a body that keeps the mapping. */
static dr_err_t image_map(struct camp_images *images, const struct taking *t, struct cx_body **ret)
{
    struct camp_image *image = NULL;
    dr_err_t err = camp_image_map(images, t->image, t->size, t->sha256, &image);

    if (err != DR_OK) {
        return err == DR_ERR_NOMEM ? err : DR_ERR_NOT_FOUND;
    }
    *ret = cx_body_new(image->map, (size_t)image->size, NULL, 0, image_release, image);
    if (*ret == NULL) {
        (void)camp_image_unref(image);
    }
    return *ret == NULL ? DR_ERR_NOMEM : DR_OK;
}

dr_err_t camp_content_read(void *data, struct db_reader *r, int64_t account, int64_t manifest,
                           struct camp_content *ret, struct dr_errinfo *reterr)
{
    struct camp_images *images = data;
    struct camp_content c = {0};
    struct taking t = {.c = &c};

    dr_assert(images != NULL && r != NULL && ret != NULL);
    dr_err_t err = db_manifest_get(r, account, manifest, manifest_take, &t);
    if (err == DR_OK && t.payload[0] != '\0') {
        err = db_image_of_digest(r, account, t.payload, image_take, &t);
        if (err == DR_ERR_NOT_FOUND) {
            err = DR_OK; /* it lies elsewhere: devices fetch it by the manifest's address */
        }
    }
    urls_make(images, &t);
    if (err == DR_OK && t.image != 0) {
        err = image_map(images, &t, &c.image);
    }
    if (err != DR_OK) {
        dr_errinfo_set(reterr, "root_manifest_id", 0, "the manifest or its image is gone");
        camp_content_fini(&c);
        return err;
    }
    *ret = c;
    return DR_OK;
}
