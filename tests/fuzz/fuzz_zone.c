/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_zone.c
 * @brief Time zone files: what is accepted has offsets of less than 27 hours at all times.
 */
#include <stdlib.h>

#include "base/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const int64_t times[] = {-4000000000, -1, 0, 951782400, 1806195600, 4102444800};
    struct dr_zone *z = NULL;

    if (dr_zone_parse((struct dr_bytes){.p = data, .len = len}, &z) != DR_OK) {
        return 0;
    }
    for (size_t i = 0; i < DR_ARRAY_LEN(times); i++) {
        int32_t offset = dr_zone_offset(z, times[i]);
        if (offset < -27 * 3600 || offset > 27 * 3600) {
            abort();
        }
        (void)dr_zone_utc(z, times[i]);
    }
    (void)dr_zone_free(z);
    return 0;
}
