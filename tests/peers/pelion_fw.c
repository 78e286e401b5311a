/* SPDX-License-Identifier: Apache-2.0 */
/** Manifests of schema 3 as the client checks them, and its plain HTTP. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mbedtls/ecdsa.h>
#include <mbedtls/sha256.h>

#include "tests/peers/pelion.h"

struct der {
    const uint8_t *p, *end;
};

static bool der_next(struct der *d, unsigned *tag, struct der *val)
{
    if (d->end - d->p < 2) {
        return false;
    }
    *tag = *d->p++;
    size_t len = *d->p++;
    if (len > 0x7f) {
        size_t n = len & 0x7f;
        if (n > 3 || (size_t)(d->end - d->p) < n) {
            return false;
        }
        len = 0;
        while (n-- > 0) {
            len = len << 8 | *d->p++;
        }
    }
    if ((size_t)(d->end - d->p) < len) {
        return false;
    }
    *val = (struct der){d->p, d->p + len};
    d->p += len;
    return true;
}

static bool der_want(struct der *d, unsigned want, struct der *val)
{
    unsigned tag;

    return der_next(d, &tag, val) && tag == want;
}

static bool der_copy(struct der *d, unsigned tag, void *out, size_t cap, bool exact, bool text)
{
    struct der v;

    if (!der_want(d, tag, &v) || (size_t)(v.end - v.p) > cap - text ||
        (exact && (size_t)(v.end - v.p) != cap)) {
        return false;
    }
    memcpy(out, v.p, (size_t)(v.end - v.p));
    if (text) {
        ((char *)out)[v.end - v.p] = '\0';
    }
    return true;
}

static bool der_number(struct der *d, unsigned tag, unsigned long *ret)
{
    struct der v;

    *ret = 0;
    if (!der_want(d, tag, &v) || v.end - v.p > 5) {
        return false;
    }
    while (v.p < v.end) {
        *ret = *ret << 8 | *v.p++;
    }
    return true;
}

bool manifest_read(const uint8_t *der, size_t len, struct manifest *m)
{
    struct der all = {der, der + len}, outer, body;
    unsigned long schema, priority, format;

    memset(m, 0, sizeof *m);
    if (!der_want(&all, 0x30, &outer) || !der_number(&outer, 10, &schema) || schema != 3) {
        return false;
    }
    m->signed_part = outer.p;
    if (!der_want(&outer, 0x30, &body)) {
        return false;
    }
    m->signed_len = (size_t)(body.end - m->signed_part);
    if (!der_copy(&body, 4, m->vendor, 16, true, false) ||
        !der_copy(&body, 4, m->class_id, 16, true, false) || !der_number(&body, 2, &priority) ||
        !der_copy(&body, 12, m->component, 10, false, true) ||
        !der_copy(&body, 12, m->version, 12, false, true) ||
        !der_copy(&body, 4, m->digest, 32, true, false) || !der_number(&body, 2, &m->size) ||
        !der_copy(&body, 12, m->uri, 256, false, true) || !der_number(&body, 10, &format)) {
        return false;
    }
    m->format = (int)format;
    if (!der_want(&outer, 4, &body)) {
        return false;
    }
    m->signature = body.p;
    m->signature_len = (size_t)(body.end - body.p);
    return true;
}

static bool signature_ok(const struct manifest *m, mbedtls_x509_crt *signer)
{
    uint8_t hash[32];
    mbedtls_mpi r, s;
    mbedtls_ecp_keypair *ec = mbedtls_pk_ec(signer->pk);

    if (m->signature_len != 64 || mbedtls_sha256_ret(m->signed_part, m->signed_len, hash, 0) != 0) {
        return false;
    }
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    bool ok = mbedtls_mpi_read_binary(&r, m->signature, 32) == 0 &&
              mbedtls_mpi_read_binary(&s, m->signature + 32, 32) == 0 &&
              mbedtls_ecdsa_verify(&ec->grp, hash, sizeof hash, &ec->Q, &r, &s) == 0;
    mbedtls_mpi_free(&r);
    mbedtls_mpi_free(&s);
    return ok;
}

static long version_number(const char *text)
{
    int a = 0, b = 0, c = 0;

    (void)sscanf(text, "%d.%d.%d", &a, &b, &c);
    return ((long)a * 1000 + b) * 1000 + c;
}

static const struct res *component_version(const char *name)
{
    for (size_t i = 0; i < res_count; i++) {
        const char *path = res_list[i].path;
        size_t n = strlen(path);
        if (strncmp(path, "14/", 3) == 0 && n > 4 && strcmp(path + n - 2, "/0") == 0 &&
            path[3] != '\0' && strchr(path + 3, '/') != NULL &&
            strcmp((const char *)res_list[i].val, name) == 0) {
            char other[32];
            snprintf(other, sizeof other, "%.*s/2", (int)n - 2, path);
            return res_find(other);
        }
    }
    return NULL;
}

int manifest_check(const struct manifest *m, const uint8_t vendor[16], const uint8_t class_id[16],
                   mbedtls_x509_crt *signer)
{
    const struct res *version = component_version(m->component);

    if (signer != NULL && !signature_ok(m, signer)) {
        return 23;
    }
    if (memcmp(m->vendor, vendor, 16) != 0) {
        return 30;
    }
    if (memcmp(m->class_id, class_id, 16) != 0) {
        return 31;
    }
    if (version == NULL) {
        return 39;
    }
    if (version_number(m->version) <= version_number((const char *)version->val)) {
        return 27;
    }
    return m->format == 1 ? 0 : 25;
}

long http_get(const char *uri, uint8_t *out, size_t cap, size_t from)
{
    char host[128], port[8] = "80", request[512], head[2048];
    const char *path = strncmp(uri, "http://", 7) == 0 ? strchr(uri + 7, '/') : NULL;
    size_t at = 0, got = 0;
    mbedtls_net_context fd;
    long status = 0;

    if (path == NULL) {
        return -1;
    }
    snprintf(host, sizeof host, "%.*s", (int)(path - uri - 7), uri + 7);
    char *colon = strrchr(host, ':');
    if (colon != NULL) {
        *colon = '\0';
        snprintf(port, sizeof port, "%s", colon + 1);
    }
    mbedtls_net_init(&fd);
    if (mbedtls_net_connect(&fd, host, port, MBEDTLS_NET_PROTO_TCP) != 0) {
        return -1;
    }
    int n = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s:%s\r\nAccept: */*\r\n",
                     path, host, port);
    if (from != 0) {
        n += snprintf(request + n, sizeof request - (size_t)n, "Range: bytes=%zu-\r\n", from);
    }
    n += snprintf(request + n, sizeof request - (size_t)n, "\r\n");
    (void)mbedtls_net_send(&fd, (const uint8_t *)request, (size_t)n);
    char *body = NULL;
    while (at < sizeof head - 1) {
        int r = mbedtls_net_recv_timeout(&fd, (uint8_t *)head + at, sizeof head - 1 - at, 10000);
        if (r <= 0) {
            break;
        }
        at += (size_t)r;
        head[at] = '\0';
        body = strstr(head, "\r\n\r\n");
        if (body != NULL) {
            break;
        }
    }
    if (body != NULL && sscanf(head, "HTTP/1.1 %ld", &status) == 1 &&
        status == (from != 0 ? 206 : 200)) {
        const char *length = strcasestr(head, "\r\ncontent-length:");
        size_t total = length == NULL ? cap : (size_t)atol(length + 17);
        got = at - (size_t)(body + 4 - head);
        got = got < cap ? got : cap;
        memcpy(out, body + 4, got);
        while (got < total && got < cap) {
            int r = mbedtls_net_recv_timeout(&fd, out + got, cap - got, 10000);
            if (r <= 0) {
                break;
            }
            got += (size_t)r;
        }
    } else {
        got = 0;
        status = -1;
    }
    mbedtls_net_free(&fd);
    return status < 0 ? -1 : (long)got;
}
