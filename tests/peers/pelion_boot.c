/* SPDX-License-Identifier: Apache-2.0 */
/** The client's rules for what a bootstrap server writes. */
#include <stdio.h>
#include <string.h>

#include "tests/peers/pelion.h"

#define CT_TLV     11542
#define CT_TLV_OLD 99

struct tlv {
    unsigned type, id;
    const uint8_t *val;
    size_t len;
};

/* One entry; false: malformed. */
static bool tlv_next(const uint8_t **p, const uint8_t *end, struct tlv *t)
{
    if (end - *p < 2) {
        return false;
    }
    unsigned head = *(*p)++;
    unsigned n_id = 1 + (head >> 5 & 1), n_len = head >> 3 & 3;

    if ((size_t)(end - *p) < n_id + n_len) {
        return false;
    }
    t->type = head >> 6;
    t->id = 0;
    while (n_id-- > 0) {
        t->id = t->id << 8 | *(*p)++;
    }
    t->len = n_len == 0 ? head & 7 : 0;
    while (n_len-- > 0) {
        t->len = t->len << 8 | *(*p)++;
    }
    if ((size_t)(end - *p) < t->len) {
        return false;
    }
    t->val = *p;
    *p += t->len;
    return true;
}

void boot_reset(struct boot *b)
{
    memset(b, 0, sizeof *b);
    b->mode = -1;
    b->lifetime = -1;
    b->time_s = -1;
}

unsigned boot_delete(struct boot *b, const char *path)
{
    if (strcmp(path, "0") == 0) {
        b->deleted = true;
        b->mode = -1;
        b->cert_len = b->ca_len = b->key_len = 0;
        b->uri[0] = '\0';
        return CODE(2, 2);
    }
    if (strcmp(path, "1") == 0) {
        b->has_object1 = false;
        return CODE(2, 2);
    }
    return CODE(4, 0);
}

static long number(const struct tlv *t)
{
    long v = 0;

    for (size_t i = 0; i < t->len; i++) {
        v = v << 8 | t->val[i];
    }
    return v;
}

static bool keep(uint8_t *to, size_t cap, size_t *ret_len, const struct tlv *t)
{
    if (t->len > cap) {
        return false;
    }
    memcpy(to, t->val, t->len);
    *ret_len = t->len;
    return true;
}

static bool security_put(struct boot *b, const struct tlv *t)
{
    size_t len;

    switch (t->id) {
    case 0:
        if (!keep((uint8_t *)b->uri, sizeof b->uri - 1, &len, t)) {
            return false;
        }
        b->uri[len] = '\0';
        return true;
    case 1:
        return number(t) == 0;
    case 2:
        b->mode = number(t);
        return true;
    case 3:
        return keep(b->cert, 1024, &b->cert_len, t);
    case 4:
        return keep(b->ca, 1024, &b->ca_len, t);
    case 5:
        return keep(b->key, sizeof b->key, &b->key_len, t);
    case 10:
        return true;
    default:
        return false;
    }
}

static bool server_put(struct boot *b, const struct tlv *t)
{
    if (t->id == 1) {
        b->lifetime = number(t);
    }
    b->has_object1 = true;
    return t->id == 0 || t->id == 1 || t->id == 6 || t->id == 7;
}

static bool device_put(struct boot *b, const struct tlv *t)
{
    if (t->id == 13) {
        b->time_s = number(t);
    }
    return t->id == 13; /* 14 and 15 are not there */
}

/* Only what the last entry came to counts. */
static unsigned resources_put(struct boot *b, char object, const uint8_t *p, size_t len)
{
    const uint8_t *end = p + len;
    bool good = true;
    struct tlv t;

    while (p < end) {
        if (!tlv_next(&p, end, &t) || t.type != 3) {
            return CODE(4, 0);
        }
        good = object == '0'   ? security_put(b, &t)
               : object == '1' ? server_put(b, &t)
                               : device_put(b, &t);
    }
    return good ? CODE(2, 4) : CODE(4, 0);
}

unsigned boot_put(struct boot *b, const char *path, long format, const uint8_t *body, size_t len)
{
    const uint8_t *p = body, *end = body + len;
    unsigned code = CODE(2, 4);
    struct tlv t;
    char object = path[0];

    if ((format != CT_TLV && format != CT_TLV_OLD) || strchr("013", object) == NULL ||
        object == '\0' || (path[1] != '\0' && path[1] != '/')) {
        return CODE(4, 0);
    }
    if (path[1] == '/') { /* instance level: whatever is not in the payload goes */
        b->broken = b->broken || object == '0';
        return resources_put(b, object, body, len);
    }
    while (p < end) {
        if (!tlv_next(&p, end, &t) || t.type != 0) {
            return CODE(4, 0);
        }
        if (object == '0' && t.id == 1) {
            continue; /* the bootstrap server's own instance */
        }
        if (object == '0' && !b->deleted) {
            return CODE(4, 0); /* beside the old, invalid instance */
        }
        code = resources_put(b, object, t.val, t.len);
    }
    if (object == '0' && code == CODE(2, 4)) {
        bool certificate = b->cert_len != 0 && b->key_len != 0;
        bool valid = b->ca_len != 0 && strstr(b->uri, "aid=") != NULL &&
                     ((b->mode == 2 && certificate) ||
                      (b->mode == 4 && b->cert_len == 0 && b->key_len == 0));
        return valid || b->mode == 0 || b->mode == 3 ? code : CODE(4, 0);
    }
    return code;
}
