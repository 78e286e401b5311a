/* SPDX-License-Identifier: Apache-2.0 */
#include "device-sim/firmware.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "manifest/manifest.h"

#define CERT_FILE_MAX  65536
#define VERSION_WITHIN 4096 /* bytes of an image that may hold "version=" */

static dr_err_t load_cert(struct sim_firmwares *fs, const char *name)
{
    uint8_t *bytes = malloc(CERT_FILE_MAX);
    FILE *f = bytes == NULL ? NULL : fopen(name, "rb");
    size_t len = f == NULL ? 0 : fread(bytes, 1, CERT_FILE_MAX, f);
    dr_err_t err = len == 0
                       ? DR_ERR_NOT_FOUND
                       : manifest_key_load_public((struct dr_bytes){bytes, len}, &fs->cert, NULL);

    if (f != NULL) {
        (void)fclose(f);
    }
    free(bytes);
    return err;
}

dr_err_t sim_firmwares_init(struct sim_firmwares *fs, const struct sim_model *model,
                            const char *cert_file, const char *next_version)
{
    dr_assert(fs != NULL && model != NULL);
    *fs = (struct sim_firmwares){
        .model = model, .next_version = next_version != NULL ? next_version : SIM_NEXT_VERSION};
    return cert_file == NULL ? DR_OK : load_cert(fs, cert_file);
}

void sim_firmwares_fini(struct sim_firmwares *fs)
{
    dr_assert(fs != NULL);
    while (fs->list != NULL) {
        struct sim_firmware *fw = fs->list;
        fs->list = fw->next;
        free((void *)(uintptr_t)fw->manifest.p);
        free(fw->image);
        free(fw);
    }
    fs->cert = manifest_key_free(fs->cert);
    fs->count = 0;
}

static struct sim_firmware *add(struct sim_firmwares *fs)
{
    struct sim_firmware *fw = fs->count < SIM_FIRMWARES_MAX ? calloc(1, sizeof *fw) : NULL;

    if (fw != NULL) {
        fw->next = fs->list;
        fs->list = fw;
        fs->count++;
    }
    return fw;
}

/* ---- manifests ---- */

/* Without a certificate it is believed whoever signed it. */
static void check_unsigned(const struct sim_model *model, struct sim_firmware *fw,
                           struct manifest_verdict *ret, struct manifest *ret_m)
{
    ret->accepted = manifest_parse(fw->manifest, ret_m, &ret->fault) == DR_OK;
    if (ret->accepted && model->has_ids) {
        bool vendor = memcmp(ret_m->vendor.p, model->vendor, sizeof model->vendor) == 0;
        bool class_id = memcmp(ret_m->class_id.p, model->class_id, sizeof model->class_id) == 0;
        ret->accepted = vendor && class_id;
        ret->fault.check = vendor ? MANIFEST_CHECK_CLASS : MANIFEST_CHECK_VENDOR;
    }
}

/* The checks that have the same end on each device, in the device's order. */
static void judge(const struct sim_firmwares *fs, struct sim_firmware *fw)
{
    static const char *const components[] = {"MAIN"};
    const struct manifest_key *keys[] = {fs->cert};
    const struct manifest_means means = {
        .keys = keys,
        .key_count = 1,
        .vendor = fs->model->has_ids ? fs->model->vendor : NULL,
        .class_id = fs->model->has_ids ? fs->model->class_id : NULL,
        .components = components,
        .component_count = 1,
        .manifest_max = MANIFEST_V3_SIZE_MAX,
    };
    struct manifest_verdict verdict = {0};
    struct manifest m;

    if (fs->cert != NULL) {
        manifest_check(fw->manifest, &means, &verdict, &m);
    } else {
        check_unsigned(fs->model, fw, &verdict, &m);
    }
    if (!verdict.accepted) {
        fw->reject = -manifest_check_code(verdict.fault.check);
    } else if (m.format != MANIFEST_V3 || m.payload_format != MANIFEST_PAYLOAD_RAW) {
        fw->reject = -manifest_check_code(m.format != MANIFEST_V3 ? MANIFEST_CHECK_SCHEMA
                                                                  : MANIFEST_CHECK_PAYLOAD_FORMAT);
    } else if (m.images[0].size > SIM_IMAGE_MAX || m.images[0].size == 0) {
        fw->reject = SIM_RESULT_NO_SPACE;
    }
    if (fw->reject != 0 || !verdict.accepted) {
        fw->reject = fw->reject == 0 ? SIM_RESULT_MALFORMED : fw->reject;
        return;
    }
    (void)snprintf(fw->version, sizeof fw->version, "%.*s", (int)m.version_text.len,
                   (const char *)m.version_text.p);
    (void)snprintf(fw->uri, sizeof fw->uri, "%.*s", (int)m.images[0].uri.len,
                   (const char *)m.images[0].uri.p);
    fw->number = m.version;
    fw->sized = true;
    fw->size = (size_t)m.images[0].size;
    memcpy(fw->digest, m.images[0].digest.p, sizeof fw->digest);
}

