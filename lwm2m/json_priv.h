/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  lwm2m/json_priv.h
 * @brief JSON fields as both JSON formats read them; the only place with jansson.
 *
 * Layer: lwm2m, pure.  Threads: reentrant.  Memory: lwm2m_json_load() gives a reference to the
 * caller. Limits: LWM2M_JSON_BYTES_MAX.  Security: duplicate keys are refused.  Spec: RFC8259.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"
#include "lwm2m/value.h"

/** @retval DR_ERR_TOO_LARGE, DR_ERR_PROTO */
DR_CHECK dr_err_t lwm2m_json_load(const uint8_t *in, size_t len, json_t **ret);

/** INT where it was written as a whole number, else FLOAT. @retval DR_ERR_PROTO */
DR_CHECK dr_err_t lwm2m_json_number(const json_t *field, struct lwm2m_value *ret);

/** A number that may stand once. @retval DR_ERR_PROTO */
DR_CHECK dr_err_t lwm2m_json_seconds(const json_t *field, bool *has, double *ret);

/** A text that may stand once. @retval DR_ERR_PROTO */
DR_CHECK dr_err_t lwm2m_json_name(const json_t *field, bool *has, struct lwm2m_str *ret);

/** OPAQUE in @p scratch, valid until its next use. @retval DR_ERR_PROTO, DR_ERR_NOMEM */
DR_CHECK dr_err_t lwm2m_json_base64(const json_t *field, struct dr_dynbuf *scratch,
                                    struct lwm2m_value *ret);
