/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  devices/rules.h
 * @brief Small rules of the domain: locations, request paths against links, wildcards, result
 * mapping.
 *
 * Layer: devices, pure.  Threads: reentrant.  Memory: never allocates; results borrow their input.
 * Limits: DEV_PATH_MAX.  Security: all text here is hostile and never asserted on.
 * Spec: LWM2M-1.1-CORE#6.2, Pelion Connect REST contract (device requests).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "coap/pdu.h"
#include "lwm2m/links.h"
#include "lwm2m/path.h"

/** Characters of the short form of a device id (16 hex digits), without NUL. */
#define DEV_LOCATION_ID_LEN 16

/** What the Uri-Path of an uplink names. */
enum dev_target {
    DEV_TARGET_NONE,     /**< none of ours: 4.04 */
    DEV_TARGET_RD,       /**< /rd */
    DEV_TARGET_LOCATION, /**< /rd/<id> or /rd/<account>/<id> */
    DEV_TARGET_DP,       /**< /dp */
};

/**
 * Where an uplink goes.
 * @param ret_device  the id of a location (0: it cannot be one); written only for
 *                    DEV_TARGET_LOCATION
 * @param ret_query   there is a Uri-Query
 */
enum dev_target dev_target_of(const struct cx_pdu *pdu, int64_t *ret_device, bool *ret_query);

/** Short text of a device id and a NUL. */
void dev_location_format(int64_t device, char out[DEV_LOCATION_ID_LEN + 1]);

/** Short form or the 32 digits of the REST interface. @retval DR_ERR_PROTO neither */
DR_CHECK dr_err_t dev_location_parse(const uint8_t *text, size_t len, int64_t *ret);

/** A request's uri: "/3303/0/5700?pmin=10". */
struct dev_uri {
    struct lwm2m_path path;
    const char *query; /**< behind '?', borrowed; NULL = none */
};

/**
 * @retval DR_ERR_PROTO, DR_ERR_RANGE  not a path of one to four numbers, or longer than
 * DEV_PATH_MAX
 */
DR_CHECK dr_err_t dev_uri_parse(const char *uri, struct dev_uri *ret);

/**
 * May a request for @p path be sent to a device that registered @p links?
 * Yes when a link lies at or below it, or when the deepest link above it names nothing further (a
 * device that lists instances only has all their resources).
 * @param create  the request makes an instance: only the object has to be there
 */
bool dev_path_listed(const struct lwm2m_links *links, const struct lwm2m_path *path, bool create);

/** Equal, or @p pattern ends in '*' and the rest is a prefix; an empty pattern matches all. */
bool dev_pattern_match(const char *pattern, const char *text);

/** Status of the contract for a device's answer: every success is 200. */
int dev_status_of_code(uint8_t code);

/** Status for a request that got no answer. @p ret_error gets its token. */
int dev_status_of_err(dr_err_t err, const char **ret_error);
