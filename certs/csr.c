/* SPDX-License-Identifier: Apache-2.0 */
#include "certs/csr.h"

#include <openssl/core_names.h>
#include <openssl/err.h>

#include "certs/certs_priv.h"

static dr_err_t csr_check(X509_REQ *req, struct cert_csr *ret)
{
    EVP_PKEY *pkey = X509_REQ_get0_pubkey(req);
    const X509_NAME *subject = X509_REQ_get_subject_name(req);
    size_t len = 0;

    /* spec: RFC5480#2.1.1: P-256, whole point */
    if (!certs_is_p256(pkey) || X509_REQ_get_signature_nid(req) != NID_ecdsa_with_SHA256) {
        return DR_ERR_UNSUPPORTED;
    }
    if (X509_REQ_verify(req, pkey) != 1) {
        return DR_ERR_CRYPTO;
    }
    struct cert_csr csr = {0};
    if (EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, csr.point,
                                        sizeof csr.point, &len) != 1 ||
        len != sizeof csr.point || csr.point[0] != 4) {
        return DR_ERR_UNSUPPORTED;
    }
    if (!certs_key_hash(X509_REQ_get_X509_PUBKEY(req), csr.key_hash)) {
        return DR_ERR_PROTO;
    }
    certs_name_text(subject, NID_commonName, csr.cn);
    certs_name_text(subject, NID_organizationalUnitName, csr.ou);
    certs_name_text(subject, NID_localityName, csr.l);
    *ret = csr;
    return DR_OK;
}

dr_err_t cert_csr_read(struct dr_bytes der, struct cert_csr *ret)
{
    dr_assert(ret != NULL);
    if (der.len > CERT_CSR_MAX) {
        return DR_ERR_TOO_LARGE;
    }
    const uint8_t *p = der.p;
    X509_REQ *req = der.len == 0 ? NULL : d2i_X509_REQ(NULL, &p, (long)der.len);
    dr_err_t err = req == NULL || p != der.p + der.len ? DR_ERR_PROTO : csr_check(req, ret);

    X509_REQ_free(req);
    ERR_clear_error();
    return err;
}
