/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_est.c
 * @brief A message for /est as a device sends it: the name in its path, the request in its body;
 * and what a device answers to a renewal.
 */
#include <string.h>

#include "certs/csr.h"
#include "coap/pdu.h"
#include "devices/est.h"
#include "devices/renew.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char name[DEV_EST_NAME_MAX + 1];
    uint8_t body[DEV_RENEW_BODY_MAX];
    struct cert_csr csr;
    struct cx_pdu pdu;

    (void)dev_renew_status((const char *)data, len);
    if (cx_pdu_decode(data, len, &pdu) != DR_OK) {
        return 0;
    }
    if (dev_est_name(&pdu, name)) {
        size_t n = strlen(name);
        dr_assert(n > 0 && n <= DEV_EST_NAME_MAX);
        dr_assert(strchr(name, '/') != NULL || dev_renew_body(name, body) == n + 5);
        if (cert_csr_read(dr_bytes_of(pdu.payload, pdu.payload_len), &csr) == DR_OK) {
            dr_assert(strlen(csr.cn) <= CERT_NAME_MAX && csr.point[0] == 4);
        }
    }
    return 0;
}
