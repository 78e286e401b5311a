/* SPDX-License-Identifier: Apache-2.0 */
/* Fields that both DER formats have. */
#include "manifest/der.h"
#include "manifest/manifest_priv.h"

dr_err_t manifest_malformed(struct manifest_scan *s, const char *field)
{
    return manifest_fail(s, MANIFEST_CHECK_MALFORMED, "%s is missing or malformed", field);
}

dr_err_t manifest_get_digest(struct manifest_scan *s, struct dr_rd *rd, const char *field,
                             struct dr_bytes *ret)
{
    if (manifest_der_get(rd, MANIFEST_DER_OCTETS, ret) != DR_OK) {
        return manifest_malformed(s, field);
    }
    if (ret->len != MANIFEST_DIGEST_LEN) {
        return manifest_fail(s, MANIFEST_CHECK_DIGEST_LENGTH, "%s has %zu octets instead of 32",
                             field, ret->len);
    }
    return DR_OK;
}

dr_err_t manifest_get_size(struct manifest_scan *s, struct dr_rd *rd, const char *field,
                           size_t octets, uint64_t *ret)
{
    if (manifest_der_get_uint(rd, MANIFEST_DER_INTEGER, octets, ret) != DR_OK ||
        *ret > UINT32_MAX) {
        return manifest_malformed(s, field);
    }
    if (*ret == 0) {
        return manifest_fail(s, MANIFEST_CHECK_SIZE, "%s is zero", field);
    }
    return DR_OK;
}
