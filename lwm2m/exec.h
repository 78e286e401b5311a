/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  lwm2m/exec.h
 * @brief Arguments of Execute: `0='on',3`.
 *
 * Layer: lwm2m, pure.  Threads: reentrant.  Memory: never allocates, results borrow the text.
 * Limits: ten arguments.  Security: text is hostile and never asserted on.  Spec:
 * LWM2M-1.2-CORE#6.3.5.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "lwm2m/value.h"

#define LWM2M_EXEC_ARGS_MAX 10

struct lwm2m_exec_arg {
    uint8_t digit;
    bool has_value;
    struct lwm2m_str value; /**< without the quotes */
};

/**
 * Parse an argument list; empty text is an empty list.
 * @param ret        filled on success, untouched on error
 * @param ret_count  likewise
 * @retval DR_ERR_PROTO  not the grammar, a character it does not allow, or a digit twice
 */
DR_CHECK dr_err_t lwm2m_exec_parse(struct lwm2m_str text,
                                   struct lwm2m_exec_arg ret[LWM2M_EXEC_ARGS_MAX],
                                   size_t *ret_count);
