/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/exec.h"

#include <string.h>

#include "lwm2m/util_priv.h"

/*
 * list  = [ arg *( "," arg ) ]
 * arg   = digit [ "=" "'" *char "'" ]
 * char  = "!" / 0x23-0x26 / 0x28-0x5B / 0x5D-0x7E
 * Example: 0='</33629/1>,</33629/2>',3
 */

static bool char_ok(char c)
{
    return c > ' ' && c < 0x7f && c != '"' && c != '\'' && c != '\\';
}

/* One argument at text[*pos]. */
static dr_err_t arg_parse(struct lwm2m_str text, size_t *pos, struct lwm2m_exec_arg *ret)
{
    size_t i = *pos;
    struct lwm2m_exec_arg arg = {.has_value = false};

    if (i >= text.len || text.ptr[i] < '0' || text.ptr[i] > '9') {
        return DR_ERR_PROTO;
    }
    arg.digit = (uint8_t)(text.ptr[i++] - '0');
    if (i < text.len && text.ptr[i] == '=') {
        size_t start = i + 2;
        if (start > text.len || text.ptr[i + 1] != '\'') {
            return DR_ERR_PROTO;
        }
        for (i = start; i < text.len && char_ok(text.ptr[i]); i++) {
        }
        if (i == text.len || text.ptr[i] != '\'') {
            return DR_ERR_PROTO;
        }
        arg.has_value = true;
        arg.value = lwm2m_str_sub(text, start, i++);
    }
    *pos = i;
    *ret = arg;
    return DR_OK;
}

dr_err_t lwm2m_exec_parse(struct lwm2m_str text, struct lwm2m_exec_arg ret[LWM2M_EXEC_ARGS_MAX],
                          size_t *ret_count)
{
    dr_assert(ret != NULL && ret_count != NULL);

    struct lwm2m_exec_arg args[LWM2M_EXEC_ARGS_MAX] = {{.digit = 0}};
    size_t count = 0, pos = 0;
    unsigned seen = 0;

    while (pos < text.len || count > 0) {
        struct lwm2m_exec_arg arg = {.digit = 0};
        dr_err_t err = arg_parse(text, &pos, &arg);
        if (err != DR_OK) {
            return err;
        }
        if ((seen & 1U << arg.digit) != 0) {
            return DR_ERR_PROTO;
        }
        seen |= 1U << arg.digit;
        args[count++] = arg;
        if (pos == text.len) {
            break;
        }
        if (text.ptr[pos++] != ',') {
            return DR_ERR_PROTO;
        }
    }
    memcpy(ret, args, count * sizeof(args[0]));
    *ret_count = count;
    return DR_OK;
}
