/* SPDX-License-Identifier: Apache-2.0 */
/** New certificates over EST, and bootstrap from the request to the credentials. */
#include <ctype.h>
#include <mbedtls/sha256.h>
#include <mbedtls/x509_csr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/peers/pelion_me.h"

/* ---- EST ---- */

static bool csr_make(void)
{
    mbedtls_x509write_csr csr;
    char subject[300];
    uint8_t der[1024];

    mbedtls_pk_free(&me.est_key);
    mbedtls_pk_init(&me.est_key);
    int ret = mbedtls_pk_setup(&me.est_key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    if (ret == 0) {
        ret = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(me.est_key),
                                  mbedtls_ctr_drbg_random, &rng);
    }
    snprintf(subject, sizeof subject, "L=%s,OU=%s,CN=%s", me.iep, me.aid, me.ep);
    mbedtls_x509write_csr_init(&csr);
    mbedtls_x509write_csr_set_md_alg(&csr, MBEDTLS_MD_SHA256);
    mbedtls_x509write_csr_set_key(&csr, &me.est_key);
    if (ret == 0) {
        ret = mbedtls_x509write_csr_set_subject_name(&csr, subject);
    }
    if (ret == 0) {
        ret = mbedtls_x509write_csr_der(&csr, der, sizeof der, mbedtls_ctr_drbg_random, &rng);
    }
    mbedtls_x509write_csr_free(&csr);
    if (ret <= 0) {
        fail("certificate request", -ret);
        return false;
    }
    me.req.body_len = (size_t)ret;
    memcpy(me.req.body, der + sizeof der - ret, (size_t)ret);
    return true;
}

void peer_est_start(const char *name)
{
    snprintf(me.req.name, sizeof me.req.name, "%s", name);
    if (csr_make()) {
        peer_request(K_EST);
    }
}

static void lw_cred_set(const uint8_t *cert, size_t len)
{
    mbedtls_x509_crt_free(&me.lw_cred.cert);
    mbedtls_x509_crt_init(&me.lw_cred.cert);
    mbedtls_pk_free(&me.lw_cred.key);
    me.lw_cred.key = me.est_key;
    mbedtls_pk_init(&me.est_key);
    me.lw_cred.has_cert = mbedtls_x509_crt_parse_der(&me.lw_cred.cert, cert, len) == 0;
}

void peer_late_put(const uint8_t *token, unsigned tkl, unsigned code, const char *path,
                   const char *text, long delay)
{
    for (unsigned i = 0; i < LATE_MAX; i++) {
        struct late *l = &me.late[i];
        if (!l->used) {
            *l = (struct late){.used = true, .tkl = tkl, .code = code};
            l->due_ms = now_ms() + (uint64_t)delay;
            memcpy(l->token, token, tkl);
            snprintf(l->path, sizeof l->path, "%s", path);
            snprintf(l->text, sizeof l->text, "%s", text);
            return;
        }
    }
}

static void renewal_end(const char *status)
{
    if (me.renewing) {
        me.renewing = false;
        peer_late_put(me.renewal.token, me.renewal.tkl, CODE(2, 4), me.renewal.path, status, 0);
    }
}

/* 01 count {length of 2 bytes, DER} */
void peer_est_done(unsigned code, const uint8_t *p, size_t len)
{
    bool good = code >> 5 == 2 && len > 4 && p[0] == 1 && p[1] >= 1;
    size_t n = good ? (size_t)p[2] << 8 | p[3] : 0;
    mbedtls_x509_crt crt;
    char subject[256] = "";

    good = good && n + 4 <= len && n <= 1024;
    mbedtls_x509_crt_init(&crt);
    good = good && mbedtls_x509_crt_parse_der(&crt, p + 4, n) == 0;
    if (good) {
        (void)mbedtls_x509_dn_gets(subject, sizeof subject, &crt.subject);
        good = mbedtls_pk_check_pair(&crt.pk, &me.est_key) == 0;
    }
    mbedtls_x509_crt_free(&crt);
    ev("est");
    ev_str("name", me.req.name);
    ev_code(code);
    ev_num("good", good);
    ev_num("count", len > 1 ? p[1] : 0);
    ev_num("len", (long)len);
    ev_num("blocks", (long)me.req.block + 1);
    ev_str("subject", subject);
    ev_hex("cert", good ? p + 4 : p, n);
    ev_end();
    if (good && me.req.name[0] == '\0') {
        lw_cred_set(p + 4, n);
    }
    renewal_end(good ? "0" : "1287");
    if (me.bootstrapping) {
        peer_boot_finished();
    }
}

