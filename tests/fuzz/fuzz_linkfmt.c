/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_linkfmt.c
 * @brief Link lists: what was taken has a canonical text that reads back as the same list, and
 * merges with itself.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "lwm2m/links.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_canonical(const struct lwm2m_links *links)
{
    char *one = NULL, *two = NULL;
    size_t one_len = 0, two_len = 0;
    struct lwm2m_links again;

    if (lwm2m_links_canonical(links, &one, &one_len) != DR_OK) {
        return; /* quotes put in made it too long */
    }
    dr_err_t err = lwm2m_links_parse(one, one_len, LWM2M_LINKS_DISCOVER, &again);
    dr_assert(err == DR_OK || err == DR_ERR_TOO_LARGE);
    if (err == DR_OK) {
        dr_assert(again.count == links->count);
        err = lwm2m_links_canonical(&again, &two, &two_len);
        dr_assert(err == DR_OK && one_len == two_len && memcmp(one, two, one_len) == 0);
        lwm2m_links_fini(&again);
    }
    free(one);
    free(two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct lwm2m_links links, merged;
    int flags = len > 0 && (data[0] & 1) != 0 ? LWM2M_LINKS_DISCOVER : LWM2M_LINKS_REGISTER;

    if (lwm2m_links_parse((const char *)data, len, flags, &links) != DR_OK) {
        return 0;
    }
    for (size_t i = 0; i < links.count; i++) {
        const struct lwm2m_link *link = &links.items[i];
        if (link->device.len == 0) {
            dr_assert(lwm2m_links_find(&links, &link->path) == link);
            dr_assert(link->path.depth == 0 || lwm2m_links_has_object(&links, link->path.id[0]));
            (void)lwm2m_links_version(&links, link->path.id[0]);
        }
    }
    check_canonical(&links);
    if (lwm2m_links_merge(&links, &links, &merged) == DR_OK) {
        dr_assert(merged.count <= links.count);
        lwm2m_links_fini(&merged);
    }
    lwm2m_links_fini(&links);
    return 0;
}
