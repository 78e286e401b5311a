/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_senml_cbor.c
 * @brief SenML CBOR payloads.
 */
#include "tests/fuzz/lwm2m_decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    return fuzz_payload(LWM2M_CT_SENML_CBOR, data, len, true);
}
