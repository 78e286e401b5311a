/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library builds and checks the chain; an anchor may be an intermediate authority or the leaf
 * itself (partial chains). It stops at the first anchor it meets. So what lies above that anchor is
 * walked here: if another account's anchor has signed it, directly or through certificates that the
 * peer sent, two accounts claim the device and neither gets it. Without this, whoever uploads the
 * (public) intermediate certificate of somebody else's authority would get his devices.
 */
#include "certs/chain.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include "certs/certs_priv.h"

#define N_SERVICES 2 /* bits of CERT_SERVICE_* */

struct entry {
    unsigned long subject_hash; /* sorted by it */
    X509 *cert;
    struct cert_anchor anchor; /* without der */
};

struct cert_anchors {
    atomic_uint refs;
    X509_STORE *stores[N_SERVICES];
    struct entry *entries; /* by subject_hash */
    size_t n;
    struct entry **by_tag;
    struct cert_revoked *revoked; /* sorted */
    size_t n_revoked;
};

static int by_subject(const void *a, const void *b)
{
    unsigned long x = ((const struct entry *)a)->subject_hash;
    unsigned long y = ((const struct entry *)b)->subject_hash;

    return (x > y) - (x < y);
}

static int by_tag(const void *a, const void *b)
{
    uint64_t x = (*(struct entry *const *)a)->anchor.tag;
    uint64_t y = (*(struct entry *const *)b)->anchor.tag;

    return (x > y) - (x < y);
}

static int by_fingerprint(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct cert_revoked)); /* no padding inside */
}

static struct cert_anchors *anchors_free(struct cert_anchors *a)
{
    for (size_t i = 0; i < N_SERVICES; i++) {
        X509_STORE_free(a->stores[i]);
    }
    for (size_t i = 0; i < a->n; i++) {
        X509_free(a->entries[i].cert);
    }
    free(a->entries);
    free(a->by_tag);
    free(a->revoked);
    free(a);
    return NULL;
}

static dr_err_t stores_fill(struct cert_anchors *a)
{
    for (size_t s = 0; s < N_SERVICES; s++) {
        a->stores[s] = X509_STORE_new();
        if (a->stores[s] == NULL ||
            X509_STORE_set_flags(a->stores[s], X509_V_FLAG_PARTIAL_CHAIN) != 1) {
            return DR_ERR_NOMEM;
        }
        for (size_t i = 0; i < a->n; i++) {
            if ((a->entries[i].anchor.services & 1U << s) != 0 &&
                X509_STORE_add_cert(a->stores[s], a->entries[i].cert) != 1) {
                return DR_ERR_NOMEM;
            }
        }
    }
    return DR_OK;
}

static dr_err_t entries_read(struct cert_anchors *a, const struct cert_anchor *anchors, size_t n,
                             struct dr_errinfo *reterr)
{
    for (size_t i = 0; i < n; i++) {
        dr_assert(anchors[i].tag != 0);
        X509 *cert = certs_x509_parse(anchors[i].der);
        if (cert == NULL) {
            dr_errinfo_set(reterr, "anchor", (long)i, "is no certificate in DER");
            return DR_ERR_PROTO;
        }
        a->entries[i] = (struct entry){
            .subject_hash = X509_subject_name_hash(cert), .cert = cert, .anchor = anchors[i]};
        a->entries[i].anchor.der = (struct dr_bytes){0};
        a->n = i + 1;
    }
    qsort(a->entries, a->n, sizeof *a->entries, by_subject);
    for (size_t i = 0; i < a->n; i++) {
        a->by_tag[i] = &a->entries[i];
    }
    qsort(a->by_tag, a->n, sizeof(struct entry *), by_tag);
    return DR_OK;
}

