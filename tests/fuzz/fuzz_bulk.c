/* SPDX-License-Identifier: Apache-2.0 */
/* A CSV of enrolments: any bytes give a list whose entries end within their limit. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "rest/bulk_csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rest_bulk_list b;

    if (size <= REST_BULK_FILE_MAX && rest_bulk_list_read(dr_bytes_of(data, size), &b) == DR_OK) {
        dr_assert(b.n <= size);
        for (size_t i = 0; i < b.n; i++) {
            size_t len = strlen(rest_bulk_list_entry(&b, i));
            dr_assert(len <= REST_BULK_ENTRY_MAX);
        }
        rest_bulk_list_fini(&b);
    }
    return 0;
}
