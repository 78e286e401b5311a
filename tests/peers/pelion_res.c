/* SPDX-License-Identifier: Apache-2.0 */
/** Resources of the example client, its registration list and TLV. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mbedtls/base64.h>

#include "tests/peers/pelion.h"

#define RES_MAX 64

struct res *res_list;
size_t res_count;

/* In the order of the example's registration. */
static const struct {
    const char *path, *rt;
    unsigned flags;
    const char *val;
} rows[] = {
    {"3/0/21", NULL, R_OBS | R_INT, "1024"},
    {"3/0/18", NULL, R_OBS, "dev_hardware_version"},
    {"3/0/17", NULL, R_OBS, "dev_device_type"},
    {"3/0/2", NULL, R_V | R_AOBS, "0"},
    {"3/0/1", NULL, R_V | R_AOBS, "dev_model_num"},
    {"3/0/0", NULL, R_V | R_AOBS, "dev_manufacturer"},
    {"3/0/5", NULL, R_X, ""},
    {"3/0/16", NULL, R_OBS, "U"},
    {"3/0/11", NULL, R_OBS | R_INT, "0"},
    {"3/0/4", NULL, R_X, ""},
    {"35011", NULL, 0, NULL},
    {"35011/0", NULL, 0, NULL},
    {"35011/0/27002", "Enroll", R_X | R_LATE, ""},
    {"14", NULL, 0, NULL},
    {"14/1", NULL, 0, NULL},
    {"14/1/2", "Component Version", R_V, "0.0.0"},
    {"14/1/0", "Component Identity", R_V, "METER"},
    {"14/0", NULL, 0, NULL},
    {"14/0/2", "Component Version", R_V, "0.0.0"},
    {"14/0/0", "Component Identity", R_V, "MAIN"},
    {"10255", NULL, 0, NULL},
    {"10255/0", NULL, 0, NULL},
    {"10255/0/4", "Class", R_V | R_AOBS | R_OPAQUE, NULL},
    {"10255/0/3", "Vendor", R_V | R_AOBS | R_OPAQUE, NULL},
    {"10255/0/0", "ProtocolSupported", R_V | R_AOBS | R_INT, "4"},
    {"10252", NULL, 0, NULL},
    {"10252/0", NULL, 0, NULL},
    {"10252/0/6", "PkgVersion", R_AOBS | R_INT, "0"},
    {"10252/0/5", "PkgName", R_AOBS, ""},
    {"10252/0/4", "CustomerUpdateResult", R_AOBS | R_INT, "0"},
    {"10252/0/3", "UpdateResult", R_V | R_AOBS | R_INT, "-1"},
    {"10252/0/2", "State", R_V | R_AOBS | R_INT, "1"},
    {"10252/0/1", "Package", R_X | R_LATE, ""},
    {"5000", NULL, 0, NULL},
    {"5000/0", NULL, 0, NULL},
    {"5000/0/2", NULL, R_OBS | R_W | R_OPAQUE, "blob"},
    {"3201", NULL, 0, NULL},
    {"3201/0", NULL, 0, NULL},
    {"3201/0/5850", NULL, R_OBS | R_X, ""},
    {"3201/0/5853", NULL, R_OBS | R_W, "500:500"},
    {"3200", NULL, 0, NULL},
    {"3200/0", NULL, 0, NULL},
    {"3200/0/5501", NULL, R_OBS | R_INT, "0"},
    {"1", NULL, 0, NULL},
    {"1/0", NULL, 0, NULL},
    {"1/0/8", NULL, R_X, ""},
    {"1/0/7", NULL, R_OBS, "U"},
    {"1/0/6", NULL, R_OBS | R_INT, "0"},
    {"1/0/4", NULL, R_X | R_LATE, ""},
    {"1/0/1", NULL, R_OBS | R_W | R_INT, "7200"},
    {"1/0/0", NULL, R_OBS | R_INT, "1"},
};

struct res *res_find(const char *path)
{
    for (size_t i = 0; i < res_count; i++) {
        if (strcmp(res_list[i].path, path) == 0) {
            return &res_list[i];
        }
    }
    return NULL;
}

struct res *res_add(const char *path, const char *rt, unsigned flags)
{
    if (res_count == RES_MAX) {
        return NULL;
    }
    struct res *r = &res_list[res_count++];
    memset(r, 0, sizeof *r);
    snprintf(r->path, sizeof r->path, "%s", path);
    r->rt = rt;
    r->flags = flags;
    r->fresh = true;
    r->val = calloc(1, 1);
    return r;
}

void res_set(struct res *r, const void *val, size_t len)
{
    uint8_t *copy = calloc(1, len + 1);

    if (len != 0) {
        memcpy(copy, val, len);
    }
    free(r->val);
    r->val = copy;
    r->len = len;
}

void res_set_text(const char *path, const char *text)
{
    struct res *r = res_find(path);

    if (r != NULL) {
        res_set(r, text, strlen(text));
    }
}

void res_init(const char *version, const uint8_t vendor[16], const uint8_t class_id[16])
{
    res_list = calloc(RES_MAX, sizeof *res_list);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct res *r = res_add(rows[i].path, rows[i].rt, rows[i].flags);
        if (rows[i].val != NULL) {
            res_set(r, rows[i].val, strlen(rows[i].val));
        }
    }
    res_set_text("14/0/2", version);
    res_set(res_find("10255/0/3"), vendor, 16);
    res_set(res_find("10255/0/4"), class_id, 16);
}