dr_err_t cert_anchors_new(const struct cert_anchor *anchors, size_t n,
                          const struct cert_revoked *revoked, size_t n_revoked,
                          struct cert_anchors **ret, struct dr_errinfo *reterr)
{
    dr_assert(ret != NULL && (n == 0 || anchors != NULL) && (n_revoked == 0 || revoked != NULL));
    if (n > CERT_ANCHORS_MAX || n_revoked > CERT_REVOKED_MAX) {
        dr_errinfo_set(reterr, "anchor", 0, "too many anchors or revoked certificates");
        return DR_ERR_LIMIT;
    }
    struct cert_anchors *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return DR_ERR_NOMEM;
    }
    atomic_init(&a->refs, 1);
    a->entries = calloc(n + 1, sizeof *a->entries);
    a->by_tag = calloc(n + 1, sizeof(struct entry *));
    a->revoked = calloc(n_revoked + 1, sizeof *a->revoked);
    dr_err_t err =
        a->entries == NULL || a->by_tag == NULL || a->revoked == NULL ? DR_ERR_NOMEM : DR_OK;
    if (err == DR_OK) {
        err = entries_read(a, anchors, n, reterr);
    }
    if (err == DR_OK) {
        err = stores_fill(a);
    }
    if (err == DR_OK && n_revoked > 0) {
        memcpy(a->revoked, revoked, n_revoked * sizeof *revoked);
        a->n_revoked = n_revoked;
        qsort(a->revoked, n_revoked, sizeof *a->revoked, by_fingerprint);
    }
    ERR_clear_error();
    if (err != DR_OK) {
        anchors_free(a);
        return err;
    }
    *ret = a;
    return DR_OK;
}

struct cert_anchors *cert_anchors_ref(struct cert_anchors *a)
{
    dr_assert(a != NULL);
    atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
    return a;
}

struct cert_anchors *cert_anchors_unref(struct cert_anchors *a)
{
    if (a != NULL && atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) == 1) {
        anchors_free(a);
    }
    return NULL;
}

static const struct entry *find_tag(const struct cert_anchors *a, uint64_t tag)
{
    struct entry key = {.anchor = {.tag = tag}};
    struct entry *p = &key;
    struct entry **at = bsearch(&p, a->by_tag, a->n, sizeof(struct entry *), by_tag);

    return at == NULL ? NULL : *at;
}

bool cert_anchors_find(const struct cert_anchors *a, unsigned service, uint64_t tag,
                       struct cert_anchor *ret)
{
    dr_assert(a != NULL && ret != NULL);
    const struct entry *e = find_tag(a, tag);

    if (e == NULL || (e->anchor.services & service) == 0) {
        return false;
    }
    *ret = e->anchor;
    return true;
}

bool cert_anchors_is_revoked(const struct cert_anchors *a, int64_t account,
                             const uint8_t fingerprint[CERT_SHA256_LEN])
{
    dr_assert(a != NULL && fingerprint != NULL);
    struct cert_revoked key = {.account = account};
    memcpy(key.fingerprint, fingerprint, sizeof key.fingerprint);
    return a->n_revoked != 0 &&
           bsearch(&key, a->revoked, a->n_revoked, sizeof key, by_fingerprint) != NULL;
}

