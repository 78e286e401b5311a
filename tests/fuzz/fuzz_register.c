/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_register.c
 * @brief Queries of Register, Update and Bootstrap-Request; parameters are separated by `&`.
 */
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "lwm2m/register.h"

#define QUERY_MAX (LWM2M_REG_QUERY_MAX + 2)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct lwm2m_str query[QUERY_MAX];
    struct lwm2m_register reg;
    struct lwm2m_update up;
    struct lwm2m_bootstrap bs;
    struct dr_errinfo why;
    size_t count = 0, start = 0;

    for (size_t i = 0; i <= len && count < QUERY_MAX; i++) {
        if (i == len || data[i] == '&') {
            query[count++] =
                (struct lwm2m_str){.ptr = (const char *)data + start, .len = i - start};
            start = i + 1;
        }
    }
    if (len == 0) {
        count = 0;
    }
    if (lwm2m_register_parse(query, count, &reg, &why) == DR_OK) {
        char out[LWM2M_BINDING_STR_MAX];
        dr_assert(reg.ep.len <= LWM2M_REG_EP_MAX && reg.version.major == 1);
        dr_assert(reg.binding.transports != 0 && reg.lifetime_s <= LWM2M_LIFETIME_MAX);
        dr_assert(reg.lifetime_infinite == (reg.lifetime_s == 0));
        dr_assert(lwm2m_binding_format(reg.binding, reg.version, out) < sizeof(out));
    }
    for (uint8_t minor = 0; minor < 3; minor++) {
        if (lwm2m_update_parse(query, count, LWM2M_VERSION(1, minor), &up, &why) == DR_OK) {
            dr_assert(!up.has_binding || up.binding.transports != 0);
        }
    }
    if (lwm2m_bootstrap_parse(query, count, &bs, &why) == DR_OK) {
        dr_assert(bs.extra_count <= LWM2M_REG_EXTRA_MAX);
    }
    return 0;
}
