/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/crypto.h"

#include <mbedtls/bignum.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/ecp.h>
#include <mbedtls/sha256.h>
#include <psa/crypto.h>

#include "client/hal.h"

void cl_sha256(const void *data, size_t len, uint8_t ret[CL_HASH_LEN])
{
    /* with software SHA-256 it cannot fail; all ones would match no digest if it did */
    if (mbedtls_sha256_ret(data, len, ret, 0) != 0) {
        memset(ret, 0xff, CL_HASH_LEN);
    }
}

cl_err_t cl_sha256_flash(uint32_t addr, uint32_t len, uint8_t ret[CL_HASH_LEN])
{
    return cl_sha256_parts(NULL, 0, addr, len, NULL, 0, ret);
}

static bool hash_flash(mbedtls_sha256_context *ctx, uint32_t addr, uint32_t len)
{
    uint8_t buf[256];

    while (len > 0) {
        uint32_t n = len < sizeof buf ? len : (uint32_t)sizeof buf;
        if (!hal_flash_read(addr, buf, n) || mbedtls_sha256_update_ret(ctx, buf, n) != 0) {
            return false;
        }
        addr += n;
        len -= n;
    }
    return true;
}

cl_err_t cl_sha256_parts(const void *head, size_t head_len, uint32_t addr, uint32_t len,
                         const void *tail, size_t tail_len, uint8_t ret[CL_HASH_LEN])
{
    mbedtls_sha256_context ctx;
    uint8_t out[CL_HASH_LEN];

    mbedtls_sha256_init(&ctx);
    bool ok = mbedtls_sha256_starts_ret(&ctx, 0) == 0 &&
              (head_len == 0 || mbedtls_sha256_update_ret(&ctx, head, head_len) == 0) &&
              hash_flash(&ctx, addr, len) &&
              (tail_len == 0 || mbedtls_sha256_update_ret(&ctx, tail, tail_len) == 0) &&
              mbedtls_sha256_finish_ret(&ctx, out) == 0;
    mbedtls_sha256_free(&ctx);
    if (ok) {
        memcpy(ret, out, sizeof out);
    }
    return ok ? CL_OK : CL_ERR_IO;
}

bool cl_verify_es256(const struct cl_trust *trust, const uint8_t hash[CL_HASH_LEN],
                     const uint8_t sig[CL_SIG_LEN])
{
    mbedtls_ecp_group grp;
    mbedtls_ecp_point q;
    mbedtls_mpi r, s;

    mbedtls_ecp_group_init(&grp);
    mbedtls_ecp_point_init(&q);
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    bool ok = mbedtls_ecp_group_load(&grp, MBEDTLS_ECP_DP_SECP256R1) == 0 &&
              mbedtls_ecp_point_read_binary(&grp, &q, trust->pub, CL_PUB_LEN) == 0 &&
              mbedtls_ecp_check_pubkey(&grp, &q) == 0 &&
              mbedtls_mpi_read_binary(&r, sig, 32) == 0 &&
              mbedtls_mpi_read_binary(&s, sig + 32, 32) == 0 &&
              mbedtls_ecdsa_verify(&grp, hash, CL_HASH_LEN, &q, &r, &s) == 0;
    mbedtls_mpi_free(&s);
    mbedtls_mpi_free(&r);
    mbedtls_ecp_point_free(&q);
    mbedtls_ecp_group_free(&grp);
    return ok;
}

bool cl_verify_psa(const struct cl_trust *trust, const uint8_t hash[CL_HASH_LEN],
                   const uint8_t sig[CL_SIG_LEN])
{
    psa_key_attributes_t attr = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t key = 0;

    psa_set_key_type(&attr, PSA_KEY_TYPE_ECC_PUBLIC_KEY(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_usage_flags(&attr, PSA_KEY_USAGE_VERIFY_HASH);
    psa_set_key_algorithm(&attr, PSA_ALG_ECDSA(PSA_ALG_SHA_256));
    if (psa_import_key(&attr, trust->pub, CL_PUB_LEN, &key) != PSA_SUCCESS) {
        return false;
    }
    bool ok = psa_verify_hash(key, PSA_ALG_ECDSA(PSA_ALG_SHA_256), hash, CL_HASH_LEN, sig,
                              CL_SIG_LEN) == PSA_SUCCESS;
    return psa_destroy_key(key) == PSA_SUCCESS && ok;
}
