/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_manifest_v1.c
 * @brief Update manifests of the format v1.
 */
#include "tests/fuzz/manifest_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    return fuzz_manifest(data, len, MANIFEST_V1);
}
