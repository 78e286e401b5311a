/* SPDX-License-Identifier: Apache-2.0 */
/* An uploaded certificate: refused, or whole, and then it can be written and read again. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "certs/chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t der[CERT_DER_MAX], again[CERT_DER_MAX];
    char pem[CERT_PEM_MAX];
    struct cert_info info;
    size_t len = 0, len2 = 0;

    if (size > 0 && cert_upload_read((const char *)data, size, der, &len) == DR_OK) {
        size_t n = cert_pem_write(dr_bytes_of(der, len), pem, sizeof pem);
        dr_err_t err = cert_upload_read(pem, n, again, &len2);
        dr_assert(n != 0 && err == DR_OK && len == len2 && memcmp(der, again, len) == 0);
        if (cert_info_read(dr_bytes_of(der, len), &info) == DR_OK) {
            const struct cert_anchor anchor = {
                .der = dr_bytes_of(der, len), .tag = 1, .account = 1, .services = 3};
            struct cert_anchors *a;
            if (cert_anchors_new(&anchor, 1, NULL, 0, &a, NULL) == DR_OK) {
                uint64_t tag = 0;
                struct dr_bytes chain = dr_bytes_of(der, len);
                err = cert_chain_verify(a, CERT_SERVICE_LWM2M, &chain, 1, 1700000000000, &tag);
                dr_assert(err != DR_OK || tag == 1);
                cert_anchors_unref(a);
            }
        }
    }
    return 0;
}