/* ---- bootstrap ---- */

static void subject_field(const mbedtls_x509_crt *crt, const char *name, char *out, size_t cap)
{
    char dn[256];

    out[0] = '\0';
    if (mbedtls_x509_dn_gets(dn, sizeof dn, &crt->subject) <= 0) {
        return;
    }
    const char *at = strstr(dn, name);
    if (at != NULL) {
        at += strlen(name);
        snprintf(out, cap, "%.*s", (int)strcspn(at, ","), at);
    }
}

/* "coaps://host:port?aid=…": the port is behind the last colon. */
bool peer_uri_take(const char *uri)
{
    const char *colon = strrchr(uri, ':'), *query = strchr(uri, '?');
    size_t skip = strncmp(uri, "coaps://", 8) == 0 ? 8 : 7;

    if (colon == NULL || query == NULL || colon < uri + skip) {
        return false;
    }
    snprintf(me.host, sizeof me.host, "%.*s", (int)(colon - uri - (long)skip), uri + skip);
    snprintf(me.port, sizeof me.port, "%d", atoi(colon + 1));
    snprintf(me.query, sizeof me.query, "%s", query + 1);
    const char *aid = strstr(query, "aid=");
    if (aid != NULL) {
        snprintf(me.aid, sizeof me.aid, "%.*s", (int)strcspn(aid + 4, "&"), aid + 4);
    }
    return true;
}

void peer_boot_finished(void)
{
    char cn[128] = "", ou[64] = "", l[64] = "";
    struct boot *b = &me.boot;
    bool good = !b->broken && peer_uri_take(b->uri);

    if (b->mode == 2 && good) {
        cred_free(&me.lw_cred);
        me.lw_cred.has_cert =
            mbedtls_x509_crt_parse_der(&me.lw_cred.cert, b->cert, b->cert_len) == 0 &&
            mbedtls_pk_parse_key(&me.lw_cred.key, b->key, b->key_len, NULL, 0) == 0;
    }
    if (good) {
        mbedtls_x509_crt_free(&me.lw_cred.ca);
        mbedtls_x509_crt_init(&me.lw_cred.ca);
        me.lw_cred.has_ca = mbedtls_x509_crt_parse_der(&me.lw_cred.ca, b->ca, b->ca_len) == 0;
        subject_field(&me.lw_cred.cert, "CN=", cn, sizeof cn);
        subject_field(&me.lw_cred.cert, "OU=", ou, sizeof ou);
        subject_field(&me.lw_cred.cert, "L=", l, sizeof l);
        good = me.lw_cred.has_ca && me.lw_cred.has_cert && l[0] != '\0' && cn[0] != '\0';
    }
    if (good) {
        snprintf(me.iep, sizeof me.iep, "%s", l);
        snprintf(me.ep, sizeof me.ep, "%s", cn);
        me.lifetime = b->lifetime > 0 ? b->lifetime : me.lifetime;
    }
    ev("bootstrapped");
    ev_num("good", good);
    ev_num("broken", b->broken);
    ev_num("mode", b->mode);
    ev_str("uri", b->uri);
    ev_str("cn", cn);
    ev_str("ou", ou);
    ev_str("l", l);
    ev_num("lifetime", b->lifetime);
    ev_num("cert_len", (long)me.lw_cred.cert.raw.len);
    ev_num("time", b->time_s);
    ev_end();
    me.bootstrapping = false;
    peer_drop(true);
    if (good && me.automatic && peer_lw_open()) {
        peer_request(K_REGISTER);
    }
}

void peer_bootstrap(void)
{
    peer_drop(true);
    boot_reset(&me.boot);
    me.boot_ready = false;
    if (net_open(&me.net, me.boot_host, me.boot_port, me.mode, &me.boot_cred)) {
        me.bootstrapping = true;
        peer_request(K_BOOTSTRAP);
    }
}