void res_observers_clear(void)
{
    for (size_t i = 0; i < res_count; i++) {
        res_list[i].tkl = 0;
        res_list[i].dirty = false;
    }
}

void res_aobs_assign(unsigned first)
{
    for (size_t i = res_count; i-- > 0;) { /* the last one listed has the lowest */
        res_list[i].aobs = 0;
        res_list[i].seq = 1;
        if ((res_list[i].flags & R_AOBS) != 0) {
            res_list[i].aobs = first;
            first = first == 1023 ? 1 : first + 1;
        }
    }
}

size_t res_links(char *out, size_t cap, bool only_fresh)
{
    size_t at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < res_count; i++) {
        struct res *r = &res_list[i];
        char value[256];
        size_t n = 0;
        if (only_fresh && !r->fresh) {
            continue;
        }
        if ((r->flags & R_OPAQUE) != 0) {
            (void)mbedtls_base64_encode((uint8_t *)value, sizeof value, &n, r->val, r->len);
            value[n] = '\0';
        } else {
            snprintf(value, sizeof value, "%s", (const char *)r->val);
        }
        at += (size_t)snprintf(out + at, cap - at, "%s</%s>", at == 0 ? "" : ",", r->path);
        if (r->rt != NULL) {
            at += (size_t)snprintf(out + at, cap - at, ";rt=\"%s\"", r->rt);
        }
        if ((r->flags & R_V) != 0) {
            at += (size_t)snprintf(out + at, cap - at, ";v=\"%s\"", value);
        }
        if (r->aobs != 0) {
            at += (size_t)snprintf(out + at, cap - at, ";aobs=\"%u\"", r->aobs);
        } else if ((r->flags & R_OBS) != 0) {
            at += (size_t)snprintf(out + at, cap - at, ";obs");
        }
        if (at >= cap) {
            return cap - 1;
        }
    }
    return at;
}

static bool is_below(const char *path, const char *above)
{
    size_t n = strlen(above);

    return strncmp(path, above, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static unsigned depth_of(const char *path)
{
    unsigned n = 1;

    for (; *path != '\0'; path++) {
        n += *path == '/';
    }
    return n;
}

bool res_any_below(const char *path)
{
    for (size_t i = 0; i < res_count; i++) {
        if (is_below(res_list[i].path, path)) {
            return true;
        }
    }
    return false;
}

/* type 3 = resource, 0 = instance. Lengths always in one or two bytes behind the id: legal, and so
 * the reader has to know more than the shortest form. */
static size_t tlv_put(uint8_t *out, unsigned type, unsigned id, const uint8_t *val, size_t len)
{
    size_t at = 1;
    uint8_t head = (uint8_t)(type << 6);

    if (id > 255) {
        head |= 0x20;
        out[at++] = (uint8_t)(id >> 8);
    }
    out[at++] = (uint8_t)id;
    if (len < 8) {
        head |= (uint8_t)len;
    } else if (len < 256) {
        head |= 0x08;
        out[at++] = (uint8_t)len;
    } else {
        head |= 0x10;
        out[at++] = (uint8_t)(len >> 8);
        out[at++] = (uint8_t)len;
    }
    out[0] = head;
    memcpy(out + at, val, len);
    return at + len;
}

static size_t tlv_resources(const char *instance, uint8_t *out, size_t cap)
{
    size_t at = 0;

    for (size_t i = 0; i < res_count; i++) {
        const struct res *r = &res_list[i];
        if (!is_below(r->path, instance) || depth_of(r->path) != 3 || (r->flags & R_X) != 0 ||
            at + r->len + 8 > cap) {
            continue;
        }
        unsigned id = (unsigned)atoi(strrchr(r->path, '/') + 1);
        if ((r->flags & R_INT) != 0) { /* integers are always of 8 bytes */
            long long v = atoll((const char *)r->val);
            uint8_t be[8];
            for (unsigned k = 0; k < 8; k++) {
                be[k] = (uint8_t)((unsigned long long)v >> (56 - 8 * k));
            }
            at += tlv_put(out + at, 3, id, be, sizeof be);
        } else {
            at += tlv_put(out + at, 3, id, r->val, r->len);
        }
    }
    return at;
}

size_t res_tlv(const char *path, uint8_t *out, size_t cap)
{
    static uint8_t inner[BODY_MAX];
    size_t at = 0;

    if (depth_of(path) == 2) {
        return tlv_resources(path, out, cap);
    }
    for (size_t i = 0; i < res_count; i++) {
        const struct res *r = &res_list[i];
        bool instance = is_below(r->path, path) && depth_of(r->path) == 2;
        bool lone = is_below(r->path, path) && strcmp(path, "3") == 0 && i == 0; /* no </3/0> */
        if (instance || lone) {
            const char *p = lone ? "3/0" : r->path;
            size_t n = tlv_resources(p, inner, sizeof inner);
            if (at + n + 8 <= cap) {
                at += tlv_put(out + at, 0, (unsigned)atoi(strrchr(p, '/') + 1), inner, n);
            }
        }
    }
    return at;
}
