/* SPDX-License-Identifier: Apache-2.0 */
/* A signing request from a device: refused, or its key is good for a certificate. */
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "certs/issue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cert_authority *a;
    static const struct cert_subject s = {.cn = "d"};
    struct cert_csr csr;
    struct cert_issued out;

    if (a == NULL && cert_authority_create("fuzz", &a) != DR_OK) {
        return 0;
    }
    if (cert_csr_read(dr_bytes_of(data, size), &csr) == DR_OK) {
        dr_err_t err = cert_issue_csr(a, &s, CERT_USE_DEVICE, &csr, 0, &out);
        dr_assert(err == DR_OK);
    }
    return 0;
}