struct sim_firmware *sim_firmware_of_manifest(struct sim_firmwares *fs, struct dr_bytes manifest)
{
    dr_assert(fs != NULL);
    for (struct sim_firmware *fw = fs->list; fw != NULL; fw = fw->next) {
        if (manifest.len > 0 && fw->manifest.len == manifest.len &&
            memcmp(fw->manifest.p, manifest.p, manifest.len) == 0) {
            return fw;
        }
    }
    uint8_t *copy = malloc(manifest.len + 1);
    struct sim_firmware *fw = copy != NULL ? add(fs) : NULL;
    if (fw == NULL) {
        free(copy);
        return NULL;
    }
    if (manifest.len > 0) {
        memcpy(copy, manifest.p, manifest.len);
    }
    fw->manifest = (struct dr_bytes){copy, manifest.len};
    judge(fs, fw);
    return fw;
}

int sim_firmware_verdict(const struct sim_firmware *fw, const char *current)
{
    dr_assert(fw != NULL && current != NULL);
    uint64_t number;

    if (fw->reject != 0 || fw->manifest.len == 0) {
        return fw->reject;
    }
    if (manifest_version_parse(dr_bytes_str(current), &number) != DR_OK) {
        number = 0;
    }
    return fw->number > number ? 0 : SIM_RESULT_OLD;
}

/* ---- images without manifest ---- */

/* "version=1.2.3" near its beginning, else the version that comes next. */
static void name_version(const struct sim_firmwares *fs, struct sim_firmware *fw)
{
    static const char key[] = "version=";
    size_t within = fw->filled < VERSION_WITHIN ? fw->filled : VERSION_WITHIN;
    const uint8_t *at = memmem(fw->image, within, key, sizeof key - 1);
    size_t n = 0;

    if (at != NULL) {
        at += sizeof key - 1;
        while (at + n < fw->image + within && n < SIM_VERSION_MAX &&
               ((at[n] >= '0' && at[n] <= '9') || at[n] == '.')) {
            n++;
        }
    }
    (void)snprintf(fw->version, sizeof fw->version, "%.*s",
                   n > 0 ? (int)n : (int)strlen(fs->next_version),
                   n > 0 ? (const char *)at : fs->next_version);
}

struct sim_firmware *sim_firmware_of_uri(struct sim_firmwares *fs, const char *uri, size_t len)
{
    dr_assert(fs != NULL && (uri != NULL || len == 0));
    for (struct sim_firmware *fw = fs->list; fw != NULL; fw = fw->next) {
        if (fw->manifest.len == 0 && len > 0 && strlen(fw->uri) == len &&
            memcmp(fw->uri, uri, len) == 0) {
            return fw;
        }
    }
    struct sim_firmware *fw = len > 0 && len <= SIM_URI_MAX ? add(fs) : NULL;
    if (fw != NULL) {
        memcpy(fw->uri, uri, len);
    }
    return fw;
}

struct sim_firmware *sim_firmware_of_image(struct sim_firmwares *fs, struct dr_bytes image)
{
    dr_assert(fs != NULL);
    for (struct sim_firmware *fw = fs->list; fw != NULL; fw = fw->next) {
        if (fw->manifest.len == 0 && fw->uri[0] == '\0' && fw->filled == image.len &&
            memcmp(fw->image, image.p, image.len) == 0) {
            return fw;
        }
    }
    struct sim_firmware *fw = image.len > 0 ? add(fs) : NULL;
    if (fw != NULL && sim_firmware_block(fs, fw, 0, image, false) != 0) {
        return NULL; /* it stays in the list, and is found by nobody */
    }
    return fw;
}

/* ---- blocks ---- */

static bool grow(struct sim_firmware *fw, size_t to)
{
    size_t cap = fw->sized ? fw->size : fw->cap == 0 ? 65536 : fw->cap;

    while (cap < to) {
        cap *= 2;
    }
    if (fw->cap >= to) {
        return true;
    }
    uint8_t *image = to <= SIM_IMAGE_MAX ? realloc(fw->image, cap) : NULL;
    if (image == NULL) {
        return false;
    }
    fw->image = image;
    fw->cap = cap;
    return true;
}

static void finish(struct sim_firmwares *fs, struct sim_firmware *fw)
{
    uint8_t digest[MANIFEST_DIGEST_LEN];

    fw->complete = true;
    if (fw->sized) {
        manifest_sha256((struct dr_bytes){fw->image, fw->filled}, digest);
        fw->bad = fw->filled != fw->size || memcmp(digest, fw->digest, sizeof digest) != 0;
    } else {
        name_version(fs, fw);
    }
}

int sim_firmware_block(struct sim_firmwares *fs, struct sim_firmware *fw, size_t offset,
                       struct dr_bytes block, bool more)
{
    dr_assert(fs != NULL && fw != NULL && (block.p != NULL || block.len == 0));
    size_t end = offset + block.len;

    if (block.len == 0 || offset > fw->filled || (fw->sized && end > fw->size)) {
        return SIM_RESULT_CORRUPTED;
    }
    size_t known = fw->filled - offset < block.len ? fw->filled - offset : block.len;
    if (known > 0 && memcmp(fw->image + offset, block.p, known) != 0) {
        return SIM_RESULT_CORRUPTED;
    }
    if (known < block.len) {
        if (fw->complete) {
            return SIM_RESULT_CORRUPTED; /* longer than it was for others */
        }
        if (!grow(fw, end)) {
            return SIM_RESULT_NO_SPACE;
        }
        memcpy(fw->image + fw->filled, block.p + known, block.len - known);
        fw->filled = end;
    }
    if (more) {
        return 0;
    }
    if (!fw->complete) {
        finish(fs, fw);
    }
    return fw->bad || end != fw->filled ? SIM_RESULT_CORRUPTED : 0;
}
