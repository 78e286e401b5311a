/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_lwm2m_value.c
 * @brief Single values: text, opaque, CBOR; also Execute arguments and notification attributes.
 */
#include "tests/fuzz/lwm2m_decode.h"

#include <string.h>

#include "lwm2m/attrs.h"
#include "lwm2m/exec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const uint16_t cts[] = {LWM2M_CT_TEXT, LWM2M_CT_OPAQUE, LWM2M_CT_CBOR, LWM2M_CT_LINK};
    struct lwm2m_str text = {.ptr = (const char *)data, .len = len};
    struct lwm2m_exec_arg args[LWM2M_EXEC_ARGS_MAX];
    struct lwm2m_attrs attrs, again;
    char out[LWM2M_ATTRS_STR_MAX];
    size_t count = 0;

    if (lwm2m_exec_parse(text, args, &count) == DR_OK) {
        dr_assert(count <= LWM2M_EXEC_ARGS_MAX);
    }
    if (lwm2m_attrs_parse(text, &attrs, NULL) == DR_OK) {
        size_t n = lwm2m_attrs_format(&attrs, out);
        dr_err_t err = lwm2m_attrs_parse((struct lwm2m_str){.ptr = out, .len = n}, &again, NULL);
        dr_assert(err == DR_OK && again.set == attrs.set && again.unset == attrs.unset);
    }
    return len == 0 ? 0 : fuzz_payload(cts[data[0] >> 5 & 3], data, len, false);
}
