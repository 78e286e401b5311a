/* SPDX-License-Identifier: Apache-2.0 */
#include "certs/x509.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/text.h"
#include "certs/certs_priv.h"

static const char begin_line[] = "-----BEGIN CERTIFICATE-----";
static const char end_line[] = "-----END CERTIFICATE-----";

X509 *certs_x509_parse(struct dr_bytes der)
{
    const uint8_t *p = der.p;
    X509 *cert = der.len == 0 || der.len > CERT_DER_MAX ? NULL : d2i_X509(NULL, &p, (long)der.len);

    ERR_clear_error();
    if (cert != NULL && p != der.p + der.len) {
        X509_free(cert);
        return NULL;
    }
    return cert;
}

void certs_name_text(const X509_NAME *name, int nid, char out[CERT_NAME_MAX + 1])
{
    int at = X509_NAME_get_index_by_NID(name, nid, -1);
    unsigned char *text = NULL;

    out[0] = '\0';
    if (at < 0 || X509_NAME_get_index_by_NID(name, nid, at) >= 0) {
        return;
    }
    int len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    if (len > 0 && len <= CERT_NAME_MAX && memchr(text, 0, (size_t)len) == NULL) {
        memcpy(out, text, (size_t)len);
        out[len] = '\0';
    }
    OPENSSL_free(text);
    ERR_clear_error();
}

bool certs_key_hash(const X509_PUBKEY *spki, uint8_t out[CERT_SHA256_LEN])
{
    unsigned char *der = NULL;
    int len = spki == NULL ? -1 : i2d_X509_PUBKEY(spki, &der);
    bool ok = len > 0 && EVP_Q_digest(NULL, "SHA256", NULL, der, (size_t)len, out, NULL) == 1;

    OPENSSL_free(der);
    ERR_clear_error();
    return ok;
}

/* A name as text; cut where it does not fit. */
static void dn_text(const X509_NAME *name, char out[CERT_DN_MAX])
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;

    out[0] = '\0';
    if (bio != NULL &&
        X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
        long len = BIO_get_mem_data(bio, &text);
        if (len > 0) {
            (void)snprintf(out, CERT_DN_MAX, "%.*s", (int)len, text);
        }
    }
    BIO_free(bio);
    ERR_clear_error();
}

static bool time_ms(const ASN1_TIME *t, int64_t *ret)
{
    struct tm tm;

    if (ASN1_TIME_to_tm(t, &tm) != 1) {
        return false;
    }
    *ret = (int64_t)timegm(&tm) * 1000;
    return true;
}

static bool serial_text(const X509 *cert, char out[2 * CERT_SERIAL_MAX + 1])
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);

    if (serial == NULL || serial->length > CERT_SERIAL_MAX) {
        return false;
    }
    dr_hex_encode(serial->data, (size_t)serial->length, out);
    return true;
}

dr_err_t cert_info_read(struct dr_bytes der, struct cert_info *ret)
{
    dr_assert(ret != NULL);
    if (der.len > CERT_DER_MAX) {
        return DR_ERR_TOO_LARGE;
    }
    X509 *cert = certs_x509_parse(der);
    if (cert == NULL) {
        return DR_ERR_PROTO;
    }
    struct cert_info info = {0};
    const X509_NAME *subject = X509_get_subject_name(cert);
    EVP_PKEY *pkey = X509_get0_pubkey(cert);
    bool ok = serial_text(cert, info.serial) &&
              time_ms(X509_get0_notBefore(cert), &info.not_before_ms) &&
              time_ms(X509_get0_notAfter(cert), &info.not_after_ms) &&
              EVP_Q_digest(NULL, "SHA256", NULL, der.p, der.len, info.fingerprint, NULL) == 1 &&
              certs_key_hash(X509_get_X509_PUBKEY(cert), info.key_hash);
    if (ok) {
        dn_text(subject, info.subject);
        dn_text(X509_get_issuer_name(cert), info.issuer);
        certs_name_text(subject, NID_commonName, info.cn);
        certs_name_text(subject, NID_organizationalUnitName, info.ou);
        certs_name_text(subject, NID_localityName, info.l);
        info.ca = X509_check_ca(cert) == 1;
        info.self_issued = X509_NAME_cmp(subject, X509_get_issuer_name(cert)) == 0;
        info.p256 = certs_is_p256(pkey);
        *ret = info;
    }
    X509_free(cert);
    ERR_clear_error();
    return ok ? DR_OK : DR_ERR_PROTO;
}

/* Base64 with its white space taken out. */
static dr_err_t decode(const char *from, const char *to, uint8_t *out, size_t cap, size_t *ret_len)
{
    char plain[DR_BASE64_LEN(CERT_DER_MAX) + 1];
    size_t n = 0;

    for (; from < to; from++) {
        if (isspace((unsigned char)*from)) {
            continue;
        }
        if (n == sizeof plain - 1) {
            return DR_ERR_TOO_LARGE;
        }
        plain[n++] = *from;
    }
    dr_err_t err = n == 0 ? DR_ERR_PROTO : dr_base64_decode(plain, n, out, cap, ret_len);
    return err == DR_ERR_NOSPACE ? DR_ERR_TOO_LARGE : err;
}

