/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  lwm2m/senml_priv.h
 * @brief Meaning of SenML records, whatever they are written in: names, base fields, times.
 *
 * Layer: lwm2m, pure.  Threads: a state belongs to one call.  Memory: never allocates.
 * Limits: LWM2M_SENML_NAME_MAX bytes of name.  Security: records are hostile.  Spec: RFC8428#4.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "lwm2m/codec_priv.h"
#include "lwm2m/value.h"

#define LWM2M_SENML_NAME_MAX 256

/** One record as read. */
struct lwm2m_senml_record {
    bool has_bn, has_n, has_bt, has_t, has_bv;
    bool has_value; /**< one of v, vs, vb, vd, vlo was there; a second one is the reader's error */
    struct lwm2m_str bn, n;
    double bt, t, bv;
    struct lwm2m_value value;
};

/** Base fields in force. */
struct lwm2m_senml_state {
    char bn[LWM2M_SENML_NAME_MAX];
    size_t bn_len;
    double bt, bv;
    bool has_bv;
    bool slash_join; /**< LwM2M 1.0 JSON: put a missing `/` between bn and n, names are relative to
                        the request */
};

/**
 * Take one record: update the base fields, work out path and time, hand the node out.
 * @retval DR_ERR_PROTO  the name is no path, or the time no time
 */
DR_CHECK dr_err_t lwm2m_senml_take(struct lwm2m_dec *dec, struct lwm2m_senml_state *state,
                                   const struct lwm2m_senml_record *record);

/** How the names of a pack are written: bn in the first record, n behind it. */
struct lwm2m_senml_names {
    char bn[LWM2M_PATH_STR_MAX + 1];
    size_t bn_len;  /**< 0 = no bn, n is the whole path */
    unsigned depth; /**< levels that bn stands for */
    bool slash;     /**< bn ends in `/` */
};

/** @retval DR_ERR_INVAL  a node outside of @p base */
DR_CHECK dr_err_t lwm2m_senml_names_choose(const struct lwm2m_path *base,
                                           const struct lwm2m_node *nodes, size_t count,
                                           struct lwm2m_senml_names *ret);

/**
 * n of a record; empty when bn says all.
 * @param has_bn  the record itself has bn
 * @return n has to be written: also an empty one, where the record would say nothing without it
 */
bool lwm2m_senml_name(const struct lwm2m_senml_names *names, const struct lwm2m_node *node,
                      bool has_bn, char out[LWM2M_PATH_STR_MAX], size_t *ret_len);