/* First entry with that hash, or a->n. */
static size_t first_of(const struct cert_anchors *a, unsigned long hash)
{
    size_t low = 0, high = a->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (a->entries[mid].subject_hash < hash) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static const struct entry *entry_of(const struct cert_anchors *a, const X509 *cert)
{
    unsigned long hash = X509_subject_name_hash((X509 *)cert);

    for (size_t i = first_of(a, hash); i < a->n && a->entries[i].subject_hash == hash; i++) {
        if (X509_cmp(a->entries[i].cert, cert) == 0) {
            return &a->entries[i];
        }
    }
    return NULL;
}

static bool signed_by(X509 *cert, X509 *issuer)
{
    return X509_NAME_cmp(X509_get_issuer_name(cert), X509_get_subject_name(issuer)) == 0 &&
           X509_verify(cert, X509_get0_pubkey(issuer)) == 1;
}

/* Does an anchor of another account stand above @p top, the anchor that was found? */
static bool is_claimed_twice(const struct cert_anchors *a, const struct entry *top,
                             STACK_OF(X509) * sent)
{
    X509 *cur = top->cert;

    for (int depth = 0; depth <= CERT_DEPTH_MAX; depth++) {
        if (X509_NAME_cmp(X509_get_issuer_name(cur), X509_get_subject_name(cur)) == 0) {
            return false;
        }
        unsigned long hash = X509_issuer_name_hash(cur);
        for (size_t i = first_of(a, hash); i < a->n && a->entries[i].subject_hash == hash; i++) {
            const struct entry *e = &a->entries[i];
            if (e->anchor.account != top->anchor.account && signed_by(cur, e->cert)) {
                return true;
            }
        }
        X509 *next = NULL;
        for (int i = 0; i < sk_X509_num(sent) && next == NULL; i++) {
            X509 *above = sk_X509_value(sent, i);
            next = above != cur && signed_by(cur, above) ? above : NULL;
        }
        if (next == NULL) {
            return false;
        }
        cur = next;
    }
    return false;
}

static bool any_revoked(const struct cert_anchors *a, int64_t account, STACK_OF(X509) * chain)
{
    uint8_t fp[CERT_SHA256_LEN];

    for (int i = 0; a->n_revoked != 0 && i < sk_X509_num(chain); i++) {
        if (X509_digest(sk_X509_value(chain, i), EVP_sha256(), fp, NULL) != 1 ||
            cert_anchors_is_revoked(a, account, fp)) {
            return true;
        }
    }
    return false;
}

static dr_err_t verify(const struct cert_anchors *a, X509_STORE *store, STACK_OF(X509) * sent,
                       int64_t wall_ms, uint64_t *ret_tag)
{
    X509 *leaf = sk_X509_value(sent, 0);
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    dr_err_t err = DR_ERR_NOMEM;

    if (ctx != NULL && X509_STORE_CTX_init(ctx, store, leaf, sent) == 1 &&
        X509_STORE_CTX_set_default(ctx, "ssl_client") == 1) {
        X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
        X509_VERIFY_PARAM_set_time(param, (time_t)(wall_ms / 1000));
        X509_VERIFY_PARAM_set_depth(param, CERT_DEPTH_MAX);
        STACK_OF(X509) *chain = X509_verify_cert(ctx) == 1 ? X509_STORE_CTX_get0_chain(ctx) : NULL;
        int n = chain == NULL ? 0 : sk_X509_num(chain);
        const struct entry *top = n == 0 ? NULL : entry_of(a, sk_X509_value(chain, n - 1));
        err = DR_OK;
        if (top == NULL || !certs_is_p256(X509_get0_pubkey(leaf))) {
            err = DR_ERR_CRYPTO;
        } else if (any_revoked(a, top->anchor.account, chain) || is_claimed_twice(a, top, sent)) {
            err = DR_ERR_DENIED;
        } else {
            *ret_tag = top->anchor.tag;
        }
    }
    X509_STORE_CTX_free(ctx);
    return err;
}

dr_err_t cert_chain_verify(const struct cert_anchors *a, unsigned service,
                           const struct dr_bytes *chain, size_t n, int64_t wall_ms,
                           uint64_t *ret_tag)
{
    dr_assert(a != NULL && chain != NULL && ret_tag != NULL);
    dr_assert(service == CERT_SERVICE_LWM2M || service == CERT_SERVICE_BOOTSTRAP);
    if (n == 0 || n > CERT_DEPTH_MAX + 1) {
        return DR_ERR_PROTO;
    }
    STACK_OF(X509) *sent = sk_X509_new_null();
    dr_err_t err = sent == NULL ? DR_ERR_NOMEM : DR_OK;
    for (size_t i = 0; i < n && err == DR_OK; i++) {
        X509 *cert = certs_x509_parse(chain[i]);
        if (cert == NULL) {
            err = DR_ERR_PROTO;
        } else if (sk_X509_push(sent, cert) <= 0) {
            X509_free(cert);
            err = DR_ERR_NOMEM;
        }
    }
    if (err == DR_OK) {
        err = verify(a, a->stores[service == CERT_SERVICE_LWM2M ? 0 : 1], sent, wall_ms, ret_tag);
    }
    sk_X509_pop_free(sent, X509_free);
    ERR_clear_error();
    return err;
}
