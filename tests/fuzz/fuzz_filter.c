/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_filter.c
 * @brief Request targets and the filters and pages in their query.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "rest/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char *const fields[] = {"id", "state", "name", "created_at",
                                         "custom_attributes__"};
    struct rest_arena arena;
    static struct rest_target target;
    static struct rest_filter filter;
    struct rest_field_errors errors = {0};
    struct rest_page page;
    char *text = malloc(len + 1);

    if (text == NULL) {
        return 0;
    }
    if (len != 0) {
        memcpy(text, data, len);
    }
    text[len] = '\0';
    rest_arena_init(&arena, 1 << 20);
    if (rest_target_parse(text, &arena, &target) == DR_OK) {
        for (size_t i = 0; i < target.n_segments; i++) {
            dr_assert(dr_utf8_valid(target.segments[i], strlen(target.segments[i])));
        }
        if (rest_filter_parse(&target, fields, DR_ARRAY_LEN(fields), &arena, &filter, &errors) ==
            DR_OK) {
            dr_assert(filter.count <= DB_CONDS_MAX);
            for (size_t i = 0; i < filter.count; i++) {
                dr_assert(filter.conds[i].n_values >= 1 &&
                          filter.conds[i].n_values <= DB_COND_VALUES_MAX);
                struct dr_errinfo info;
                dr_err_t err = db_conds_check(DB_LIST_DEVICE, &filter.conds[i], 1, &info);
                dr_assert(err == DR_OK || err == DR_ERR_INVAL);
            }
        }
        if (rest_page_parse(&target, false, &page, &errors) == DR_OK) {
            dr_assert(page.limit >= REST_PAGE_LIMIT_MIN && page.limit <= REST_PAGE_LIMIT_MAX);
        }
        (void)rest_page_includes(&target, "total_count");
    }
    if (rest_filter_parse_packed(text, fields, DR_ARRAY_LEN(fields), &arena, &filter, &errors) ==
        DR_OK) {
        dr_assert(filter.count <= DB_CONDS_MAX);
    }
    rest_arena_fini(&arena);
    free(text);
    return 0;
}
