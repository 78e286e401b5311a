/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_lwm2m_cbor.c
 * @brief LwM2M CBOR payloads.
 */
#include "tests/fuzz/lwm2m_decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    return fuzz_payload(LWM2M_CT_CBOR_MAP, data, len, true);
}