dr_err_t cert_pem_each(const char *text, size_t len, size_t max,
                       dr_err_t (*fn)(void *data, struct dr_bytes der), void *data)
{
    dr_assert(text != NULL && fn != NULL);
    const char *end = text + len;
    size_t count = 0;

    for (const char *at = text;;) {
        const char *start = memmem(at, (size_t)(end - at), begin_line, sizeof begin_line - 1);
        if (start == NULL) {
            return count == 0 ? DR_ERR_PROTO : DR_OK;
        }
        start += sizeof begin_line - 1;
        const char *stop = memmem(start, (size_t)(end - start), end_line, sizeof end_line - 1);
        if (stop == NULL) {
            return DR_ERR_PROTO;
        }
        if (count++ == max) {
            return DR_ERR_LIMIT;
        }
        uint8_t der[CERT_DER_MAX];
        size_t n = 0;
        dr_err_t err = decode(start, stop, der, sizeof der, &n);
        err = err == DR_OK ? fn(data, dr_bytes_of(der, n)) : err;
        if (err != DR_OK) {
            return err;
        }
        at = stop + sizeof end_line - 1;
    }
}

struct upload {
    uint8_t *out;
    size_t len;
};

static dr_err_t upload_take(void *data, struct dr_bytes der)
{
    struct upload *up = data;

    memcpy(up->out, der.p, der.len);
    up->len = der.len;
    return DR_OK;
}

dr_err_t cert_upload_read(const char *text, size_t len, uint8_t out[CERT_DER_MAX], size_t *ret_len)
{
    dr_assert(text != NULL && out != NULL && ret_len != NULL);
    uint8_t der[CERT_DER_MAX];
    struct upload up = {.out = der};
    dr_err_t err;

    if (memmem(text, len, "-----BEGIN", 10) != NULL) {
        err = cert_pem_each(text, len, 1, upload_take, &up);
        err = err == DR_ERR_LIMIT ? DR_ERR_PROTO : err;
    } else if (len > 2 && (uint8_t)text[0] == 0x30 && len <= CERT_DER_MAX &&
               ((uint8_t)text[1] & 0x80) != 0) {
        memcpy(der, text, len);
        up.len = len;
        err = DR_OK;
    } else {
        err = decode(text, text + len, der, sizeof der, &up.len);
    }
    if (err != DR_OK) {
        return err;
    }
    X509 *cert = certs_x509_parse(dr_bytes_of(der, up.len));
    if (cert == NULL) {
        return DR_ERR_PROTO;
    }
    X509_free(cert);
    memcpy(out, der, up.len);
    *ret_len = up.len;
    return DR_OK;
}

size_t cert_pem_write(struct dr_bytes der, char *out, size_t cap)
{
    dr_assert(out != NULL);
    char base64[DR_BASE64_LEN(CERT_DER_MAX) + 1];
    if (der.len == 0 || der.len > CERT_DER_MAX) {
        return 0;
    }
    size_t n = dr_base64_encode(der.p, der.len, base64);
    size_t need = sizeof begin_line + n + (n + 63) / 64 + sizeof end_line + 1;
    if (need > cap) {
        return 0;
    }
    size_t at = (size_t)snprintf(out, cap, "%s\n", begin_line);
    for (size_t i = 0; i < n; i += 64) {
        at += (size_t)snprintf(out + at, cap - at, "%.64s\n", base64 + i);
    }
    at += (size_t)snprintf(out + at, cap - at, "%s\n", end_line);
    return at;
}

void cert_hex_colons(const uint8_t *bytes, size_t len, char *out)
{
    static const char digits[] = "0123456789ABCDEF";

    dr_assert(bytes != NULL && out != NULL && len > 0);
    for (size_t i = 0; i < len; i++) {
        out[3 * i] = digits[bytes[i] >> 4];
        out[3 * i + 1] = digits[bytes[i] & 15];
        out[3 * i + 2] = ':';
    }
    out[3 * len - 1] = '\0';
}

/* ---- making certificates ---- */

bool certs_serial_set(X509 *cert)
{
    uint8_t bytes[16];
    ASN1_INTEGER *serial = X509_get_serialNumber(cert);

    if (RAND_bytes(bytes, sizeof bytes) != 1) {
        return false;
    }
    bytes[0] = (uint8_t)((bytes[0] & 0x3f) | 0x40); /* positive, and always 16 bytes */
    return serial != NULL && ASN1_STRING_set(serial, bytes, sizeof bytes) == 1;
}

/* spec: RFC5280#4.1.2.5: UTCTime until 2049, GeneralizedTime after; 1970 is UTCTime 70. */
bool certs_validity_set(X509 *cert, int64_t ms)
{
    bool ok = ASN1_TIME_set_string(X509_getm_notBefore(cert), "700101000000Z") == 1;

    if (ms == 0) {
        return ok && ASN1_TIME_set_string(X509_getm_notAfter(cert), "99991231235959Z") == 1;
    }
    return ok && ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)(ms / 1000)) != NULL;
}

bool certs_extension_add(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = ext != NULL && X509_add_ext(cert, ext, -1) == 1;

    X509_EXTENSION_free(ext);
    return ok;
}

dr_err_t certs_text_check(const char *text)
{
    size_t len = text == NULL ? 0 : strnlen(text, CERT_NAME_MAX + 1);

    if (len == 0 || len > CERT_NAME_MAX || !dr_utf8_valid(text, len)) {
        return DR_ERR_RANGE;
    }
    for (size_t i = 0; i < len; i++) {
        if ((uint8_t)text[i] < 0x20 || text[i] == 0x7f) {
            return DR_ERR_RANGE;
        }
    }
    return DR_OK;
}

bool certs_name_add(X509_NAME *name, int nid, const char *text)
{
    return X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, (const unsigned char *)text, -1, -1,
                                      0) == 1;
}
